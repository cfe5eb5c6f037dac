//! MQTT 3.1.1 under limits that leave something out.

use bytes::Bytes;

use super::{LIMITS, Scene, check_closed, connack, connect, disconnect, filter, id, outgoing, puback, publish, topic};
use crate::codec::DecodeError;
use crate::packet::{
    Ack, Connect, Packet, PacketKind, Properties, Publish, Qos, ReasonCode, SubAck, Subscribe, UnsubAck, Unsubscribe,
    Will,
};
use crate::session::{
    Action, Closed, ConnectFault, EmptyClientId, KeepAlive, Limits, NotDelivered, ProtocolError, SessionState, Welcome,
};

#[test]
fn a_whole_session() {
    let mut scene = Scene::new(LIMITS);
    match scene.send(connect()) {
        Some(Action::Connect(connect)) => assert_eq!(connect.client_id, "id"),
        other => panic!("{other:?}"),
    }
    // What is sent before the answer waits.
    assert!(scene.send(publish(7)).is_none());
    scene.session.accept_connect(Welcome::default(), 0);
    let Some(Action::Publish { publish, token }) = scene.poll() else { panic!("a publish was waiting") };
    assert_eq!((&publish.payload[..], publish.qos), (&b"x"[..], Qos::AtLeastOnce));
    assert_eq!(scene.received(), [connack(false, ReasonCode::Success)]);
    scene.session.publish_accepted(token);
    assert_eq!(scene.received(), [puback(7)]);
    assert!(scene.send(Packet::PingReq).is_none());
    assert_eq!(scene.received(), [Packet::PingResp]);
    let action = scene.send(disconnect());
    check_closed(&mut scene, action, Closed::ByClient { code: ReasonCode::Success });
    assert_eq!(scene.received(), []);
}

#[test]
fn subscriptions_are_answered_by_the_application() {
    let mut scene = Scene::connected();
    let subscribe = Subscribe::one(id(3), filter("a/#"), Qos::AtLeastOnce);
    assert!(
        matches!(scene.send(Packet::Subscribe(subscribe.clone())), Some(Action::Subscribe(got)) if got == subscribe)
    );
    scene.session.subscribe_answered(id(3), vec![ReasonCode::GrantedQos1]);
    let suback = SubAck { packet_id: id(3), codes: vec![ReasonCode::GrantedQos1], properties: Properties::new() };
    assert_eq!(scene.received(), [Packet::SubAck(suback)]);
    // 3.1.1 knows one failure.
    scene.session.subscribe_answered(id(4), vec![ReasonCode::NotAuthorized]);
    let suback = SubAck { packet_id: id(4), codes: vec![ReasonCode::UnspecifiedError], properties: Properties::new() };
    assert_eq!(scene.received(), [Packet::SubAck(suback)]);
    let unsubscribe = Unsubscribe { packet_id: id(5), filters: vec![filter("a/#")], properties: Properties::new() };
    assert!(matches!(scene.send(Packet::Unsubscribe(unsubscribe)), Some(Action::Unsubscribe(_))));
    scene.session.unsubscribe_answered(id(5), vec![ReasonCode::Success]);
    let unsuback = UnsubAck { packet_id: id(5), codes: Vec::new(), properties: Properties::new() };
    assert_eq!(scene.received(), [Packet::UnsubAck(unsuback)]);
}

#[test]
fn acknowledgements_keep_the_order_of_the_publishes_and_hold_back_reading() {
    let mut scene = Scene::connected();
    let first = scene.publish(10);
    let second = scene.publish(11);
    let third = scene.publish(12);
    assert!(scene.session.is_waiting_for_answers());
    assert!(scene.send(publish(13)).is_none(), "three are owed, so nothing more is read");
    scene.session.publish_accepted(third);
    scene.session.publish_accepted(second);
    assert_eq!(scene.received(), []);
    assert!(scene.poll().is_none());
    scene.session.publish_accepted(first);
    assert_eq!(scene.received(), [puback(10), puback(11), puback(12)]);
    let Some(Action::Publish { token, .. }) = scene.poll() else { panic!("the fourth was waiting") };
    scene.session.publish_accepted(token);
    assert_eq!(scene.received(), [puback(13)]);
}

#[test]
fn publishes_with_qos_0_are_not_acknowledged() {
    let mut scene = Scene::connected();
    for _ in 0..10 {
        let publish = Publish::at_most_once(topic("t"), &b"x"[..]);
        let Some(Action::Publish { token, .. }) = scene.send(Packet::Publish(publish)) else { panic!("a publish") };
        scene.session.publish_accepted(token);
    }
    assert_eq!(scene.received(), []);
}

#[test]
fn deliveries_with_qos_1_are_bounded_by_the_window() {
    let mut scene = Scene::connected();
    assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Ok(()));
    assert_eq!(scene.deliver("b", Qos::ExactlyOnce), Ok(()), "lowered to what is served");
    assert!(scene.session.window_is_full());
    assert_eq!(scene.deliver("c", Qos::AtLeastOnce), Err(NotDelivered::WindowFull));
    assert_eq!(scene.deliver("d", Qos::AtMostOnce), Ok(()));
    let got = scene.received();
    assert_eq!(got[..2], [Packet::Publish(outgoing(1, "a")), Packet::Publish(outgoing(2, "b"))]);
    assert_eq!(got[2..], [Packet::Publish(Publish::at_most_once(topic("t"), "d"))]);
    // Out of order, repeated and unknown ones.
    for packet_id in [2, 2, 77] {
        assert!(scene.send(puback(packet_id)).is_none());
    }
    assert_eq!(scene.deliver("e", Qos::AtLeastOnce), Ok(()));
    assert_eq!(scene.deliver("f", Qos::AtLeastOnce), Err(NotDelivered::WindowFull));
    assert_eq!(scene.received(), [Packet::Publish(outgoing(3, "e"))]);
}

#[test]
fn packet_ids_wrap_around_those_in_use() {
    let mut scene = Scene::connected();
    assert_eq!(scene.deliver("stuck", Qos::AtLeastOnce), Ok(()));
    for round in 2..=65_535u16 {
        assert_eq!(scene.deliver("x", Qos::AtLeastOnce), Ok(()));
        scene.session.out().clear();
        assert!(scene.send(puback(round)).is_none());
    }
    assert_eq!(scene.deliver("again", Qos::AtLeastOnce), Ok(()));
    assert_eq!(scene.received(), [Packet::Publish(outgoing(2, "again"))], "1 is in use, 0 does not exist");
}

#[test]
fn a_resumed_session_sends_again_what_was_not_acknowledged() {
    let mut scene = Scene::connected();
    for text in ["a", "b"] {
        assert_eq!(scene.deliver(text, Qos::AtLeastOnce), Ok(()));
    }
    scene.send(puback(1));
    assert!(matches!(scene.session.handle_eof(), Some(Action::Closed(Closed::ConnectionLost))));
    let state = scene.session.into_state();
    assert_eq!(state.in_flight(), 1);

    let mut scene = Scene::new(LIMITS);
    scene.send(connect());
    scene.session.accept_connect(Welcome { resumed: Some(state), ..Welcome::default() }, 0);
    let again = Publish { dup: true, ..outgoing(2, "b") };
    assert_eq!(scene.received(), [connack(true, ReasonCode::Success), Packet::Publish(again)]);
    assert_eq!(scene.deliver("c", Qos::AtLeastOnce), Ok(()));
    assert_eq!(scene.received(), [Packet::Publish(outgoing(3, "c"))]);
    assert!(scene.session.window_is_full());
    scene.send(puback(2));
    scene.send(puback(3));
    assert_eq!(scene.session.into_state().in_flight(), SessionState::new().in_flight());
}

#[test]
fn connects_that_are_refused() {
    let check = |packet: Packet, fault: ConnectFault, answer: &[u8]| {
        let mut scene = Scene::new(LIMITS);
        let action = scene.send(packet);
        check_closed(&mut scene, action, Closed::RefusedConnect(fault));
        assert_eq!(&scene.session.out()[..], answer);
    };
    let with = |connect| Packet::Connect(Box::new(connect));
    check(with(Connect::new("")), ConnectFault::ClientIdEmpty, b"\x20\x02\x00\x02");
    let too_long = ConnectFault::ClientIdTooLong { bytes: 9, bytes_max: 8 };
    check(with(Connect::new("123456789")), too_long, b"\x20\x02\x00\x02");
    let qos = Qos::ExactlyOnce;
    let will = Will { topic: topic("w"), payload: Bytes::new(), qos, retain: false, properties: Properties::new() };
    let connect = Connect { will: Some(will), ..Connect::new("id") };
    check(with(connect), ConnectFault::WillQosNotServed { qos }, b"");
}

#[test]
fn first_packets_that_cannot_be_read() {
    let check = |bytes: &[u8], error: DecodeError, answer: &[u8]| {
        let mut scene = Scene::new(LIMITS);
        let action = scene.send_bytes(bytes);
        check_closed(&mut scene, action, Closed::MalformedConnect(error));
        assert_eq!(&scene.session.out()[..], answer);
    };
    check(b"GET / HTTP/1.1\r\n\r\n", DecodeError::NotConnect { first_byte: b'G' }, b"");
    check(b"\xc0\x00", DecodeError::NotConnect { first_byte: 0xc0 }, b"");
    let level = DecodeError::ProtocolLevel { level: 3 };
    check(b"\x10\x10\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02id", level, b"\x20\x02\x00\x01");
    check(b"\x10\x0e\x00\x04MQTT\x04\x03\x00\x3c\x00\x02id", DecodeError::ConnectReservedFlag, b"");
    let too_large = DecodeError::TooLarge { packet: PacketKind::Connect, bytes: 203, bytes_max: 200 };
    check(b"\x10\xc8\x01", too_large, b"");
}

#[test]
fn an_empty_client_id_is_assigned_where_the_limits_say_so() {
    let limits = Limits { empty_client_id: EmptyClientId::Assigned, ..LIMITS };
    let mut scene = Scene::new(limits);
    assert!(matches!(scene.send(Packet::Connect(Box::new(Connect::new("")))), Some(Action::Connect(_))));
    let mut scene = Scene::new(limits);
    let lasting = Connect { clean: false, ..Connect::new("") };
    let action = scene.send(Packet::Connect(Box::new(lasting)));
    check_closed(&mut scene, action, Closed::RefusedConnect(ConnectFault::ClientIdEmpty));
}

#[test]
fn the_application_may_refuse_a_connect() {
    let mut scene = Scene::new(LIMITS);
    scene.send(connect());
    scene.session.refuse_connect(ReasonCode::NotAuthorized);
    assert_eq!(scene.received(), [connack(false, ReasonCode::NotAuthorized)]);
    assert!(scene.session.is_closed());
    // Or say nothing.
    let mut scene = Scene::new(LIMITS);
    scene.send(connect());
    scene.session.close(ReasonCode::NotAuthorized);
    scene.session.accept_connect(Welcome::default(), 0);
    assert!(scene.session.is_closed());
    assert_eq!(scene.received(), []);
}

#[test]
fn packets_that_have_no_place() {
    let check = |packet: Packet, error: ProtocolError| {
        let mut scene = Scene::connected();
        let action = scene.send(packet);
        check_closed(&mut scene, action, Closed::ProtocolError(error));
        assert_eq!(scene.received(), [], "3.1.1 has no word for it");
    };
    check(connect(), ProtocolError::SecondConnect);
    let unexpected = |packet| ProtocolError::Unexpected { packet };
    check(connack(false, ReasonCode::Success), unexpected(PacketKind::ConnAck));
    check(Packet::PingResp, unexpected(PacketKind::PingResp));
    check(Packet::PubRec(Ack::success(id(1))), unexpected(PacketKind::PubRec));
    check(Packet::PubRel(Ack::success(id(1))), unexpected(PacketKind::PubRel));
    let qos = Qos::ExactlyOnce;
    let publish = Publish { qos, ..Publish::at_least_once(id(1), topic("t"), &b"x"[..]) };
    check(Packet::Publish(publish), ProtocolError::QosNotServed { packet: PacketKind::Publish, qos });
    let large = Publish::at_most_once(topic("t"), vec![0; 101]);
    check(Packet::Publish(large), ProtocolError::PayloadTooLarge { bytes: 101, bytes_max: 100 });
    let mut subscribe = Subscribe::one(id(1), filter("a"), qos);
    check(Packet::Subscribe(subscribe.clone()), ProtocolError::QosNotServed { packet: PacketKind::Subscribe, qos });
    let again = subscribe.subscriptions.clone();
    subscribe.subscriptions.extend(again.iter().cloned().chain(again.iter().cloned()));
    check(Packet::Subscribe(subscribe), ProtocolError::TooManyFilters { filters: 3, filters_max: 2 });
}

#[test]
fn malformed_packets_end_the_session() {
    let mut scene = Scene::connected();
    let action = scene.send_bytes(b"\x30\x05\x00\x03a/#");
    let error = DecodeError::TopicName { packet: PacketKind::Publish, fault: crate::topic::TopicError::Wildcard };
    check_closed(&mut scene, action, Closed::Malformed(error));
    let mut scene = Scene::connected();
    let action = scene.send_bytes(b"\x30\xff\xff\xff\x7f");
    let error = DecodeError::TooLarge { packet: PacketKind::Publish, bytes: 268_435_460, bytes_max: 200 };
    check_closed(&mut scene, action, Closed::Malformed(error));
}

#[test]
fn a_connect_must_come_in_time_and_whole() {
    let mut scene = Scene::new(LIMITS);
    assert_eq!(scene.session.next_deadline_ms(), Some(5_000));
    scene.now_ms = 4_000;
    assert!(scene.send_bytes(b"\x10").is_none());
    assert!(scene.session.handle_timer(4_999).is_none());
    let action = scene.session.handle_timer(5_000);
    check_closed(&mut scene, action, Closed::ConnectTimeout);
}

#[test]
fn silence_ends_the_session_after_one_and_a_half_keepalives() {
    let check = |keepalive: KeepAlive, asked_s: u16, silence_ms_max: Option<u64>| {
        let mut scene = Scene::new(Limits { keepalive, ..LIMITS });
        let connect = Connect { keepalive_s: asked_s, ..Connect::new("id") };
        scene.send(Packet::Connect(Box::new(connect)));
        assert_eq!(scene.session.next_deadline_ms(), None, "the application may take its time");
        scene.session.accept_connect(Welcome::default(), 1_000);
        assert_eq!(scene.session.next_deadline_ms(), silence_ms_max.map(|silence_ms| 1_000 + silence_ms));
    };
    let clamped = LIMITS.keepalive;
    check(clamped, 0, Some(1_800_000));
    check(clamped, 1, Some(45_000));
    check(clamped, 30, Some(45_000));
    check(clamped, 61, Some(91_500));
    check(clamped, 1_200, Some(1_800_000));
    check(clamped, 65_535, Some(1_800_000));
    check(KeepAlive::AsAsked, 0, None);
    check(KeepAlive::AsAsked, 1, Some(1_500));

    let mut scene = Scene::connected();
    scene.now_ms = 80_000;
    scene.send(Packet::PingReq);
    assert!(scene.session.handle_timer(90_000).is_none(), "it was heard in between");
    assert_eq!(scene.session.next_deadline_ms(), Some(170_000));
    // Half a packet is not a sign of life.
    scene.now_ms = 160_000;
    scene.send_bytes(b"\x30\x10");
    let action = scene.session.handle_timer(170_000);
    check_closed(&mut scene, action, Closed::KeepAliveTimeout);
}
