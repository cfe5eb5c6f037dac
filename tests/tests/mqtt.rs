//! Messages and connections of landed devices, with mosquitto's programs and fleet's client.

use std::time::Duration;

use fleet::{Ca, MqttClient};
use landfall_tests::{FieldDevice, Finished, Operator, PATIENCE, Running, Server};
use mqtt::Qos;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

struct Place {
    server: Server,
    ca: Ca,
}

/// A server on which every device of the CA becomes active, with rights on JITR/#.
async fn place() -> &'static Place {
    static PLACE: OnceCell<Place> = OnceCell::const_new();
    PLACE
        .get_or_init(|| async {
            let server = Server::start();
            let ca = Operator::of(&server).prepare_activation("activation").await;
            Place { server, ca }
        })
        .await
}

impl Place {
    async fn landed(&self, name: &str) -> (FieldDevice, MqttClient) {
        let device = FieldDevice::new(&self.ca, name);
        let client = device.land(&self.server).await;
        (device, client)
    }
}

#[tokio::test]
async fn wildcards_match_what_mosquitto_publishes() {
    let place = place().await;
    let (_, mut one_level) = place.landed("hears-one-level").await;
    let (_, mut all_levels) = place.landed("hears-all-levels").await;
    let (publisher, client) = place.landed("says").await;
    client.disconnect().await.expect("a proper end");
    one_level.subscribe("JITR/wild/+/temperature", Qos::AtLeastOnce).await.expect("SUBACK");
    all_levels.subscribe("JITR/wild/#", Qos::AtMostOnce).await.expect("SUBACK");
    let mosquitto = place.server.mosquitto().with_credential(&publisher.files(&place.server));
    for (topic, message) in [("JITR/wild/a/b/temperature", "deep"), ("JITR/wild/a/temperature", "21")] {
        mosquitto.publish(publisher.client_id(), topic, message).must_succeed();
    }
    let heard = one_level.next_message().await.expect("a message");
    assert_eq!(
        (heard.topic.as_str(), &heard.payload[..], heard.qos),
        ("JITR/wild/a/temperature", &b"21"[..], Qos::AtLeastOnce)
    );
    for expected in ["deep", "21"] {
        let heard = all_levels.next_message().await.expect("a message");
        assert_eq!((&heard.payload[..], heard.qos), (expected.as_bytes(), Qos::AtMostOnce));
    }
}

#[tokio::test]
async fn mosquitto_sub_hears_a_device() {
    let place = place().await;
    let (listener, client) = place.landed("mosquitto-listens").await;
    client.disconnect().await.expect("a proper end");
    let (_, mut publisher) = place.landed("device-says").await;
    let mosquitto = place.server.mosquitto().with_credential(&listener.files(&place.server));
    let mut listening = mosquitto.subscribe(listener.client_id(), "JITR/+/said", 1);
    // Nothing but the first message tells that it has subscribed.
    while listening.is_running() {
        publisher.publish_at_least_once("JITR/device/said", "Hello").await.expect("PUBACK");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heard = finished(listening).must_succeed();
    assert_eq!(heard.stdout, "JITR/device/said Hello\n");
}

fn finished(running: Running) -> Finished {
    running.finish(PATIENCE)
}

#[tokio::test]
async fn the_newer_connection_takes_over() {
    let place = place().await;
    let (device, mut older) = place.landed("twice").await;
    let mut newer = device.connect(&place.server).await.expect("CONNACK");
    older.closed().await.expect("the older connection ends");
    newer.publish_at_least_once("JITR/test", "still here").await.expect("PUBACK");
    place.server.wait_for_record(&["--client-id", "twice"], "TAKEN_OVER");
}

#[tokio::test]
async fn a_revoked_certificate_loses_its_connection() {
    let place = place().await;
    let (device, mut client) = place.landed("revoked-while-connected").await;
    client.ping().await.expect("PINGRESP");
    Operator::of(&place.server).update_certificate(&device.id(), "REVOKED").await;
    client.closed().await.expect("the connection ends");
    place.server.wait_for_record(&["--client-id", "revoked-while-connected"], "RIGHT_LOST");
    assert!(device.connect(&place.server).await.is_err());
}

/// A filter that no policy allows is refused, and the connection goes on; a message of an allowed filter that may not be
/// received does not arrive.
#[tokio::test]
async fn what_the_policy_does_not_allow_is_not_heard() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let (_, mut publisher) = place.landed("says-it-all").await;
    let (device, client) = place.landed("curious").await;
    client.disconnect().await.expect("a proper end");
    let denied = operator.arn("iot", "topic/JITR/secret");
    let statements = json!([{ "Effect": "Deny", "Action": "iot:Receive", "Resource": denied }]);
    operator.create_policy("NoSecrets", &statements).await;
    operator.attach_policy("NoSecrets", &device.id()).await;
    let mut curious = device.connect(&place.server).await.expect("CONNACK");
    let refused = curious.subscribe("secrets/#", Qos::AtLeastOnce).await.expect("SUBACK");
    assert!(refused.is_failure(), "{refused:?}");
    let granted = curious.subscribe("JITR/#", Qos::AtLeastOnce).await.expect("SUBACK");
    assert!(!granted.is_failure(), "{granted:?}");
    publisher.publish_at_least_once("JITR/secret", "hidden").await.expect("PUBACK");
    publisher.publish_at_least_once("JITR/curious", "for all").await.expect("PUBACK");
    loop {
        let heard = curious.next_message().await.expect("a message");
        assert_ne!(heard.topic.as_str(), "JITR/secret");
        if heard.topic.as_str() == "JITR/curious" {
            break;
        }
    }
}

/// The event of a first connection goes to subscribers as well as to rules, with the fields and types of AWS.
#[tokio::test]
async fn a_subscriber_hears_the_event_of_a_first_connection() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.register_ca("no rule").await;
    let listener = FieldDevice::new(&ca, "listens-for-events");
    listener.must_be_dropped(listener.connect(&server).await);
    operator.update_certificate(&listener.id(), "ACTIVE").await;
    operator.create_policy("All", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy("All", &listener.id()).await;
    let mut listening = listener.connect(&server).await.expect("CONNACK");
    let topic = format!("$aws/events/certificates/registered/{}", ca.id());
    listening.subscribe(&topic, Qos::AtLeastOnce).await.expect("SUBACK");

    let device = FieldDevice::new(&ca, "unknown");
    for is_first in [true, false] {
        device.must_be_dropped(device.connect(&server).await);
        let event = listening.next_message().await.expect("the event");
        assert_eq!(event.topic.as_str(), topic);
        let event: Value = serde_json::from_slice(&event.payload).expect("JSON");
        assert_eq!(event["certificateId"], device.id());
        assert_eq!(event["caCertificateId"], ca.id().to_string());
        assert_eq!(event["certificateStatus"], "PENDING_ACTIVATION");
        assert_eq!(event["awsAccountId"], server.account());
        assert!(event["timestamp"].as_u64().is_some_and(|ms| ms > 1_600_000_000_000), "{event}");
        let registered = &event["certificateRegistrationTimestamp"];
        assert_eq!(registered.is_null(), is_first, "{event}");
        assert_eq!(registered.is_string(), !is_first, "{event}");
        assert_eq!(event.as_object().map(serde_json::Map::len), Some(6), "{event}");
    }
}

/// One certificate, many first connections at once: one registration, and one event that says so.
#[tokio::test]
async fn simultaneous_first_connections_register_once() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let source = "exports.handler = async (event) => { console.log('event ' + JSON.stringify(event)); };";
    let ca = operator.prepare("counts", source, &[]).await;
    let device = FieldDevice::new(&ca, "everywhere");
    let clients = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let [a, b, c, d, e, f, g, h] = clients.map(|client| device.connect_as(&server, client));
    let outcomes = tokio::join!(a, b, c, d, e, f, g, h);
    let outcomes: [_; 8] = outcomes.into();
    for outcome in outcomes {
        device.must_be_dropped(outcome);
    }
    let listed = operator.must("iot", fleet::Method::GET, "/certificates", None).await;
    assert_eq!(listed["certificates"].as_array().map(Vec::len), Some(1), "{listed:#}");
    // One more connection: when its event is there as well as the first, a second first one would be.
    device.must_be_dropped(device.connect_as(&server, "last").await);
    operator.wait_for_log("counts", "\"certificateRegistrationTimestamp\":\"").await;
    let lines = operator.wait_for_log("counts", "\"certificateRegistrationTimestamp\":null").await;
    let firsts = lines.iter().filter(|line| line.contains("\"certificateRegistrationTimestamp\":null")).count();
    assert_eq!(firsts, 1, "{lines:#?}");
}
