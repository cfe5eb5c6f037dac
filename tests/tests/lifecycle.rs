//! Who comes and goes, as rules and subscribers hear of it, and Basic Ingest, with the clients that people use.

use landfall_tests::{FieldDevice, Operator, PATIENCE, Server};
use serde_json::{Value, json};

const PAHO: &str = include_str!("data/lifecycle.py");

async fn place() -> (Server, FieldDevice) {
    let server = Server::start();
    let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
    let device = FieldDevice::active(&server, "device", &statements).await;
    (server, device)
}

#[tokio::test]
async fn paho_and_rules_hear_who_comes_and_goes() {
    let (server, device) = place().await;
    let place = device.place(&server);
    assert_eq!(server.aws().python(&format!("PLACE = {place}\n{PAHO}")), json!({}));
    // The rule that was not there: the publishers were not told, the operator is.
    let lines = Operator::of(&server).wait_for_log_of("AWSIotLogsV2", "RuleNotFound").await;
    assert!(lines.iter().any(|line| line.contains("missing")), "{lines:#?}");
}

#[tokio::test]
async fn mosquitto_hears_another_come_and_go() {
    let (server, device) = place().await;
    let mosquitto = server.mosquitto().with_credential(&device.files(&server));
    let mut listening = mosquitto.subscribe("listener", "$aws/events/presence/+/says", 4);
    // Nothing but the first event tells that it has subscribed; it may have come in the middle of a visit.
    while listening.is_running() {
        mosquitto.publish("says", "t", "hello").must_succeed();
    }
    let heard = listening.finish(PATIENCE).must_succeed().stdout;
    let events: Vec<Value> = heard
        .lines()
        .map(|line| serde_json::from_str(line.split_once(' ').expect("topic and payload").1).expect("JSON"))
        .collect();
    let of = |kind: &str| events.iter().filter(|event| event["eventType"] == kind).collect::<Vec<_>>();
    let [connected, disconnected] = ["connected", "disconnected"].map(of);
    let is_pair = |came: &Value, went: &Value| {
        ["sessionIdentifier", "versionNumber", "principalIdentifier"].iter().all(|name| came[*name] == went[*name])
    };
    assert!(connected.iter().any(|came| disconnected.iter().any(|went| is_pair(came, went))), "{heard}");
    for event in &disconnected {
        assert_eq!(event["disconnectReason"], "CLIENT_INITIATED_DISCONNECT", "{heard}");
        assert_eq!(event["clientInitiatedDisconnect"], true, "{heard}");
    }
}
