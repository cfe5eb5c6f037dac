//! A connection from CONNACK to its end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fleet::{Closing, Device, MqttClient, TlsConnection};
use mqtt::packet::{Ack, Connect, Publish, ReasonCode, Subscribe, SubscribeOptions, Subscription, Will};
use mqtt::{Packet, PacketId, Qos, TopicFilter, TopicName, Version, encode};

use crate::DEADLINE;
use crate::server::{ARN, Server, allow_all, document, statement};

fn topic(text: &str) -> TopicName {
    TopicName::parse(text).unwrap()
}

fn subscribe_packet(filters: &[&str], qos: Qos) -> Packet {
    let subscriptions = filters
        .iter()
        .map(|filter| Subscription {
            filter: TopicFilter::parse(filter).unwrap(),
            options: SubscribeOptions::of_qos(qos),
        })
        .collect();
    Packet::Subscribe(Subscribe { packet_id: PacketId::FIRST, subscriptions, properties: Default::default() })
}

/// The client sends, and the door ends the connection without another packet and records why.
async fn check_ended_by(server: &Server, device: &Device, packet: &Packet, reason: &str) {
    let client_id = services::uuid();
    let mut client = server.client(device, &client_id).await;
    client.send(packet, "packet").await.unwrap();
    let (how, _) = client.closed().await.unwrap();
    assert_eq!(how, Closing::CloseNotify, "{packet:?}");
    assert_eq!(server.reason(&client_id).as_deref(), Some(reason), "{packet:?}");
}

#[tokio::test]
async fn messages_go_from_device_to_device() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut listener = server.client(&device, "listener").await;
    let mut sender = server.client(&device, "sender").await;
    for (filter, qos, granted) in
        [("line/+/state", Qos::AtLeastOnce, ReasonCode::GrantedQos1), ("all/#", Qos::AtMostOnce, ReasonCode::Success)]
    {
        assert_eq!(listener.subscribe(filter, qos).await.unwrap(), granted, "{filter}");
    }
    // The lower of the publisher's and the subscription's QoS.
    for (name, at_least_once) in
        [("line/1/state", Qos::AtLeastOnce), ("line//state", Qos::AtLeastOnce), ("all/of/it", Qos::AtMostOnce)]
    {
        sender.publish_at_most_once(name, "zero").await.unwrap();
        sender.publish_at_least_once(name, "one").await.unwrap();
        for (payload, qos) in [("zero", Qos::AtMostOnce), ("one", at_least_once)] {
            let message = listener.next_message().await.unwrap();
            assert_eq!((message.topic.as_str(), &message.payload[..]), (name, payload.as_bytes()));
            assert_eq!(message.qos, qos, "{name} {payload}");
        }
    }
    sender.disconnect().await.unwrap();
    assert_eq!(server.reason("sender"), None);
    server.stop().await;
}

#[tokio::test]
async fn many_packets_in_one_write_are_answered_in_order() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut connection = TlsConnection::open(server.address, &server.tls(&device), DEADLINE).await.unwrap();
    let mut bytes = BytesMut::new();
    let mut expected = Vec::new();
    let write = |packet: Packet, bytes: &mut BytesMut| encode(&packet, Version::V311, bytes).unwrap();
    write(Packet::Connect(Box::new(Connect::new("eager"))), &mut bytes);
    write(subscribe_packet(&["t"], Qos::AtMostOnce), &mut bytes);
    for id in 1..=300 {
        let id = PacketId::new(id).unwrap();
        write(Packet::Publish(Publish::at_least_once(id, topic("elsewhere"), "x")), &mut bytes);
        expected.push(id);
    }
    write(Packet::PingReq, &mut bytes);
    connection.send(&bytes, "everything").await.unwrap();

    let (mut decoder, mut input) = (mqtt::Decoder::for_client(Version::V311, 1 << 20), BytesMut::new());
    let mut answers = Vec::new();
    while answers.last() != Some(&Packet::PingResp) {
        match decoder.decode(&mut input).unwrap() {
            Some(packet) => answers.push(packet),
            None => connection.receive(&mut input, "answers").await.unwrap(),
        }
    }
    assert!(matches!(&answers[..2], [Packet::ConnAck(_), Packet::SubAck(_)]), "{answers:?}");
    let acknowledged: Vec<PacketId> = answers
        .iter()
        .filter_map(|packet| match packet {
            Packet::PubAck(Ack { packet_id, .. }) => Some(*packet_id),
            _ => None,
        })
        .collect();
    assert_eq!(acknowledged, expected);
}

#[tokio::test]
async fn what_ends_a_connection() {
    let server = Server::start().await;
    let all = server.device(&allow_all()).await;
    let some = server
        .device(&document(&[
            statement("Allow", "iot:Connect", "*"),
            statement("Allow", "iot:Publish", &format!("{ARN}:topic/allowed/*")),
            statement("Deny", "iot:Publish", &format!("{ARN}:topic/allowed/not")),
        ]))
        .await;
    let publish = |name: &str| Packet::Publish(Publish::at_least_once(PacketId::FIRST, topic(name), "x"));
    let qos2 = Publish { qos: Qos::ExactlyOnce, ..Publish::at_least_once(PacketId::FIRST, topic("t"), "x") };
    let retained = Publish { retain: true, ..Publish::at_most_once(topic("allowed/x"), "x") };
    let too_big = Publish::at_most_once(topic("t"), Bytes::from(vec![0; 128 * 1024 + 1]));
    for (device, packet, reason) in [
        (&some, publish("elsewhere"), "POLICY_DOES_NOT_ALLOW"),
        (&some, publish("allowed/not"), "POLICY_DENIES"),
        (&some, Packet::Publish(Publish::at_most_once(topic("elsewhere"), "x")), "POLICY_DOES_NOT_ALLOW"),
        (&some, Packet::Publish(retained), "POLICY_DOES_NOT_ALLOW"),
        (&all, publish("$aws/events/certificates/registered/x"), "PUBLISH_REFUSED"),
        (&all, publish("1/2/3/4/5/6/7/8/9"), "PUBLISH_REFUSED"),
        (&all, publish(&"x".repeat(257)), "PUBLISH_REFUSED"),
        (&all, Packet::Publish(qos2), "PUBLISH_REFUSED"),
        (&all, Packet::Publish(too_big), "PUBLISH_REFUSED"),
        (&all, subscribe_packet(&["1", "2", "3", "4", "5", "6", "7", "8", "9"], Qos::AtMostOnce), "PROTOCOL_ERROR"),
        (&all, Packet::Connect(Box::new(Connect::new("again"))), "PROTOCOL_ERROR"),
        (&all, Packet::PingResp, "PROTOCOL_ERROR"),
    ] {
        check_ended_by(&server, device, &packet, reason).await;
    }
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_refused_by_itself() {
    let server = Server::start().await;
    let device = server
        .device(&document(&[
            statement("Allow", "iot:Connect", "*"),
            statement("Allow", "iot:Publish", "*"),
            statement("Allow", "iot:Subscribe", &format!("{ARN}:topicfilter/mine/#")),
            statement("Allow", "iot:Receive", &format!("{ARN}:topic/mine/*")),
            statement("Deny", "iot:Receive", &format!("{ARN}:topic/mine/secret")),
        ]))
        .await;
    let mut client = server.client(&device, "client").await;
    for (filter, allowed) in [("other/#", false), ("1/2/3/4/5/6/7/8/9", false), ("mine/#", true)] {
        let code = client.subscribe(filter, Qos::AtLeastOnce).await.unwrap();
        assert_eq!(code.is_failure(), !allowed, "{filter}: {code}");
    }
    // What may not be received is skipped, before it takes a packet identifier.
    for (name, payload) in [("mine/secret", "hidden"), ("mine/open", "seen")] {
        client.publish_at_least_once(name, payload).await.unwrap();
    }
    let message = client.next_message().await.unwrap();
    assert_eq!((&message.payload[..], message.packet_id), (&b"seen"[..], Some(PacketId::FIRST)));
    client.ping().await.unwrap();
    assert_eq!(client.messages_kept(), 0);
}

#[tokio::test]
async fn a_connection_has_fifty_subscriptions() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut client = server.client(&device, "client").await;
    for number in 0..50 {
        let code = client.subscribe(&format!("t/{number}"), Qos::AtMostOnce).await.unwrap();
        assert_eq!(code, ReasonCode::Success, "{number}");
    }
    assert!(client.subscribe("t/50", Qos::AtMostOnce).await.unwrap().is_failure());
    assert_eq!(client.subscribe("t/0", Qos::AtLeastOnce).await.unwrap(), ReasonCode::GrantedQos1);
}

#[tokio::test]
async fn a_newer_connection_takes_the_client_id() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut older = server.client(&device, "same").await;
    older.subscribe("t", Qos::AtMostOnce).await.unwrap();
    let mut newer = server.client(&device, "same").await;
    assert_eq!(older.closed().await.unwrap().0, Closing::CloseNotify);
    assert_eq!(server.reason("same").as_deref(), Some("TAKEN_OVER"));
    // A clean session: what the older one subscribed to is gone.
    newer.publish_at_least_once("t", "x").await.unwrap();
    newer.ping().await.unwrap();
    assert_eq!(newer.messages_kept(), 0);
}

#[tokio::test]
async fn a_right_that_is_lost_ends_the_connection() {
    let server = Server::start().await;
    for (client_id, status) in [("inactive", "INACTIVE"), ("revoked", "REVOKED")] {
        let device = server.device(&allow_all()).await;
        let mut client = server.client(&device, client_id).await;
        server.set_status(&device, status).await;
        client.closed().await.unwrap();
        assert_eq!(server.reason(client_id).as_deref(), Some("RIGHT_LOST"));
    }
    let device = server.device(&allow_all()).await;
    let mut client = server.client(&device, "denied").await;
    server.attach(&device, &document(&[statement("Deny", "iot:Connect", "*")])).await;
    client.closed().await.unwrap();
    assert_eq!(server.reason("denied").as_deref(), Some("RIGHT_LOST"));

    // Less is lost: the connection stays, the verdicts change.
    let device = server.device(&allow_all()).await;
    let mut client = server.client(&device, "lessened").await;
    client.publish_at_least_once("t", "x").await.unwrap();
    server.attach(&device, &document(&[statement("Deny", "iot:Publish", "*")])).await;
    client.ping().await.unwrap();
    assert!(client.publish_at_least_once("t", "x").await.is_err());
    assert_eq!(server.reason("lessened").as_deref(), Some("POLICY_DENIES"));
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_up_and_loses_its_rights_in_time() {
    let server = Server::start().await;
    let slow_device = server.device(&allow_all()).await;
    let device = server.device(&allow_all()).await;
    let mut slow = server.client(&slow_device, "slow").await;
    slow.subscribe("big", Qos::AtMostOnce).await.unwrap();
    let mut quick = server.client(&device, "quick").await;
    quick.subscribe("big", Qos::AtMostOnce).await.unwrap();
    let mut sender = server.client(&device, "sender").await;
    let payload = Bytes::from(vec![7; 100_000]);
    // Some 20 MB: more than the socket buffers and the inbox of the slow one can hold.
    for _ in 0..200 {
        sender.publish_at_least_once("big", payload.clone()).await.unwrap();
        assert_eq!(quick.next_message().await.unwrap().payload, payload);
    }
    server.set_status(&slow_device, "INACTIVE").await;
    server.await_reason("slow", "RIGHT_LOST").await;
    drop(slow);
}

#[tokio::test]
async fn the_will_is_published_unless_the_client_says_goodbye() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut listener = server.client(&device, "listener").await;
    listener.subscribe("wills/+", Qos::AtLeastOnce).await.unwrap();
    let connect = |client_id: &str| {
        let topic = topic(&format!("wills/{client_id}"));
        let will = Will {
            topic,
            payload: "gone".into(),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: Default::default(),
        };
        Connect { will: Some(will), ..Connect::new(client_id) }
    };
    server.connect(&device, connect("polite")).await.unwrap().disconnect().await.unwrap();
    drop(server.connect(&device, connect("rude")).await.unwrap());
    assert_eq!(listener.next_message().await.unwrap().topic.as_str(), "wills/rude");
    let _older = server.connect(&device, connect("twice")).await.unwrap();
    let _newer = server.connect(&device, connect("twice")).await.unwrap();
    assert_eq!(listener.next_message().await.unwrap().topic.as_str(), "wills/twice");
    listener.ping().await.unwrap();
    assert_eq!(listener.messages_kept(), 0);
}

#[tokio::test]
async fn a_will_with_retain_is_retained() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut listener = server.client(&device, "listener").await;
    listener.subscribe("wills/+", Qos::AtLeastOnce).await.unwrap();
    for retain in [true, false] {
        let topic = topic(&format!("wills/{retain}"));
        let will =
            Will { topic, payload: "gone".into(), qos: Qos::AtLeastOnce, retain, properties: Default::default() };
        let connect = Connect { will: Some(will), ..Connect::new("rude") };
        drop(server.connect(&device, connect).await.unwrap());
        let heard = listener.next_message().await.unwrap();
        assert_eq!((heard.topic.as_str(), heard.retain), (format!("wills/{retain}").as_str(), false));
    }
    let mut later = server.client(&device, "later").await;
    for filter in ["wills/false", "wills/true"] {
        later.subscribe(filter, Qos::AtLeastOnce).await.unwrap();
    }
    let heard = later.next_message().await.unwrap();
    assert_eq!((heard.topic.as_str(), heard.retain), ("wills/true", true));
    later.ping().await.unwrap();
    assert_eq!(later.messages_kept(), 0);
}

/// On a clock that jumps to the next timer when nothing is left to do. 30 s is the least that a client can ask for.
#[tokio::test]
async fn a_silent_client_is_let_go_after_one_and_a_half_times_its_keep_alive() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let connect = Connect { keepalive_s: 1, ..Connect::new("silent") };
    let patient = Duration::from_secs(1000);
    let mut client = MqttClient::connect(server.address, &server.tls(&device), connect, patient).await.unwrap();
    tokio::time::pause();
    let from = tokio::time::Instant::now();
    client.closed().await.unwrap();
    let silent_for = from.elapsed();
    tokio::time::resume();
    assert!((44..=48).contains(&silent_for.as_secs()), "{silent_for:?}");
    assert_eq!(server.reason("silent").as_deref(), Some("KEEP_ALIVE_TIMEOUT"));
}

#[tokio::test]
async fn shutdown_ends_every_connection() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut client = server.client(&device, "client").await;
    let silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let services = server.services.clone();
    let (closed, ()) = tokio::join!(client.closed(), server.stop());
    assert_eq!(closed.unwrap().0, Closing::CloseNotify);
    let record = services.admission_records(&Default::default(), 1).pop().unwrap();
    assert_eq!(record.reason, "SERVER_SHUTDOWN");
    drop(silent);
}
