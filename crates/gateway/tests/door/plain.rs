//! The plain listener: MQTT as the standards have it, without TLS and without policies.

use bytes::{Bytes, BytesMut};
use gateway::{Door, serve};
use mqtt::packet::{
    Ack, Connect, Disconnect, Properties, Publish, ReasonCode, Subscribe, SubscribeOptions, Subscription,
};
use mqtt::{Decoder, Packet, PacketId, Qos, TopicFilter, TopicName, Version, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::DEADLINE;
use crate::server::Server;

/// A client that says exactly what it is told to.
struct Plain {
    socket: TcpStream,
    decoder: Decoder,
    input: BytesMut,
    version: Version,
}

impl Plain {
    async fn connect(server: &Server, connect: Connect) -> Self {
        let socket = TcpStream::connect(server.plain_address).await.unwrap();
        let version = connect.version;
        let decoder = Decoder::for_client(version, 1024 * 1024);
        let mut client = Self { socket, decoder, input: BytesMut::new(), version };
        client.say(Packet::Connect(Box::new(connect))).await;
        let answer = client.hear().await;
        assert!(matches!(&answer, Some(Packet::ConnAck(ack)) if ack.code == ReasonCode::Success), "{answer:?}");
        client
    }

    async fn say(&mut self, packet: Packet) {
        let mut out = BytesMut::new();
        encode(&packet, self.version, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
    }

    /// `None` at the end of the connection.
    async fn hear(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return Some(packet);
            }
            match timeout(DEADLINE, self.socket.read_buf(&mut self.input)).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: Qos) -> ReasonCode {
        let subscription =
            Subscription { filter: TopicFilter::parse(filter).unwrap(), options: SubscribeOptions::of_qos(qos) };
        let (packet_id, properties) = (PacketId::FIRST, Properties::new());
        self.say(Packet::Subscribe(Subscribe { packet_id, subscriptions: vec![subscription], properties })).await;
        match self.hear().await {
            Some(Packet::SubAck(ack)) => ack.codes[0],
            other => panic!("{other:?}"),
        }
    }

    async fn publish_exactly_once(&mut self, topic: &str, payload: &'static str) {
        let topic = TopicName::parse(topic).unwrap();
        let packet_id = PacketId::FIRST;
        let publish = Publish::at_least_once(packet_id, topic, Bytes::from_static(payload.as_bytes()));
        self.say(Packet::Publish(Publish { qos: Qos::ExactlyOnce, ..publish })).await;
        assert!(matches!(self.hear().await, Some(Packet::PubRec(ack)) if ack.code == ReasonCode::Success));
        self.say(Packet::PubRel(Ack::success(packet_id))).await;
        assert!(matches!(self.hear().await, Some(Packet::PubComp(_))));
    }
}

fn connect(version: Version, client_id: &str) -> Connect {
    Connect { version, ..Connect::new(client_id) }
}

#[tokio::test]
async fn the_standard_in_full_in_both_versions() {
    let server = Server::start().await;
    for (version, name) in [(Version::V311, "three"), (Version::V5, "five")] {
        // Neither the $ nor the length would do on AWS.
        let long = format!("${name}{}", "x".repeat(300));
        let mut listens = Plain::connect(&server, connect(version, &long)).await;
        assert_eq!(listens.subscribe("sport/#", Qos::ExactlyOnce).await, ReasonCode::GrantedQos2);
        let mut speaks = Plain::connect(&server, connect(version, name)).await;
        speaks.publish_exactly_once("sport", "to the parent").await;
        let Some(Packet::Publish(heard)) = listens.hear().await else { panic!("no message") };
        assert_eq!((heard.topic.as_str(), heard.qos), ("sport", Qos::ExactlyOnce));
        assert_eq!(&heard.payload[..], b"to the parent");
        let packet_id = heard.packet_id.unwrap();
        listens.say(Packet::PubRec(Ack::success(packet_id))).await;
        assert!(matches!(listens.hear().await, Some(Packet::PubRel(ack)) if ack.packet_id == packet_id));
        listens.say(Packet::PubComp(Ack::success(packet_id))).await;
        let deep = "sport/1/2/3/4/5/6/7/8/9";
        speaks.publish_exactly_once(deep, "nine slashes").await;
        let Some(Packet::Publish(heard)) = listens.hear().await else { panic!("no message") };
        assert_eq!(heard.topic.as_str(), deep);
        speaks.say(Packet::Disconnect(Disconnect { code: ReasonCode::Success, properties: Properties::new() })).await;
        assert_eq!(speaks.hear().await, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn nobody_speaks_in_the_servers_name() {
    let server = Server::start().await;
    let topic = || TopicName::parse("$aws/events/presence/connected/x").unwrap();
    let mut three = Plain::connect(&server, connect(Version::V311, "forger")).await;
    let publish = Publish::at_least_once(PacketId::FIRST, topic(), Bytes::new());
    three.say(Packet::Publish(publish.clone())).await;
    assert!(three.hear().await.is_none());
    server.await_reason("forger", "PUBLISH_REFUSED").await;
    let mut five = Plain::connect(&server, connect(Version::V5, "five")).await;
    five.say(Packet::Publish(publish)).await;
    assert!(matches!(five.hear().await, Some(Packet::PubAck(ack)) if ack.code == ReasonCode::TopicNameInvalid));
    let will = mqtt::packet::Will {
        topic: topic(),
        payload: Bytes::new(),
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::new(),
    };
    let mut late = TcpStream::connect(server.plain_address).await.unwrap();
    let mut out = BytesMut::new();
    let with_will = Connect { will: Some(will), ..connect(Version::V311, "late") };
    encode(&Packet::Connect(Box::new(with_will)), Version::V311, &mut out).unwrap();
    late.write_all(&out).await.unwrap();
    assert_eq!(timeout(DEADLINE, late.read(&mut [0])).await.unwrap().unwrap(), 0);
    server.await_reason("late", "MALFORMED_CONNECT").await;
    server.stop().await;
}

/// A device's messages and a program's meet.
#[tokio::test]
async fn devices_and_programs_hear_each_other() {
    let server = Server::start().await;
    let device = server.device(&crate::server::allow_all()).await;
    let mut device = server.client(&device, "device").await;
    device.subscribe("to/device", Qos::AtLeastOnce).await.unwrap();
    let mut program = Plain::connect(&server, connect(Version::V311, "program")).await;
    assert_eq!(program.subscribe("from/device", Qos::AtLeastOnce).await, ReasonCode::GrantedQos1);
    program.publish_exactly_once("to/device", "down").await;
    let down = device.next_message().await.unwrap();
    assert_eq!((down.qos, &down.payload[..]), (Qos::AtLeastOnce, &b"down"[..]));
    device.publish_at_least_once("from/device", "up").await.unwrap();
    assert!(matches!(program.hear().await, Some(Packet::Publish(up)) if &up.payload[..] == b"up"));
    server.stop().await;
}

#[tokio::test]
async fn it_is_served_on_loopback_only() {
    let server = Server::start().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (_shutdown, down) = watch::channel(false);
    let refused = serve(listener, Door::PlainMqtt, server.gateway.clone(), down).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    server.stop().await;
}
