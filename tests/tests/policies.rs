//! IoT policies through their real clients, and what a connected device feels of a change.

use fleet::Method;
use landfall_tests::{FieldDevice, Operator, Server};
use serde_json::json;

const OPERATIONS: &str = include_str!("data/policies.py");
const TEST_AUTHORIZATION: &str = include_str!("data/test_authorization.py");
const LIVE_RIGHTS: &str = include_str!("data/live_rights.py");

#[tokio::test]
async fn boto3_finds_the_operations_on_policies_as_on_aws() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let device = FieldDevice::pending(&server, "device").await;
    let arn = operator.arn("iot", &format!("cert/{}", device.id()));
    assert_eq!(server.aws().python(&format!("CERTIFICATE = {arn:?}\n{OPERATIONS}")), json!({}));
}

#[tokio::test]
async fn boto3_is_told_what_a_device_may_do() {
    let server = Server::start();
    let device = FieldDevice::pending(&server, "device").await;
    let arn = Operator::of(&server).arn("iot", &format!("cert/{}", device.id()));
    assert_eq!(server.aws().python(&format!("CERTIFICATE = {arn:?}\n{TEST_AUTHORIZATION}")), json!({}));
    let info = format!("actionType=CONNECT,resources={}", Operator::of(&server).arn("iot", "client/pump"));
    for aws in [server.aws(), server.aws().v2()] {
        let ask = ["iot", "test-authorization", "--principal", &arn, "--client-id", "pump", "--auth-infos", &info];
        assert_eq!(aws.json(&ask)["authResults"][0]["authDecision"], "ALLOWED");
        let policies = aws.json(&["iot", "get-effective-policies", "--principal", &arn]);
        assert_eq!(policies["effectivePolicies"][0]["policyName"], "Own");
    }
}

/// Each change has its effect when its call is answered, or a moment later; the script waits for the effect.
#[tokio::test]
async fn connected_devices_feel_every_change_to_their_rights() {
    let server = Server::start();
    let device = FieldDevice::pending(&server, "device").await;
    let place = device.place(&server);
    assert_eq!(server.aws().python(&format!("PLACE = {place}\n{LIVE_RIGHTS}")), json!({}));
}

/// The change is answered when the connection has it: the next packet is judged by the new version.
#[tokio::test]
async fn a_connected_device_feels_a_new_default_version_at_once() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let device = FieldDevice::pending(&server, "device").await;
    operator.create_policy("Fleet", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy("Fleet", &device.id()).await;
    operator.update_certificate(&device.id(), "ACTIVE").await;
    let version = |actions: &[&str]| {
        let document = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": actions, "Resource": "*" }] });
        json!({ "policyDocument": document.to_string() })
    };
    let make = "/policies/Fleet/version?setAsDefault=true";

    let mut client = device.connect(&server).await.expect("CONNACK");
    client.publish_at_least_once("a", "allowed").await.expect("PUBACK");
    operator.must("iot", Method::POST, make, Some(&version(&["iot:Connect"]))).await;
    client.publish_at_least_once("a", "no more").await.expect_err("the connection ends");
    server.wait_for_record(&["--client-id", "device"], "POLICY_DOES_NOT_ALLOW");

    let mut client = device.connect(&server).await.expect("CONNACK");
    operator.must("iot", Method::PATCH, "/policies/Fleet/version/1", None).await;
    client.publish_at_least_once("a", "again").await.expect("PUBACK");
    operator.must("iot", Method::POST, make, Some(&version(&["iot:Publish"]))).await;
    client.closed().await.expect("without iot:Connect the connection ends by itself");
    server.wait_for_record(&["--client-id", "device"], "RIGHT_LOST");

    operator.must("iot", Method::PATCH, "/policies/Fleet/version/1", None).await;
    let mut client = device.connect(&server).await.expect("CONNACK");
    let target = json!({ "target": operator.arn("iot", &format!("cert/{}", device.id())) });
    operator.must("iot", Method::POST, "/target-policies/Fleet", Some(&target)).await;
    client.closed().await.expect("a detached policy gives no rights");
}
