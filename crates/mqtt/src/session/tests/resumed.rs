//! Sessions that go on over another connection.

use super::{FULL, Scene, id, puback, publish_2, topic};
use crate::packet::{Ack, Packet, PacketId, Property, Publish, Qos, ReasonCode, Version};
use crate::session::{Action, Delivery, Limits, NotDelivered, Progress, SessionState, Welcome};

fn publish(packet_id: u16, text: &'static str, qos: Qos, dup: bool) -> Packet {
    Packet::Publish(Publish { qos, dup, ..Publish::at_least_once(id(packet_id), topic("t"), text) })
}

fn with_tag(tag: u64) -> impl FnOnce(Delivery<'_>) -> Delivery<'_> {
    move |delivery| Delivery { tag: Some(tag), ..delivery }
}

/// What is written down comes back the same.
fn written_down(state: &SessionState) -> SessionState {
    let restored = SessionState::restore(state.open(), state.unreleased());
    assert!(restored.open().eq(state.open()));
    assert!(restored.unreleased().eq(state.unreleased()));
    restored
}

fn resume(scene: Scene, limits: Limits, asked: impl IntoIterator<Item = Property>) -> Scene {
    let version = scene.version;
    let state = written_down(&scene.session.into_state());
    match version {
        Version::V5 => Scene::five_with(limits, asked, state),
        Version::V311 => {
            let mut scene = Scene::new(limits);
            scene.send(super::connect());
            scene.session.accept_connect(Welcome { resumed: Some(state), ..Welcome::default() }, 0);
            assert_eq!(scene.client.decode(scene.session.out()), Ok(Some(super::connack(true, ReasonCode::Success))));
            scene
        }
    }
}

#[test]
fn everything_open_is_sent_again_in_the_old_order_with_the_old_identifiers() {
    for mut scene in Scene::both() {
        for (text, qos) in [("a", Qos::ExactlyOnce), ("b", Qos::AtLeastOnce), ("c", Qos::ExactlyOnce)] {
            assert_eq!(scene.deliver(text, qos), Ok(()));
        }
        scene.send(Packet::PubRec(Ack::success(id(1))));
        let mut scene = resume(scene, FULL, []);
        let expected = [
            Packet::PubRel(Ack::success(id(1))),
            publish(2, "b", Qos::AtLeastOnce, true),
            publish(3, "c", Qos::ExactlyOnce, true),
        ];
        assert_eq!(scene.received(), expected);
        for packet in [Packet::PubComp(Ack::success(id(1))), puback(2), Packet::PubRec(Ack::success(id(3)))] {
            assert!(!matches!(scene.send(packet), Some(Action::Closed(_))));
        }
        assert_eq!(scene.received(), [Packet::PubRel(Ack::success(id(3)))]);
        assert_eq!(scene.deliver("d", Qos::AtLeastOnce), Ok(()));
        assert_eq!(scene.received(), [publish(4, "d", Qos::AtLeastOnce, false)]);
        assert!(matches!(scene.send(Packet::PubComp(Ack::success(id(3)))), Some(Action::Completed(_))));
        assert_eq!(scene.session.into_state().in_flight(), 1);
    }
}

#[test]
fn a_smaller_window_is_kept_to() {
    let mut scene = Scene::five([]);
    for (text, tag) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(scene.deliver_with(text, Qos::AtLeastOnce, with_tag(tag)), Ok(()));
    }
    let mut scene = resume(scene, FULL, [Property::ReceiveMaximum(1)]);
    for (packet_id, text) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(scene.received(), [publish(packet_id, text, Qos::AtLeastOnce, true)]);
        assert_eq!(scene.deliver("new", Qos::AtLeastOnce), Err(NotDelivered::WindowFull), "the old ones come first");
        let action = scene.send(puback(packet_id));
        let done = Progress::Done(ReasonCode::Success);
        assert!(matches!(
            action,
            Some(Action::Acknowledged { tag, progress }) if tag == u64::from(packet_id) && progress == done
        ));
    }
    assert_eq!(scene.deliver("new", Qos::AtLeastOnce), Ok(()));
}

#[test]
fn releases_do_not_count_against_the_window() {
    let mut scene = Scene::five([]);
    for text in ["a", "b"] {
        assert_eq!(scene.deliver(text, Qos::ExactlyOnce), Ok(()));
    }
    scene.send(Packet::PubRec(Ack::success(id(1))));
    let mut scene = resume(scene, FULL, [Property::ReceiveMaximum(1)]);
    assert_eq!(scene.received(), [Packet::PubRel(Ack::success(id(1))), publish(2, "b", Qos::ExactlyOnce, true)]);
    // What is complete of it gives no more room than there was.
    assert!(matches!(scene.send(Packet::PubComp(Ack::success(id(1)))), Some(Action::Completed(_))));
    assert_eq!(scene.deliver("c", Qos::AtLeastOnce), Err(NotDelivered::WindowFull));
}

#[test]
fn messages_that_are_too_large_for_the_new_connection_are_given_up() {
    let mut scene = Scene::five([]);
    for (text, tag) in [("a", 1), ("a text of more than twenty bytes", 2), ("c", 3)] {
        assert_eq!(scene.deliver_with(text, Qos::AtLeastOnce, with_tag(tag)), Ok(()));
    }
    let mut scene = resume(scene, FULL, [Property::MaximumPacketSizeBytes(30)]);
    let expected = [publish(1, "a", Qos::AtLeastOnce, true), publish(3, "c", Qos::AtLeastOnce, true)];
    assert_eq!(scene.received(), expected);
    let given_up = Progress::Done(ReasonCode::PacketTooLarge);
    assert!(matches!(scene.poll(), Some(Action::Acknowledged { tag: 2, progress }) if progress == given_up));
    assert!(scene.poll().is_none());
    assert_eq!(scene.session.state().in_flight(), 2);
}

#[test]
fn a_message_that_was_sent_does_not_expire_any_more() {
    let mut scene = Scene::five([]);
    fn expiring(delivery: Delivery<'_>) -> Delivery<'_> {
        Delivery { expires_at_ms: Some(1_000), ..delivery }
    }
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        assert_eq!(scene.deliver_with("a", qos, expiring), Ok(()));
    }
    let state = scene.session.into_state();
    let mut scene = Scene::of(Version::V5, FULL);
    assert!(matches!(scene.send(super::connect_5([])), Some(Action::Connect(_))));
    scene.session.accept_connect(Welcome { resumed: Some(state), ..Welcome::default() }, 5_000);
    let left: Vec<Option<u32>> = scene
        .received()
        .iter()
        .filter_map(|packet| match packet {
            Packet::Publish(publish) => Some(publish.properties.message_expiry_s()),
            _ => None,
        })
        .collect();
    assert_eq!(left, [Some(0), Some(0)]);
}

#[test]
fn messages_that_were_taken_are_not_taken_again() {
    for mut scene in Scene::both() {
        let token = scene.publish_as(publish_2(9));
        scene.session.publish_accepted(token);
        // One that was never answered is not remembered.
        let _token = scene.publish_as(publish_2(10));
        let mut scene = resume(scene, FULL, []);
        assert!(scene.send(publish_2(9)).is_none());
        assert_eq!(scene.received(), [Packet::PubRec(Ack::success(id(9)))]);
        assert!(matches!(scene.send(publish_2(10)), Some(Action::Publish { .. })));
        assert!(matches!(scene.send(Packet::PubRel(Ack::success(id(9)))), Some(Action::Release(_))));
        scene.session.publish_released(id(9));
        assert_eq!(scene.received(), [Packet::PubComp(Ack::success(id(9)))]);
    }
}

#[test]
fn what_an_earlier_connection_left_open_does_not_count_for_the_client() {
    let mut scene = Scene::five([]);
    for packet_id in 1..=3 {
        let token = scene.publish_as(publish_2(packet_id));
        scene.session.publish_accepted(token);
    }
    let mut scene = resume(scene, FULL, []);
    for packet_id in 4..=6 {
        let token = scene.publish_as(publish_2(packet_id));
        scene.session.publish_accepted(token);
    }
    assert!(matches!(scene.send(publish_2(7)), Some(Action::Closed(_))));
}

#[test]
fn identifiers_go_on_where_they_were() {
    let open =
        [65_534, 65_535, 1].map(|packet_id| crate::session::Open::Release(PacketId::new(packet_id).expect("not zero")));
    let mut scene = Scene::five_with(Limits { in_flight_max: 10, ..FULL }, [], SessionState::restore(open, []));
    scene.received();
    for packet_id in [2, 3] {
        assert_eq!(scene.deliver("a", Qos::AtLeastOnce), Ok(()));
        assert_eq!(scene.received(), [publish(packet_id, "a", Qos::AtLeastOnce, false)]);
    }
}

#[test]
fn a_message_whose_pubrec_had_to_wait_is_not_taken_again() {
    for mut scene in Scene::both() {
        let _first = scene.publish(1);
        let second = scene.publish_as(publish_2(2));
        scene.session.publish_accepted(second);
        assert_eq!(scene.received(), [], "the acknowledgements keep their order");
        let mut scene = resume(scene, FULL, []);
        assert!(scene.send(publish_2(2)).is_none());
        assert_eq!(scene.received(), [Packet::PubRec(Ack::success(id(2)))]);
    }
}

#[test]
fn a_message_that_is_taken_already_counts_once_however_long_its_pubrec_waits() {
    let mut scene = Scene::five([]);
    let token = scene.publish_as(publish_2(9));
    scene.session.publish_accepted(token);
    let mut scene = resume(scene, FULL, []);
    let _first = scene.publish(1);
    assert!(scene.send(publish_2(9)).is_none());
    assert!(matches!(scene.send(super::publish(2)), Some(Action::Publish { .. })), "three are open, as allowed");
}

#[test]
fn counts_begin_anew_with_the_connection() {
    let mut scene = Scene::five([]);
    for text in ["a", "b"] {
        assert_eq!(scene.deliver(text, Qos::ExactlyOnce), Ok(()));
    }
    scene.send(Packet::PubRec(Ack::success(id(1))));
    // Handed on as it is, not written down.
    let mut scene = Scene::five_with(FULL, [], scene.session.into_state());
    scene.received();
    for packet in [Packet::PubComp(Ack::success(id(1))), Packet::PubRec(Ack::success(id(2)))] {
        assert!(!matches!(scene.send(packet), Some(Action::Closed(_))));
    }
    assert!(matches!(scene.send(Packet::PubComp(Ack::success(id(2)))), Some(Action::Completed(_))));
    for _ in 0..3 {
        assert_eq!(scene.deliver("c", Qos::AtLeastOnce), Ok(()));
    }
    assert!(scene.session.window_is_full());
}
