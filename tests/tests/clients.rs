//! Every AWS client that people use, one round each: all protocols, errors with their codes, presigned URLs, a role and
//! its session.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfall_tests::{Aws, Server, package};
use serde_json::{Value, json};

const DOUBLE: &str = "exports.handler = async (event) => ({ doubled: event.number * 2 });";

fn packaged(aws: Aws<'_>) -> Aws<'_> {
    aws.with_variable("PACKAGE", &STANDARD.encode(package(DOUBLE)))
}

/// What the script of every SDK reports, but for its own name in its session's.
fn expected(server: &Server, session: &str) -> Value {
    let account = server.account();
    let allowed = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:GetPolicy", "Resource": "*" }] });
    let basic = "AWSLambdaBasicExecutionRole";
    json!({
        "identity": format!("arn:aws:iam::{account}:root"),
        "policy": allowed,
        "no policy": ["ResourceNotFoundException", 404],
        "published": 200,
        "bad topic": ["InvalidRequestException", 400],
        "trust": { "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": { "Service": "lambda.amazonaws.com", "AWS": account } }] },
        "role policy": allowed,
        "attached": [{ "PolicyName": basic, "PolicyArn": format!("arn:aws:iam::aws:policy/service-role/{basic}") }],
        "roles": ["round"],
        "no role": ["NoSuchEntity", 404],
        "role in use": ["DeleteConflict", 409],
        "invoked": { "doubled": 42 },
        "no function": ["ResourceNotFoundException", 404],
        "log groups": ["/aws/lambda/round"],
        "no log group": ["ResourceNotFoundException", 400],
        "presigned": [200, true],
        "presigned, changed": [403, true],
        "session": format!("arn:aws:sts::{account}:assumed-role/round/{session}"),
        "session may": "Round",
        "session may not": ["AccessDeniedException", 403],
        "session, presigned": [200, true],
        "session without its token": ["UnrecognizedClientException", 403],
    })
}

#[track_caller]
fn check(report: &Value, expected: &Value) {
    let (report, expected) = (report.as_object().expect("an object"), expected.as_object().expect("an object"));
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(case, value)| report.get(*case) != Some(value))
        .map(|(case, value)| format!("{case}: expected {value}, got {}", report.get(case).unwrap_or(&Value::Null)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(report.len(), expected.len(), "{report:#?}");
}

#[test]
fn boto3() {
    let server = Server::start();
    check(&packaged(server.aws()).python(include_str!("data/sdk_boto3.py")), &expected(&server, "boto3"));
}

#[test]
fn javascript_sdk_v2() {
    let server = Server::start();
    check(&packaged(server.aws()).javascript(include_str!("data/sdk_v2.js")), &expected(&server, "v2"));
}

/// This SDK names IAM's errors as the model's shapes are named.
#[test]
fn javascript_sdk_v3() {
    let server = Server::start();
    let mut expected = expected(&server, "v3");
    expected["no role"][0] = json!("NoSuchEntityException");
    expected["role in use"][0] = json!("DeleteConflictException");
    check(&packaged(server.aws()).javascript(include_str!("data/sdk_v3.js")), &expected);
}

#[test]
fn cli_v1() {
    let server = Server::start();
    round_of_a_cli(&server, Server::aws);
}

/// A profile that names a role: the CLI assumes it by itself.
#[test]
fn a_profile_with_a_role() {
    let server = Server::start();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": server.account() }, "Condition": { "StringEquals": { "sts:ExternalId": "e-1" } } }] });
    let role = ["iam", "create-role", "--role-name", "operator", "--assume-role-policy-document", &trust.to_string()];
    let role_arn = server.aws().text(&role, "Role.Arn");
    let config = server.data_path().join("config");
    let profile = |name: &str, external_id: &str| {
        format!(
            "[profile {name}]\nrole_arn = {role_arn}\ncredential_source = Environment\nrole_session_name = ann\n\
             external_id = {external_id}\n"
        )
    };
    std::fs::write(&config, profile("good", "e-1") + &profile("bad", "e-2")).expect("a file");
    let aws = || server.aws().with_variable("AWS_CONFIG_FILE", &config.display().to_string());
    let arn = aws().text(&["--profile", "good", "sts", "get-caller-identity"], "Arn");
    assert_eq!(arn, format!("arn:aws:sts::{}:assumed-role/operator/ann", server.account()));
    let refused = aws().run(&["--profile", "bad", "sts", "get-caller-identity"]);
    let said = "An error occurred (AccessDenied) when calling the AssumeRole operation: User:";
    assert!(refused.stderr.contains(said), "{}", refused.text());
}

#[test]
fn cli_v2() {
    let server = Server::start();
    let version = server.aws().v2().run(&["--version"]);
    assert!(version.text().starts_with("aws-cli/2."), "{}", version.text());
    round_of_a_cli(&server, |server| server.aws().v2());
}

fn round_of_a_cli(server: &Server, aws: impl Fn(&Server) -> Aws<'_>) {
    let aws = || aws(server);
    let refused = |aws: Aws<'_>, arguments: &[&str], code: &str| {
        let finished = aws.run(arguments);
        let said = format!("An error occurred ({code}) when calling");
        assert!(!finished.is_success() && finished.stderr.contains(&said), "{arguments:?}: {}", finished.text());
    };
    let account = server.account();
    let arn = aws().text(&["sts", "get-caller-identity"], "Arn");
    assert_eq!(arn, format!("arn:aws:iam::{account}:root"));

    let allowed = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:GetPolicy", "Resource": "*" }] });
    let document = allowed.to_string();
    aws().json(&["iot", "create-policy", "--policy-name", "Round", "--policy-document", &document]);
    let read = aws().text(&["iot", "get-policy", "--policy-name", "Round"], "policyDocument");
    assert_eq!(serde_json::from_str::<Value>(&read).ok(), Some(allowed.clone()));
    refused(aws(), &["iot", "get-policy", "--policy-name", "NotThere"], "ResourceNotFoundException");

    // Version 2 reads base64 into a blob; to version 1 it is the payload.
    let publish = |topic| ["iot-data", "publish", "--topic", topic, "--qos", "1", "--payload", "e30="];
    let published = aws().run(&publish("round/trip"));
    assert!(published.is_success(), "{}", published.text());
    refused(aws(), &publish("round/#"), "InvalidRequestException");

    let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "lambda.amazonaws.com", "AWS": account } }] });
    let trust = trust.to_string();
    let role = ["iam", "create-role", "--role-name", "round", "--assume-role-policy-document", &trust];
    let role_arn = aws().text(&role, "Role.Arn");
    let named = ["--role-name", "round", "--policy-name", "rights"];
    aws().json(&[&["iam", "put-role-policy"], &named[..], &["--policy-document", &document]].concat());
    let read = aws().json(&[&["iam", "get-role-policy"], &named[..]].concat());
    assert_eq!(read["PolicyDocument"], allowed);
    refused(aws(), &["iam", "delete-role", "--role-name", "round"], "DeleteConflict");

    let zip = server.data_path().join("function.zip");
    std::fs::write(&zip, package(DOUBLE)).expect("a file");
    let zip_argument = format!("fileb://{}", zip.display());
    let function = ["lambda", "create-function", "--function-name", "round", "--runtime", "nodejs20.x"];
    let rest = ["--handler", "index.handler", "--role", &role_arn, "--zip-file", &zip_argument];
    aws().json(&[&function[..], &rest].concat());
    refused(aws(), &["lambda", "get-function", "--function-name", "notthere"], "ResourceNotFoundException");
    let missing = ["logs", "filter-log-events", "--log-group-name", "/aws/lambda/notthere"];
    refused(aws(), &missing, "ResourceNotFoundException");

    let assume = ["sts", "assume-role", "--role-arn", &role_arn, "--role-session-name", "cli"];
    let answer = aws().json(&assume);
    let session = || aws().with_session(&answer["Credentials"]);
    let arn = session().text(&["sts", "get-caller-identity"], "Arn");
    assert_eq!(arn, format!("arn:aws:sts::{account}:assumed-role/round/cli"));
    session().json(&["iot", "get-policy", "--policy-name", "Round"]);
    refused(session(), &["iot", "list-certificates"], "AccessDeniedException");
}
