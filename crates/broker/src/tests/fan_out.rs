//! What a delivery writes to its session, alone and as one of many; and publishers beside each other.

use std::thread;

use bytes::{Bytes, BytesMut};
use mqtt::codec::VariableInteger;
use mqtt::packet::{Connect, Packet, Properties, Property, Publish, SubscribeOptions};
use mqtt::session::NotDelivered;
use mqtt::{Decoder, Limits, Qos, Session, Version, Welcome, encode};

use super::{QOS0, QOS1, broker, filter, message, publish};
use crate::{Message, Source};

/// A session that has accepted its client, with nothing to send.
fn connected() -> Session {
    connected_as(Version::V311)
}

fn connected_as(version: Version) -> Session {
    let mut input = BytesMut::new();
    let connect = Connect { version, ..Connect::new("id") };
    encode(&Packet::Connect(Box::new(connect)), version, &mut input).expect("encodable");
    let mut session = Session::new(Limits::STANDARD, 0);
    assert!(session.poll_action(&mut input, 0).is_some());
    session.accept_connect(Welcome::default(), 0);
    session.out().clear();
    session
}

fn written_to_each_of(receivers: usize, qos: Qos, retain: bool) -> Vec<Bytes> {
    let broker = broker();
    let claims: Vec<_> = (0..receivers).map(|number| broker.claim(&number.to_string())).collect();
    for claim in &claims {
        claim.subscribe(filter("t"), qos);
    }
    broker.publish(Message { retain, ..message("t", "hey", QOS1) }).expect("it is taken");
    let deliveries: Vec<_> = claims.iter().filter_map(|claim| claim.try_next_delivery()).collect();
    let written = deliveries.iter().map(|delivery| {
        let mut session = connected();
        assert!(delivery.write_to(&mut session, 0).is_ok());
        session.out().split().freeze()
    });
    written.collect()
}

#[test]
fn one_receiver_or_many_get_the_same_bytes() {
    let qos0 = Bytes::from_static(b"\x30\x06\x00\x01they");
    let qos1 = Bytes::from_static(b"\x32\x08\x00\x01t\x00\x01hey");
    for retain in [false, true] {
        for receivers in [1, 2, 5] {
            assert_eq!(written_to_each_of(receivers, QOS0, retain), vec![qos0.clone(); receivers]);
            assert_eq!(written_to_each_of(receivers, QOS1, retain), vec![qos1.clone(); receivers]);
        }
    }
}

/// What a client of 5.0 gets of a message that it subscribes to with these options.
fn heard(options: SubscribeOptions, publisher: Option<&str>, message: Message) -> Vec<Publish> {
    let broker = broker();
    let (one, other) = (broker.claim("one"), broker.claim("other"));
    one.subscribe_with(filter("t"), options, None);
    other.subscribe(filter("t"), QOS0);
    let source = Source { client_id: publisher, ..Source::default() };
    let receivers = broker.publish_from(source, message).expect("it is taken").receivers;
    let deliveries: Vec<_> = std::iter::from_fn(|| one.try_next_delivery()).collect();
    assert_eq!(receivers, deliveries.len() + other.inbox_len());
    let mut session = connected_as(Version::V5);
    for delivery in deliveries {
        assert!(delivery.write_to(&mut session, 0).is_ok());
    }
    let mut client = Decoder::for_client(Version::V5, 1 << 16);
    let packets = std::iter::from_fn(|| client.decode(session.out()).expect("sound"));
    let publishes = packets.map(|packet| match packet {
        Packet::Publish(publish) => publish,
        packet => panic!("{packet:?}"),
    });
    publishes.collect()
}

#[test]
fn subscriptions_have_options_in_5() {
    let plain = SubscribeOptions::of_qos(QOS1);
    let no_local = SubscribeOptions { no_local: true, ..plain };
    for (options, publisher, times) in
        [(plain, Some("one"), 1), (no_local, Some("one"), 0), (no_local, Some("other"), 1), (no_local, None, 1)]
    {
        assert_eq!(heard(options, publisher, message("t", "x", QOS1)).len(), times, "{options:?} {publisher:?}");
    }
    let as_published = SubscribeOptions { retain_as_published: true, ..plain };
    for qos in [QOS0, QOS1] {
        for (options, retain, expected) in
            [(plain, true, false), (plain, false, false), (as_published, true, true), (as_published, false, false)]
        {
            let heard = heard(options, None, Message { retain, ..message("t", "x", qos) });
            assert_eq!((heard[0].qos, heard[0].retain), (qos, expected), "{options:?} {retain}");
        }
    }
}

#[test]
fn the_identifiers_of_all_matching_subscriptions_go_with_one_copy() {
    let broker = broker();
    let claim = broker.claim("c");
    for (text, qos, id) in [("a/+", QOS0, Some(7)), ("a/b", QOS1, Some(9)), ("a/#", QOS0, None), ("b", QOS1, Some(1))] {
        let id = id.and_then(VariableInteger::new);
        claim.subscribe_with(filter(text), SubscribeOptions::of_qos(qos), id);
    }
    assert_eq!(publish(&broker, message("a/b", "x", QOS1)), 1);
    let mut session = connected_as(Version::V5);
    let delivery = claim.try_next_delivery().expect("a message");
    assert!(delivery.write_to(&mut session, 0).is_ok());
    let mut client = Decoder::for_client(Version::V5, 1 << 16);
    let Ok(Some(Packet::Publish(got))) = client.decode(session.out()) else { panic!("a message") };
    let mut ids: Vec<usize> = got
        .properties
        .iter()
        .filter_map(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id.value()),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    assert_eq!((got.qos, ids), (QOS1, vec![7, 9]));
    assert!(claim.try_next_delivery().is_none());
}

#[test]
fn properties_and_what_is_left_of_a_messages_life_go_to_each_receiver() {
    let kept = Property::ContentType("text/plain".to_owned());
    for qos in [QOS0, QOS1] {
        let list = [Property::MessageExpiryIntervalS(3_600), kept.clone()];
        let expiring = Message { properties: list.iter().cloned().collect(), ..message("t", "x", qos) };
        let got = heard(SubscribeOptions::of_qos(QOS1), None, expiring);
        assert_eq!(got[0].properties, list.into_iter().collect::<Properties>());
    }
    // A message whose time is over is not written any more.
    let broker = broker();
    let claim = broker.claim("late");
    claim.subscribe(filter("t"), QOS1);
    let over = [Property::MessageExpiryIntervalS(0)].into_iter().collect();
    publish(&broker, Message { properties: over, ..message("t", "x", QOS1) });
    let delivery = claim.try_next_delivery().expect("a message");
    for version in [Version::V311, Version::V5] {
        assert_eq!(delivery.write_to(&mut connected_as(version), 0), Err(NotDelivered::Expired));
    }
}

#[test]
fn receivers_of_both_versions_get_their_own_bytes() {
    let broker = broker();
    let claims = ["a", "b", "c"].map(|id| broker.claim(id));
    for claim in &claims {
        claim.subscribe(filter("t"), QOS0);
    }
    publish(&broker, message("t", "hey", QOS1));
    let deliveries = claims.each_ref().map(|claim| claim.try_next_delivery().expect("a message"));
    for (delivery, version) in deliveries.iter().zip([Version::V5, Version::V311, Version::V5]) {
        let expected: &[u8] = match version {
            Version::V311 => b"\x30\x06\x00\x01they",
            Version::V5 => b"\x30\x07\x00\x01t\x00hey",
        };
        let mut session = connected_as(version);
        assert_eq!(delivery.write_to(&mut session, 0), Ok(None));
        assert_eq!(&session.out()[..], expected);
    }
}

#[test]
fn publishers_and_subscribers_may_come_and_go_at_once() {
    const ROUNDS: usize = 200;
    let broker = broker();
    let steady = broker.claim("steady");
    steady.subscribe(filter("#"), QOS1);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    publish(&broker, message("t", "x", QOS1));
                }
            });
            let broker = &broker;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let passing = broker.claim(name);
                    passing.subscribe(filter("t"), QOS1);
                    passing.subscribe(filter("$share/g/t"), QOS1);
                }
            });
        }
    });
    assert_eq!(steady.inbox_len(), 2 * ROUNDS);
    assert_eq!(broker.counters().published, 2 * ROUNDS as u64);
    assert_eq!(broker.connected(), 1);
    assert_eq!(publish(&broker, message("t", "x", QOS0)), 1, "nothing is left of those that passed");
}
