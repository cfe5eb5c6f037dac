//! QoS 2 in both directions and both versions, with what goes wrong on the way.

use super::{FULL, Scene, ack, check_closed, check_told, id, publish, publish_2, topic};
use crate::packet::{Ack, Packet, PacketKind, Publish, Qos, ReasonCode, Version};
use crate::session::{Action, Closed, Delivery, Limits, NotDelivered, Progress, ProtocolError};

fn pubrec(packet_id: u16) -> Packet {
    Packet::PubRec(Ack::success(id(packet_id)))
}

fn pubrel(packet_id: u16) -> Packet {
    Packet::PubRel(Ack::success(id(packet_id)))
}

fn pubcomp(packet_id: u16) -> Packet {
    Packet::PubComp(Ack::success(id(packet_id)))
}

fn again(packet: Packet) -> Packet {
    match packet {
        Packet::Publish(publish) => Packet::Publish(Publish { dup: true, ..publish }),
        other => other,
    }
}

fn tagged(delivery: Delivery<'_>) -> Delivery<'_> {
    Delivery { tag: Some(70), ..delivery }
}

/// 3.1.1 has no codes.
fn code_of(version: Version, code: ReasonCode) -> ReasonCode {
    match version {
        Version::V311 => ReasonCode::Success,
        Version::V5 => code,
    }
}

#[test]
fn a_message_is_handed_on_once_however_often_it_is_sent() {
    for mut scene in Scene::both() {
        let token = scene.publish_as(publish_2(9));
        assert!(scene.send(again(publish_2(9))).is_none(), "its PUBREC is still to come");
        scene.session.publish_accepted(token);
        assert_eq!(scene.received(), [pubrec(9)]);
        assert!(scene.send(again(publish_2(9))).is_none());
        assert_eq!(scene.received(), [pubrec(9)]);
        for _ in 0..2 {
            assert!(matches!(scene.send(pubrel(9)), Some(Action::Release(packet_id)) if packet_id == id(9)));
        }
        assert_eq!(scene.received(), [], "the application forgets it first");
        scene.session.publish_released(id(9));
        scene.session.publish_released(id(9));
        assert_eq!(scene.received(), [pubcomp(9)]);
        // From here on it is another message [MQTT-4.3.3-12].
        let token = scene.publish_as(publish_2(9));
        scene.session.publish_accepted(token);
        assert_eq!(scene.received(), [pubrec(9)]);
    }
}

#[test]
fn a_release_of_nothing_is_answered() {
    for mut scene in Scene::both() {
        assert!(scene.send(pubrel(5)).is_none());
        let code = code_of(scene.version, ReasonCode::PacketIdentifierNotFound);
        assert_eq!(scene.received(), [Packet::PubComp(ack(5, code))]);
        assert!(scene.send(pubrec(6)).is_none());
        assert_eq!(scene.received(), [Packet::PubRel(ack(6, code))]);
        for late in [pubcomp(7), Packet::PubAck(Ack::success(id(7)))] {
            assert!(scene.send(late).is_none());
        }
        assert_eq!(scene.received(), []);
    }
}

#[test]
fn a_message_goes_out_in_four_steps() {
    for mut scene in Scene::both() {
        assert_eq!(scene.deliver_with("a", Qos::ExactlyOnce, tagged), Ok(()));
        let sent = Publish { qos: Qos::ExactlyOnce, ..Publish::at_least_once(id(1), topic("t"), "a") };
        assert_eq!(scene.received(), [Packet::Publish(sent)]);
        let received = Progress::Received(id(1));
        assert!(matches!(
            scene.send(pubrec(1)),
            Some(Action::Acknowledged { tag: 70, progress }) if progress == received
        ));
        assert_eq!(scene.received(), [pubrel(1)]);
        // Said twice, answered twice, told once.
        assert!(scene.send(pubrec(1)).is_none());
        assert_eq!(scene.received(), [pubrel(1)]);
        assert_eq!(scene.session.state().in_flight(), 1);
        assert!(matches!(scene.send(pubcomp(1)), Some(Action::Completed(packet_id)) if packet_id == id(1)));
        assert_eq!(scene.session.state().in_flight(), 0);
    }
}

#[test]
fn the_window_holds_until_the_last_step() {
    for mut scene in Scene::both() {
        for text in ["a", "b", "c"] {
            assert_eq!(scene.deliver(text, Qos::ExactlyOnce), Ok(()));
        }
        assert!(scene.send(pubrec(1)).is_none());
        assert_eq!(scene.deliver("d", Qos::ExactlyOnce), Err(NotDelivered::WindowFull));
        assert!(matches!(scene.send(pubcomp(1)), Some(Action::Completed(packet_id)) if packet_id == id(1)));
        assert_eq!(scene.deliver("d", Qos::ExactlyOnce), Ok(()));
    }
}

#[test]
fn a_refusal_by_the_client_ends_the_exchange() {
    let mut scene = Scene::five([]);
    assert_eq!(scene.deliver_with("a", Qos::ExactlyOnce, tagged), Ok(()));
    scene.received();
    let code = ReasonCode::QuotaExceeded;
    let action = scene.send(Packet::PubRec(ack(1, code)));
    assert!(matches!(
        action,
        Some(Action::Acknowledged { tag: 70, progress: Progress::Done(ReasonCode::QuotaExceeded) })
    ));
    assert_eq!(scene.received(), [], "no PUBREL");
    assert_eq!(scene.session.state().in_flight(), 0);
    assert!(scene.send(Packet::PubRec(ack(1, code))).is_none());
    assert_eq!(scene.received(), []);
}

#[test]
fn identifiers_in_use_are_refused_in_5() {
    let mut scene = Scene::five([]);
    let token = scene.publish_as(publish_2(1));
    scene.session.publish_accepted(token);
    scene.received();
    assert!(scene.send(publish(1)).is_none());
    assert_eq!(scene.received(), [Packet::PubAck(ack(1, ReasonCode::PacketIdentifierInUse))]);
    let token = scene.publish(2);
    assert!(scene.send(publish_2(2)).is_none());
    scene.session.publish_accepted(token);
    let expected = [Packet::PubAck(Ack::success(id(2))), Packet::PubRec(ack(2, ReasonCode::PacketIdentifierInUse))];
    assert_eq!(scene.received(), expected);
}

#[test]
fn acknowledgements_that_the_message_does_not_await() {
    let check = |delivered: &[Qos], packets: &[Packet]| {
        for mut scene in Scene::both() {
            for qos in delivered {
                assert_eq!(scene.deliver("a", *qos), Ok(()));
            }
            let (last, before) = packets.split_last().expect("at least one");
            for packet in before {
                assert!(scene.send(packet.clone()).is_none());
            }
            scene.received();
            let action = scene.send(last.clone());
            check_told(&mut scene, ReasonCode::ProtocolError);
            let error = ProtocolError::AckOutOfOrder { packet: last.kind(), packet_id: id(1) };
            check_closed(&mut scene, action, Closed::ProtocolError(error));
        }
    };
    let puback = || Packet::PubAck(Ack::success(id(1)));
    check(&[Qos::ExactlyOnce], &[puback()]);
    check(&[Qos::ExactlyOnce], &[pubcomp(1)]);
    check(&[Qos::ExactlyOnce], &[pubrec(1), puback()]);
    check(&[Qos::AtLeastOnce], &[pubrec(1)]);
    check(&[Qos::AtLeastOnce], &[pubcomp(1)]);
}

#[test]
fn none_of_it_exists_where_it_is_not_served() {
    for kind in [PacketKind::PubRec, PacketKind::PubRel, PacketKind::PubComp] {
        let packet = match kind {
            PacketKind::PubRec => pubrec(1),
            PacketKind::PubRel => pubrel(1),
            _ => pubcomp(1),
        };
        let limits = Limits { qos_max: Qos::AtLeastOnce, ..FULL };
        let mut scene = Scene::connected_with(limits);
        let action = scene.send(packet);
        check_closed(&mut scene, action, Closed::ProtocolError(ProtocolError::Unexpected { packet: kind }));
    }
}
