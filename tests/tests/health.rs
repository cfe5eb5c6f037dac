//! What whoever looks after the server reads: its health, and what a peer that hammers the door leaves.

use std::time::Instant;

use fleet::{Ca, KeyAlgorithm};
use landfall_tests::{FieldDevice, Operator, PATIENCE, Server};
use serde_json::Value;

fn health(server: &Server) -> Value {
    serde_json::from_str(&server.ask("health", &[]).must_succeed().stdout).expect("JSON")
}

#[tokio::test]
async fn health_says_how_the_server_is() {
    let server = Server::start();
    let ca = Operator::of(&server).prepare_activation("active").await;
    let client = FieldDevice::new(&ca, "device").land(&server).await;
    // An answer is kept for a second, and a connection that has ended counts until it is drained.
    let until = Instant::now() + PATIENCE;
    while health(&server)["devices"]["connections"] != 1 {
        assert!(Instant::now() < until, "{:#}", health(&server));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let page = health(&server);
    for (pointer, expected) in [
        ("/status", Value::from("ok")),
        ("/region", Value::from("us-east-1")),
        ("/listeners/api", Value::from(server.api_url())),
        ("/listeners/mqtt", Value::from(server.mqtt_addr().to_string())),
        ("/listeners/endpoint", Value::from("localhost")),
        ("/store/writes", Value::from(true)),
        ("/store/failure", Value::Null),
        ("/backlog/registrationEvents", Value::from(0)),
        ("/backlog/invocationsRunning", Value::from(0)),
        ("/backlog/deadLetters", Value::from(0)),
    ] {
        assert_eq!(page.pointer(pointer), Some(&expected), "{pointer}: {page:#}");
    }
    for pointer in ["/uptimeSeconds", "/disk/freeBytes", "/disk/totalBytes", "/backlog/invocationsWaiting"] {
        assert!(page.pointer(pointer).is_some_and(Value::is_u64), "{pointer}: {page:#}");
    }
    let expires = page["certificate"]["expires"].as_str().expect("a time");
    assert!(expires.starts_with("20") && expires.ends_with('Z'), "{expires}");
    client.disconnect().await.expect("a proper end");
}

#[tokio::test]
async fn a_device_that_hammers_leaves_one_record_with_a_count() {
    let server = Server::start();
    let nobodys = Ca::new("nobody's CA", KeyAlgorithm::EcP256).expect("a CA");
    let [hammers, other] = ["hammers", "other"].map(|name| FieldDevice::new(&nobodys, name));
    assert!(other.connect(&server).await.is_err());
    for _ in 0..20 {
        assert!(hammers.connect(&server).await.is_err());
    }
    let until = Instant::now() + PATIENCE;
    let records = loop {
        let lines = server.ask("explain", &["--json", "--last", "100"]).must_succeed().stdout;
        let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        if records.first().is_some_and(|record| record["count"] == 20) {
            break records;
        }
        assert!(Instant::now() < until, "{records:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let who: Vec<&Value> = records.iter().map(|record| &record["certificateId"]).collect();
    assert_eq!(who, [&hammers.id(), &other.id()], "{records:#?}");
    let text = server.ask("explain", &["--certificate", &hammers.id()]).must_succeed().stdout;
    assert!(text.contains("20 times, last at 20"), "{text}");
}
