//! Messages that do not come from devices: from those who sign HTTPS requests.

use fleet::MqttClient;
use landfall_tests::{FieldDevice, Operator, PATIENCE, Server};
use mqtt::Qos;
use serde_json::json;

const PUBLISH: &str = include_str!("data/publish.py");

/// A server, and a device that hears everything on it.
async fn place() -> (Server, FieldDevice) {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.register_ca("factory").await;
    let device = FieldDevice::new(&ca, "listener");
    device.must_be_dropped(device.connect(&server).await);
    operator.create_policy("All", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy("All", &device.id()).await;
    operator.update_certificate(&device.id(), "ACTIVE").await;
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
