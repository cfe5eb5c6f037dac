//! The AWS door: what boto3, the CLI and hand-written requests are refused with, and that a role's rights are enforced.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use domain::Timestamp;
use domain::sigv4::{Request, sign};
use fleet::{Ca, Device, DeviceSpec, KeyAlgorithm, Method};
use landfall_tests::{Operator, PATIENCE, Server, actions_on_all};
use serde_json::{Value, json};

const CASES: &str = include_str!("data/errors.py");

/// Case, code, HTTP status, and what the message must hold.
const REFUSALS: &[(&str, &str, u64, &[&str])] = &[
    ("wrong secret, rest-json", "InvalidSignatureException", 403, &["signature we calculated does not match"]),
    ("wrong secret, query", "SignatureDoesNotMatch", 403, &["signature we calculated does not match"]),
    ("wrong secret, json-1.1", "InvalidSignatureException", 400, &["signature we calculated does not match"]),
    ("unknown key, rest-json", "UnrecognizedClientException", 403, &["security token"]),
    ("unknown key, query", "InvalidClientTokenId", 403, &["security token"]),
    ("unknown key, json-1.1", "UnrecognizedClientException", 400, &["security token"]),
    ("wrong region", "InvalidSignatureException", 403, &["valid region", "eu-west-1"]),
    ("unserved, rest-json", "NotImplementedException", 501, &["iot:ListBillingGroups"]),
    ("unserved, query", "NotImplemented", 501, &["iam:ListUsers"]),
    ("unserved, json-1.1", "NotImplementedException", 501, &["logs:DescribeMetricFilters"]),
    ("missing field", "InvalidRequestException", 400, &["policyDocument"]),
    ("wrong type", "SerializationException", 400, &["policyDocument"]),
    ("bad name", "InvalidRequestException", 400, &["policyName", "pattern"]),
    ("policy is no JSON", "MalformedPolicyException", 400, &["line 2, column"]),
    ("policy has a wrong effect", "MalformedPolicyException", 400, &["Perhaps", "line 1, column"]),
    ("policy exists", "ResourceAlreadyExistsException", 409, &["There"]),
    ("no policy", "ResourceNotFoundException", 404, &["Policy not found"]),
    ("no certificate", "ResourceNotFoundException", 404, &["does not exist"]),
    ("attach to nothing", "InvalidRequestException", 400, &["target"]),
    ("bad SQL", "SqlParseException", 400, &["line 1, column"]),
    ("bad filter", "SqlParseException", 400, &["#"]),
    ("no rule", "UnauthorizedException", 401, &[]),
    ("CA that is none", "InvalidRequestException", 400, &["CA certificate", "PEM"]),
    ("role exists", "EntityAlreadyExists", 409, &["there"]),
    ("no role", "NoSuchEntity", 404, &["notthere"]),
    ("role policy is no JSON", "MalformedPolicyDocument", 400, &["line 1, column"]),
    ("function exists", "ResourceConflictException", 409, &["there"]),
    ("no function", "ResourceNotFoundException", 404, &["function:notthere"]),
    ("invoke no function", "ResourceNotFoundException", 404, &["function:notthere"]),
    ("bad zip", "InvalidParameterValueException", 400, &["Could not unzip uploaded file"]),
    ("no such role", "InvalidParameterValueException", 400, &["role"]),
    ("unknown runtime", "InvalidParameterValueException", 400, &["cobol1.0", "runtime", "nodejs20.x"]),
    ("payload is no JSON", "InvalidRequestContentException", 400, &["line 1 column 2"]),
    ("permission exists", "ResourceConflictException", 409, &["once"]),
    ("no log group", "ResourceNotFoundException", 400, &["log group"]),
];

#[test]
fn boto3_gets_the_errors_of_aws() {
    let server = Server::start();
    let answers = server.aws().python(CASES);
    let mut wrong = Vec::new();
    for (case, code, status, said) in REFUSALS {
        let answer = &answers[case];
        let message = answer[2].as_str().unwrap_or_default();
        let is_right = answer[0] == *code && answer[1] == *status && said.iter().all(|part| message.contains(part));
        if !is_right {
            wrong.push(format!("{case}: expected {code} {status} {said:?}, got {answer}"));
        }
    }
    let unchecked = answers.as_object().expect("an object").keys();
    wrong.extend(unchecked.filter(|case| !REFUSALS.iter().any(|row| row.0 == *case)).cloned());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cli_prints_an_error_and_its_code() {
    let server = Server::start();
    let wrong = server.aws().with_secret("not-the-secret").run(&["iot", "list-certificates"]);
    assert!(!wrong.is_success());
    assert!(wrong.stderr.contains("An error occurred (InvalidSignatureException)"), "{}", wrong.stderr);
    let missing = server.aws().run(&["iot", "get-policy", "--policy-name", "NotThere"]);
    assert!(missing.stderr.contains("An error occurred (ResourceNotFoundException)"), "{}", missing.stderr);
}

/// `POST /policies/NAME` by hand.
struct ByHand<'a> {
    server: &'a Server,
    path: &'a str,
    body: &'a [u8],
    skew_s: i64,
    /// Headers after the signature: they change what was signed, or bring what was not.
    extra: &'a [(&'a str, &'a str)],
}

impl ByHand<'_> {
    /// Status and body.
    fn send(&self) -> (u16, String) {
        let host = self.server.fact("api_addr");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let at = Timestamp::from_seconds(i64::try_from(now).expect("a clock") + self.skew_s);
        let headers = [("host", host), ("content-type", "application/json")];
        let request = Request { method: "POST", path: self.path, query: "", headers: &headers, body: self.body };
        let added = sign(&request, self.server.credentials(), self.server.region(), "iot", at);
        let mut head = format!("POST {} HTTP/1.1\r\nconnection: close\r\n", self.path);
        let added = added.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in headers.into_iter().chain(added).chain(self.extra.iter().copied()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.extra.iter().any(|(name, _)| *name == "content-length") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(host).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(head.as_bytes()).expect("the head is sent");
        // A refusal may come before the body has gone.
        let _ = stream.write_all(self.body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no HTTP answer: {answer:?}")), answer)
    }
}

#[test]
fn requests_by_hand() {
    let server = Server::start();
    let policy = json!({ "policyDocument": r#"{"Version":"2012-10-17","Statement":[]}"# }).to_string();
    let policy = policy.as_bytes();
    let deep = format!("{{\"policyDocument\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let large = vec![b' '; 2 * 1024 * 1024];
    let request = |body, skew_s, extra| ByHand { server: &server, path: "/policies/ByHand", body, skew_s, extra };
    let cases: [(&str, ByHand<'_>, u16, &str); 7] = [
        ("the clock is late", request(policy, -16 * 60, &[]), 403, "Signature expired"),
        ("the clock is early", request(policy, 16 * 60, &[]), 403, "Signature not yet current"),
        ("nothing is wrong but the policy", request(policy, 0, &[]), 400, "MalformedPolicyException"),
        ("JSON is too deep", request(deep.as_bytes(), 0, &[]), 400, "SerializationException"),
        ("no JSON", request(b"{oops", 0, &[]), 400, "SerializationException"),
        ("a body over the limit", request(&large, 0, &[]), 413, "RequestEntityTooLargeException"),
        (
            "a length over the limit",
            request(b"", 0, &[("content-length", "99999999999")]),
            413,
            "RequestEntityTooLargeException",
        ),
    ];
    let mut wrong = Vec::new();
    for (case, request, status, said) in &cases {
        let (got, answer) = request.send();
        if got != *status || !answer.contains(said) {
            wrong.push(format!("{case}: expected {status} {said}, got {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.fact("api_addr")).expect("a connection");
    let host = server.fact("api_addr");
    write!(stream, "GET /certificates HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("MissingAuthenticationToken"), "{answer}");
}

/// Calls what the event says, and answers with the outcome.
const CALLER: &str = "
var AWS = require('aws-sdk');
exports.handler = function (event, context, callback) {
    new AWS[event.service]()[event.operation](event.parameters, function (error, data) {
        callback(null, error ? { code: error.code, message: error.message } : { data: data });
    });
};";

/// A function has the rights of its role, and no others.
#[tokio::test]
async fn a_roles_rights_are_enforced() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let allowed = operator.arn("iot", "policy/Allowed*");
    let denied = operator.arn("iot", "policy/AllowedNot");
    let rights = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["iot:CreatePolicy", "iot:Get*"], "Resource": allowed },
        { "Effect": "Allow", "Action": "iot:ListCertificates", "Resource": "*" },
        { "Effect": "Deny", "Action": "*", "Resource": denied } ] });
    operator.create_role("scoped", &rights).await;
    operator.create_role("nothing", &actions_on_all(&[])).await;
    operator.create_function("scoped", "scoped", CALLER, &Value::Null).await;
    operator.create_function("nothing", "nothing", CALLER, &Value::Null).await;
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" }] });
    let policy = |name: &str| json!({ "policyName": name, "policyDocument": document.to_string() });
    let cases = [
        ("scoped", "createPolicy", policy("AllowedOne"), None),
        ("scoped", "getPolicy", json!({ "policyName": "AllowedOne" }), None),
        ("scoped", "listCertificates", json!({}), None),
        ("scoped", "createPolicy", policy("Other"), Some(["iot:CreatePolicy", "policy/Other"])),
        ("scoped", "createPolicy", policy("AllowedNot"), Some(["iot:CreatePolicy", "explicit deny"])),
        ("scoped", "getRegistrationCode", json!({}), Some(["iot:GetRegistrationCode", "assumed-role/scoped/scoped"])),
        ("nothing", "listCertificates", json!({}), Some(["iot:ListCertificates", "assumed-role/nothing/nothing"])),
    ];
    for (function, operation, parameters, refused) in cases {
        let event = json!({ "service": "Iot", "operation": operation, "parameters": parameters });
        let answer = operator.invoke(function, &event).await.json().expect("JSON");
        match refused {
            None => assert!(answer["data"].is_object(), "{function} {operation}: {answer:#}"),
            Some(said) => {
                let code = answer["code"].as_str().unwrap_or_default();
                assert!(code.starts_with("AccessDenied"), "{function} {operation}: {answer:#}");
                let message = answer["message"].as_str().unwrap_or_default();
                assert!(said.iter().all(|part| message.contains(part)), "{function} {operation}: {answer:#}");
            }
        }
    }
    let event = json!({ "service": "STS", "operation": "getCallerIdentity", "parameters": {} });
    let who = operator.invoke("nothing", &event).await.json().expect("JSON");
    let arn = who["data"]["Arn"].as_str().expect("an ARN");
    assert!(arn.ends_with(":assumed-role/nothing/nothing"), "{arn}");
    let created = operator.call("iot", Method::GET, "/policies/Other", None).await;
    assert_eq!(created.status, 404, "what was refused was not done");
}

/// The caller must hold the CA's key: the verification certificate proves it, by the registration code and the signature.
#[tokio::test]
async fn a_ca_is_registered_by_who_holds_its_key_only() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let code = operator.must("iot", Method::GET, "/registrationcode", None).await;
    let code = code["registrationCode"].as_str().expect("a code");
    let [ours, theirs] = ["ours", "theirs"].map(|name| Ca::new(name, KeyAlgorithm::EcP256).expect("a CA"));
    let no_ca = Device::self_signed(&DeviceSpec::new("no CA")).expect("a device");
    let by = |ca: &Ca, code: &str| ca.verification_certificate_pem(code).expect("a verification certificate");
    let device_pem = no_ca.certificate_pem().expect("PEM");
    let cases = [
        ("another CA's key", ours.certificate_pem(), by(&theirs, code), "CertificateValidationException"),
        ("another code", ours.certificate_pem(), by(&ours, &"0".repeat(64)), "RegistrationCodeValidationException"),
        ("no CA", device_pem, by(&ours, code), "CertificateValidationException"),
    ];
    for (case, ca, verification, exception) in cases {
        let body = json!({ "caCertificate": ca, "verificationCertificate": verification });
        let answer = operator.call("iot", Method::POST, "/cacertificate?setAsActive=true", Some(&body)).await;
        assert_eq!(answer.status, 400, "{case}: {}", answer.text());
        assert_eq!(answer.error_code().as_deref(), Some(exception), "{case}: {}", answer.text());
    }
    let listed = operator.must("iot", Method::GET, "/cacertificates", None).await;
    assert_eq!(listed["certificates"], json!([]), "none was registered");
}
