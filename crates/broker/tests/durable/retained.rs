//! One message per topic, for those who subscribe later.

use broker::{BrokerError, BrokerLimits, ClaimOptions, RetainedFor, SessionRequest, WillAtEnd};
use mqtt::Qos;
use mqtt::packet::{RetainHandling, SubscribeOptions, Version};

use crate::world::{World, drain, expiring, filter, message, retained, topic};

const QOS0: Qos = Qos::AtMostOnce;
const QOS1: Qos = Qos::AtLeastOnce;

#[tokio::test]
async fn the_last_message_of_a_topic_is_kept_and_an_empty_one_removes_it() {
    let mut world = World::new();
    world.publish(retained("a/1", "old", QOS1)).await;
    world.publish(retained("a/1", "new", QOS1)).await;
    world.publish(retained("a/2", "quick", QOS0)).await;
    world.publish(retained("a", "parent", QOS1)).await;
    world.publish(retained("ab", "other", QOS1)).await;
    world.publish(retained("$own", "never", QOS1)).await;
    world.say("a/3", "not retained", QOS1).await;
    for restarts in 0..2 {
        let claim = world.broker.claim("c");
        claim.subscribe(filter("a/#"), QOS1);
        assert_eq!(drain(&claim), ["parent", "new", "quick"], "{restarts}");
        claim.subscribe(filter("$own"), QOS1);
        assert_eq!(drain(&claim), [] as [&str; 0]);
        drop(claim);
        world = world.restart().await;
    }
    let claim = world.broker.claim("c");
    claim.subscribe(filter("a/1"), QOS1);
    drain(&claim);
    world.publish(retained("a/1", "", QOS1)).await;
    assert_eq!(drain(&claim), [""], "subscribers do receive it");
    assert!(world.broker.retained(&topic("a/1")).is_none());
    let world = world.restart().await;
    let topics: Vec<String> =
        world.broker.retained_after(None, 10).iter().map(|kept| kept.topic.as_str().to_owned()).collect();
    assert_eq!(topics, ["a", "a/2", "ab"]);
    let page = world.broker.retained_after(Some(&topic("a")), 1);
    assert_eq!((page.len(), page[0].topic.as_str(), page[0].qos), (1, "a/2", QOS0));
}

#[tokio::test]
async fn who_gets_them() {
    let world = World::new();
    world.publish(retained("a/b", "kept", QOS1)).await;
    let exact = ClaimOptions { retained_for: RetainedFor::ExactFilters, ..ClaimOptions::default() };
    let handling = |retain_handling| SubscribeOptions { retain_handling, ..SubscribeOptions::of_qos(QOS1) };
    let (always, if_new) = (handling(RetainHandling::SendAtSubscribe), handling(RetainHandling::SendIfNew));
    let never = handling(RetainHandling::DoNotSend);
    for (options, text, asked, expected) in [
        (ClaimOptions::default(), "a/+", always, [1, 1]),
        (ClaimOptions::default(), "a/b", if_new, [1, 0]),
        (ClaimOptions::default(), "a/b", never, [0, 0]),
        (ClaimOptions::default(), "$share/g/a/b", always, [0, 0]),
        (exact, "a/+", always, [0, 0]),
        (exact, "#", always, [0, 0]),
        (exact, "a/b", always, [1, 1]),
    ] {
        let claim = world.broker.claim_with("c", options, SessionRequest::clean(Version::V5)).await.unwrap();
        for expected in expected {
            claim.subscribe_with(filter(text), asked, None);
            let got: Vec<bool> =
                std::iter::from_fn(|| claim.try_next_delivery()).map(|delivery| delivery.retain).collect();
            assert_eq!(got, vec![true; expected], "{text} {asked:?}");
        }
    }
}

#[tokio::test]
async fn a_durable_session_has_them_in_its_queue() {
    let world = World::new();
    world.publish(retained("a", "kept", QOS1)).await;
    let claim = world.durable("c").await;
    claim.subscribe(filter("a"), QOS1);
    claim.save().await.unwrap();
    claim.end(3600, WillAtEnd::Discarded);
    let world = world.restart().await;
    let claim = world.durable("c").await;
    let delivery = claim.next_delivery().await;
    assert_eq!((delivery.qos, delivery.retain), (QOS1, true));
    claim.settled(&delivery);
    assert_eq!(world.broker.counters().queued_bytes_now, 0);
}

#[tokio::test]
async fn they_expire() {
    let world = World::new();
    world.publish(expiring(retained("a", "short", QOS1), 1)).await;
    world.publish(expiring(retained("b", "long", QOS1), 1000)).await;
    world.pass_s(2);
    let world = world.restart().await;
    assert!(world.broker.retained(&topic("a")).is_none());
    let kept = world.broker.retained(&topic("b")).unwrap();
    // What is left is counted on a clock of its own.
    let lives_s = (kept.expires_at_ms.unwrap() - kept.stored_at_ms).div_ceil(1000);
    assert_eq!(lives_s, 1000);
}

#[tokio::test]
async fn they_are_bounded_and_refused_before_anybody_hears() {
    let world = World::with(BrokerLimits { retained_messages_max: 1, ..BrokerLimits::default() });
    let claim = world.broker.claim("c");
    claim.subscribe(filter("#"), QOS1);
    world.publish(retained("a", "1", QOS1)).await;
    let refused = world.broker.publish(retained("b", "2", QOS1));
    assert!(matches!(refused, Err(BrokerError::RetainedFull { .. })), "{refused:?}");
    world.publish(retained("c", "3", QOS0)).await;
    world.publish(message("d", "4", QOS1)).await;
    world.publish(retained("a", "5", QOS1)).await;
    assert_eq!(drain(&claim), ["1", "3", "4", "5"]);
    assert_eq!(world.broker.counters().not_retained, 2);
    world.publish(retained("a", "", QOS1)).await;
    world.publish(retained("b", "6", QOS1)).await;
}
