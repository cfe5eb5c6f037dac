//! Messages that do not come from devices: from those who sign HTTPS requests, and from rules.

use fleet::{Method, MqttClient};
use landfall_tests::{FieldDevice, Operator, PATIENCE, Server};
use mqtt::Qos;
use serde_json::json;

const PUBLISH: &str = include_str!("data/publish.py");
const IOT_DATA: &str = include_str!("data/iot_data.py");
const RULES: &str = include_str!("data/rules.py");

/// A server, and a device that hears everything on it.
async fn place() -> (Server, FieldDevice) {
    let server = Server::start();
    let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
    let device = FieldDevice::active(&server, "listener", &statements).await;
    (server, device)
}

async fn listening(server: &Server, device: &FieldDevice, filter: &str) -> MqttClient {
    let mut client = device.connect(server).await.expect("CONNACK");
    client.subscribe(filter, Qos::AtLeastOnce).await.expect("SUBACK");
    client
}

#[tokio::test]
async fn a_device_hears_what_boto3_publishes() {
    let (server, device) = place().await;
    let mut client = listening(&server, &device, "JITR/#").await;
    assert_eq!(server.aws().python(PUBLISH), json!({}));
    for (payload, qos) in [
        (br#"{"signed": "iotdata"}"#.to_vec(), Qos::AtLeastOnce),
        (br#"{"signed": "iotdevicegateway"}"#.to_vec(), Qos::AtLeastOnce),
        (b"properties".to_vec(), Qos::AtLeastOnce),
        (b"\xff\x00".to_vec(), Qos::AtMostOnce),
        (vec![b'x'; 128 * 1024], Qos::AtLeastOnce),
    ] {
        let heard = client.next_message().await.expect("a message");
        assert_eq!((heard.topic.as_str(), heard.qos), ("JITR/from/boto3", qos));
        assert!(heard.payload == payload, "{} bytes instead of {}", heard.payload.len(), payload.len());
    }
}

#[tokio::test]
async fn mosquitto_hears_what_the_cli_publishes() {
    let (server, device) = place().await;
    let mosquitto = server.mosquitto().with_credential(&device.files(&server));
    let mut listening = mosquitto.subscribe("listener", "JITR/#", 1);
    // Nothing but the first message tells that it has subscribed.
    while listening.is_running() {
        server.aws().json(&["iot-data", "publish", "--topic", "JITR/cli", "--qos", "1", "--payload", "hello"]);
    }
    assert_eq!(listening.finish(PATIENCE).must_succeed().stdout, "JITR/cli hello\n");
}

#[tokio::test]
async fn mosquitto_hears_what_a_rule_republishes() {
    let (server, device) = place().await;
    assert_eq!(server.aws().python(RULES), json!({}));
    let operator = Operator::of(&server);
    let mosquitto = server.mosquitto().with_credential(&device.files(&server));
    let mut listening = mosquitto.subscribe("listener", "out/#", 1);
    let said = json!({ "hello": "there" });
    // Nothing but the first message tells that it has subscribed.
    while listening.is_running() {
        operator.must("iotdata", Method::POST, "/topics/in%2Fcellar?qos=1", Some(&said)).await;
    }
    let heard = listening.finish(PATIENCE).must_succeed().stdout;
    assert_eq!(heard, "out/cellar {\"hello\":\"there\",\"place\":\"cellar\"}\n");

    // What a device publishes is relayed as well; without the role's policy it is an error, told to the errorAction, which
    // has no right any more either: the log has both.
    let mut client = self::listening(&server, &device, "out/#").await;
    client.publish_at_least_once("in/attic", r#"{"a":1}"#).await.expect("PUBACK");
    assert_eq!(client.next_message().await.expect("a message").payload, r#"{"a":1,"place":"attic"}"#.as_bytes());
    server.aws().json(&["iam", "delete-role-policy", "--role-name", "relay", "--policy-name", "out"]);
    client.publish_at_least_once("in/attic", "{}").await.expect("PUBACK");
    let lines = operator.wait_for_log_of("AWSIotLogsV2", "iot:Publish").await;
    assert!(lines.iter().any(|line| line.contains("topic/out/attic")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("topic/out/errors")), "{lines:#?}");
}

#[tokio::test]
async fn boto3_reads_retained_messages_and_ends_connections() {
    let (server, device) = place().await;
    let place = device.place(&server);
    assert_eq!(server.aws().python(&format!("PLACE = {place}\n{IOT_DATA}")), json!({}));
}
