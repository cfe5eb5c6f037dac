//! Those who take more than their share, and the others: nobody is slowed by who does not read, nobody is starved by who
//! does not stop, and what the server holds for either is bounded, by its own numbers.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use fleet::{ClientTls, DeviceSpec, MqttClient, TlsConnection};
use landfall_tests::{DataDir, FieldDevice, MetricsPage, Operator, Options, PATIENCE, Server};
use mqtt::packet::{Connect, Publish, Subscribe, SubscribeOptions, Subscription};
use mqtt::{Packet, PacketId, Qos, TopicFilter, TopicName, Version, encode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const RATES: &str = include_str!("data/rates.py");

const INBOX_BYTES: &str = "landfall_inbox_bytes";
const INBOX_MESSAGES: &str = "landfall_inbox_messages";
const UNSENT_BYTES: &str = "landfall_unsent_bytes";
const PAYLOAD_BYTES: usize = 100_000;

fn all() -> Value {
    json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])
}

async fn place(config: &'static str) -> (Server, FieldDevice) {
    let server = Server::start_on(&DataDir::new(), &Options { config, ..Options::default() });
    let device = FieldDevice::active(&server, "device", &all()).await;
    (server, device)
}

fn packet(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(packet, Version::V311, &mut bytes).expect("encodable");
    bytes
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic")
}

/// Connected, without a program that reads what comes.
async fn raw(server: &Server, device: &FieldDevice, client_id: &str) -> TlsConnection {
    let tls = device.tls(server);
    let mut connection = TlsConnection::open(server.mqtt_addr(), &tls, PATIENCE).await.expect("a handshake");
    connection.send(&packet(&Packet::Connect(Box::new(Connect::new(client_id)))), "CONNECT").await.expect("sent");
    let mut heard = BytesMut::new();
    while heard.len() < 4 {
        connection.receive(&mut heard, "CONNACK").await.expect("CONNACK");
    }
    assert_eq!(&heard[..], [0x20, 2, 0, 0]);
    connection
}

/// It subscribes, and reads no more after the SUBACK.
async fn deaf(server: &Server, device: &FieldDevice, client_id: &str, qos: Qos) -> TlsConnection {
    let mut connection = raw(server, device, client_id).await;
    let filter = TopicFilter::parse("big").expect("a filter");
    let subscriptions = vec![Subscription { filter, options: SubscribeOptions::of_qos(qos) }];
    let subscribe = Subscribe { packet_id: PacketId::FIRST, subscriptions, properties: Default::default() };
    connection.send(&packet(&Packet::Subscribe(subscribe)), "SUBSCRIBE").await.expect("sent");
    let mut heard = BytesMut::new();
    while heard.len() < 5 {
        connection.receive(&mut heard, "SUBACK").await.expect("SUBACK");
    }
    connection
}

/// Each is acknowledged, and heard by who reads, before the next one goes out.
async fn publish_and_hear(sender: &mut MqttClient, listener: &mut MqttClient, from: u32, count: u32) {
    for number in from..from + count {
        let mut payload = vec![7; PAYLOAD_BYTES];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        sender.publish_at_least_once("big", payload.clone()).await.expect("PUBACK");
        assert_eq!(listener.next_message().await.expect("the message").payload, payload, "{number}");
    }
}

/// 40 megabytes go to two who do not read and one who does.
#[tokio::test]
async fn who_does_not_read_slows_nobody_and_fills_no_memory() {
    const DEAF: usize = 2;
    const MESSAGES: u32 = 200;
    let (server, device) = place("").await;
    let at_most_once = deaf(&server, &device, "deaf-0", Qos::AtMostOnce).await;
    let at_least_once = deaf(&server, &device, "deaf-1", Qos::AtLeastOnce).await;
    let mut listener = device.connect_as(&server, "listens").await.expect("CONNACK");
    listener.subscribe("big", Qos::AtLeastOnce).await.expect("SUBACK");
    let mut sender = device.connect_as(&server, "sends").await.expect("CONNACK");
    publish_and_hear(&mut sender, &mut listener, 0, MESSAGES).await;
    let dropped = "landfall_messages_dropped_total{cause=\"inbox_full\"}";
    let full = MetricsPage::wait(&server, |page| page.value(dropped) > 0.0);
    assert_eq!(full.value("aws_iot_publish_out_total{outcome=\"Throttle\",protocol=\"MQTT\"}"), full.value(dropped));
    publish_and_hear(&mut sender, &mut listener, MESSAGES, MESSAGES).await;
    let later = MetricsPage::wait(&server, |page| page.value(dropped) > full.value(dropped));
    for page in [&full, &later] {
        // Two megabytes each in the inbox, with what a message costs beside its payload; unsent, what is written at once.
        let (inbox, unsent) = (page.value(INBOX_BYTES), page.value(UNSENT_BYTES));
        assert!(inbox > 0.0 && inbox <= (DEAF * 2 * 1024 * 1024) as f64, "{inbox}");
        assert!(unsent > 0.0 && unsent <= (DEAF * 256 * 1024) as f64, "{unsent}");
    }
    let grown =
        later.value(INBOX_BYTES) + later.value(UNSENT_BYTES) - full.value(INBOX_BYTES) - full.value(UNSENT_BYTES);
    assert!(grown <= (DEAF * 2 * PAYLOAD_BYTES) as f64, "twenty megabytes more, and {grown} bytes more are held");
    sender.disconnect().await.expect("a proper end");
    drop((at_most_once, at_least_once));
    let nothing =
        |page: &MetricsPage| [INBOX_MESSAGES, INBOX_BYTES, UNSENT_BYTES].map(|name| page.value(name)) == [0.0; 3];
    MetricsPage::wait(&server, nothing);
}

/// Writes without a pause until the server has ended the connection; how much it got rid of.
async fn flood(mut connection: TlsConnection, publish: BytesMut) -> usize {
    let mut written = 0;
    while connection.send(&publish, "room").await.is_ok() {
        written += publish.len();
    }
    written
}

async fn ping_pong(client: &mut MqttClient, count: u32) {
    for number in 0..count {
        let payload = number.to_be_bytes().to_vec();
        client.publish_at_least_once("calm", payload.clone()).await.expect("PUBACK");
        assert_eq!(client.next_message().await.expect("its own message").payload, payload);
    }
}

/// Several, and each has always something more to say.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_stop_leaves_others_their_turn() {
    let (server, device) = place("").await;
    let mut calm = device.connect_as(&server, "calm").await.expect("CONNACK");
    calm.subscribe("calm", Qos::AtLeastOnce).await.expect("SUBACK");
    let publish = packet(&Packet::Publish(Publish::at_most_once(topic("flood"), vec![7; 64]))).repeat(1000);
    let mut floods = JoinSet::new();
    for number in 0..4 {
        let connection = raw(&server, &device, &format!("floods-{number}")).await;
        floods.spawn(flood(connection, BytesMut::from(&publish[..])));
    }
    let received = "landfall_messages_received_total{version=\"3.1.1\",qos=\"0\"}";
    let page = MetricsPage::wait(&server, |page| page.value(received) > 10_000.0);
    ping_pong(&mut calm, 20).await;
    // Somebody new comes in as well.
    device.connect_as(&server, "late").await.expect("CONNACK").disconnect().await.expect("a proper end");
    let flooded = MetricsPage::wait(&server, |later| later.value(received) > page.value(received));
    assert_eq!((flooded.value(INBOX_BYTES), flooded.value(UNSENT_BYTES)), (0.0, 0.0));
    assert!(floods.try_join_next().is_none(), "nobody was sent away for it");
    floods.shutdown().await;
}

/// Where AWS's rates are held to, 512 KiB a second: no more is read, so that no more can be written.
#[tokio::test(flavor = "multi_thread")]
async fn who_floods_is_held_back_by_not_being_read() {
    const RATE_BYTES_PER_S: usize = 512 * 1024;
    /// What the two kernels hold between them, and a turn of the server's.
    const ON_THE_WAY_BYTES: usize = 16 << 20;
    let (server, device) = place("[limits]\nrates = \"enforce\"\n").await;
    let mut calm = device.connect_as(&server, "calm").await.expect("CONNACK");
    calm.subscribe("calm", Qos::AtLeastOnce).await.expect("SUBACK");
    let connection = raw(&server, &device, "floods").await;
    let publish = packet(&Packet::Publish(Publish::at_most_once(topic("flood"), vec![7; PAYLOAD_BYTES])));
    let begun = Instant::now();
    let flood = tokio::spawn(flood(connection, publish));
    let exceeded = "landfall_rate_exceeded_total{rate=\"bytes_of_connection\"}";
    MetricsPage::wait(&server, |page| page.value(exceeded) > 0.0);
    ping_pong(&mut calm, 40).await;
    let page = MetricsPage::of(&server);
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few") + 2;
    let received = page.value("landfall_mqtt_received_bytes_total");
    assert!(received <= (seconds * RATE_BYTES_PER_S + (1 << 20)) as f64, "{received} in {seconds} s");
    let ended = server.terminate();
    assert_eq!(ended.0, Some(0), "{}", ended.1);
    let written = flood.await.expect("no panic");
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("few") + 2;
    assert!(written <= seconds * RATE_BYTES_PER_S + ON_THE_WAY_BYTES, "{written} in {seconds} s");
}

/// What a device sees of each rate, in both versions of the protocol, with paho.
#[tokio::test]
async fn paho_meets_the_answers_of_aws_at_its_rates() {
    let (server, device) = place("[limits]\nrates = \"enforce\"\nsubscribes_per_s = 2\n").await;
    let place = device.place(&server);
    assert_eq!(server.aws().python(&format!("PLACE = {place}\n{RATES}")), json!({}));
    let page = MetricsPage::of(&server);
    for rate in ["connects_of_client_id", "publishes_in_of_connection", "publishes_out_of_connection", "subscribes"] {
        assert!(page.value(&format!("landfall_rate_exceeded_total{{rate=\"{rate}\"}}")) > 0.0, "{rate}");
    }
    for sample in [
        "aws_iot_publish_in_total{outcome=\"Throttle\",protocol=\"MQTT\"}",
        "aws_iot_subscribe_total{outcome=\"Throttle\",protocol=\"MQTT\"}",
        "aws_iot_connect_total{outcome=\"ClientIDThrottle\",protocol=\"MQTT\"}",
    ] {
        assert!(page.value(sample) > 0.0, "{sample}: {:#?}", page.samples);
    }
}

/// A first connection registers the device, and ends without CONNACK.
async fn first_connection(addr: SocketAddr, tls: ClientTls, name: String) {
    match MqttClient::connect(addr, &tls, Connect::new(&name), PATIENCE.saturating_mul(4)).await {
        Err(error) if error.is_closed_without_connack() => {}
        Err(error) => panic!("{name}: {error}"),
        Ok(_) => panic!("{name} was let in"),
    }
}

/// Eight handshakes at once and no more, whoever waits; nobody is refused, and who is connected goes on. (`bench storm` says
/// how fast, with 5,000.)
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_first_handshakes_comes_in_by_turns() {
    const STORM: usize = 300;
    const AT_ONCE: f64 = 8.0;
    let config = "[limits]\ndevice_handshakes = 8\ndevice_handshakes_per_address = 8\nhandshake_timeout_s = 120\n";
    let (server, device) = place(config).await;
    let ca = Operator::of(&server).register_ca("storm").await;
    let mut calm = device.connect_as(&server, "calm").await.expect("CONNACK");
    calm.subscribe("calm", Qos::AtLeastOnce).await.expect("SUBACK");
    let root = std::fs::read_to_string(server.root_ca()).expect("the server's root");
    let root = ClientTls::new(&root, server.fact("endpoint")).expect("a usable root");
    let mut storm = JoinSet::new();
    for number in 0..STORM {
        let name = format!("storm-{number}");
        let device = ca.issue(&DeviceSpec::new(&name)).expect("a device");
        let tls = root.clone().with_device(&device, &[&ca]).expect("a usable key");
        storm.spawn(first_connection(server.mqtt_addr(), tls, name));
    }
    let (mut rounds, mut waited) = (0, false);
    while !storm.is_empty() {
        ping_pong(&mut calm, 5).await;
        rounds += 1;
        let page = MetricsPage::of(&server);
        assert!(page.value("landfall_handshakes_running") <= AT_ONCE, "{:#?}", page.samples);
        waited |= page.value("landfall_handshakes_waiting") > 0.0;
        while let Some(ended) = storm.try_join_next() {
            ended.expect("it is registered");
        }
    }
    assert!(rounds > 0 && waited, "the storm was no storm: {rounds} rounds");
    let registered = "landfall_connections_refused_total{stage=\"connect\",reason=\"REGISTERED_NOW\"}";
    let page = MetricsPage::wait(&server, |page| page.value(registered) == (STORM + 1) as f64);
    assert_eq!(page.value("landfall_handshakes_running"), 0.0);
    let refused = |stage: &str, reason: &str| {
        page.value(&format!("landfall_connections_refused_total{{stage=\"{stage}\",reason=\"{reason}\"}}"))
    };
    assert_eq!(refused("handshake", "HANDSHAKE_TIMEOUT") + refused("accept", "OVERLOADED"), 0.0);
    let lost = page.value("landfall_connections_ended_total{reason=\"CONNECTION_LOST\"}");
    assert_eq!(lost, 0.0, "{:#?}", page.samples);
}
