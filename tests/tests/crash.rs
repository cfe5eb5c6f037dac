//! SIGKILL at each step between registration and activation, and a new start on the same directory: the device becomes
//! active without a further connection, and is registered once.

use landfall_tests::{DataDir, FieldDevice, Operator, Options, Server};

const NAME: &str = "crash";

async fn check(step: &'static str) {
    let data = DataDir::new();
    let mut halting = Server::start_on(&data, &Options { halt_at: Some(step), ..Options::default() });
    let ca = Operator::of(&halting).prepare_activation(NAME).await;
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
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = connecting => {}
        outcome = tokio::time::timeout(landfall_tests::PATIENCE, halted) => {
            outcome.unwrap_or_else(|_| panic!("{step} was not reached:\n{}", halting.stderr()));
        }
    }
    halting.kill();

    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    // Nobody connects: the restart alone finishes the job. A reconnect would announce the certificate again and hide an
    // event that was lost.
    let until = std::time::Instant::now() + landfall_tests::PATIENCE;
    loop {
        let status = operator.status(&device.id()).await;
        if status.as_deref() == Some("ACTIVE") {
            break;
        }
        assert_eq!(status.as_deref(), Some("PENDING_ACTIVATION"), "{step}: what was registered is still there");
        assert!(std::time::Instant::now() < until, "{step}: nothing activates it:\n{}", server.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
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
