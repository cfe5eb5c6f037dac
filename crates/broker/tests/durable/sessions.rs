//! Which session goes on, and which does not.

use broker::{
    BrokerError, BrokerLimits, Ended, SessionOnDisconnect, SessionRequest, Start, WillAtEnd, WillOnDisconnect,
};
use mqtt::Qos;
use mqtt::packet::Version;

use crate::world::{World, drain, filter, request};

const QOS1: Qos = Qos::AtLeastOnce;

#[tokio::test]
async fn a_session_goes_on_with_its_subscriptions_and_messages() {
    let mut world = World::new();
    let claim = world.durable("a").await;
    assert!(!claim.is_resumed());
    claim.subscribe(filter("t/#"), QOS1);
    claim.subscribe(filter("gone"), QOS1);
    assert!(claim.unsubscribe(&filter("gone")));
    claim.save().await.unwrap();
    claim.end(3600, WillAtEnd::Discarded);
    assert_eq!(world.say("t/1", "one", QOS1).await, 1);
    assert_eq!(world.say("t/1", "lost", Qos::AtMostOnce).await, 0, "QoS 0 is not queued");
    assert_eq!(world.say("gone", "x", QOS1).await, 0);
    for round in 0..3 {
        world = world.restart().await;
        assert_eq!(world.say("t/2", &round.to_string(), QOS1).await, 1);
    }
    let claim = world.durable("a").await;
    assert!(claim.is_resumed());
    assert_eq!(claim.filters(), [filter("t/#")]);
    assert_eq!(drain(&claim), ["one", "0", "1", "2"]);
    assert_eq!(world.broker.counters().queued_now, 0);
    assert_eq!(world.broker.counters().queued_bytes_now, 0, "all room is given back, also after restarts");
}

/// AWS: "a session created with one version cannot be resumed with the other".
#[tokio::test]
async fn a_clean_start_or_another_version_begins_anew() {
    let clean = request(Start::Clean, 3600);
    let other = SessionRequest { version: Version::V311, ..request(Start::Resume, 3600) };
    for (request, goes_on) in [(clean, true), (other, false), (request(Start::Clean, 0), false)] {
        let world = World::new();
        let claim = world.durable("a").await;
        claim.subscribe(filter("t"), QOS1);
        claim.save().await.unwrap();
        claim.end(3600, WillAtEnd::Discarded);
        world.say("t", "old", QOS1).await;
        let claim = world.claim("a", request.clone()).await;
        assert!(!claim.is_resumed(), "{request:?}");
        assert_eq!(world.say("t", "x", QOS1).await, 0);
        assert_eq!(drain(&claim), [] as [&str; 0]);
        drop(claim);
        world.broker.work().await.unwrap();
        assert!(world.store.queues().unwrap().is_empty());
        let world = world.restart().await;
        let claim = world.durable("a").await;
        assert_eq!(claim.is_resumed(), goes_on, "{request:?}");
        assert_eq!(claim.filters(), []);
    }
}

#[tokio::test]
async fn a_takeover_keeps_the_session() {
    let world = World::new();
    let older = world.durable("a").await;
    older.subscribe(filter("t"), QOS1);
    older.save().await.unwrap();
    world.say("t", "one", QOS1).await;
    let newer = world.durable("a").await;
    assert!(newer.is_resumed());
    assert_eq!(older.ended().await, Ended::TakenOver);
    assert_eq!(drain(&older), [] as [&str; 0], "it is not the older one's any more");
    older.end(3600, WillAtEnd::Discarded);
    world.say("t", "two", QOS1).await;
    assert_eq!(drain(&newer), ["one", "two"]);
}

#[tokio::test]
async fn sessions_expire_by_the_wall_clock_also_while_no_server_runs() {
    for restarts in [false, true] {
        let mut world = World::new();
        for (client_id, expiry_s) in [("short", 10), ("long", 1000), ("never", u32::MAX)] {
            let claim = world.claim(client_id, request(Start::Resume, expiry_s)).await;
            claim.subscribe(filter("t"), QOS1);
            claim.save().await.unwrap();
            claim.end(expiry_s, WillAtEnd::Discarded);
        }
        world.say("t", "x", QOS1).await;
        world.pass_s(9);
        world.broker.work().await.unwrap();
        assert_eq!(world.broker.counters().durable_sessions, 3, "never early");
        if restarts {
            world = world.restart().await;
        }
        world.pass_s(1);
        world.broker.work().await.unwrap();
        assert_eq!(world.broker.counters().sessions_expired, 1);
        assert_eq!(world.store.queues().unwrap().len(), 2, "its queue goes with it");
        assert_eq!(world.store.scan(b"broker/subscription/").unwrap().len(), 2);
        assert!(!world.durable("short").await.is_resumed());
        assert_eq!(drain(&world.durable("long").await), ["x"]);
        assert_eq!(drain(&world.durable("never").await), ["x"]);
    }
}

/// Whoever was connected when the server was killed has the whole time.
#[tokio::test]
async fn the_time_of_a_connected_session_runs_from_the_restart() {
    let world = World::new();
    let claim = world.claim("a", request(Start::Resume, 10)).await;
    world.pass_s(100);
    std::mem::forget(claim);
    let world = world.restart().await;
    world.pass_s(9);
    world.broker.work().await.unwrap();
    assert_eq!(world.broker.counters().durable_sessions, 1);
    world.pass_s(1);
    world.broker.work().await.unwrap();
    assert_eq!(world.broker.counters().durable_sessions, 0);
}

#[tokio::test]
async fn disconnect_may_end_the_session_too() {
    let world = World::new();
    let claim = world.durable("a").await;
    claim.subscribe(filter("t"), QOS1);
    claim.save().await.unwrap();
    claim.end(0, WillAtEnd::Discarded);
    assert_eq!(world.say("t", "x", QOS1).await, 0);
    assert!(!world.durable("a").await.is_resumed());
}

#[tokio::test]
async fn an_operator_ends_connections_and_sessions() {
    let world = World::new();
    let (kept, prevented) = (SessionOnDisconnect::Kept, WillOnDisconnect::Prevented);
    assert!(!world.broker.disconnect("a", kept, prevented).await.unwrap(), "nobody is there");
    let claim = world.durable("a").await;
    assert!(world.broker.disconnect("a", kept, prevented).await.unwrap());
    assert_eq!(claim.ended().await, Ended::Disconnected { will: prevented });
    claim.end(3600, WillAtEnd::Discarded);
    let claim = world.durable("a").await;
    assert!(claim.is_resumed());
    let ended = SessionOnDisconnect::Ended;
    assert!(world.broker.disconnect("a", ended, WillOnDisconnect::Published).await.unwrap());
    assert_eq!(claim.ended().await, Ended::Disconnected { will: WillOnDisconnect::Published });
    claim.end(3600, WillAtEnd::Discarded);
    assert!(!world.durable("a").await.is_resumed());
    let clean = world.broker.claim("clean");
    assert!(world.broker.disconnect("clean", kept, prevented).await.unwrap());
    assert_eq!(clean.ended().await, Ended::Disconnected { will: prevented });
}

#[tokio::test]
async fn sessions_and_subscriptions_are_bounded() {
    let limits = BrokerLimits { sessions_max: 1, subscriptions_per_session_max: 1, ..BrokerLimits::default() };
    let world = World::with(limits);
    let claim = world.durable("a").await;
    let options = mqtt::packet::SubscribeOptions::of_qos(QOS1);
    assert!(claim.subscribe_with(filter("t"), options, None).is_some());
    assert!(claim.subscribe_with(filter("t"), options, None).is_some(), "it is the same");
    assert!(claim.subscribe_with(filter("u"), options, None).is_none());
    let refused = world.broker.claim_with("b", Default::default(), request(Start::Resume, 1)).await;
    assert!(matches!(refused, Err(BrokerError::TooManySessions { .. })));
    assert!(world.broker.claim_with("b", Default::default(), request(Start::Clean, 0)).await.is_ok());
    claim.end(3600, WillAtEnd::Discarded);
    assert!(world.durable("a").await.is_resumed());
}
