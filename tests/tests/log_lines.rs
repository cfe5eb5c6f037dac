//! What the server prints for people who run it: whose line it is, by fields, and nothing at all while all is well.

use fleet::{Ca, KeyAlgorithm, Method};
use landfall_tests::{DataDir, FieldDevice, Operator, Options, Server};
use mqtt::Qos;
use serde_json::{Value, json};

fn printing(level: &str) -> Server {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = vec![variable("LANDFALL_LOG", level), variable("LANDFALL_LOG_FORMAT", "json")];
    Server::start_on(&DataDir::new(), &Options { variables, ..Options::default() })
}

fn lines(server: &Server) -> Vec<Value> {
    let lines = server.stderr();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn all() -> Value {
    json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])
}

/// From CONNECT on; before it nobody has said who he is, and before TLS is done nobody has shown it.
#[tokio::test]
async fn every_line_about_a_connection_says_which_and_whose() {
    let server = printing("gateway=debug,info");
    let device = FieldDevice::active(&server, "talker", &all()).await;
    let mut client = device.connect(&server).await.expect("CONNACK");
    let code = client.subscribe("1/2/3/4/5/6/7/8/9", Qos::AtMostOnce).await.expect("SUBACK");
    assert!(code.is_failure(), "{code:?}");
    client.publish_at_most_once("$aws/rules/nothing/t", "x").await.expect("sent");
    server.wait_for_stderr("a message names a rule that is not enabled");
    client.disconnect().await.expect("a proper end");
    server.wait_for_stderr("the client disconnected");
    drop(device.connect(&server).await.expect("CONNACK"));
    server.wait_for_stderr("the connection was lost");
    let mut client = device.connect(&server).await.expect("CONNACK");
    client.publish_at_least_once("$aws/reserved", "x").await.expect_err("the end");
    server.wait_for_stderr("PUBLISH_REFUSED");

    let lines = lines(&server);
    let of_device: Vec<&Value> = lines.iter().filter(|line| line["client_id"] == "talker").collect();
    for message in [
        "registered as PENDING_ACTIVATION",
        "connected",
        "a subscription was refused",
        "a message names a rule that is not enabled",
        "the client disconnected",
        "the connection was lost",
    ] {
        assert!(of_device.iter().any(|line| line["message"] == message), "{message}: {lines:#?}");
    }
    for line in &of_device {
        assert_eq!(line["certificate_id"], device.id(), "{line}");
        let is_about_certificate = line["target"] == "services::admission";
        assert_eq!(line["connection"].is_u64(), !is_about_certificate, "{line}");
    }
    for line in
        lines.iter().filter(|line| line["target"].as_str().unwrap_or_default().starts_with("gateway::connection"))
    {
        assert_eq!(line["client_id"], "talker", "{line}");
    }
    // One number for all lines of a connection, and none for two.
    let number_of =
        |message: &str| of_device.iter().find(|line| line["message"] == message).map(|line| &line["connection"]);
    assert_eq!(number_of("a subscription was refused"), number_of("the client disconnected"));
    assert_ne!(number_of("the connection was lost"), number_of("the client disconnected"));
}

/// Whoever asks has the id as well, and can name it to whoever reads the log.
#[tokio::test]
async fn every_line_about_a_request_has_its_id() {
    let server = printing("debug");
    let operator = Operator::of(&server);
    let answer = operator.call("iot", Method::DELETE, "/policies/nobody", None).await;
    let id_of = |answer: &fleet::AwsResponse| answer.headers["x-amzn-requestid"].to_str().expect("text").to_owned();
    let ca = Ca::new("factory", KeyAlgorithm::EcP256).expect("a CA");
    operator.register_this_ca(&ca).await;
    let gone = operator.call("iot", Method::PUT, &format!("/cacertificate/{}?newStatus=INACTIVE", ca.id()), None).await;
    assert!(gone.is_success(), "{}", gone.text());
    let deleted = operator.call("iot", Method::DELETE, &format!("/cacertificate/{}", ca.id()), None).await;
    assert!(deleted.is_success(), "{}", deleted.text());
    // The last line about a request is written before it is answered, and so before anything about the next one.
    let last = operator.call("iot", Method::DELETE, "/policies/nobody", None).await;
    server.wait_for_stderr(&id_of(&last));
    let lines = lines(&server);
    let of = |id: &str| lines.iter().filter(|line| line["span"]["request_id"] == id).collect::<Vec<_>>();
    let messages = |id: &str| {
        of(id).iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(messages(&id_of(&answer)), ["answered"]);
    // The verb runs in a task of its own, and says whose it is all the same.
    assert_eq!(messages(&id_of(&deleted)), ["CA certificate deleted", "answered"]);
}

#[tokio::test]
async fn nothing_is_printed_while_all_is_well() {
    let server = Server::start();
    let ca = Operator::of(&server).prepare_activation("quiet").await;
    for number in 0..3 {
        let mut client = FieldDevice::new(&ca, &format!("device-{number}")).land(&server).await;
        client.subscribe("JITR/t", Qos::AtLeastOnce).await.expect("SUBACK");
        client.publish_at_least_once("JITR/t", "x").await.expect("PUBACK");
        client.next_message().await.expect("its own message");
        client.disconnect().await.expect("a proper end");
    }
    let (code, printed) = server.terminate();
    assert_eq!((code, printed.as_str()), (Some(0), ""));
}
