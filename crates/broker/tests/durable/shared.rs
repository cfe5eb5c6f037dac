//! Shared subscriptions: who of a group gets a message, and who gets it instead.

use broker::{Claim, ClaimOptions, InboxLimits, SessionRequest, WillAtEnd};
use mqtt::Qos;
use mqtt::packet::Version;

use crate::clients::Connection;
use crate::world::{World, drain, filter, payload};

const QOS0: Qos = Qos::AtMostOnce;
const QOS1: Qos = Qos::AtLeastOnce;
const GROUP: &str = "$share/g/t";

async fn member(world: &World, client_id: &str) -> Claim {
    let claim = world.durable(client_id).await;
    claim.subscribe(filter(GROUP), QOS1);
    claim.save().await.unwrap();
    claim
}

#[tokio::test]
async fn the_connected_come_before_the_absent() {
    let world = World::new();
    let (absent, present) = (member(&world, "absent").await, member(&world, "present").await);
    absent.end(3600, WillAtEnd::Discarded);
    for number in 0..4 {
        assert_eq!(world.say("t", &number.to_string(), QOS1).await, 1);
    }
    assert_eq!(drain(&present), ["0", "1", "2", "3"]);
    present.end(3600, WillAtEnd::Discarded);
    assert_eq!(world.say("t", "for later", QOS1).await, 1);
    assert_eq!(world.say("t", "nobody is there", QOS0).await, 0);
    let world = world.restart().await;
    let mut got = drain(&world.durable("absent").await);
    got.extend(drain(&world.durable("present").await));
    assert_eq!(got, ["for later"]);
}

/// By its own subscription and from each of its groups, as who is connected without a queue; and no room stays taken.
#[tokio::test]
async fn a_member_that_subscribes_for_itself_gets_both() {
    let world = World::new();
    let claim = member(&world, "a").await;
    claim.subscribe(filter("#"), QOS1);
    claim.subscribe(filter("$share/h/+"), QOS1);
    claim.save().await.unwrap();
    let large = "x".repeat(1000);
    assert_eq!(world.say("t", &large, QOS1).await, 3);
    assert_eq!(drain(&claim), [large.clone(), large.clone(), large]);
    world.store.commit(vec![]).await.unwrap();
    assert_eq!((world.broker.counters().queued_now, world.broker.counters().queued_bytes_now), (0, 0));
}

#[tokio::test]
async fn who_is_slow_is_passed_over() {
    let world = World::new();
    let inbox = InboxLimits { messages_max: 2, ..InboxLimits::default() };
    let options = ClaimOptions { inbox, ..ClaimOptions::default() };
    let clean = SessionRequest::clean(Version::V5);
    let slow = world.broker.claim_with("slow", options, clean.clone()).await.unwrap();
    let quick = world.broker.claim_with("quick", ClaimOptions::default(), clean).await.unwrap();
    for claim in [&slow, &quick] {
        claim.subscribe(filter(GROUP), QOS1);
    }
    for number in 0..20 {
        world.say("t", &number.to_string(), QOS1).await;
    }
    assert_eq!((drain(&slow).len(), drain(&quick).len()), (2, 18));
    assert_eq!(world.broker.counters().dropped, 0);
}

#[tokio::test]
async fn who_may_not_receive_hands_back() {
    let world = World::new();
    let members = [member(&world, "a").await, member(&world, "b").await, world.broker.claim("clean")];
    members[2].subscribe(filter(GROUP), QOS1);
    for number in 0..6 {
        world.say("t", &number.to_string(), QOS1).await;
    }
    let mut got: Vec<String> = drain(&members[1]);
    let refuse = |claim: &Claim| {
        std::iter::from_fn(|| claim.try_next_delivery()).for_each(|delivery| {
            assert!(delivery.is_of_group());
            claim.hand_back(delivery);
        });
    };
    for _ in 0..3 {
        refuse(&members[0]);
        members[0].save().await.unwrap();
        refuse(&members[2]);
        members[0].save().await.unwrap();
        // Hand-backs of the clean member are deferred: what follows is on disk behind them.
        world.say("other", "x", QOS1).await;
        world.store.commit(vec![]).await.unwrap();
        got.extend(drain(&members[1]));
    }
    got.sort();
    assert_eq!(got, ["0", "1", "2", "3", "4", "5"]);
    // Where nobody wants it, it goes.
    let delivery = {
        world.say("t", "unwanted", QOS1).await;
        world.say("t", "unwanted", QOS1).await;
        world.say("t", "unwanted", QOS1).await;
        for _ in 0..4 {
            for claim in &members {
                refuse(claim);
                claim.save().await.unwrap();
            }
            world.store.commit(vec![]).await.unwrap();
        }
        members.iter().find_map(Claim::try_next_delivery)
    };
    assert!(delivery.is_none(), "{:?}", delivery.as_ref().map(payload));
    assert_eq!(world.broker.counters().queued_now, 0);
}

#[tokio::test]
async fn what_an_ended_session_leaves_goes_to_the_group() {
    let world = World::new();
    let (gone, left) = (member(&world, "gone").await, member(&world, "left").await);
    left.end(3600, WillAtEnd::Discarded);
    gone.end(3600, WillAtEnd::Discarded);
    for number in 0..4 {
        world.say("t", &number.to_string(), QOS1).await;
    }
    drop(world.claim("gone", SessionRequest::clean(Version::V5)).await);
    world.broker.work().await.unwrap();
    let mut got = drain(&world.durable("left").await);
    got.sort();
    assert_eq!(got, ["0", "1", "2", "3"]);

    // And what was in the inbox of a clean one.
    let clean = world.broker.claim("clean");
    clean.subscribe(filter(GROUP), QOS1);
    world.say("t", "for the clean one", QOS1).await;
    drop(clean);
    world.store.commit(vec![]).await.unwrap();
    assert_eq!(drain(&world.durable("left").await), ["for the clean one"]);
}

/// Sent and not acknowledged, whether the member goes or another takes its client id.
#[tokio::test]
async fn what_a_clean_member_did_not_acknowledge_goes_to_the_group() {
    let world = World::new();
    for is_taken_over in [false, true] {
        let mut goes = Connection::open_for(&world, "goes", Version::V5, 0).await;
        goes.claim.subscribe(filter(GROUP), QOS1);
        for payload in ["answered", "unanswered"] {
            world.say("t", payload, QOS1).await;
        }
        let sent = goes.turn(&world).await;
        assert_eq!(sent.len(), 2);
        goes.answer(&sent[0]);
        assert_eq!(goes.turn(&world).await, []);
        world.say("t", "waiting", QOS1).await;
        let stays = world.broker.claim("stays");
        stays.subscribe(filter(GROUP), QOS1);
        let newer = is_taken_over.then(|| world.broker.claim("goes"));
        goes.drop();
        assert_eq!(drain(&stays), ["unanswered", "waiting"], "taken over: {is_taken_over}");
        drop((stays, newer));
    }
    assert_eq!(world.broker.counters().dropped, 0);
}
