//! The metrics page: it parses to the last line, its numbers are those of what happened, and nobody's names are on it.

use std::net::TcpStream;

use fleet::{Ca, KeyAlgorithm, Method, MqttClient};
use landfall_tests::{DataDir, FieldDevice, MetricsPage, Operator, Options, PATIENCE, Server};
use mqtt::packet::{Connect, Publish};
use mqtt::{Packet, PacketId, Qos, TopicName};
use serde_json::json;

const OPEN: &str = "landfall_connections_open{listener=\"mqtt\"}";

#[tokio::test]
async fn a_first_connection_in_numbers() {
    let server = Server::start();
    let before = MetricsPage::of(&server);
    for sample in [
        "aws_iot_connect_total{outcome=\"Success\",protocol=\"MQTT\"}",
        "aws_iot_publish_in_total{outcome=\"Success\",protocol=\"MQTT\"}",
        "landfall_onboarding_seconds_count{stage=\"connected\"}",
        "landfall_store_commits_total{outcome=\"failed\"}",
    ] {
        assert_eq!(before.samples.get(sample), Some(&0.0), "{sample} is there from the start");
    }

    let ca = Operator::of(&server).prepare_activation("active").await;
    let mut device = FieldDevice::new(&ca, "device-of-somebody").land(&server).await;
    device.subscribe("JITR/#", Qos::AtLeastOnce).await.expect("SUBACK");
    device.publish_at_most_once("JITR/once", "0123456789").await.expect("sent");
    device.publish_at_least_once("JITR/more", "0123456789").await.expect("PUBACK");
    for _ in 0..2 {
        device.next_message().await.expect("its own message");
    }
    device.ping().await.expect("PINGRESP");

    let connected = "landfall_clients_connected{version=\"3.1.1\"}";
    let page = MetricsPage::wait(&server, |page| {
        page.value(OPEN) == 1.0 && page.value("aws_iot_ping_total{outcome=\"Success\",protocol=\"MQTT\"}") == 1.0
    });
    for (sample, expected) in [
        ("aws_iot_connect_total{outcome=\"Success\",protocol=\"MQTT\"}", 1.0),
        ("aws_iot_publish_in_total{outcome=\"Success\",protocol=\"MQTT\"}", 2.0),
        ("aws_iot_publish_out_total{outcome=\"Success\",protocol=\"MQTT\"}", 2.0),
        ("aws_iot_subscribe_total{outcome=\"Success\",protocol=\"MQTT\"}", 1.0),
        ("aws_iot_ping_total{outcome=\"Success\",protocol=\"MQTT\"}", 1.0),
        ("landfall_messages_received_total{version=\"3.1.1\",qos=\"0\"}", 1.0),
        ("landfall_messages_received_total{version=\"3.1.1\",qos=\"1\"}", 1.0),
        ("landfall_messages_sent_total{version=\"3.1.1\",qos=\"0\"}", 1.0),
        ("landfall_connections_refused_total{stage=\"connect\",reason=\"REGISTERED_NOW\"}", 1.0),
        (OPEN, 1.0),
        ("landfall_connections_open{listener=\"plain_mqtt\"}", 0.0),
        ("landfall_acknowledge_seconds_count", 1.0),
        ("landfall_inbox_messages", 0.0),
        ("landfall_inbox_bytes", 0.0),
        ("landfall_unsent_bytes", 0.0),
        ("landfall_journal_entries_dropped_total{cause=\"too_large\"}", 0.0),
        ("aws_iot_parse_error_total", 0.0),
        ("landfall_handshakes_waiting", 0.0),
        ("landfall_handshakes_running", 0.0),
        ("landfall_connect_seconds_count", 1.0),
        (connected, 1.0),
        ("landfall_onboarding_seconds_count{stage=\"registered\"}", 1.0),
        ("landfall_onboarding_seconds_count{stage=\"event_delivered\"}", 1.0),
        ("landfall_onboarding_seconds_count{stage=\"function_started\"}", 1.0),
        ("landfall_onboarding_seconds_count{stage=\"activated\"}", 1.0),
        ("landfall_onboarding_seconds_count{stage=\"connected\"}", 1.0),
        ("aws_iot_rules_executed_total", page.value("aws_iot_topic_match_total")),
        ("aws_iot_rule_action_total{outcome=\"Failure\",action_type=\"lambda\"}", 0.0),
        ("aws_lambda_errors_total", 0.0),
        ("landfall_api_calls_total{service=\"iot\",operation=\"CreateTopicRule\",status=\"200\",from=\"http\"}", 1.0),
        ("landfall_store_writes", 1.0),
        ("landfall_dead_letters", 0.0),
        ("landfall_client_ids", 1.0),
        ("landfall_sessions", 0.0),
        ("landfall_queued_messages", 0.0),
        ("landfall_retained_messages", 0.0),
    ] {
        assert_eq!(page.samples.get(sample), Some(&expected), "{sample}: {:#?}", page.samples);
    }
    // A device that comes back while it waits is announced again, and its function runs again.
    for sample in [
        "landfall_api_calls_total{service=\"iot\",operation=\"UpdateCertificate\",status=\"200\",from=\"function\"}",
        "aws_iot_rule_action_total{outcome=\"Success\",action_type=\"lambda\"}",
        "aws_lambda_invocations_total",
        "aws_lambda_async_events_received_total",
        "aws_lambda_async_event_age_seconds_count",
        "landfall_store_group_seconds_count",
        "landfall_store_group_commits_sum",
        "landfall_handshake_seconds_sum",
        "landfall_mqtt_received_bytes_total",
        "landfall_mqtt_sent_bytes_total",
        "landfall_server_certificate_expiry_seconds",
        "landfall_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
    ] {
        assert!(page.value(sample) > 0.0, "{sample}: {:#?}", page.samples);
    }

    device.disconnect().await.expect("a proper end");
    let page = MetricsPage::wait(&server, |page| page.value(OPEN) == 0.0);
    assert_eq!(page.value(connected), 0.0);
    assert_eq!(page.value("landfall_connections_ended_total{reason=\"CLIENT_DISCONNECTED\"}"), 1.0);
}

#[tokio::test]
async fn refusals_are_counted_by_reason_and_outcome() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let nobodys = Ca::new("nobody's CA", KeyAlgorithm::EcP256).expect("a CA");
    assert!(FieldDevice::new(&nobodys, "stranger").connect(&server).await.is_err());
    let ca = operator.register_ca("Factory").await;
    let device = FieldDevice::new(&ca, "waits");
    for _ in 0..2 {
        device.must_be_dropped(device.connect(&server).await);
    }
    operator.update_certificate(&device.id(), "ACTIVE").await;
    device.must_be_dropped(device.connect(&server).await);
    operator.call("iot", Method::GET, "/policies/none", None).await;
    operator.call("iot", Method::POST, "/topics/a%2Fb?qos=1", None).await;
    operator.must("iotdata", Method::POST, "/topics/a%2Fb?qos=1", None).await;

    let refused = |stage: &str, reason: &str| {
        format!("landfall_connections_refused_total{{stage=\"{stage}\",reason=\"{reason}\"}}")
    };
    let page = MetricsPage::wait(&server, |page| page.value(&refused("connect", "NO_POLICY")) == 1.0);
    for (sample, expected) in [
        (refused("handshake", "UNKNOWN_ISSUER"), 1.0),
        (refused("connect", "REGISTERED_NOW"), 1.0),
        (refused("connect", "PENDING_ACTIVATION"), 1.0),
        ("aws_iot_connection_total{outcome=\"AuthNError\",protocol=\"MQTT\"}".to_owned(), 1.0),
        ("aws_iot_connect_total{outcome=\"AuthError\",protocol=\"MQTT\"}".to_owned(), 3.0),
        ("aws_iot_connect_total{outcome=\"Success\",protocol=\"MQTT\"}".to_owned(), 0.0),
        ("landfall_onboarding_seconds_count{stage=\"activated\"}".to_owned(), 1.0),
        ("landfall_onboarding_seconds_count{stage=\"connected\"}".to_owned(), 0.0),
        (
            "landfall_api_calls_total{service=\"iot\",operation=\"GetPolicy\",status=\"404\",from=\"http\"}".to_owned(),
            1.0,
        ),
        ("aws_iot_publish_in_total{outcome=\"Success\",protocol=\"HTTP\"}".to_owned(), 1.0),
    ] {
        assert_eq!(page.samples.get(&sample), Some(&expected), "{sample}: {:#?}", page.samples);
    }
}

/// A message that is not taken is no fault of the protocol; who connects too often is told apart from who comes when too
/// many do.
#[tokio::test]
async fn what_is_not_taken_is_counted_by_its_name() {
    let options =
        Options { config: "[limits]\nrates = \"enforce\"\n", ..Options::with(&["--plain-mqtt-addr", "127.0.0.1:0"]) };
    let server = Server::start_on(&DataDir::new(), &options);
    let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
    let device = FieldDevice::active(&server, "device", &statements).await;
    let operator = Operator::of(&server);
    let rule = json!({ "sql": "SELECT a FROM 'read'", "actions": [{ "republish": {
        "roleArn": operator.role_arn("nobody"), "topic": "t" } }] });
    operator.must("iot", Method::POST, "/rules/reads", Some(&rule)).await;
    let qos2 =
        Publish { qos: Qos::ExactlyOnce, packet_id: Some(PacketId::FIRST), ..Publish::at_most_once(topic("t"), "x") };
    let too_large = Publish::at_most_once(topic("t"), vec![0; 128 * 1024 + 1]);
    for (number, publish) in
        [Publish::at_most_once(topic("1/2/3/4/5/6/7/8/9"), "x"), qos2, too_large].into_iter().enumerate()
    {
        let mut client = device.connect_as(&server, &format!("publishes-{number}")).await.expect("CONNACK");
        client.send(&Packet::Publish(publish), "publish").await.expect("sent");
        client.closed().await.expect("the end");
    }
    let mut client = device.connect_as(&server, "hasty").await.expect("CONNACK");
    client.publish_at_least_once("read", "no JSON").await.expect("PUBACK");
    // A rate of one a second: on a slow machine a second may pass in between.
    while device.connect_as(&server, "hasty").await.is_ok() {}

    let throttled = "aws_iot_connect_total{outcome=\"ClientIDThrottle\",protocol=\"MQTT\"}";
    let page = MetricsPage::wait(&server, |page| page.value(throttled) == 1.0);
    for (sample, expected) in [
        ("aws_iot_publish_in_total{outcome=\"ClientError\",protocol=\"MQTT\"}", 3.0),
        ("landfall_connections_ended_total{reason=\"PUBLISH_REFUSED\"}", 3.0),
        ("landfall_connections_ended_total{reason=\"PROTOCOL_ERROR\"}", 0.0),
        ("aws_iot_parse_error_total", 1.0),
        ("aws_iot_connect_total{outcome=\"Throttle\",protocol=\"MQTT\"}", 0.0),
        ("landfall_rate_exceeded_total{rate=\"connects_of_client_id\"}", 1.0),
        ("landfall_rate_exceeded_total{rate=\"connects\"}", 0.0),
        ("landfall_connections_refused_total{stage=\"connect\",reason=\"CLIENT_ID_THROTTLED\"}", 1.0),
    ] {
        assert_eq!(page.value(sample), expected, "{sample}: {:#?}", page.samples);
    }
    assert_eq!(page.value("landfall_connections_accepted_total{listener=\"plain_mqtt\"}"), 0.0);
    let plain = server.fact("plain_mqtt_addr").to_owned();
    let open = TcpStream::connect(plain).expect("a connection");
    let plain_open = "landfall_connections_open{listener=\"plain_mqtt\"}";
    let page = MetricsPage::wait(&server, |page| page.value(plain_open) == 1.0);
    assert_eq!(page.value("landfall_connections_accepted_total{listener=\"plain_mqtt\"}"), 1.0);
    drop(open);
    MetricsPage::wait(&server, |page| page.value(plain_open) == 0.0);
}

/// Whether or not the disk is asked first.
#[tokio::test]
async fn acknowledgements_are_timed() {
    let server = Server::start();
    let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
    let device = FieldDevice::active(&server, "device", &statements).await;
    let connect = Connect { clean: false, ..Connect::new("persists") };
    let persistent = MqttClient::connect(server.mqtt_addr(), &device.tls(&server), connect, PATIENCE).await;
    persistent.expect("CONNACK").subscribe("kept", Qos::AtLeastOnce).await.expect("SUBACK");
    let mut sender = device.connect_as(&server, "sends").await.expect("CONNACK");
    for topic in ["kept", "kept", "nobody/listens"] {
        sender.publish_at_least_once(topic, "x").await.expect("PUBACK");
    }
    sender.publish_at_most_once("kept", "x").await.expect("sent");
    let published = "aws_iot_publish_in_total{outcome=\"Success\",protocol=\"MQTT\"}";
    let page = MetricsPage::wait(&server, |page| page.value(published) == 4.0);
    assert_eq!(page.value("landfall_acknowledge_seconds_count"), 3.0);
    assert!(page.value("landfall_acknowledge_seconds_sum") > 0.0);
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic")
}

/// A label's values are the server's own words: short, few, and none of a client, a certificate, a topic, a rule, a function
/// or an address.
#[tokio::test]
async fn nobodys_names_are_on_the_page() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.prepare_activation("SecretRuleAndFunction").await;
    for number in 0..3 {
        let mut device = FieldDevice::new(&ca, &format!("secret-client-{number}")).land(&server).await;
        device.publish_at_least_once(&format!("JITR/secret/{number}"), "x").await.expect("PUBACK");
        device.disconnect().await.expect("a proper end");
    }
    operator.call("secretservice", Method::GET, "/secret/path", None).await;
    operator.call("iot", Method::GET, "/secret/path", None).await;
    let page = MetricsPage::wait(&server, |page| {
        page.value("aws_iot_publish_in_total{outcome=\"Success\",protocol=\"MQTT\"}") == 3.0
    });
    let known = [
        "action_type",
        "cause",
        "condition",
        "from",
        "le",
        "listener",
        "operation",
        "outcome",
        "protocol",
        "qos",
        "rate",
        "reason",
        "service",
        "stage",
        "status",
        "version",
    ];
    for (label, values) in &page.labels {
        assert!(known.contains(&label.as_str()), "the label {label} is new: is it bounded?");
        assert!(values.len() <= 64, "{label} has many values: {values:?}");
        for value in values {
            assert!(value.len() <= 40, "{label}: {value}");
            assert!(!value.to_lowercase().contains("secret") && !value.contains("127.0.0.1"), "{label}: {value}");
        }
    }
    assert!(page.samples.len() < 1_000, "{}", page.samples.len());
}
