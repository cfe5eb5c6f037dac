//! What waits for those who are absent or slow, and its bounds.

use broker::{BrokerLimits, QueueLimits, WillAtEnd};
use mqtt::Qos;

use crate::world::{World, drain, expiring, filter, message};

const QOS1: Qos = Qos::AtLeastOnce;

#[tokio::test]
async fn a_queue_is_read_in_batches_and_in_order() {
    let world = World::new();
    let claim = world.durable("a").await;
    claim.subscribe(filter("t"), QOS1);
    claim.save().await.unwrap();
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let mut settling = Vec::new();
    for payload in &expected {
        settling.push(world.broker.publish(message("t", payload, QOS1)).unwrap());
    }
    assert_eq!(claim.inbox_len(), 0, "nothing is told before it is on disk");
    for handed in settling {
        handed.settled().await.unwrap();
    }
    assert_eq!(drain(&claim), expected);
    world.say("t", "later", QOS1).await;
    assert_eq!(claim.next_delivery().await.message.payload, "later");
}

#[tokio::test]
async fn a_body_for_many_is_on_disk_once() {
    let world = World::new();
    for number in 0..100 {
        let claim = world.durable(&number.to_string()).await;
        claim.subscribe(filter("t"), QOS1);
        claim.save().await.unwrap();
        claim.end(3600, WillAtEnd::Discarded);
    }
    let file = world.store_bytes();
    assert_eq!(world.say("t", &"x".repeat(1 << 20), QOS1).await, 100);
    assert!(world.store_bytes() - file < 8 << 20, "{} bytes more", world.store_bytes() - file);
    for number in 0..100 {
        assert_eq!(drain(&world.durable(&number.to_string()).await)[0].len(), 1 << 20);
    }
    assert_eq!(world.broker.counters().queued_bytes_now, 0);
}

/// The rule: what is there stays, what finds no room is dropped for that session, and counted.
#[tokio::test]
async fn overflow_drops_what_comes_and_counts_it() {
    let queue = QueueLimits { messages_max: 3, ..QueueLimits::default() };
    let world = World::with(BrokerLimits { queue, queued_messages_max: 5, ..BrokerLimits::default() });
    for client_id in ["a", "b"] {
        let claim = world.durable(client_id).await;
        claim.subscribe(filter(&format!("{client_id}/#")), QOS1);
        claim.save().await.unwrap();
        claim.end(3600, WillAtEnd::Discarded);
    }
    for number in 0..5 {
        let expected = usize::from(number < 3);
        assert_eq!(world.say("a/t", &number.to_string(), QOS1).await, expected, "of its own bound");
    }
    for number in 0..3 {
        assert_eq!(world.say("b/t", &number.to_string(), QOS1).await, usize::from(number < 2), "of the bound of all");
    }
    assert_eq!(world.broker.counters().queue_overflows, 3);
    assert_eq!(drain(&world.durable("a").await), ["0", "1", "2"]);
    assert_eq!(world.say("b/t", "room again", QOS1).await, 1);
    assert_eq!(drain(&world.durable("b").await), ["0", "1", "room again"]);
}

#[tokio::test]
async fn a_queue_is_bounded_by_bytes() {
    let queue = QueueLimits { bytes_max: 2_500, ..QueueLimits::default() };
    let world = World::with(BrokerLimits { queue, ..BrokerLimits::default() });
    let claim = world.durable("a").await;
    claim.subscribe(filter("t"), QOS1);
    claim.save().await.unwrap();
    for expected in [1, 1, 0] {
        assert_eq!(world.say("t", &"x".repeat(1000), QOS1).await, expected);
    }
}

#[tokio::test]
async fn messages_grow_old() {
    for is_swept in [false, true] {
        let queue = QueueLimits { age_s_max: 1000, ..QueueLimits::default() };
        let world = World::with(BrokerLimits { queue, ..BrokerLimits::default() });
        let claim = world.claim("a", crate::world::request(broker::Start::Resume, 100_000)).await;
        claim.subscribe(filter("t"), QOS1);
        claim.save().await.unwrap();
        claim.end(100_000, WillAtEnd::Discarded);
        world.say("t", "old", QOS1).await;
        world.publish(expiring(message("t", "expires", QOS1), 600)).await;
        world.pass_s(500);
        world.say("t", "young", QOS1).await;
        world.publish(expiring(message("t", "expires later", QOS1), 600)).await;
        world.pass_s(500);
        if is_swept {
            world.broker.work().await.unwrap();
            assert_eq!(world.broker.counters().queued_now, 2);
        }
        let world = world.restart().await;
        let claim = world.durable("a").await;
        let delivery = claim.next_delivery().await;
        assert_eq!(delivery.message.payload, "young");
        claim.settled(&delivery);
        let delivery = claim.next_delivery().await;
        assert_eq!(
            delivery.message.expires_at_ms(0).map(|ms| ms.div_ceil(1000)),
            Some(100),
            "what is left of its life"
        );
        claim.settled(&delivery);
        assert_eq!(world.broker.counters().queued_now, 0);
    }
}
