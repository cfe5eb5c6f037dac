//! What the application learns about messages that it delivered with a tag, and answers to subscriptions.

use super::{Scene, ack, id, puback};
use crate::packet::{Packet, Properties, Property, Qos, ReasonCode, SubAck, UnsubAck, Version};
use crate::session::{Action, Answers, Delivery, Progress};

#[test]
fn messages_with_a_tag_are_told_when_they_are_done() {
    for mut scene in Scene::both() {
        for (text, tag) in [("a", Some(1)), ("b", None), ("c", Some(3))] {
            fn with(tag: Option<u64>) -> impl FnOnce(Delivery<'_>) -> Delivery<'_> {
                move |delivery| Delivery { tag, ..delivery }
            }
            assert_eq!(scene.deliver_with(text, Qos::AtLeastOnce, with(tag)), Ok(()));
        }
        let done = |action: Option<Action>| match action {
            Some(Action::Acknowledged { tag, progress: Progress::Done(code) }) => Some((tag, code)),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(done(scene.send(puback(3))), Some((3, ReasonCode::Success)));
        assert_eq!(done(scene.send(puback(3))), None);
        assert_eq!(done(scene.send(puback(2))), None);
        let refused = match scene.version {
            Version::V311 => ReasonCode::Success,
            Version::V5 => ReasonCode::NotAuthorized,
        };
        assert_eq!(done(scene.send(Packet::PubAck(ack(1, refused)))), Some((1, refused)));
    }
}

#[test]
fn subscriptions_are_answered_with_codes_and_words() {
    let answers = || Answers {
        codes: vec![ReasonCode::GrantedQos1, ReasonCode::NotAuthorized],
        words: Some("why not".to_owned()),
    };
    let words: Properties = [Property::ReasonString("why not".to_owned())].into_iter().collect();
    let check = |mut scene: Scene, properties: &Properties| {
        scene.session.subscribe_answered(id(3), answers());
        let suback = SubAck { packet_id: id(3), codes: answers().codes, properties: properties.clone() };
        assert_eq!(scene.received(), [Packet::SubAck(suback)]);
        let codes = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
        let answers = Answers { codes: codes.clone(), ..answers() };
        scene.session.unsubscribe_answered(id(4), answers);
        let unsuback = UnsubAck { packet_id: id(4), codes, properties: properties.clone() };
        assert_eq!(scene.received(), [Packet::UnsubAck(unsuback)]);
    };
    check(Scene::five([]), &words);
    // [MQTT-3.1.2-29], [MQTT-3.9.2-1], [MQTT-3.11.2-1]
    check(Scene::five([Property::RequestProblemInformation(0)]), &Properties::new());
    check(Scene::five([Property::MaximumPacketSizeBytes(16)]), &Properties::new());
    let mut scene = Scene::connected();
    scene.session.subscribe_answered(id(3), answers());
    let codes = vec![ReasonCode::GrantedQos1, ReasonCode::UnspecifiedError];
    assert_eq!(scene.received(), [Packet::SubAck(SubAck { packet_id: id(3), codes, properties: Properties::new() })]);
}
