//! Retained messages and connections, as operators see them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::{ACCOUNT, World};

const GET: &str = "iot:GetRetainedMessage";
const LIST: &str = "iot:ListRetainedMessages";

async fn retain(world: &World, topic: &str, payload: &str) {
    let properties = STANDARD.encode(r#"[{"a": "1"}, {"a": "2"}]"#);
    let input = json!({
        "topic": topic, "qos": 1, "retain": true, "payload": STANDARD.encode(payload), "userProperties": properties,
    });
    world.done("iot:Publish", input).await;
}

#[tokio::test]
async fn retained_messages_are_read_and_listed() {
    let world = World::new();
    for topic in ["c", "a", "b/1"] {
        retain(&world, topic, topic).await;
    }
    let found = world.done(GET, json!({ "topic": "b/1" })).await;
    assert_eq!((&found["topic"], &found["qos"]), (&json!("b/1"), &json!(1)));
    assert_eq!(found["payload"], STANDARD.encode("b/1"));
    let properties = STANDARD.decode(found["userProperties"].as_str().expect("base64")).expect("base64");
    let properties: Value = serde_json::from_slice(&properties).expect("JSON");
    assert_eq!(properties, json!([{ "a": "1" }, { "a": "2" }]));
    assert!(found["lastModifiedTime"].as_i64().is_some_and(|ms| ms > 1_700_000_000_000), "{found}");

    let (mut topics, mut token, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let page = world.done(LIST, json!({ "maxResults": 2, "nextToken": token })).await;
        for summary in page["retainedTopics"].as_array().expect("a list") {
            let topic = summary["topic"].as_str().expect("a topic").to_owned();
            assert_eq!(summary["payloadSize"], topic.len(), "{summary}");
            topics.push(topic);
        }
        pages += 1;
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!((topics, pages), (["a", "b/1", "c"].map(str::to_owned).to_vec(), 2));

    // An empty one takes it away.
    retain(&world, "a", "").await;
    world.refused(GET, json!({ "topic": "a" }), "ResourceNotFoundException", "topic a").await;
    world.refused(GET, json!({ "topic": "a/+" }), "InvalidRequestException", "topic is refused").await;
    world.refused(LIST, json!({ "nextToken": "%%" }), "InvalidRequestException", "nextToken").await;
}

#[tokio::test]
async fn each_needs_its_own_right() {
    let world = World::new();
    retain(&world, "a", "x").await;
    let caller = world.role("caller").await;
    let arn = |resource: &str| format!("arn:aws:iot:us-east-1:{ACCOUNT}:{resource}");
    let retained = json!({ "topic": "a", "retain": true });
    for (action, input) in [
        (GET, json!({ "topic": "a" })),
        (LIST, json!({})),
        ("iot:DeleteConnection", json!({ "clientId": "c" })),
        ("iot:Publish", retained.clone()),
    ] {
        let denied = world.call_as(caller.clone(), action, input).await.expect_err(action);
        assert_eq!(denied.code, "ForbiddenException", "{action}");
    }
    // To retain needs more than to publish.
    world.grant("caller", "iot:Publish", &arn("topic/a")).await;
    let denied =
        world.call_as(caller.clone(), "iot:Publish", retained.clone()).await.expect_err("no iot:RetainPublish");
    assert!(denied.message.contains("iot:RetainPublish"), "{denied}");
    world.grant("caller", "iot:*", "*").await;
    world.call_as(caller.clone(), "iot:Publish", retained).await.expect("allowed");
    world.call_as(caller, GET, json!({ "topic": "a" })).await.expect_err("it was an empty one");
}

#[tokio::test]
async fn nobody_there_is_not_found() {
    let world = World::new();
    let words = "not connected";
    world.refused("iot:DeleteConnection", json!({ "clientId": "c" }), "ResourceNotFoundException", words).await;
}
