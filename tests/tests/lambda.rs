//! Lambda through its real clients, and what becomes of events that a function fails.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleet::Method;
use landfall_tests::{Operator, PATIENCE, Server, actions_on_all, package};
use serde_json::{Value, json};

const OPERATIONS: &str = include_str!("data/lambda.py");

const FAILS: &str = "exports.handler = async (event) => { throw new RangeError('failed ' + event.n); };";
const WORKS: &str = "exports.handler = async (event) => { console.log('did ' + JSON.stringify(event)); };";

#[test]
fn boto3_finds_lambdas_operations_as_on_aws() {
    let server = Server::start();
    assert_eq!(server.aws().python(OPERATIONS), json!({}));
}

async fn leave_event(operator: &Operator<'_>, function: &str, event: &Value) {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let (headers, body) = ([("x-amz-invocation-type", "Event")], event.to_string());
    let request = fleet::AwsRequest {
        service: "lambda",
        method: Method::POST,
        path: &path,
        headers: &headers,
        body: body.as_bytes(),
        ..fleet::AwsRequest::default()
    };
    let answer = operator.client().call(&request).await.expect("the API answers");
    assert_eq!(answer.status, 202, "{}", answer.text());
}

async fn configure(operator: &Operator<'_>, function: &str, config: &Value) {
    let path = format!("/2019-09-25/functions/{function}/event-invoke-config");
    operator.must("lambda", Method::PUT, &path, Some(config)).await;
}

/// Waits until there are so many dead letters; oldest first.
fn wait_for_letters(server: &Server, count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let printed = server.ask("dead-letters", &["--json"]).must_succeed().stdout;
        let letters: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        if letters.len() == count {
            return letters;
        }
        assert!(Instant::now() < until, "{count} dead letters were expected: {printed}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The operator finds what was given up, mends the function and hands the event over again.
#[tokio::test]
async fn a_dead_letter_is_found_and_replayed() {
    let server = Server::start();
    let operator = Operator::of(&server);
    operator.create_role("plain", &actions_on_all(&[])).await;
    operator.create_function("fails", "plain", FAILS, &Value::Null).await;
    configure(&operator, "fails", &json!({ "MaximumRetryAttempts": 0 })).await;
    for n in 0..3 {
        leave_event(&operator, "fails", &json!({ "n": n })).await;
    }
    let letters = wait_for_letters(&server, 3);
    for letter in &letters {
        assert_eq!((&letter["condition"], &letter["failures"]), (&json!("RetriesExhausted"), &json!(1)));
        assert!(letter["response"].as_str().is_some_and(|text| text.contains("RangeError")), "{letter}");
    }
    let ids: Vec<&str> = letters.iter().filter_map(|letter| letter["id"].as_str()).collect();
    let readable = server.ask("dead-letters", &[]).must_succeed().stdout;
    assert!(ids.iter().all(|id| readable.contains(id)) && readable.contains("function:fails"), "{readable}");
    let shown = server.ask("dead-letters", &["show", ids[0]]).must_succeed().stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let lost = shown["payload"].clone();
    assert!((0..3).any(|n| lost == json!({ "n": n })), "{shown}");

    let body = json!({ "ZipFile": STANDARD.encode(package(WORKS)) });
    operator.must("lambda", Method::PUT, "/2015-03-31/functions/fails/code", Some(&body)).await;
    server.ask("dead-letters", &["drop", ids[2]]).must_succeed();
    server.ask("dead-letters", &["replay", ids[0]]).must_succeed();
    operator.wait_for_log("fails", &format!("did {lost}")).await;
    server.ask("dead-letters", &["replay", "--all"]).must_succeed();
    assert_eq!(wait_for_letters(&server, 0), Vec::<Value>::new());
    let missing = server.ask("dead-letters", &["replay", ids[0]]);
    assert!(!missing.is_success() && missing.stderr.contains("There is no dead letter"), "{}", missing.text());
    let unnamed = server.ask("dead-letters", &["drop"]);
    assert!(!unnamed.is_success() && unnamed.stderr.contains("--all"), "{}", unnamed.text());
}

/// What is over goes to another function, with the event and the outcome.
#[tokio::test]
async fn outcomes_go_to_their_destinations() {
    let server = Server::start();
    let operator = Operator::of(&server);
    operator.create_role("hands-on", &actions_on_all(&["lambda:InvokeFunction"])).await;
    let next = operator.create_function("next", "hands-on", WORKS, &Value::Null).await;
    for (name, source, member, condition) in
        [("fails", FAILS, "OnFailure", "RetriesExhausted"), ("works", WORKS, "OnSuccess", "Success")]
    {
        operator.create_function(name, "hands-on", source, &Value::Null).await;
        let destinations = json!({ member: { "Destination": next } });
        configure(&operator, name, &json!({ "MaximumRetryAttempts": 0, "DestinationConfig": destinations })).await;
        leave_event(&operator, name, &json!({ "n": name })).await;
        let lines = operator.wait_for_log("next", condition).await;
        let line = lines.iter().find(|line| line.contains(condition)).expect("it was waited for");
        let (_, record) = line.split_once("did ").expect("the function's line");
        let record: Value = serde_json::from_str(record.trim()).expect("the record is JSON");
        assert_eq!(record["requestPayload"], json!({ "n": name }));
        assert_eq!(
            record["requestContext"]["functionArn"],
            format!("{}:$LATEST", operator.arn("lambda", &format!("function:{name}")))
        );
    }
    assert_eq!(wait_for_letters(&server, 0), Vec::<Value>::new(), "what was handed on is not lost");
}

#[tokio::test]
async fn what_waits_is_listed() {
    let server = Server::start();
    let nothing = server.ask("invocations", &[]).must_succeed().stdout;
    assert_eq!(nothing.trim(), "No asynchronous invocation waits.");
    let operator = Operator::of(&server);
    operator.create_role("plain", &actions_on_all(&[])).await;
    let source = "exports.handler = () => new Promise((done) => setTimeout(done, 60000));";
    operator.create_function("waits", "plain", source, &json!({ "Timeout": 60 })).await;
    leave_event(&operator, "waits", &json!({ "n": 1 })).await;
    let printed = server.ask("invocations", &["--json"]).must_succeed().stdout;
    let waiting: Value = serde_json::from_str(printed.trim()).expect("one line");
    assert_eq!(waiting["functionArn"], operator.arn("lambda", "function:waits"));
}
