//! Messages that come by HTTPS, and what becomes of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::Claim;
use mqtt::packet::Property;
use mqtt::{Qos, TopicFilter};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, rule_input, with};

const PUBLISH: &str = "iot:Publish";

fn listen(world: &World, filter: &str) -> Claim {
    let claim = world.broker.claim("listener");
    claim.subscribe(TopicFilter::parse(filter).expect("a filter"), Qos::AtLeastOnce);
    claim
}

fn message(changes: Value) -> Value {
    with(json!({ "topic": "a/b", "payload": STANDARD.encode("hello") }), changes)
}

#[tokio::test]
async fn subscribers_hear_what_is_published() {
    let world = World::new();
    let claim = listen(&world, "a/#");
    let properties = json!({
        "qos": 1, "contentType": "text/plain", "responseTopic": "answers", "messageExpiry": 60,
        "correlationData": STANDARD.encode("c"), "payloadFormatIndicator": "UTF8_DATA",
        "userProperties": STANDARD.encode(r#"[{"name": "value"}]"#),
    });
    let answer = world.done(PUBLISH, message(properties)).await;
    assert_eq!(answer["message"], "OK");
    assert_eq!(answer["traceId"].as_str().map(str::len), Some(36));
    let heard = claim.try_next_delivery().expect("a message");
    assert_eq!((heard.message.topic.as_str(), &heard.message.payload[..]), ("a/b", &b"hello"[..]));
    assert_eq!((heard.qos, heard.message.retain), (Qos::AtLeastOnce, false));
    let expected = [
        Property::PayloadFormatIndicator(1),
        Property::ContentType("text/plain".to_owned()),
        Property::ResponseTopic("answers".to_owned()),
        Property::CorrelationData("c".into()),
        Property::UserProperty(("name".to_owned(), "value".to_owned())),
    ];
    assert!(heard.message.properties.iter().eq(&expected), "{:?}", heard.message.properties);
    assert!(heard.message.expires_at_ms(0).is_some_and(|ms| (50_000..=60_000).contains(&ms)), "a minute to live");

    world.done(PUBLISH, message(json!({ "payload": null, "messageExpiry": 0 }))).await;
    let heard = claim.try_next_delivery().expect("a message");
    assert_eq!((heard.qos, heard.message.payload.len()), (Qos::AtMostOnce, 0));
    assert!(heard.message.expires_at_ms(0).is_some_and(|ms| ms <= 1000), "AWS takes 0 for 1");
}

#[tokio::test]
async fn refusals_of_publish() {
    let world = World::new();
    let claim = listen(&world, "#");
    let (invalid, forbidden) = ("InvalidRequestException", "ForbiddenException");
    let large = STANDARD.encode(vec![b'x'; 128 * 1024 + 1]);
    for (changes, code, words) in [
        (json!({ "topic": "a/+" }), invalid, "must not contain"),
        (json!({ "topic": "a/#" }), invalid, "must not contain"),
        (json!({ "topic": "a\0" }), invalid, "U+0000"),
        (json!({ "topic": "1/2/3/4/5/6/7/8/9" }), invalid, "8 slashes"),
        (json!({ "topic": "x".repeat(257) }), invalid, "257 bytes"),
        (json!({ "topic": "$aws/events/x" }), forbidden, "reserved"),
        (json!({ "topic": "$mine" }), forbidden, "reserved"),
        (json!({ "topic": "$aws/rules/r/a", "retain": true }), invalid, "retain no messages"),
        (json!({ "payload": large }), "RequestEntityTooLargeException", "131073 bytes"),
        (json!({ "messageExpiry": 604_801 }), invalid, "604800"),
        (json!({ "messageExpiry": -1 }), invalid, "messageExpiry"),
        (json!({ "responseTopic": "a/#" }), invalid, "responseTopic"),
        (json!({ "contentType": "x".repeat(8193) }), invalid, "contentType"),
        (json!({ "correlationData": "%" }), invalid, "base64"),
        (json!({ "userProperties": "%" }), invalid, "userProperties"),
    ] {
        world.refused(PUBLISH, message(changes), code, words).await;
    }
    assert!(claim.try_next_delivery().is_none(), "what was refused was not published");
    let longest = json!({ "topic": "1/2/3/4/5/6/7/8", "payload": STANDARD.encode(vec![b'x'; 128 * 1024]) });
    world.done(PUBLISH, longest).await;
    assert!(claim.try_next_delivery().is_some());
}

/// `clientid()` is n/a for what came by HTTPS, and `principal()` the caller's user id.
#[tokio::test]
async fn rules_fire_and_know_who_published() {
    let world = World::new();
    world.function("f").await;
    let sql = "SELECT clientid() AS c, principal() AS p, traceid() AS t, topic(2) AS b FROM 'a/+'";
    world.done("iot:CreateTopicRule", rule_input("r", sql, "f")).await;
    let permission = json!({
        "FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
    });
    world.done("lambda:AddPermission", permission).await;
    let caller = world.role("caller").await;
    world.grant("caller", PUBLISH, &format!("arn:aws:iot:us-east-1:{ACCOUNT}:topic/a/*")).await;
    let role_id = world.done("iam:GetRole", json!({ "RoleName": "caller" })).await["Role"]["RoleId"].clone();
    let session = format!("{}:session", role_id.as_str().expect("an id"));
    for (who, principal) in [(world.root(), ACCOUNT), (caller.clone(), session.as_str())] {
        world.call_as(who, PUBLISH, message(json!({ "qos": 1 }))).await.expect("published");
        let key = world.keys("invocation/").pop().expect("a row");
        let record = world.store.get(key.as_bytes()).expect("the store reads").expect("a row");
        let row: Value = serde_json::from_slice(&record.value).expect("JSON");
        let payload = STANDARD.decode(row["r"]["payload"].as_str().expect("base64")).expect("base64");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        assert_eq!(payload, json!({ "c": "n/a", "p": principal, "b": "b" }));
        world.pass_ms(1000);
    }
    let elsewhere = world.call_as(caller, PUBLISH, message(json!({ "topic": "b" }))).await.expect_err("denied");
    assert_eq!(elsewhere.code, "ForbiddenException");
    assert_eq!(world.keys("invocation/").len(), 2);
}
