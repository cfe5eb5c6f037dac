//! What is owed and what is to be done: rows that outlive the process.

use std::time::Duration;

use broker::Claim;
use bytes::Bytes;
use mqtt::{Qos, TopicFilter, TopicName};
use serde_json::{Value, json};
use services::messages::Origin;

use crate::world::{World, device, function_arn, id_of, rule_input};

const EVENTS: &str = "$aws/events/certificates/registered/#";

async fn permit(world: &World, function: &str, rule: &str) {
    let input = json!({
        "FunctionName": function, "StatementId": rule, "Action": "lambda:InvokeFunction",
        "Principal": "iot.amazonaws.com", "SourceArn": format!("arn:aws:iot:us-east-1:123456789012:rule/{rule}"),
    });
    world.done("lambda:AddPermission", input).await;
}

fn listen(world: &World) -> Claim {
    let claim = world.broker.claim("listener");
    claim.subscribe(TopicFilter::parse(EVENTS).expect("a filter"), Qos::AtLeastOnce);
    claim
}

async fn event(claim: &Claim) -> Value {
    let delivery = tokio::time::timeout(Duration::from_secs(10), claim.next_delivery()).await.expect("an event");
    serde_json::from_slice(&delivery.message.payload).expect("JSON")
}

fn rows(world: &World) -> Vec<Value> {
    let records = world.store.scan(b"invocation/").expect("the store reads");
    records.iter().map(|(_, record)| serde_json::from_slice(&record.value).expect("JSON")).collect()
}

#[tokio::test]
async fn an_event_is_told_again_but_never_twice_at_once() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    let claim = listen(&world);
    let registered_at = world.now_ms();
    for _ in 0..3 {
        world.connect(&device, "thermometer").await.expect_err("closed");
    }
    let _running = world.run();
    let first = event(&claim).await;
    let expected = json!({
        "certificateId": id_of(&device), "caCertificateId": ca.id().to_string(), "timestamp": registered_at,
        "certificateStatus": "PENDING_ACTIVATION", "awsAccountId": "123456789012",
        "certificateRegistrationTimestamp": null,
    });
    assert_eq!(first, expected);
    assert_eq!(world.keys("outbox/"), Vec::<String>::new(), "told is not owed");
    assert!(claim.try_next_delivery().is_none(), "three connections before it was told, one event");

    world.pass_ms(5000);
    world.connect(&device, "thermometer").await.expect_err("closed");
    let again = event(&claim).await;
    assert_eq!(again["timestamp"], registered_at + 5000);
    assert_eq!(again["certificateRegistrationTimestamp"], registered_at.to_string(), "text, as on AWS");
}

#[tokio::test]
async fn what_is_owed_survives_the_process() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("closed");
    let world = world.reopen().await;
    let claim = listen(&world);
    let _running = world.run();
    assert_eq!(event(&claim).await["certificateId"], id_of(&device));
}

#[tokio::test]
async fn each_permitted_action_becomes_one_row() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    for name in ["allowed", "forbidden"] {
        world.function(name).await;
        let sql = format!("SELECT certificateId, clientid() AS client FROM '{EVENTS}'");
        world.done("iot:CreateTopicRule", rule_input(name, &sql, name)).await;
    }
    let elsewhere = rule_input("elsewhere", "SELECT * FROM 'telemetry'", "allowed");
    world.done("iot:CreateTopicRule", elsewhere).await;
    permit(&world, "allowed", "allowed").await;
    // For another rule, which is no right of this one.
    permit(&world, "forbidden", "other").await;

    let device = device(&ca, "device-1");
    world.connect(&device, "thermometer").await.expect_err("closed");
    let claim = listen(&world);
    let running = world.run();
    event(&claim).await;
    running.send_replace(true);
    let found = rows(&world);
    assert_eq!(found.len(), 1, "{found:?}");
    let row = &found[0]["r"];
    assert_eq!((&row["function_arn"], &row["rule"]), (&json!(function_arn("allowed")), &json!("allowed")));
    let payload = {
        use base64::Engine as _;
        let text = row["payload"].as_str().expect("base64");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    };
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(payload, json!({ "certificateId": id_of(&device), "client": "thermometer" }));

    let failed = json!({ "logGroupName": "AWSIotLogsV2", "logStreamNames": ["forbidden"] });
    let logged = world.done("logs:FilterLogEvents", failed).await;
    let line = logged["events"][0]["message"].as_str().expect("a line").to_owned();
    assert!(line.contains("aws lambda add-permission --function-name forbidden"), "{line}");

    // The row goes on at the next start, and is still one.
    let world = world.reopen().await;
    assert_eq!(rows(&world).len(), 1);
}

#[tokio::test]
async fn messages_become_rows_by_their_qos() {
    let world = World::new();
    world.function("f").await;
    world.done("iot:CreateTopicRule", rule_input("r", "SELECT * FROM 'telemetry' WHERE hot", "f")).await;
    permit(&world, "f", "r").await;
    for (qos, payload, expected) in [
        (Qos::AtLeastOnce, "{\"hot\":true}", 1),
        (Qos::AtLeastOnce, "{\"hot\":false}", 1),
        (Qos::AtLeastOnce, "not JSON", 1),
        (Qos::AtMostOnce, "{\"hot\":true}", 1),
        (Qos::AtLeastOnce, "{\"hot\":true}", 2),
    ] {
        let topic = TopicName::parse("telemetry").expect("a topic");
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let message =
            broker::Message { topic, payload, qos, retain: false, properties: mqtt::packet::Properties::new() };
        world.services.accept(message, Origin::default()).await.expect("accepted");
        assert_eq!(rows(&world).len(), expected);
    }
}

/// A row waits while its function's runner cannot be reached, and is a dead letter once there is no function.
#[tokio::test]
async fn rows_wait_and_die() {
    let world = World::new();
    world.function("f").await;
    let input = json!({ "FunctionName": "f", "InvocationType": "Event" });
    world.done("lambda:InvokeFunction", input).await;
    let running = world.run();
    let waits = async {
        while rows(&world).iter().any(|row| row["r"]["delays"] != 1) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waits).await.expect("an attempt");
    assert_eq!(rows(&world)[0]["r"]["next_at"], world.now_ms() + 1000);
    running.send_replace(true);

    let write = store::Write { key: b"lambda/function/f".to_vec(), value: None, expect: store::Expect::Anything };
    world.store.commit(vec![write]).await.expect("the function is deleted");
    // As many letters as are kept, all older than any that comes.
    let older = |n: usize| format!("dead-letter/{n:013}").into_bytes();
    let value = Some(Bytes::from_static(b"{}"));
    let write = |n| store::Write { key: older(n), value: value.clone(), expect: store::Expect::Absent };
    let letters: Vec<store::Write> = (0..1000).map(write).collect();
    for some in letters.chunks(100) {
        world.store.commit(some.to_vec()).await.expect("written");
    }
    world.pass_ms(1000);
    let world = world.reopen().await;
    let _running = world.run();
    let dies = async {
        while !rows(&world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), dies).await.expect("a dead letter");
    let letters = world.keys("dead-letter/");
    assert_eq!(letters.len(), 1000, "the oldest made room, in the commit that moved the row");
    assert_eq!(letters.first().map(String::as_bytes), Some(older(1).as_slice()));
}

/// 64 rows that nobody can read stand before the one that matters.
#[tokio::test]
async fn unreadable_rows_hold_up_nobody() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let write = |n: usize| store::Write {
        key: format!("outbox/registered/{n:064}").into_bytes(),
        value: Some(Bytes::from_static(b"no JSON")),
        expect: store::Expect::Absent,
    };
    world.store.commit((0..64).map(write).collect()).await.expect("written");
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("closed");
    let claim = listen(&world);
    let _running = world.run();
    assert_eq!(event(&claim).await["certificateId"], id_of(&device));
    assert_eq!(world.keys("outbox/").len(), 64, "nothing is thrown away");
}

/// Events of a function that is gone are given up at once, and can be looked at, replayed and dropped.
#[tokio::test]
async fn dead_letters_are_listed_replayed_and_dropped() {
    let world = World::new();
    let op = world.services.op(world.root());
    let letters = world.services.dead_letters();
    world.function("f").await;
    for n in 0..3 {
        let payload = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(format!("{{\"n\":{n}}}"))
        };
        let input = json!({ "FunctionName": "f", "InvocationType": "Event", "Payload": payload });
        world.done("lambda:InvokeFunction", input).await;
        world.pass_ms(1);
    }
    let pending = world.services.pending_invocations(&op, None, 2).await.expect("a page");
    assert_eq!(
        (pending.invocations.len(), pending.next.as_ref()),
        (2, pending.invocations.last().map(|last| &last.id))
    );
    let rest = world.services.pending_invocations(&op, pending.next.as_deref(), 2).await.expect("a page");
    assert_eq!((rest.invocations.len(), rest.next), (1, None));

    world.done("lambda:DeleteFunction", json!({ "FunctionName": "f" })).await;
    // One of the same name is not the one that the events were for.
    world.done("lambda:CreateFunction", crate::world::function_input("f", &crate::world::role_arn("role-of-f"))).await;
    let running = world.run();
    let die = async {
        while !rows(&world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), die).await.expect("given up at once");
    running.send_replace(true);
    let page = letters.list(&op, None, 2).await.expect("a page");
    let second = letters.list(&op, page.next.as_deref(), 2).await.expect("a page");
    assert_eq!((page.dead_letters.len(), second.dead_letters.len(), second.next), (2, 1, None));
    let first = &page.dead_letters[0];
    assert_eq!((first.function_arn.as_str(), first.condition.as_str()), (function_arn("f").as_str(), "Impossible"));
    assert!(first.response.contains("deleted"), "{}", first.response);
    let whole = letters.describe(&op, &first.id).await.expect("it is there");
    assert_eq!(whole.payload, Some(json!({ "n": 0 })));

    let op = world.services.op(world.root());
    let replayed = letters.replay(&op, &first.id).await.expect("replayed");
    assert_eq!(world.keys("invocation/"), [format!("invocation/{replayed}")]);
    assert_eq!(rows(&world)[0]["r"]["created_at"], world.now_ms());
    let gone = letters.replay(&op, &first.id).await.expect_err("it is gone");
    assert_eq!(gone.code, "ResourceNotFoundException");
    letters.drop_one(&op, &second.dead_letters[0].id).await.expect("dropped");
    assert_eq!(letters.drop_one(&op, "none").await.expect_err("none").code, "ResourceNotFoundException");
    assert_eq!(world.keys("dead-letter/").len(), 1);

    let caller = world.role("caller").await;
    let op = world.services.op(caller);
    let denied = letters.list(&op, None, 2).await.expect_err("denied");
    assert!(denied.message.contains("landfall:ListDeadLetters"), "{denied}");
    world.grant("caller", "landfall:*DeadLetter*", "*").await;
    assert_eq!(letters.list(&op, None, 2).await.expect("allowed").dead_letters.len(), 1);
    let id = &page.dead_letters[1].id;
    letters.drop_one(&op, id).await.expect("allowed");
    assert!(world.services.pending_invocations(&op, None, 1).await.is_err(), "another right");
}
