//! The AWS door from outside: raw HTTP over a socket, against services on a temporary store.

mod server;
mod sessions;
mod upgrade;

use api::ApiCell;
use domain::sigv4::Credentials;
use serde_json::{Value, json};
use server::{Reply, Server, credentials};
use services::{AwsCall, AwsCallError, AwsCalls, RoleSession};

/// A request and what must come back. `body` is a part of it.
struct Case<'a> {
    service: &'a str,
    request: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    status: u16,
    error_type: Option<&'a str>,
    answer: &'a str,
}

async fn check(server: &Server, case: Case<'_>) {
    let reply = server.signed(case.service, case.request, case.headers, case.body).await;
    let shown = format!("{} {}: {reply:?}", case.service, case.request);
    assert_eq!(reply.status, case.status, "{shown}");
    assert_eq!(reply.header("x-amzn-errortype"), case.error_type, "{shown}");
    assert!(reply.body.contains(case.answer), "{shown}");
    assert!(reply.header("x-amzn-requestid").is_some_and(|id| id.len() == 36), "{shown}");
}

/// The form that makes the role `r`, which Lambda may assume.
fn create_role() -> String {
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    format!("Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument={trust}")
}

const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

#[tokio::test]
async fn rest_json() {
    let server = Server::start().await;
    let document = r#"{"policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}]}"}"#;
    for (request, body, status, error_type, answer) in [
        ("POST /policies/p", document, 200, None, r#""policyName":"p""#),
        (
            "POST /policies/p",
            document,
            409,
            Some("ResourceAlreadyExistsException"),
            r#""resourceArn":"arn:aws:iot:us-east-1:123456789012:policy/p""#,
        ),
        ("GET /policies/p", "", 200, None, r#""policyArn":"arn:aws:iot:us-east-1:123456789012:policy/p""#),
        ("GET /policies/q", "", 404, Some("ResourceNotFoundException"), r#"{"message":""#),
        (
            "POST /policies/a%20b",
            document,
            400,
            Some("InvalidRequestException"),
            "at 'policyName' failed to satisfy constraint: Member must satisfy regular expression pattern",
        ),
        ("POST /policies/q", "{}", 400, Some("InvalidRequestException"), "Value null at 'policyDocument'"),
        (
            "POST /policies/q",
            r#"{"policyDocument":7}"#,
            400,
            Some("SerializationException"),
            "NUMBER_VALUE can not be converted to a String",
        ),
        ("POST /policies/q", "{", 400, Some("SerializationException"), "not valid JSON"),
        (
            "GET /certificates?pageSize=0",
            "",
            400,
            Some("InvalidRequestException"),
            "Member must have value greater than or equal to 1",
        ),
        ("GET /registrationcode", "", 200, None, r#"{"registrationCode":""#),
        ("PUT /jobs/j", "{}", 501, Some("NotImplementedException"), "Landfall does not serve iot:CreateJob yet."),
        ("GET /nowhere", "", 404, Some("UnknownOperationException"), "Unknown operation: GET /nowhere"),
    ] {
        check(&server, Case { service: "iot", request, headers: &[], body, status, error_type, answer }).await;
    }
    let missing = "GET /2015-03-31/functions/f";
    check(
        &server,
        Case {
            service: "lambda",
            request: missing,
            headers: &[],
            body: "",
            status: 404,
            error_type: Some("ResourceNotFoundException"),
            answer: r#""Type":"User""#,
        },
    )
    .await;
}

#[tokio::test]
async fn query() {
    let server = Server::start().await;
    let create = create_role();
    for (service, body, status, answer) in [
        ("sts", "Action=GetCallerIdentity&Version=2011-06-15", 200, "<Arn>arn:aws:iam::123456789012:root</Arn>"),
        ("iam", create.as_str(), 200, "<Arn>arn:aws:iam::123456789012:role/r</Arn>"),
        (
            "iam",
            "Action=GetRole&Version=2010-05-08&RoleName=r",
            200,
            "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role>",
        ),
        ("iam", "Action=GetRole&Version=2010-05-08&RoleName=q", 404, "<Type>Sender</Type><Code>NoSuchEntity</Code>"),
        (
            "iam",
            "Action=GetRole&Version=2010-05-08",
            400,
            "<Code>ValidationError</Code><Message>1 validation error detected: Value null at 'roleName'",
        ),
        (
            "iam",
            "Action=DeleteUser&Version=2010-05-08",
            501,
            "<Code>NotImplemented</Code><Message>Landfall does not serve iam:DeleteUser yet.",
        ),
        (
            "iam",
            "Action=Nothing&Version=2010-05-08",
            400,
            "<Code>InvalidAction</Code><Message>Could not find operation Nothing for version 2010-05-08",
        ),
        ("iam", "", 400, "<Code>InvalidAction</Code>"),
    ] {
        check(&server, Case { service, request: "POST /", headers: FORM, body, status, error_type: None, answer })
            .await;
    }
}

#[tokio::test]
async fn json_1_1() {
    let server = Server::start().await;
    for (target, body, status, answer) in [
        ("Logs_20140328.PutMetricFilter", "{}", 501, r#""__type":"NotImplementedException""#),
        ("Logs_20140328.DescribeLogGroups", "{}", 200, r#"{"logGroups":[]}"#),
        ("Logs_20140328.DescribeLogGroups", "", 200, r#"{"logGroups":[]}"#),
        ("Logs_20140328.Nothing", "{}", 400, r#""__type":"UnknownOperationException""#),
        ("Other.Thing", "{}", 400, r#""__type":"UnknownOperationException""#),
        (
            "Logs_20140328.GetLogEvents",
            "{}",
            400,
            r#""__type":"InvalidParameterException","message":"1 validation error detected: Value null at 'logStreamName'"#,
        ),
        ("Logs_20140328.GetLogEvents", "[]", 400, r#""__type":"SerializationException""#),
    ] {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
        check(
            &server,
            Case { service: "logs", request: "POST /", headers: &headers, body, status, error_type: None, answer },
        )
        .await;
    }
}

#[tokio::test]
async fn signatures() {
    let server = Server::start().await;
    let unknown = Credentials { access_key_id: "AKIAUNKNOWN".into(), ..credentials() };
    let wrong = Credentials { secret_access_key: "wrong".into(), ..credentials() };
    let session = Credentials { session_token: Some("token".into()), ..credentials() };
    for (credentials, region, service, status, part) in [
        (credentials(), "us-east-1", "iot", 200, "endpointAddress"),
        (unknown, "us-east-1", "iot", 403, "The security token included in the request is invalid."),
        (wrong, "us-east-1", "iot", 403, "The request signature we calculated does not match"),
        (session, "us-east-1", "iot", 403, "The security token included in the request is invalid."),
        (credentials(), "eu-west-1", "iot", 403, "Credential should be scoped to a valid region, not 'eu-west-1'."),
        (credentials(), "us-east-1", "s3", 403, "Credential should be scoped to correct service"),
    ] {
        let reply = server.signed_by(&credentials, region, service, "GET /endpoint", &[], "").await;
        assert!(reply.status == status && reply.body.contains(part), "{reply:?} for {part}");
    }
    let reply = server.raw("GET /endpoint HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (403, Some("MissingAuthenticationTokenException")));
    let reply = server.raw("GET /endpoint HTTP/1.1\r\nhost: localhost\r\nauthorization: AWS4-HMAC-SHA256 x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (403, Some("IncompleteSignatureException")));
}

#[tokio::test]
async fn our_own_pages() {
    let server = Server::start().await;
    let health = "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let reply = server.raw(health).await;
    assert_eq!((reply.status, reply.body.contains("\"starting\"")), (503, true), "{reply:?}");
    server.api.set_ready();
    let reply = server.raw(health).await;
    assert_eq!((reply.status, reply.body.contains("\"ok\"")), (200, true), "{reply:?}");
    let reply = server.raw("GET /_landfall/root-ca.pem HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "the root's PEM"));
    let records = "GET /_landfall/admission-records";
    let reply = server.raw(&format!("{records} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let reply = server.signed("iot", records, &[], "").await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let reply = server.signed("landfall", &format!("{records}?last=5&clientId=c"), &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"admissionRecords":[]}"#), "{reply:?}");
}

#[tokio::test]
async fn what_strangers_send_is_bounded() {
    let server = Server::start().await;
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    for (request, status) in [
        (get("/endpoint", "host: evil.example\r\n"), 421),
        (get("/endpoint", ""), 421),
        (get(&format!("/{}", "a".repeat(20_000)), "host: localhost\r\n"), 400),
        (get("/endpoint", &format!("host: localhost\r\n{}", "a: b\r\n".repeat(200))), 431),
        (get("/endpoint", &format!("host: localhost\r\na: {}\r\n", "b".repeat(70_000))), 400),
        (get("/endpoint", "host: localhost\r\na: \u{e9}\r\n"), 403),
    ] {
        let reply = server.raw(&request).await;
        assert_eq!(reply.status, status, "{}", request.get(..60).unwrap_or(&request));
    }
    // The length alone is enough: the body is never sent.
    let reply = server.announced("lambda", "POST /2015-03-31/functions", 70_000_000).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert!(
        reply.body.contains("Request must be smaller than 69905067 bytes for the CreateFunction operation"),
        "{reply:?}"
    );
    let reply = server.announced("iot", "POST /policies/p", 2_000_000).await;
    assert_eq!(reply.status, 413, "{reply:?}");
}

/// A call by a function whose role is `r`.
async fn call(calls: &AwsCalls, service: &str, operation: &str, input: Value) -> Result<Value, AwsCallError> {
    let session = RoleSession { role_arn: "arn:aws:iam::123456789012:role/r".into(), session_name: "f".into() };
    calls.0(AwsCall { session, service: service.into(), operation: operation.into(), input }).await
}

#[tokio::test]
async fn functions_call_with_the_rights_of_their_role() {
    let server = Server::start().await;
    let reply = server.signed("iam", "POST /", FORM, &create_role()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let allow =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:CreatePolicy","Resource":"*"}]}"#;
    let allow: String = allow.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let put = format!("Action=PutRolePolicy&Version=2010-05-08&RoleName=r&PolicyName=p&PolicyDocument={allow}");
    let reply = server.signed("iam", "POST /", FORM, &put).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;
    let policy = json!({"policyName": "p", "policyDocument": document});
    let made = call(&server.calls, "iot", "CreatePolicy", policy.clone()).await.expect("the role allows it");
    assert_eq!(made["policyArn"], "arn:aws:iot:us-east-1:123456789012:policy/p");
    for (service, operation, input, code, status, part) in [
        ("iot", "CreatePolicy", policy, "ResourceAlreadyExistsException", 409, ""),
        (
            "iot",
            "CreatePolicy",
            json!({"policyName": "p"}),
            "InvalidRequestException",
            400,
            "Value null at 'policyDocument'",
        ),
        ("iot", "CreatePolicy", json!([]), "SerializationException", 400, ""),
        (
            "iot",
            "GetPolicy",
            json!({"policyName": "p"}),
            "AccessDeniedException",
            403,
            "is not authorized to perform: iot:GetPolicy on resource: arn:aws:iot:us-east-1:123456789012:policy/p",
        ),
        ("iam", "GetRole", json!({"RoleName": "r"}), "AccessDenied", 403, "assumed-role/r/f"),
        ("iot", "CreateJob", json!({}), "NotImplementedException", 501, "Landfall does not serve iot:CreateJob yet."),
        ("iot", "createPolicy", json!({}), "UnknownOperationException", 404, ""),
        ("s3", "ListBuckets", json!({}), "UnknownEndpoint", 501, "Landfall does not serve the service s3."),
    ] {
        let error = call(&server.calls, service, operation, input).await.expect_err("it is refused");
        assert_eq!((error.code.as_str(), error.status), (code, status), "{error:?}");
        assert!(error.message.contains(part) && error.request_id.len() == 36, "{error:?}");
    }
    let early = call(&ApiCell::default().aws_calls(), "iot", "GetPolicy", json!({})).await;
    assert_eq!(early.expect_err("there is no door yet").status, 503);
}

#[tokio::test]
async fn it_ends_when_asked() {
    let mut server = Server::start().await;
    let reply: Reply = server.signed("iot", "GET /endpoint", &[], "").await;
    assert_eq!(reply.status, 200);
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

/// What two readers could divide at different places, or take for different servers.
#[tokio::test]
async fn ambiguous_requests_lead_nowhere() {
    let server = Server::start().await;
    let hidden = "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (request, status) in [
        // Chunked counts, whatever stands beside it; what follows is not answered.
        (
            format!(
                "POST /policies/p HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                hidden.len() + 5
            ),
            403,
        ),
        (
            format!(
                "POST /policies/p HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{hidden}"
            ),
            403,
        ),
        (
            "POST /policies/p HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef"
                .to_owned(),
            400,
        ),
        ("POST /policies/p HTTP/1.1\r\nhost: localhost\r\ncontent-length: +5\r\n\r\nabcde".to_owned(), 400),
        (
            "POST /policies/p HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, identity\r\n\r\nabcde"
                .to_owned(),
            400,
        ),
        (
            "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
                .to_owned(),
            421,
        ),
        ("GET /_landfall/health HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(), 400),
        ("GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\n folded: x\r\n\r\n".to_owned(), 400),
        (
            "GET http://localhost/_landfall/health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"
                .to_owned(),
            421,
        ),
    ] {
        let reply = server.raw(&request).await;
        assert_eq!(reply.status, status, "{request:?}: {reply:?}");
        assert!(!reply.body.contains("HTTP/1.1"), "one answer to {request:?}: {reply:?}");
    }
}

/// Four who announce a package and do not send it take the places, and others hear of it instead of waiting for ever.
#[tokio::test]
async fn large_bodies_that_do_not_come_keep_nobody_waiting() {
    let server = Server::start().await;
    let create = "POST /2015-03-31/functions";
    let mut hanging = Vec::new();
    for _ in 0..4 {
        hanging.push(server.hanging("lambda", create, 2_000_000).await);
    }
    let reply = server.announced("lambda", create, 2_000_000).await;
    assert_eq!((reply.status, reply.body.contains("try again")), (503, true), "{reply:?}");
    // Small ones go on.
    assert_eq!(server.signed("lambda", "GET /2015-03-31/functions", &[], "").await.status, 200);
    drop(hanging);
}
