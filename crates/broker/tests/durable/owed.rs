//! Messages that go out in one commit with the records that say so.

use broker::{Owed, WillAtEnd};
use bytes::Bytes;
use mqtt::Qos;
use store::{Expect, Write};

use crate::world::{World, drain, filter, message};

const QOS1: Qos = Qos::AtLeastOnce;

fn gone(revision: u64) -> Vec<Write> {
    vec![Write { key: b"owed".to_vec(), value: None, expect: Expect::Revision(revision) }]
}

#[tokio::test]
async fn it_is_in_the_queues_exactly_if_the_record_is_gone() {
    let world = World::new();
    let present = world.broker.claim("present");
    present.subscribe(filter("t"), QOS1);
    let absent = world.durable("absent").await;
    absent.subscribe(filter("t"), QOS1);
    absent.save().await.unwrap();
    absent.end(3600, WillAtEnd::Discarded);
    let row = Write { key: b"owed".to_vec(), value: Some(Bytes::from_static(b"x")), expect: Expect::Absent };
    let revision = world.store.commit(vec![row]).await.unwrap();

    let refused = world.broker.publish_owed(message("t", "never", QOS1), gone(revision + 1)).await.unwrap();
    assert_eq!(refused, Owed::Conflict);
    assert_eq!(drain(&present), [] as [&str; 0]);
    assert_eq!((world.broker.counters().queued_now, world.broker.counters().queued_bytes_now), (0, 0));

    let paid = world.broker.publish_owed(message("t", "once", QOS1), gone(revision)).await.unwrap();
    assert_eq!(paid, Owed::Paid);
    assert_eq!(drain(&present), ["once"]);
    assert_eq!(world.broker.publish_owed(message("t", "twice", QOS1), gone(revision)).await.unwrap(), Owed::Conflict);
    let world = world.restart().await;
    assert!(world.store.get(b"owed").unwrap().is_none());
    assert_eq!(drain(&world.durable("absent").await), ["once"]);
}

/// One of a group gets it, absent or not.
#[tokio::test]
async fn a_group_gets_it_once() {
    let world = World::new();
    let clean = world.broker.claim("clean");
    clean.subscribe(filter("$share/g/t"), QOS1);
    let absent = world.durable("absent").await;
    absent.subscribe(filter("$share/g/t"), QOS1);
    absent.save().await.unwrap();
    absent.end(3600, WillAtEnd::Discarded);
    world.broker.publish_owed(message("t", "here", QOS1), Vec::new()).await.unwrap();
    assert_eq!(drain(&clean), ["here"]);
    drop(clean);
    world.broker.publish_owed(message("t", "kept", QOS1), Vec::new()).await.unwrap();
    assert_eq!(drain(&world.durable("absent").await), ["kept"]);
}
