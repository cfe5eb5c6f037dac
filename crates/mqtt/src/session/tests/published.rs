//! Messages from the client in MQTT 5.0: topic aliases, flow control, refusals with their reasons.

use super::{FULL, LIMITS, Scene, ack, check_closed, check_told, id, puback, publish, publish_2, topic};
use crate::codec::{DecodeError, VariableInteger, encode};
use crate::packet::{
    Ack, Packet, PacketKind, Properties, Property, Publish, Qos, Reason, ReasonCode, Subscribe, Version,
};
use crate::session::{Action, Closed, Limits, ProtocolError, SessionState};
use crate::topic::TopicFilter;

/// A PUBLISH with QoS 0 as bytes, since a topic may be missing from it.
fn with_alias(topic: &str, alias: u16) -> Vec<u8> {
    let length = u8::try_from(2 + topic.len() + 4).expect("a short topic");
    let topic_bytes = u8::try_from(topic.len()).expect("a short topic");
    let alias = alias.to_be_bytes();
    [&[0x30, length, 0, topic_bytes], topic.as_bytes(), &[3, 0x23], &alias].concat()
}

fn topic_of(action: Option<Action>) -> String {
    match action {
        Some(Action::Publish { publish, .. }) => {
            assert!(publish.properties.is_empty(), "the alias does not go further");
            publish.topic.as_str().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn topic_aliases_stand_for_the_topic_that_they_were_given_last() {
    let mut scene = Scene::five([]);
    assert_eq!(topic_of(scene.send_bytes(&with_alias("one", 1))), "one");
    assert_eq!(topic_of(scene.send_bytes(&with_alias("two", 2))), "two");
    assert_eq!(topic_of(scene.send_bytes(&with_alias("", 1))), "one");
    assert_eq!(topic_of(scene.send_bytes(&with_alias("", 2))), "two");
    assert_eq!(topic_of(scene.send_bytes(&with_alias("three", 1))), "three");
    assert_eq!(topic_of(scene.send_bytes(&with_alias("", 1))), "three");
    // The next connection begins without any.
    let mut scene = Scene::five_with(FULL, [], scene.session.into_state());
    let action = scene.send_bytes(&with_alias("", 1));
    check_told(&mut scene, ReasonCode::ProtocolError);
    check_closed(&mut scene, action, Closed::Malformed(DecodeError::UnknownTopicAlias { alias: 1 }));
}

#[test]
fn topic_aliases_that_were_not_offered() {
    let check = |limits: Limits, bytes: &[u8], error: DecodeError, code: ReasonCode| {
        let mut scene = Scene::five_with(limits, [], SessionState::new());
        let action = scene.send_bytes(bytes);
        check_told(&mut scene, code);
        check_closed(&mut scene, action, Closed::Malformed(error));
    };
    let invalid = ReasonCode::TopicAliasInvalid;
    check(FULL, &with_alias("t", 3), DecodeError::TopicAlias { alias: 3, alias_max: 2 }, invalid);
    let zero =
        DecodeError::Property { packet: PacketKind::Publish, id: 0x23, fault: crate::codec::PropertyFault::Value };
    check(FULL, &with_alias("t", 0), zero, invalid);
    let none = Limits { topic_alias_max: 0, ..FULL };
    check(none, &with_alias("t", 1), DecodeError::TopicAlias { alias: 1, alias_max: 0 }, invalid);
    let empty = DecodeError::TopicName { packet: PacketKind::Publish, fault: crate::topic::TopicError::Empty };
    check(FULL, b"\x30\x03\x00\x00\x00", empty, ReasonCode::ProtocolError);
}

#[test]
fn a_message_beyond_the_receive_maximum_ends_the_session() {
    // Both kinds count, QoS 0 does not, and a message with QoS 2 counts until its PUBCOMP.
    let mut scene = Scene::five([]);
    let first = scene.publish(1);
    let _second = scene.publish(2);
    let third = scene.publish_as(publish_2(3));
    assert!(!scene.session.is_waiting_for_answers(), "it is read to see whether the client keeps to its window");
    let _none = scene.publish_as(Packet::Publish(Publish::at_most_once(topic("t"), "x")));
    scene.session.publish_accepted(first);
    let _fourth = scene.publish(4);
    scene.session.publish_accepted(third);
    assert_eq!(scene.received(), [Packet::PubAck(Ack::success(id(1)))]);
    let action = scene.send(publish(5));
    check_told(&mut scene, ReasonCode::ReceiveMaximumExceeded);
    let error = ProtocolError::ReceiveMaximumExceeded { receive_max: 3 };
    check_closed(&mut scene, action, Closed::ProtocolError(error));
}

#[test]
fn messages_that_are_not_released_count_until_they_are() {
    let mut scene = Scene::five([]);
    for packet_id in 1..=3 {
        let token = scene.publish_as(publish_2(packet_id));
        scene.session.publish_accepted(token);
    }
    assert!(matches!(scene.send(Packet::PubRel(Ack::success(id(2)))), Some(Action::Release(_))));
    scene.session.publish_released(id(2));
    scene.received();
    let token = scene.publish_as(publish_2(4));
    scene.session.publish_accepted(token);
    scene.received();
    let action = scene.send(publish_2(5));
    check_told(&mut scene, ReasonCode::ReceiveMaximumExceeded);
    let error = ProtocolError::ReceiveMaximumExceeded { receive_max: 3 };
    check_closed(&mut scene, action, Closed::ProtocolError(error));
}

#[test]
fn refusals_are_told_in_the_acknowledgement_or_end_the_session() {
    let reason = || Reason::new(ReasonCode::NotAuthorized, "not here");
    let check = |scene: &mut Scene, packet: Packet, expected: Option<Packet>| {
        let token = scene.publish_as(packet);
        scene.session.publish_refused(token, reason());
        let action = scene.poll();
        match expected {
            Some(expected) => {
                assert_eq!(scene.received(), [expected]);
                assert!(action.is_none());
            }
            None => {
                check_told(scene, ReasonCode::NotAuthorized);
                check_closed(scene, action, Closed::PublishRefused(reason()));
            }
        }
    };
    let refused = |packet_id| Ack {
        packet_id: id(packet_id),
        code: ReasonCode::NotAuthorized,
        properties: [Property::ReasonString("not here".to_owned())].into_iter().collect(),
    };
    let mut scene = Scene::five([]);
    check(&mut scene, publish(1), Some(Packet::PubAck(refused(1))));
    check(&mut scene, publish_2(2), Some(Packet::PubRec(refused(2))));
    // Its identifier is free again.
    assert!(matches!(scene.send(publish_2(2)), Some(Action::Publish { .. })));
    let at_most_once = || Packet::Publish(Publish::at_most_once(topic("t"), "x"));
    check(&mut scene, at_most_once(), None);
    for packet in [publish(1), publish_2(1), at_most_once()] {
        check(&mut Scene::connected_with(FULL), packet, None);
    }
    // The words are left out where they are not wanted, or do not fit.
    for asked in [Property::RequestProblemInformation(0), Property::MaximumPacketSizeBytes(40)] {
        let mut scene = Scene::five([asked]);
        let reason = Reason::new(ReasonCode::QuotaExceeded, "much too long for a packet of forty bytes");
        let token = scene.publish(1);
        scene.session.publish_refused(token, reason);
        assert_eq!(scene.received(), [Packet::PubAck(ack(1, ReasonCode::QuotaExceeded))]);
    }
}

#[test]
fn a_message_that_nobody_hears_is_acknowledged_all_the_same() {
    for (mut scene, code) in Scene::both().into_iter().zip([ReasonCode::Success, ReasonCode::NoMatchingSubscribers]) {
        let token = scene.publish(7);
        scene.session.publish_unheard(token);
        assert_eq!(scene.received(), [Packet::PubAck(ack(7, code))]);
    }
}

#[test]
fn acknowledgements_of_both_kinds_keep_the_order_of_the_messages() {
    for mut scene in Scene::both() {
        let first = scene.publish(1);
        let second = scene.publish_as(publish_2(2));
        let third = scene.publish(3);
        for token in [third, second] {
            scene.session.publish_accepted(token);
        }
        assert_eq!(scene.received(), []);
        scene.session.publish_accepted(first);
        let expected = [
            Packet::PubAck(Ack::success(id(1))),
            Packet::PubRec(Ack::success(id(2))),
            Packet::PubAck(Ack::success(id(3))),
        ];
        assert_eq!(scene.received(), expected);
    }
}

#[test]
fn what_is_not_served_is_refused_by_its_name() {
    let check = |limits: Limits, packet: Packet, error: ProtocolError, code: ReasonCode| {
        let mut scene = Scene::five_with(limits, [], SessionState::new());
        let action = scene.send(packet);
        check_told(&mut scene, code);
        check_closed(&mut scene, action, Closed::ProtocolError(error));
    };
    let qos = Qos::ExactlyOnce;
    let no_qos = |packet| ProtocolError::QosNotServed { packet, qos };
    check(LIMITS, publish_2(1), no_qos(PacketKind::Publish), ReasonCode::QosNotSupported);
    let subscribe = Subscribe::one(id(1), TopicFilter::parse("a").expect("a filter"), qos);
    check(LIMITS, Packet::Subscribe(subscribe.clone()), no_qos(PacketKind::Subscribe), ReasonCode::QosNotSupported);
    let retained = Publish { retain: true, ..Publish::at_most_once(topic("t"), "x") };
    let no_retain = Limits { retain: false, ..LIMITS };
    check(no_retain, Packet::Publish(retained), ProtocolError::RetainNotServed, ReasonCode::RetainNotSupported);
    let identifier = || {
        let value = VariableInteger::new(5).expect("in range");
        [Property::SubscriptionIdentifier(value)].into_iter().collect::<Properties>()
    };
    let mut identified = Subscribe { properties: identifier(), ..subscribe };
    identified.subscriptions.iter_mut().for_each(|asked| asked.options.qos = Qos::AtMostOnce);
    check(
        LIMITS,
        Packet::Subscribe(identified.clone()),
        ProtocolError::SubscriptionIdNotServed,
        ReasonCode::SubscriptionIdentifiersNotSupported,
    );
    let publish = Publish { properties: identifier(), ..Publish::at_most_once(topic("t"), "x") };
    check(FULL, Packet::Publish(publish), ProtocolError::SubscriptionIdInPublish, ReasonCode::ProtocolError);
    let large = Publish::at_most_once(topic("t"), vec![0; 101]);
    let error = ProtocolError::PayloadTooLarge { bytes: 101, bytes_max: 100 };
    check(LIMITS, Packet::Publish(large), error, ReasonCode::PacketTooLarge);
    let again = identified.subscriptions.clone();
    identified.properties = Properties::new();
    identified.subscriptions.extend(again.iter().cloned().chain(again.iter().cloned()));
    let error = ProtocolError::TooManyFilters { filters: 3, filters_max: 2 };
    check(LIMITS, Packet::Subscribe(identified.clone()), error, ReasonCode::QuotaExceeded);
    // 3.1.1 has no retain to refuse.
    let mut scene = Scene::connected_with(no_retain);
    let retained = Publish { retain: true, ..Publish::at_most_once(topic("t"), "x") };
    assert!(matches!(scene.send(Packet::Publish(retained)), Some(Action::Publish { .. })));
}

#[test]
fn properties_of_messages_and_subscriptions_reach_the_application_in_their_order() {
    let mut scene = Scene::five([]);
    let list = [
        Property::UserProperty(("b".into(), "1".into())),
        Property::PayloadFormatIndicator(1),
        Property::UserProperty(("a".into(), "2".into())),
        Property::MessageExpiryIntervalS(5),
        Property::ContentType("text/plain".to_owned()),
        Property::ResponseTopic("answers".to_owned()),
        Property::CorrelationData("7".into()),
        Property::UserProperty(("b".into(), "1".into())),
    ];
    let properties: Properties = list.into_iter().collect();
    let sent = Publish { properties: properties.clone(), ..Publish::at_most_once(topic("t"), "x") };
    match scene.send(Packet::Publish(sent.clone())) {
        Some(Action::Publish { publish, .. }) => assert_eq!(publish, sent),
        other => panic!("{other:?}"),
    }
    let mut bytes = bytes::BytesMut::new();
    encode(&Packet::Publish(sent), Version::V5, &mut bytes).expect("encodable");
    let id5 = VariableInteger::new(5).expect("in range");
    let subscribe = Subscribe {
        properties: [Property::SubscriptionIdentifier(id5)].into_iter().collect(),
        ..Subscribe::one(id(1), TopicFilter::parse("$share/g/a").expect("a filter"), Qos::ExactlyOnce)
    };
    match scene.send(Packet::Subscribe(subscribe.clone())) {
        Some(Action::Subscribe(got)) => {
            assert_eq!(got.properties.subscription_id(), Some(id5));
            assert_eq!(got, subscribe);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_discarded_message_is_never_acknowledged_and_holds_nothing_up() {
    for mut scene in Scene::both() {
        let [first, second, third] = [1, 2, 3].map(|packet_id| scene.publish(packet_id));
        scene.session.publish_accepted(third);
        scene.session.publish_discarded(second);
        assert_eq!(scene.received(), []);
        scene.session.publish_accepted(first);
        assert_eq!(scene.received(), [puback(1), puback(3)]);
        let unanswered = scene.publish_as(Packet::Publish(Publish::at_most_once(topic("t"), "x")));
        scene.session.publish_discarded(unanswered);
        assert_eq!(scene.received(), []);
        // Its identifier is free, and its place in the window.
        let again = scene.publish(2);
        scene.session.publish_accepted(again);
        assert_eq!(scene.received(), [puback(2)]);
    }
}
