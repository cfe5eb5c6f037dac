//! MQTT 5.0 at the door: what AWS's CONNACK says, reason codes where 3.1.1 only closes, properties from device to device.

use fleet::{Closing, Error};
use mqtt::packet::{
    Connect, Properties, Property, Publish, ReasonCode, Subscribe, SubscribeOptions, Subscription, Will,
};
use mqtt::{Packet, PacketId, Qos, TopicFilter, TopicName, Version};

use crate::server::{ARN, Server, allow_all, document, statement};

fn five(client_id: &str) -> Connect {
    Connect { version: Version::V5, ..Connect::new(client_id) }
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text).unwrap()
}

fn properties(list: impl IntoIterator<Item = Property>) -> Properties {
    list.into_iter().collect()
}

#[tokio::test]
async fn connack_has_awss_properties() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let asked = properties([Property::SessionExpiryIntervalS(7200)]);
    let connect = Connect { keepalive_s: 5, properties: asked, ..five("") };
    let client = server.connect(&device, connect).await.unwrap();
    let connack = client.connack();
    assert!(!connack.session_present);
    let assigned = connack.properties.find(|property| match property {
        Property::AssignedClientIdentifier(id) => Some(id.clone()),
        _ => None,
    });
    let expected = properties([
        // An account's default.
        Property::SessionExpiryIntervalS(3600),
        Property::ReceiveMaximum(100),
        Property::MaximumQos(1),
        Property::RetainAvailable(1),
        Property::MaximumPacketSizeBytes(146 * 1024),
        Property::AssignedClientIdentifier(assigned.unwrap()),
        Property::TopicAliasMaximum(8),
        Property::WildcardSubscriptionAvailable(1),
        Property::SubscriptionIdentifierAvailable(0),
        Property::SharedSubscriptionAvailable(1),
        Property::ServerKeepAliveS(30),
    ]);
    assert_eq!(connack.properties, expected);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let server = Server::start().await;
    let some = server
        .device(&document(&[
            statement("Allow", "iot:Connect", &format!("{ARN}:client/good-*")),
            statement("Allow", "iot:Publish", &format!("{ARN}:topic/allowed")),
            statement("Allow", "iot:Subscribe", &format!("{ARN}:topicfilter/allowed")),
        ]))
        .await;
    let will = |topic: &str, qos| Will {
        topic: TopicName::parse(topic).unwrap(),
        payload: "gone".into(),
        qos,
        retain: false,
        properties: Properties::new(),
    };
    let with_will = |client_id: &str, will| Connect { will: Some(will), ..five(client_id) };
    for (connect, code, reason) in [
        (five("bad"), ReasonCode::NotAuthorized, "POLICY_DOES_NOT_ALLOW"),
        (with_will("good-1", will("elsewhere", Qos::AtMostOnce)), ReasonCode::NotAuthorized, "POLICY_DOES_NOT_ALLOW"),
        (with_will("good-2", will("$aws/x", Qos::AtMostOnce)), ReasonCode::TopicNameInvalid, "MALFORMED_CONNECT"),
        (with_will("good-3", will("allowed", Qos::ExactlyOnce)), ReasonCode::QosNotSupported, "MALFORMED_CONNECT"),
    ] {
        let client_id = connect.client_id.clone();
        let error = server.connect(&some, connect).await.err().unwrap();
        assert!(matches!(error, Error::ConnectionRefused(given) if given == code), "{client_id}: {error:?}");
        let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
        assert_eq!(record.reason, reason, "{client_id}");
    }
    let mut client = server.connect(&some, five("good-4")).await.unwrap();
    for (name, code) in [
        ("elsewhere", ReasonCode::NotAuthorized),
        ("$aws/x", ReasonCode::TopicNameInvalid),
        ("1/2/3/4/5/6/7/8/9", ReasonCode::TopicNameInvalid),
        ("allowed", ReasonCode::Success),
    ] {
        assert_eq!(client.publish_at_least_once(name, "x").await.unwrap(), code, "{name}");
    }
    for (filter, code) in [
        ("elsewhere", ReasonCode::NotAuthorized),
        ("1/2/3/4/5/6/7/8/9", ReasonCode::TopicFilterInvalid),
        ("allowed", ReasonCode::GrantedQos1),
    ] {
        assert_eq!(client.subscribe(filter, Qos::AtLeastOnce).await.unwrap(), code, "{filter}");
    }
    // The connection has stayed through all of that; a message with QoS 0 has no other answer.
    client.publish_at_most_once("elsewhere", "x").await.unwrap();
    assert_eq!(client.closed().await.unwrap(), (Closing::CloseNotify, Some(ReasonCode::NotAuthorized)));
    assert_eq!(server.reason("good-4").as_deref(), Some("POLICY_DOES_NOT_ALLOW"));
}

#[tokio::test]
async fn what_ends_a_connection_is_named() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let subscribe = |options: SubscribeOptions, properties: Properties| {
        let subscriptions = vec![Subscription { filter: TopicFilter::parse("a").unwrap(), options }];
        Packet::Subscribe(Subscribe { packet_id: PacketId::FIRST, subscriptions, properties })
    };
    let qos1 = SubscribeOptions::of_qos(Qos::AtLeastOnce);
    let identifier = mqtt::codec::VariableInteger::new(7).unwrap();
    let qos2 = Publish { qos: Qos::ExactlyOnce, ..Publish::at_least_once(PacketId::FIRST, topic("t"), "x") };
    let retained = Publish { retain: true, ..Publish::at_most_once(topic("$aws/rules/x"), "x") };
    for (packet, code) in [
        (Packet::Publish(qos2), ReasonCode::QosNotSupported),
        (subscribe(SubscribeOptions::of_qos(Qos::ExactlyOnce), Properties::new()), ReasonCode::QosNotSupported),
        (
            subscribe(qos1, properties([Property::SubscriptionIdentifier(identifier)])),
            ReasonCode::SubscriptionIdentifiersNotSupported,
        ),
        (Packet::Publish(retained), ReasonCode::TopicNameInvalid),
        (Packet::Connect(Box::new(five("again"))), ReasonCode::ProtocolError),
        (Packet::Publish(Publish::at_most_once(topic("t"), vec![0; 128 * 1024 + 1])), ReasonCode::PacketTooLarge),
    ] {
        let mut client = server.connect(&device, five("named")).await.unwrap();
        client.send(&packet, "packet").await.unwrap();
        assert_eq!(client.closed().await.unwrap(), (Closing::CloseNotify, Some(code)), "{}", packet.kind());
        let reason = match packet {
            Packet::Publish(_) => "PUBLISH_REFUSED",
            _ => "PROTOCOL_ERROR",
        };
        assert_eq!(server.reason("named").as_deref(), Some(reason));
    }
    let mut older = server.connect(&device, five("twice")).await.unwrap();
    let mut newer = server.connect(&device, five("twice")).await.unwrap();
    assert_eq!(older.closed().await.unwrap().1, Some(ReasonCode::SessionTakenOver));
    newer.ping().await.unwrap();
    server.set_status(&device, "INACTIVE").await;
    assert_eq!(newer.closed().await.unwrap().1, Some(ReasonCode::NotAuthorized));
    server.set_status(&device, "ACTIVE").await;
    let mut last = server.connect(&device, five("last")).await.unwrap();
    let ((), closed) = tokio::join!(server.stop(), last.closed());
    assert_eq!(closed.unwrap().1, Some(ReasonCode::ServerShuttingDown));
}

#[tokio::test]
async fn properties_go_from_device_to_device_and_across_versions() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut five_hears = server.connect(&device, five("hears-5")).await.unwrap();
    let mut other_hears = server.client(&device, "hears-311").await;
    for client in [&mut five_hears, &mut other_hears] {
        client.subscribe("to/all", Qos::AtLeastOnce).await.unwrap();
    }
    let mut sender = server.connect(&device, five("sender")).await.unwrap();
    let own = [
        Property::UserProperty(("b".into(), "1".into())),
        Property::PayloadFormatIndicator(1),
        Property::ContentType("text/plain".to_owned()),
        Property::ResponseTopic("answers".to_owned()),
        Property::CorrelationData("7".into()),
        Property::UserProperty(("a".into(), "2".into())),
    ];
    let alone = [Property::TopicAlias(3), Property::MessageExpiryIntervalS(60)];
    let sent = Publish {
        properties: properties(own.iter().cloned().chain(alone)),
        ..Publish::at_most_once(topic("to/all"), "hello")
    };
    sender.send(&Packet::Publish(sent), "PUBLISH").await.unwrap();
    let heard = five_hears.next_message().await.unwrap();
    assert_eq!((heard.topic.as_str(), &heard.payload[..], heard.qos), ("to/all", &b"hello"[..], Qos::AtMostOnce));
    let expected = properties([Property::MessageExpiryIntervalS(60)].into_iter().chain(own));
    assert_eq!(heard.properties, expected);
    let heard = other_hears.next_message().await.unwrap();
    assert_eq!((&heard.payload[..], heard.properties), (&b"hello"[..], Properties::new()));
    // And from 3.1.1 to 5.0, with the higher QoS.
    other_hears.publish_at_least_once("to/all", "back").await.unwrap();
    for client in [&mut five_hears, &mut other_hears] {
        let heard = client.next_message().await.unwrap();
        assert_eq!(
            (&heard.payload[..], heard.qos, heard.properties),
            (&b"back"[..], Qos::AtLeastOnce, Properties::new())
        );
    }
}

#[tokio::test]
async fn a_client_may_spare_itself_its_own_messages() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let mut client = server.connect(&device, five("echo")).await.unwrap();
    let options = SubscribeOptions { no_local: true, ..SubscribeOptions::of_qos(Qos::AtLeastOnce) };
    client.subscribe("heard", Qos::AtLeastOnce).await.unwrap();
    assert_eq!(client.subscribe_with("echo/#", options).await.unwrap(), ReasonCode::GrantedQos1);
    for name in ["echo/1", "heard"] {
        client.publish_at_least_once(name, name).await.unwrap();
    }
    let mut other = server.client(&device, "other").await;
    other.publish_at_least_once("echo/2", "echo/2").await.unwrap();
    for expected in ["heard", "echo/2"] {
        assert_eq!(client.next_message().await.unwrap().topic.as_str(), expected);
    }
}

/// Small properties are many, and large in memory: they have a bound of their own beside the packet's.
#[tokio::test]
async fn properties_are_bounded() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let many = |count: usize| properties((0..count).map(|_| Property::UserProperty((String::new(), String::new()))));
    let will = |count| Will {
        topic: topic("gone"),
        payload: "gone".into(),
        qos: Qos::AtMostOnce,
        retain: false,
        properties: many(count),
    };
    let error = server.connect(&device, Connect { will: Some(will(4000)), ..five("w") }).await.err().unwrap();
    assert!(matches!(error, Error::ConnectionRefused(ReasonCode::PacketTooLarge)), "{error:?}");

    let connect = Connect { will: Some(will(3000)), ..five("d") };
    let mut client = server.connect(&device, connect).await.unwrap();
    let publish = |count| Publish { properties: many(count), ..Publish::at_most_once(topic("a"), "") };
    client.send(&Packet::Publish(publish(3000)), "publish").await.unwrap();
    client.ping().await.unwrap();
    client.send(&Packet::Publish(publish(4000)), "publish").await.unwrap();
    client.closed().await.unwrap();
    let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
    assert_eq!(record.reason, "PUBLISH_REFUSED");
    assert!(record.sentence.contains("properties have"), "{}", record.sentence);
}
