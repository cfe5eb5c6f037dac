//! SIGKILL at each step between registration and activation, and a new start on the same directory: the device becomes
//! active without a further connection, and is registered once; a subscriber that was away hears of it.

use std::time::Duration;

use fleet::{Ca, Method, MqttClient};
use landfall_tests::{DataDir, FieldDevice, Operator, Options, PATIENCE, Server};
use mqtt::Qos;
use mqtt::packet::Connect;
use serde_json::{Value, json};

const NAME: &str = "crash";

/// Somebody with a persistent session, registered by hand: no first connection of its own halts the server.
struct Listener {
    device: FieldDevice,
    topic: String,
}

impl Listener {
    /// It has subscribed to the events of the CA, and is away.
    async fn of(server: &Server, ca: &Ca) -> Self {
        let operator = Operator::of(server);
        let listener = Self {
            device: FieldDevice::new(ca, "listener"),
            topic: format!("$aws/events/certificates/registered/{}", ca.id()),
        };
        let body = json!({ "certificatePem": listener.device.certificate_pem(), "status": "ACTIVE" });
        operator.must("iot", Method::POST, "/certificate/register", Some(&body)).await;
        operator.create_policy("All", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
        operator.attach_policy("All", &listener.device.id()).await;
        let mut client = listener.connect(server).await;
        client.subscribe(&listener.topic, Qos::AtLeastOnce).await.expect("SUBACK");
        client.disconnect().await.expect("a proper end");
        listener
    }

    async fn connect(&self, server: &Server) -> MqttClient {
        let connect = Connect { clean: false, ..Connect::new("listener") };
        let deadline = Duration::from_secs(10);
        let tls = self.device.tls(server);
        MqttClient::connect(server.mqtt_addr(), &tls, connect, deadline).await.expect("CONNACK")
    }

    /// At least once.
    async fn must_hear_of(&self, server: &Server, device: &FieldDevice, step: &str) {
        let mut client = self.connect(server).await;
        let event = tokio::time::timeout(PATIENCE, client.next_message()).await;
        let event = event.unwrap_or_else(|_| panic!("{step}: the event is lost")).expect("a message");
        assert_eq!(event.topic.as_str(), self.topic, "{step}");
        let event: Value = serde_json::from_slice(&event.payload).expect("JSON");
        assert_eq!(event["certificateId"], device.id(), "{step}");
        client.disconnect().await.expect("a proper end");
    }
}

async fn check(step: &'static str) {
    let data = DataDir::new();
    let mut halting = Server::start_on(&data, &Options { halt_at: Some(step), ..Options::default() });
    let ca = Operator::of(&halting).prepare_activation(NAME).await;
    let listener = Listener::of(&halting, &ca).await;
    let device = FieldDevice::new(&ca, "device");

    // The server may stand still before it closes this connection: nobody waits for the outcome.
    let connecting = async {
        let first = device.connect(&halting).await;
        assert!(first.is_err(), "a certificate that nobody registered was let in");
        std::future::pending::<()>().await;
    };
    let name = step.split(':').next().expect("a step");
    let halted = async {
        while !halting.stderr().contains(&format!("halted at {name}")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = connecting => {}
        outcome = tokio::time::timeout(PATIENCE, halted) => {
            outcome.unwrap_or_else(|_| panic!("{step} was not reached:\n{}", halting.stderr()));
        }
    }
    halting.kill();

    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    // Nobody connects: the restart alone finishes the job. A reconnect would announce the certificate again and hide an
    // event that was lost.
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let status = operator.status(&device.id()).await;
        if status.as_deref() == Some("ACTIVE") {
            break;
        }
        assert_eq!(status.as_deref(), Some("PENDING_ACTIVATION"), "{step}: what was registered is still there");
        assert!(std::time::Instant::now() < until, "{step}: nothing activates it:\n{}", server.stderr());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listener.must_hear_of(&server, &device, step).await;
    let mut client = device.land(&server).await;
    client.publish_at_least_once("JITR/test", "Hello").await.expect("PUBACK");
    client.disconnect().await.expect("a proper end");
    assert_eq!(operator.status(&device.id()).await.as_deref(), Some("ACTIVE"), "{step}");
    assert_eq!(operator.attached_policies(&device.id()).await, [format!("Policy_{}", device.id())], "{step}");
}

#[tokio::test]
async fn after_registration() {
    check("registered").await;
}

#[tokio::test]
async fn while_the_event_is_delivered() {
    check("delivering").await;
}

#[tokio::test]
async fn after_the_event_is_delivered() {
    check("delivered").await;
}

#[tokio::test]
async fn before_the_function_is_called() {
    check("invoking").await;
}

#[tokio::test]
async fn after_the_function_created_the_policy() {
    check("function-called:CreatePolicy").await;
}

#[tokio::test]
async fn after_the_function_attached_the_policy() {
    check("function-called:AttachPrincipalPolicy").await;
}

#[tokio::test]
async fn after_the_function_activated_the_certificate() {
    check("function-called:UpdateCertificate").await;
}

#[tokio::test]
async fn after_the_function_ended() {
    check("invoked").await;
}

/// Nobody connects again: what was begun is ended all the same.
#[tokio::test]
async fn a_restart_alone_finishes_the_job() {
    let data = DataDir::new();
    let mut halting = Server::start_on(&data, &Options { halt_at: Some("delivering"), ..Options::default() });
    let ca = Operator::of(&halting).prepare_activation(NAME).await;
    let device = FieldDevice::new(&ca, "device");
    device.must_be_dropped(device.connect(&halting).await);
    halting.wait_for_stderr("halted at delivering");
    halting.kill();

    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    operator.wait_for_log(NAME, "activated").await;
    assert_eq!(operator.status(&device.id()).await.as_deref(), Some("ACTIVE"));
    let client = device.connect(&server).await.expect("let in at the first attempt");
    client.disconnect().await.expect("a proper end");
}
