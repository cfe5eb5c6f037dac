//! Temporary credentials at the door, in each service's own words.

use domain::sigv4::{Credentials, Request, presign};
use serde_json::{Value, json};

use crate::server::{Reply, Server, credentials};

const STS: &str = "Version=2011-06-15&Action=GetCallerIdentity";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        encoded.push_str(&format!("%{byte:02X}"));
    }
    encoded
}

/// A session of a role that may see the IoT endpoint from here, and the certificates from elsewhere or by TLS.
async fn session(server: &Server) -> Credentials {
    let trust = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "sts:AssumeRole" } });
    let may = |action: &str, condition: Value| json!({ "Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition });
    let rights = json!({ "Version": "2012-10-17", "Statement": [
        may("iot:DescribeEndpoint", json!({ "IpAddress": { "aws:SourceIp": "127.0.0.0/8" } })),
        may("iot:ListCertificates", json!({ "IpAddress": { "aws:SourceIp": "192.0.2.0/24" } })),
        may("iot:ListPolicies", json!({ "Bool": { "aws:SecureTransport": "true" } })),
        may("iot:ListTopicRules", json!({ "Bool": { "aws:SecureTransport": "false" } })),
    ] });
    let (trust, rights) = (encoded(&trust.to_string()), encoded(&rights.to_string()));
    let arn = encoded("arn:aws:iam::123456789012:role/r");
    let mut answer = String::new();
    for (service, version, rest) in [
        ("iam", "2010-05-08", format!("CreateRole&RoleName=r&AssumeRolePolicyDocument={trust}")),
        ("iam", "2010-05-08", format!("PutRolePolicy&RoleName=r&PolicyName=p&PolicyDocument={rights}")),
        ("sts", "2011-06-15", format!("AssumeRole&RoleArn={arn}&RoleSessionName=se&DurationSeconds=900")),
    ] {
        let reply = server.signed(service, "POST /", &[FORM], &format!("Version={version}&Action={rest}")).await;
        assert_eq!(reply.status, 200, "{rest}: {reply:?}");
        answer = reply.body;
    }
    let part = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>")).expect("the element");
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    assert_eq!(part("Expiration").len(), "2026-11-18T10:01:40Z".len(), "{answer}");
    Credentials {
        access_key_id: part("AccessKeyId"),
        secret_access_key: part("SecretAccessKey"),
        session_token: Some(part("SessionToken")),
    }
}

/// A request in each protocol: to IoT, to logs, to STS.
async fn asked(server: &Server, credentials: &Credentials) -> [Reply; 3] {
    let logs = [("x-amz-target", "Logs_20140328.DescribeLogGroups"), ("content-type", "application/x-amz-json-1.1")];
    [
        server.signed_by(credentials, "us-east-1", "iot", "GET /endpoint", &[], "").await,
        server.signed_by(credentials, "us-east-1", "logs", "POST /", &logs, "{}").await,
        server.signed_by(credentials, "us-east-1", "sts", "POST /", &[FORM], STS).await,
    ]
}

#[track_caller]
fn check(replies: &[Reply; 3], expected: [(u16, &str); 3]) {
    for (reply, (status, part)) in replies.iter().zip(expected) {
        assert!(reply.status == status && reply.body.contains(part), "{reply:?} for {part}");
    }
}

#[tokio::test]
async fn temporary_credentials() {
    let server = Server::start().await;
    let session = session(&server).await;
    check(
        &asked(&server, &session).await,
        [(200, "endpointAddress"), (400, "AccessDeniedException"), (200, "assumed-role/r/se</Arn>")],
    );
    let no_token = Credentials { session_token: None, ..session.clone() };
    let other_token = Credentials { session_token: Some("AQoDYXdzEPT".into()), ..session.clone() };
    let roots_key = Credentials { session_token: session.session_token.clone(), ..credentials() };
    for credentials in [no_token, other_token, roots_key] {
        let invalid = "The security token included in the request is invalid.";
        let replies = asked(&server, &credentials).await;
        check(&replies, [(403, invalid), (400, invalid), (403, invalid)]);
        check(
            &replies,
            [(403, invalid), (400, "UnrecognizedClientException"), (403, "<Code>InvalidClientTokenId</Code>")],
        );
        assert_eq!(replies[0].header("x-amzn-errortype"), Some("UnrecognizedClientException"));
    }
    let wrong_secret = Credentials { secret_access_key: "wrong".into(), ..session.clone() };
    let mismatch = "The request signature we calculated does not match";
    check(&asked(&server, &wrong_secret).await, [(403, mismatch), (400, mismatch), (403, mismatch)]);

    server.pass_s(900);
    let replies = asked(&server, &session).await;
    let expired = "The security token included in the request is expired";
    check(&replies, [(403, expired), (400, expired), (403, expired)]);
    check(&replies, [(403, expired), (400, "ExpiredTokenException"), (403, "<Code>ExpiredToken</Code>")]);
    assert_eq!(replies[0].header("x-amzn-errortype"), Some("ExpiredTokenException"));
}

#[tokio::test]
async fn where_a_request_comes_from() {
    let server = Server::start().await;
    let session = session(&server).await;
    for (path, status) in [("/endpoint", 200), ("/certificates", 403), ("/policies", 403), ("/rules", 200)] {
        let reply = server.signed_by(&session, "us-east-1", "iot", &format!("GET {path}"), &[], "").await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn presigned_requests() {
    let server = Server::start().await;
    let session = session(&server).await;
    let headers = [("host", "localhost:4566")];
    let unsigned = Request { method: "GET", path: "/", query: STS, headers: &headers, body: b"" };
    let get = async |query: &str| {
        server.raw(&format!("GET /?{query} HTTP/1.1\r\nhost: localhost:4566\r\nconnection: close\r\n\r\n")).await
    };
    let now = server.now();
    let url = |credentials: &Credentials, region: &str, service: &str| {
        presign(&unsigned, credentials, region, service, now, 60)
    };
    let bare = Credentials { session_token: None, ..session.clone() };
    let token = encoded(session.session_token.as_deref().unwrap_or_default());
    // Only `iotdevicegateway` takes a token that came after the signature.
    let token_later = format!("{}&X-Amz-Security-Token={token}", url(&bare, "us-east-1", "sts"));
    let changed = url(&credentials(), "us-east-1", "sts").replace("Action=Get", "Action=get");
    for (query, status, part) in [
        (url(&credentials(), "us-east-1", "sts"), 200, ":root</Arn>"),
        (url(&session, "us-east-1", "sts"), 200, "assumed-role/r/se</Arn>"),
        (url(&bare, "us-east-1", "sts"), 403, "InvalidClientTokenId"),
        (token_later, 403, "SignatureDoesNotMatch"),
        (url(&session, "eu-west-1", "sts"), 403, "Credential should be scoped to a valid region"),
        (url(&session, "us-east-1", "s3"), 403, "Credential should be scoped to correct service"),
        (changed, 403, "SignatureDoesNotMatch"),
    ] {
        let reply = get(&query).await;
        assert!(reply.status == status && reply.body.contains(part), "{query}: {reply:?}");
    }
    let query = url(&credentials(), "us-east-1", "sts");
    server.pass_s(61);
    let reply = get(&query).await;
    assert!(reply.status == 403 && reply.body.contains("Signature expired: "), "{reply:?}");
}
