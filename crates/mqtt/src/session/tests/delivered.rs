//! Messages to the client in MQTT 5.0: its window, its packet size, its topic aliases; expiry and identifiers.

use bytes::{Bytes, BytesMut};

use super::{FULL, LIMITS, Scene, id, puback, topic};
use crate::codec::{Outgoing, VariableInteger, encode_at_most_once};
use crate::packet::{Packet, Properties, Property, Publish, Qos, Version};
use crate::session::{Delivery, Limits, NotDelivered, SessionState};

#[test]
fn the_window_is_the_smaller_of_what_both_sides_allow() {
    let check = |limits: Limits, asked: Option<u16>, window: usize| {
        let asked = asked.map(Property::ReceiveMaximum);
        let mut scene = Scene::five_with(limits, asked, SessionState::new());
        for number in 0..window {
            assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Ok(()), "{number}");
        }
        assert!(scene.session.window_is_full());
        assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Err(NotDelivered::WindowFull));
        assert_eq!(scene.deliver("a", Qos::AtMostOnce), Ok(()), "QoS 0 does not count");
        assert!(scene.send(puback(1)).is_none());
        assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Ok(()));
        assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Err(NotDelivered::WindowFull));
    };
    check(FULL, None, 3);
    check(FULL, Some(1), 1);
    check(FULL, Some(50), 3);
    check(LIMITS, None, 2);
}

#[test]
fn packets_are_no_larger_than_the_client_accepts() {
    let mut scene = Scene::five([Property::MaximumPacketSizeBytes(40)]);
    // Fixed header 2, topic 3, properties 1; and the packet identifier.
    for (qos, bytes) in [(Qos::AtMostOnce, 34), (Qos::AtLeastOnce, 32)] {
        assert_eq!(scene.deliver(&"x".repeat(bytes), qos), Ok(()));
        assert_eq!(scene.session.out().len(), 40);
        scene.session.out().clear();
        assert_eq!(scene.deliver(&"x".repeat(bytes + 1), qos), Err(NotDelivered::TooLarge));
        assert_eq!(scene.session.out().len(), 0);
    }
    assert_eq!(scene.session.state().in_flight(), 1, "what was not sent is not awaited");
    let frame = [0; 41];
    assert_eq!(scene.session.deliver_encoded(&frame), Err(NotDelivered::TooLarge));
    assert_eq!(scene.session.deliver_encoded(&frame[..40]), Ok(()));
}

#[test]
fn what_is_left_of_a_messages_life_is_told() {
    let check = |expires_at_ms: u64, now_ms: u64, expected: Result<u32, NotDelivered>| {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            let mut scene = Scene::five([]);
            scene.now_ms = now_ms;
            let (topic, payload, properties) = (topic("t"), Bytes::from_static(b"x"), Properties::new());
            let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
            let delivery = Delivery { expires_at_ms: Some(expires_at_ms), ..Delivery::plain(message) };
            let delivered = scene.session.deliver(&delivery, now_ms);
            let told = scene.received().into_iter().find_map(|packet| match packet {
                Packet::Publish(publish) => publish.properties.message_expiry_s(),
                _ => None,
            });
            match expected {
                Ok(left_s) => assert_eq!((delivered.is_ok(), told), (true, Some(left_s))),
                Err(why) => assert_eq!((delivered, told), (Err(why), None)),
            }
        }
    };
    check(10_000, 0, Ok(10));
    check(10_000, 1, Ok(10));
    check(10_000, 9_000, Ok(1));
    check(10_000, 9_999, Ok(1));
    check(10_000, 10_000, Err(NotDelivered::Expired));
    check(10_000, 10_001, Err(NotDelivered::Expired));
    check(u64::MAX, 0, Ok(u32::MAX));
}

#[test]
fn properties_go_out_as_they_came_beside_what_is_for_this_client() {
    let mut scene = Scene::five([]);
    let list = [
        Property::UserProperty(("b".into(), "1".into())),
        Property::PayloadFormatIndicator(1),
        Property::ResponseTopic("answers".to_owned()),
        Property::UserProperty(("a".into(), "2".into())),
    ];
    let properties: Properties = list.iter().cloned().collect();
    let (topic, payload) = (topic("t"), Bytes::from_static(b"x"));
    let ids = [1, 300].map(|value| VariableInteger::new(value).expect("in range"));
    let qos = Qos::AtLeastOnce;
    let message = Outgoing { topic: &topic, payload: &payload, qos, retain: true, properties: &properties };
    let delivery = Delivery { subscription_ids: &ids, expires_at_ms: Some(2_000), ..Delivery::plain(message) };
    assert_eq!(scene.session.deliver(&delivery, 0), Ok(Some(id(1))));
    let own = [
        Property::MessageExpiryIntervalS(2),
        Property::SubscriptionIdentifier(ids[0]),
        Property::SubscriptionIdentifier(ids[1]),
    ];
    let expected = Publish {
        retain: true,
        properties: own.into_iter().chain(list).collect(),
        ..Publish::at_least_once(id(1), topic.clone(), "x")
    };
    assert_eq!(scene.received(), [Packet::Publish(expected)]);
    // 3.1.1 gets none of it.
    let mut scene = Scene::connected();
    assert_eq!(scene.session.deliver(&delivery, 0), Ok(Some(id(1))));
    let expected = Publish { retain: true, ..Publish::at_least_once(id(1), topic, "x") };
    assert_eq!(scene.received(), [Packet::Publish(expected)]);
}

#[test]
fn topics_are_sent_once_to_clients_that_offer_aliases() {
    let send = |scene: &mut Scene, text: &str| {
        let (topic, payload, properties) = (topic(text), Bytes::from_static(b"x"), Properties::new());
        let qos = Qos::AtMostOnce;
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
        assert_eq!(scene.session.deliver(&Delivery::plain(message), 0), Ok(None));
        let bytes = scene.session.out().split();
        scene.client.offer_topic_aliases(2);
        bytes
    };
    let decoded = |scene: &mut Scene, bytes: &BytesMut| match scene.client.decode(&mut bytes.clone()) {
        Ok(Some(Packet::Publish(publish))) => publish.topic.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    let mut scene = Scene::five([Property::TopicAliasMaximum(2)]);
    let first = send(&mut scene, "a/long/topic");
    assert_eq!(&first[..], b"\x30\x13\x00\x0ca/long/topic\x03\x23\x00\x01x");
    assert_eq!(decoded(&mut scene, &first), "a/long/topic");
    let mut clients = Scene::five([Property::TopicAliasMaximum(2)]);
    clients.client.offer_topic_aliases(2);
    let (mut stream, mut expected) = (BytesMut::new(), Vec::new());
    for text in ["one/topic", "two/topic", "one/topic", "six", "three/topic", "two/topic", "one/topic"] {
        let (topic, payload, properties) = (topic(text), Bytes::from_static(b"x"), Properties::new());
        let qos = Qos::AtLeastOnce;
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
        assert!(clients.session.deliver(&Delivery::plain(message), 0).is_ok());
        stream.unsplit(clients.session.out().split());
        if let Some(Packet::Publish(publish)) = clients.client.decode(&mut stream).expect("aliases that are offered") {
            expected.push(publish.topic.as_str().to_owned());
            clients.send(Packet::PubAck(crate::packet::Ack::success(publish.packet_id.expect("QoS 1"))));
        }
    }
    assert_eq!(expected, ["one/topic", "two/topic", "one/topic", "six", "three/topic", "two/topic", "one/topic"]);
    // Nobody else gets any.
    let mut scene = Scene::five([]);
    assert_eq!(&send(&mut scene, "a/long/topic")[..], b"\x30\x10\x00\x0ca/long/topic\x00x");
}

#[test]
fn an_alias_gives_way_where_it_would_make_the_packet_too_large() {
    let mut scene = Scene::five([Property::TopicAliasMaximum(2), Property::MaximumPacketSizeBytes(32)]);
    let (topic, payload, properties) = (topic("a/long/topic"), Bytes::from(vec![b'x'; 15]), Properties::new());
    let qos = Qos::AtMostOnce;
    let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
    assert_eq!(scene.session.deliver(&Delivery::plain(message), 0), Ok(None));
    assert_eq!(scene.received(), [Packet::Publish(Publish::at_most_once(topic.clone(), payload.clone()))]);
}

#[test]
fn frames_made_once_for_many_are_what_each_would_get() {
    for version in [Version::V311, Version::V5] {
        let (topic, payload) = (topic("t"), Bytes::from_static(b"x"));
        let properties: Properties = [Property::ContentType("text/plain".to_owned())].into_iter().collect();
        let qos = Qos::AtMostOnce;
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
        let mut frame = BytesMut::new();
        encode_at_most_once(&message, version, &mut frame).expect("encodable");
        let mut scene = match version {
            Version::V311 => Scene::connected(),
            Version::V5 => Scene::five([]),
        };
        assert_eq!(scene.session.deliver_encoded(&frame), Ok(()));
        let shared = scene.session.out().split();
        assert_eq!(scene.session.deliver(&Delivery::plain(message), 0), Ok(None));
        assert_eq!(scene.session.out().split(), shared);
    }
}

/// A number decides the identifier, whatever was sent before, unless another message in flight has it.
#[test]
fn identifiers_follow_from_numbers() {
    let mut scene = Scene::five_with(FULL, None, SessionState::new());
    for (number, packet_id) in [(9, 10), (9 + 65_535, 11), (20, 21)] {
        let delivered = scene.deliver_with("x", Qos::AtLeastOnce, |delivery| Delivery {
            number: Some(number),
            dup: number == 9,
            ..delivery
        });
        assert_eq!(delivered, Ok(()));
        let received = scene.received();
        let Some(Packet::Publish(publish)) = received.last() else { panic!("{received:?}") };
        assert_eq!((publish.packet_id, publish.dup), (Some(id(packet_id)), number == 9), "{number}");
    }
    assert!(scene.send(puback(10)).is_none());
    assert_eq!(scene.deliver("without", Qos::AtLeastOnce), Ok(()));
    let received = scene.received();
    let Some(Packet::Publish(publish)) = received.last() else { panic!("{received:?}") };
    assert_eq!(publish.packet_id, Some(id(22)), "the next one");
}
