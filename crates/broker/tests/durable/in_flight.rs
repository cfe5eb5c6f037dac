//! Messages on their way when connections break and servers end.

use broker::Claim;
use mqtt::Qos;
use mqtt::packet::{Ack, Packet, Publish, Version};

use crate::clients::{Connection, id};
use crate::world::{World, filter};

const QOS1: Qos = Qos::AtLeastOnce;
const QOS2: Qos = Qos::ExactlyOnce;
const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// A publish as (packet id, payload, DUP).
fn publishes(packets: &[Packet]) -> Vec<(u16, String, bool)> {
    let publishes = packets.iter().filter_map(|packet| match packet {
        Packet::Publish(Publish { packet_id: Some(packet_id), payload, dup, .. }) => {
            Some((packet_id.value(), String::from_utf8_lossy(payload).into_owned(), *dup))
        }
        _ => None,
    });
    publishes.collect()
}

fn sent(packet_id: u16, payload: &str, dup: bool) -> (u16, String, bool) {
    (packet_id, payload.to_owned(), dup)
}

async fn subscribed(world: &World, version: Version, qos: Qos) -> Connection {
    let connection = Connection::open(world, "a", version).await;
    connection.claim.subscribe(filter("t"), qos);
    connection.claim.save().await.unwrap();
    connection
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_under_its_identifier() {
    for version in BOTH {
        for qos in [QOS1, QOS2] {
            for restarts in [false, true] {
                let mut world = World::new();
                let mut connection = subscribed(&world, version, qos).await;
                for payload in ["a", "b", "c", "d", "e"] {
                    world.say("t", payload, qos).await;
                }
                let got = connection.turn(&world).await;
                assert_eq!(publishes(&got).len(), 4, "the window");
                assert_eq!(publishes(&got)[1], sent(2, "b", false));
                if qos == QOS1 {
                    connection.answer(&got[1]);
                    assert_eq!(publishes(&connection.turn(&world).await), [sent(5, "e", false)]);
                }
                connection.drop();
                if restarts {
                    world = world.restart().await;
                }
                let mut connection = Connection::open(&world, "a", version).await;
                let again = publishes(&connection.turn(&world).await);
                let all = [sent(1, "a", true), sent(2, "b", true), sent(3, "c", true), sent(4, "d", true)];
                let expected = match qos {
                    QOS1 => vec![all[0].clone(), all[2].clone(), all[3].clone(), sent(5, "e", true)],
                    _ => all.to_vec(),
                };
                assert_eq!(again, expected, "{version:?} {qos:?} {restarts}");
            }
        }
    }
}

/// The client has it once, whatever breaks and wherever.
#[tokio::test]
async fn qos_2_is_released_and_never_sent_again() {
    for version in BOTH {
        for is_killed in [false, true] {
            let mut world = World::new();
            let mut connection = subscribed(&world, version, QOS2).await;
            world.say("t", "once", QOS2).await;
            let got = connection.turn(&world).await;
            connection.answer(&got[0]);
            assert_eq!(connection.turn(&world).await, [Packet::PubRel(Ack::success(id(1)))]);
            assert_eq!(world.broker.counters().queued_now, 0, "the client has it");
            world = next(world, connection, is_killed).await;
            let mut connection = Connection::open(&world, "a", version).await;
            let got = connection.turn(&world).await;
            assert_eq!(got, [Packet::PubRel(Ack::success(id(1)))], "{version:?} {is_killed}");
            connection.answer(&got[0]);
            assert_eq!(connection.turn(&world).await, []);
            world = next(world, connection, false).await;
            let mut connection = Connection::open(&world, "a", version).await;
            assert_eq!(connection.turn(&world).await, []);
        }
    }
}

#[tokio::test]
async fn a_message_with_qos_2_is_taken_once() {
    for version in BOTH {
        for is_killed in [false, true] {
            let mut world = World::new();
            let mut publisher = Connection::open(&world, "publisher", version).await;
            let mut listener = subscribed(&world, version, QOS1).await;
            publisher.publish(7, "t", "once", QOS2, false);
            assert_eq!(publisher.turn(&world).await, [Packet::PubRec(Ack::success(id(7)))]);
            assert_eq!(publishes(&listener.turn(&world).await), [sent(1, "once", false)]);
            listener.drop();
            world = next(world, publisher, is_killed).await;
            let mut publisher = Connection::open(&world, "publisher", version).await;
            publisher.publish(7, "t", "once", QOS2, true);
            assert_eq!(publisher.turn(&world).await, [Packet::PubRec(Ack::success(id(7)))]);
            publisher.send(&Packet::PubRel(Ack::success(id(7))));
            assert_eq!(publisher.turn(&world).await, [Packet::PubComp(Ack::success(id(7)))]);
            world = next(world, publisher, is_killed).await;
            assert_eq!(world.broker.counters().queued_now, 1, "{version:?} {is_killed}");
            // The identifier is free for another message.
            let mut publisher = Connection::open(&world, "publisher", version).await;
            publisher.publish(7, "t", "other", QOS2, false);
            publisher.turn(&world).await;
            assert_eq!(world.broker.counters().queued_now, 2);
        }
    }
}

async fn next(world: World, connection: Connection, is_killed: bool) -> World {
    match is_killed {
        true => forget(connection.claim),
        false => connection.drop(),
    }
    world.restart().await
}

/// What a killed server does not do.
fn forget(claim: Claim) {
    std::mem::forget(claim);
}

/// With QoS 1 no row is written for it: the identifier follows from the message's place in the queue.
#[tokio::test]
async fn a_crash_keeps_identifiers_of_qos_1() {
    for version in BOTH {
        let world = World::new();
        let mut connection = subscribed(&world, version, QOS1).await;
        // Others are in the queues between them.
        let other = Connection::open(&world, "b", version).await;
        other.claim.subscribe(filter("other"), QOS1);
        other.claim.save().await.unwrap();
        for payload in ["a", "b", "c", "d"] {
            world.say("t", payload, QOS1).await;
            world.say("other", payload, QOS1).await;
        }
        let before = connection.turn(&world).await;
        let ids: Vec<u16> = publishes(&before).iter().map(|(packet_id, ..)| *packet_id).collect();
        connection.answer(&before[1]);
        assert_eq!(connection.turn(&world).await, []);
        // What is deferred is on disk behind this.
        world.say("t", "never sent", QOS1).await;
        forget(other.claim);
        let world = next(world, connection, true).await;
        let mut connection = Connection::open(&world, "a", version).await;
        let again = publishes(&connection.turn(&world).await);
        let expected = [sent(ids[0], "a", true), sent(ids[2], "c", true), sent(ids[3], "d", true)];
        assert_eq!(&again[..3], expected, "{version:?}");
        assert_eq!(again[3].1, "never sent");
        for (packet_id, ..) in again {
            connection.send(&Packet::PubAck(Ack::success(id(packet_id))));
        }
        world.say("t", "new", QOS1).await;
        let new = publishes(&connection.turn(&world).await);
        assert_eq!(new.iter().map(|(_, payload, dup)| (payload.as_str(), *dup)).collect::<Vec<_>>(), [("new", false)]);
    }
}

/// One whose identifier another message has in flight gets another, and a row that says so.
#[tokio::test]
async fn a_crash_keeps_an_identifier_that_had_to_give_way() {
    let world = World::new();
    let mut connection = subscribed(&world, Version::V5, QOS1).await;
    let other = Connection::open(&world, "b", Version::V5).await;
    other.claim.subscribe(filter("other"), QOS1);
    other.claim.save().await.unwrap();
    world.say("t", "first", QOS1).await;
    let first = publishes(&connection.turn(&world).await);
    // A whole round of identifiers goes by in the other queue.
    for chunk in 0..64 {
        let mut commit = store::Commit::default();
        for _ in 0..(if chunk == 63 { 1022 } else { 1024 }) {
            let body = bytes::Bytes::from_static(b"x");
            commit
                .queue
                .push(store::QueueWrite::Append { body, to: vec![(store::QueueId(1_000_000), bytes::Bytes::new())] });
        }
        world.store.commit_all(commit).await.unwrap();
    }
    world.say("t", "second", QOS1).await;
    let second = publishes(&connection.turn(&world).await);
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].0, first[0].0, "it is in flight");
    forget(other.claim);
    let world = next(world, connection, true).await;
    let mut connection = Connection::open(&world, "a", Version::V5).await;
    let mut again = publishes(&connection.turn(&world).await);
    again.sort();
    let mut expected = vec![sent(first[0].0, "first", true), sent(second[0].0, "second", true)];
    expected.sort();
    assert_eq!(again, expected);
}
