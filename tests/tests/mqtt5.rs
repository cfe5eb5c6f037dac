//! MQTT 5 with the clients that devices and people use: paho and mosquitto.

use std::time::Duration;

use landfall_tests::{FieldDevice, Operator, PATIENCE, Server};
use serde_json::json;

const PAHO: &str = include_str!("data/mqtt5.py");

/// A server and a device that may do everything under ok/.
async fn place() -> (Server, FieldDevice) {
    let server = Server::start();
    let operator = Operator::of(&server);
    let resource = |kind: &str| operator.arn("iot", &format!("{kind}/ok/*"));
    let statements = json!([
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" },
        { "Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": [resource("topic")] },
        { "Effect": "Allow", "Action": "iot:Subscribe", "Resource": [resource("topicfilter")] },
    ]);
    let device = FieldDevice::active(&server, "five", &statements).await;
    (server, device)
}

#[tokio::test]
async fn paho_finds_awss_mqtt_5() {
    let (server, device) = place().await;
    let place = device.place(&server);
    assert_eq!(server.aws().python(&format!("PLACE = {place}\n{PAHO}")), json!({}));
}

#[tokio::test]
async fn mosquitto_speaks_5_to_5_and_across() {
    let (server, device) = place().await;
    let older = server.mosquitto().with_credential(&device.files(&server));
    let five = older.clone().with_arguments(&["-V", "mqttv5"]);
    let printing = five.clone().with_arguments(&["-F", "%t %p %q %C %P"]);
    let mut listening = printing.subscribe("listens", "ok/#", 1);
    let saying = five.clone().with_arguments(&["-D", "publish", "content-type", "text/plain"]).with_arguments(&[
        "-D",
        "publish",
        "user-property",
        "line",
        "7",
    ]);
    // Nothing but the first message tells that it has subscribed.
    while listening.is_running() {
        saying.publish("says", "ok/five", "hello").must_succeed();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let heard = listening.finish(PATIENCE).must_succeed();
    assert_eq!(heard.stdout, "ok/five hello 1 text/plain line:7\n");
    for (from, to) in [(&older, &five), (&five, &older)] {
        let mut listening = to.subscribe("listens", "ok/#", 1);
        while listening.is_running() {
            from.publish("says", "ok/across", "hello").must_succeed();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(listening.finish(PATIENCE).must_succeed().stdout, "ok/across hello\n");
    }
    let refused = five.publish("says", "elsewhere", "hello");
    assert!(refused.text().contains("Not authorized"), "{}", refused.text());
}
