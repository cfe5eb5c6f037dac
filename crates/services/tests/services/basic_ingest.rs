//! Messages that name their rule in the topic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mqtt::{Qos, TopicFilter};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, rule_input};

const PUBLISH: &str = "iot:Publish";

fn message(topic: &str) -> Value {
    json!({ "topic": topic, "payload": STANDARD.encode("{}"), "qos": 1 })
}

/// With a function that rules may call, and a listener to everything.
async fn world_with_rules() -> (World, broker::Claim) {
    let world = World::new();
    world.function("f").await;
    let permission = json!({
        "FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
    });
    world.done("lambda:AddPermission", permission).await;
    world.done("iot:CreateTopicRule", rule_input("from", "SELECT topic() AS t FROM 'somewhere/else'", "f")).await;
    world.done("iot:CreateTopicRule", rule_input("bare", "SELECT topic(2) AS t", "f")).await;
    world.done("iot:CreateTopicRule", rule_input("all", "SELECT 'all' AS t FROM '#'", "f")).await;
    let mut off = rule_input("off", "SELECT 'off' AS t FROM 'a'", "f");
    off["topicRulePayload"]["ruleDisabled"] = json!(true);
    world.done("iot:CreateTopicRule", off).await;
    let listener = world.broker.claim("listener");
    for filter in ["#", "$aws/#"] {
        listener.subscribe(TopicFilter::parse(filter).expect("a filter"), Qos::AtLeastOnce);
    }
    (world, listener)
}

/// The payload of the one row that is new.
fn only_payload(world: &World, seen: &mut Vec<String>) -> Option<Value> {
    let keys = world.keys("invocation/");
    let new: Vec<&String> = keys.iter().filter(|key| !seen.contains(key)).collect();
    assert!(new.len() <= 1, "{new:?}");
    let record = new.first().map(|key| world.store.get(key.as_bytes()).expect("the store reads").expect("a row"));
    *seen = keys.clone();
    record.map(|record| {
        let row: Value = serde_json::from_slice(&record.value).expect("JSON");
        let payload = STANDARD.decode(row["r"]["payload"].as_str().expect("base64")).expect("base64");
        serde_json::from_slice(&payload).expect("JSON")
    })
}

#[tokio::test]
async fn one_rule_gets_the_message_and_nobody_else() {
    let (world, listener) = world_with_rules().await;
    let mut seen = Vec::new();
    for (topic, expected, not_found) in [
        ("$aws/rules/from/a/b", Some(json!({ "t": "a/b" })), 0),
        ("$aws/rules/from", Some(json!({ "t": "" })), 0),
        ("$aws/rules/bare/a/b", Some(json!({ "t": "b" })), 0),
        ("$aws/rules/from/1/2/3/4/5/6/7/8", Some(json!({ "t": "1/2/3/4/5/6/7/8" })), 0),
        // Unknown or disabled: counted, and the publisher hears nothing of it.
        ("$aws/rules/off/a", None, 1),
        ("$aws/rules/nobody/a", None, 2),
        ("$aws/rules/FROM/a", None, 3),
    ] {
        world.done(PUBLISH, message(topic)).await;
        assert_eq!(only_payload(&world, &mut seen), expected, "{topic}");
        assert_eq!(world.services.rules_not_found(), not_found, "{topic}");
    }
    assert!(listener.try_next_delivery().is_none(), "no subscriber hears Basic Ingest");

    world.done("iot:EnableTopicRule", json!({ "ruleName": "off" })).await;
    world.done(PUBLISH, message("$aws/rules/off/a")).await;
    assert_eq!(only_payload(&world, &mut seen), Some(json!({ "t": "off" })));
    world.done("iot:DeleteTopicRule", json!({ "ruleName": "from" })).await;
    world.done(PUBLISH, message("$aws/rules/from/a")).await;
    assert_eq!(only_payload(&world, &mut seen), None);
}

#[tokio::test]
async fn publishing_needs_the_right_on_the_whole_topic() {
    let (world, _) = world_with_rules().await;
    let caller = world.role("caller").await;
    let resource = format!("arn:aws:iot:us-east-1:{ACCOUNT}:topic/$aws/rules/from/*");
    world.grant("caller", PUBLISH, &resource).await;
    world.call_as(caller.clone(), PUBLISH, message("$aws/rules/from/a")).await.expect("allowed");
    for topic in ["$aws/rules/bare/a", "$aws/rules/from", "a"] {
        let denied = world.call_as(caller.clone(), PUBLISH, message(topic)).await.expect_err(topic);
        assert_eq!(denied.code, "ForbiddenException", "{topic}");
    }
    for (topic, words) in [("$aws/rules/", "1 to 128"), ("$aws/rules/from/1/2/3/4/5/6/7/8/9", "8 slashes")] {
        world.refused(PUBLISH, message(topic), "InvalidRequestException", words).await;
    }
}
