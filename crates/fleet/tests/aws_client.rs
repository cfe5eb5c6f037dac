//! Signed requests as a server sees them: the bytes on the wire are what the signature covers.

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use domain::Timestamp;
use domain::sigv4::{self, Request};
use fleet::{AwsClient, AwsRequest, Credentials, Method, uri_encoded};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn credentials(secret: &str) -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: secret.to_owned(),
        session_token: Some("a/token+with=signs".to_owned()),
    }
}

/// Answers with what it saw, or 403 in the manner of rest-json.
async fn answer(request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: Vec<(&str, &str)> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let seen = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or(""),
        headers: &headers,
        body: &body,
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    let claim = sigv4::claim(&seen).unwrap();
    assert_eq!(claim.session_token.as_deref(), Some("a/token+with=signs"));
    let response = hyper::Response::builder();
    Ok(match sigv4::verify(&seen, &claim, SECRET, now) {
        Ok(()) => {
            let text = json!({
                "service": claim.service,
                "region": claim.region,
                "path": seen.path,
                "query": seen.query,
                "body": String::from_utf8_lossy(&body),
                "target": head.headers.get("x-amz-target").map(|value| value.to_str().unwrap()),
            });
            response.body(Full::new(Bytes::from(text.to_string()))).unwrap()
        }
        Err(_) => response
            .status(403)
            .header("x-amzn-ErrorType", "SignatureDoesNotMatch:http://internal.amazon.com/")
            .body(Full::new(Bytes::from_static(br#"{"message":"no match"}"#)))
            .unwrap(),
    })
}

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(tcp), service_fn(answer)));
        }
    });
    endpoint
}

#[tokio::test]
async fn every_protocol_is_signed_as_sent() {
    let client = AwsClient::new(&serve().await, "cn-north-1", credentials(SECRET)).unwrap();

    let target = uri_encoded("arn:aws-cn:iot:cn-north-1:123456789012:cert/ab");
    let path = format!("/attached-policies/{target}?pageSize=2&marker=a%2Fb");
    let body = json!({ "n": "\u{fc}" });
    let seen = client.rest_json("iot", Method::POST, &path, Some(&body)).await.unwrap().json().unwrap();
    assert_eq!(seen["path"], format!("/attached-policies/{target}"));
    assert_eq!(seen["query"], "pageSize=2&marker=a%2Fb");
    assert_eq!((&seen["service"], &seen["region"]), (&json!("iot"), &json!("cn-north-1")));
    assert_eq!(seen["body"], body.to_string());

    let seen = client.rest_json("iot", Method::GET, "/registrationcode", None).await.unwrap().json().unwrap();
    assert_eq!((&seen["path"], &seen["body"]), (&json!("/registrationcode"), &json!("")));

    let target = "Logs_20140328.DescribeLogGroups";
    let seen = client.json_1_1("logs", target, &json!({})).await.unwrap().json().unwrap();
    assert_eq!((&seen["target"], &seen["body"]), (&json!(target), &json!("{}")));

    let parameters = [("RoleName", "a b&c")];
    let seen = client.query("iam", "2010-05-08", "GetRole", &parameters).await.unwrap().json().unwrap();
    assert_eq!(seen["body"], "Action=GetRole&Version=2010-05-08&RoleName=a%20b%26c");
}

#[tokio::test]
async fn a_wrong_secret_is_an_answer_with_its_error() {
    let client = AwsClient::new(&serve().await, "us-east-1", credentials("another")).unwrap();
    let request = AwsRequest { service: "iot", path: "/policies", ..AwsRequest::default() };
    let response = client.call(&request).await.unwrap();
    assert_eq!((response.status, response.is_success()), (403, false));
    assert_eq!(response.error_code().as_deref(), Some("SignatureDoesNotMatch"));
    assert_eq!(response.error_message().as_deref(), Some("no match"));
}

#[tokio::test]
async fn endpoints_that_are_none() {
    for endpoint in ["", "127.0.0.1:4566", "ftp://127.0.0.1", "https://127.0.0.1", "http://"] {
        assert!(AwsClient::new(endpoint, "us-east-1", credentials(SECRET)).is_err(), "{endpoint:?}");
    }
}
