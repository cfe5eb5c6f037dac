//! Scenarios of claims, subscriptions and publishes.

mod fan_out;
mod model;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mqtt::packet::Properties;
use mqtt::topic::MultiLevel;
use mqtt::{Qos, TopicFilter, TopicName, Version};
use store::Store;
use tempfile::TempDir;

use crate::{Broker, BrokerLimits, Claim, ClaimOptions, InboxLimits, Message, SessionRequest, WallClock};

thread_local! {
    /// Of clean sessions nothing is on disk, so that one store is enough for many brokers.
    static STORE: (TempDir, Store) = {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a store");
        (dir, store)
    };
}

const QOS0: Qos = Qos::AtMostOnce;
const QOS1: Qos = Qos::AtLeastOnce;

fn broker() -> Broker {
    let store = STORE.with(|(_, store)| store.clone());
    Broker::open(store, BrokerLimits::default(), WallClock::from_fn(|| 1_000)).expect("a broker")
}

fn publish(broker: &Broker, message: Message) -> usize {
    let handed = broker.publish(message).expect("it is taken");
    assert!(handed.settling.is_done(), "nothing of it goes to disk");
    handed.receivers
}

/// A clean session with other options.
fn claim_with(broker: &Broker, client_id: &str, options: ClaimOptions) -> Claim {
    let claim = pin!(broker.claim_with(client_id, options, SessionRequest::clean(Version::V311)));
    match claim.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(claim) => claim.expect("a claim"),
        Poll::Pending => panic!("a clean session waits for nothing"),
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a filter")
}

fn message(topic: &str, payload: &str, qos: Qos) -> Message {
    Message {
        topic: TopicName::parse(topic).expect("a topic"),
        payload: payload.to_owned().into(),
        qos,
        retain: false,
        properties: Properties::new(),
    }
}

/// What is in the inbox, as (payload, QoS).
fn drain(claim: &Claim) -> Vec<(String, Qos)> {
    std::iter::from_fn(|| claim.try_next_delivery())
        .map(|delivery| {
            let payload = String::from_utf8_lossy(&delivery.message.payload).into_owned();
            (payload, delivery.qos)
        })
        .collect()
}

fn is_ready(future: impl Future) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(future).poll(&mut context), Poll::Ready(_))
}

fn got(payload: &str, qos: Qos) -> (String, Qos) {
    (payload.to_owned(), qos)
}

#[test]
fn a_message_reaches_its_subscribers_with_the_lower_qos() {
    let broker = broker();
    let (low, high, other) = (broker.claim("low"), broker.claim("high"), broker.claim("other"));
    assert_eq!(low.subscribe(filter("a/+"), QOS0), QOS0);
    assert_eq!(high.subscribe(filter("a/b"), QOS1), QOS1);
    other.subscribe(filter("c/#"), QOS1);
    assert_eq!(publish(&broker, message("a/b", "one", QOS1)), 2);
    assert_eq!(publish(&broker, message("a/b", "two", QOS0)), 2);
    assert_eq!(publish(&broker, message("nobody", "three", QOS1)), 0);
    assert_eq!(drain(&low), [got("one", QOS0), got("two", QOS0)]);
    assert_eq!(drain(&high), [got("one", QOS1), got("two", QOS0)]);
    assert_eq!(drain(&other), []);
}

#[test]
fn overlapping_subscriptions_deliver_once_with_the_highest_qos() {
    let broker = broker();
    let (client, second) = (broker.claim("client"), broker.claim("second"));
    for (text, qos) in [("a/#", QOS0), ("a/b", QOS1), ("+/b", QOS0)] {
        client.subscribe(filter(text), qos);
        second.subscribe(filter(text), QOS0);
    }
    assert_eq!(publish(&broker, message("a/b", "once", QOS1)), 2);
    assert_eq!(drain(&client), [got("once", QOS1)]);
    assert_eq!(drain(&second), [got("once", QOS0)]);
}

#[test]
fn a_newer_claim_takes_over_and_the_older_ones_end_does_not_touch_it() {
    let broker = broker();
    let older = broker.claim("id");
    older.subscribe(filter("old"), QOS1);
    assert!(!is_ready(older.ended()));
    let newer = broker.claim("id");
    newer.subscribe(filter("new"), QOS1);
    assert!(older.is_taken_over() && !newer.is_taken_over());
    assert!(is_ready(older.ended()), "told once");
    assert!(is_ready(older.ended()), "and again when asked again");
    older.subscribe(filter("late"), QOS1);
    assert_eq!(older.subscription_count(), 0);
    drop(older);
    for topic in ["old", "new", "late"] {
        publish(&broker, message(topic, topic, QOS0));
    }
    assert_eq!(drain(&newer), [got("new", QOS0)]);
    assert_eq!(broker.connected(), 1);
    drop(newer);
    assert_eq!(publish(&broker, message("new", "gone", QOS0)), 0);
    assert_eq!(broker.connected(), 0);
}

#[test]
fn a_waiting_reader_is_woken_and_loses_nothing_when_it_is_cancelled() {
    let broker = broker();
    let claim = broker.claim("reader");
    claim.subscribe(filter("t"), QOS0);
    {
        let mut waiting = pin!(claim.next_delivery());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        publish(&broker, message("t", "first", QOS0));
    }
    assert!(is_ready(claim.next_delivery()));
    assert!(!is_ready(claim.next_delivery()));
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn many_are_taken_at_once_within_bounds_and_the_first_of_those_that_follow_wakes() {
    let broker = broker();
    let claim = broker.claim("reader");
    claim.subscribe(filter("t"), QOS1);
    let woken = Arc::new(Woken::default());
    claim.wake_on_arrival(&woken.clone().into());
    let take = |messages_max, bytes_max| {
        let mut batch = VecDeque::new();
        claim.take_arrived(&mut batch, messages_max, bytes_max);
        batch.iter().map(|delivery| String::from_utf8_lossy(&delivery.message.payload).into_owned()).collect::<Vec<_>>()
    };
    for (round, bounds) in [(1, (usize::MAX, usize::MAX)), (2, (2, usize::MAX)), (3, (usize::MAX, 150))] {
        for payload in ["a", "b", "c"] {
            publish(&broker, message("t", payload, QOS1));
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), round, "once, by the first");
        let expected: &[&str] = if round == 1 { &["a", "b", "c"] } else { &["a", "b"] };
        assert_eq!(take(bounds.0, bounds.1), expected);
        assert_eq!(claim.inbox_len(), 3 - expected.len());
        assert_eq!(take(usize::MAX, usize::MAX).len(), 3 - expected.len());
        assert!(take(usize::MAX, usize::MAX).is_empty());
    }
}

#[test]
fn what_was_taken_and_put_back_comes_first_or_goes_to_the_others_of_its_group() {
    let broker = broker();
    let (one, two) = (broker.claim("one"), broker.claim("two"));
    for claim in [&one, &two] {
        claim.subscribe(filter("$share/group/t"), QOS1);
    }
    for payload in ["a", "b", "c", "d"] {
        publish(&broker, message("t", payload, QOS1));
    }
    let all_of_two = drain(&two).len();
    let mut batch = VecDeque::new();
    one.take_arrived(&mut batch, 1, usize::MAX);
    let first = batch.pop_front().expect("a message");
    let payload = String::from_utf8_lossy(&first.message.payload).into_owned();
    one.put_back(first);
    one.take_arrived(&mut batch, 1, usize::MAX);
    let again = batch.pop_front().expect("the same");
    assert_eq!(again.message.payload, payload);
    one.put_back(again);
    drop(one);
    assert_eq!(all_of_two + drain(&two).len(), 4, "nothing is lost with a member of the group");
}

#[test]
fn overflow_drops_qos_0_first_and_counts() {
    let broker = broker();
    let options =
        ClaimOptions { inbox: InboxLimits { messages_max: 3, bytes_max: 1_000_000 }, ..ClaimOptions::default() };
    let claim = claim_with(&broker, "slow", options);
    claim.subscribe(filter("t"), QOS1);
    for (payload, qos) in
        [("0a", QOS0), ("1a", QOS1), ("0b", QOS0), ("0c", QOS0), ("1b", QOS1), ("1c", QOS1), ("1d", QOS1)]
    {
        publish(&broker, message("t", payload, qos));
    }
    // 0c found no room; 0a and 0b gave way; 1d found nothing that could.
    let kept = [got("1a", QOS1), got("1b", QOS1), got("1c", QOS1)];
    assert_eq!(drain(&claim), kept);
    assert_eq!(claim.dropped(), 4);
    assert_eq!(broker.counters().dropped, 4);
}

#[test]
fn an_inbox_is_bounded_by_bytes_but_takes_one_message_of_any_size() {
    let broker = broker();
    let options =
        ClaimOptions { inbox: InboxLimits { messages_max: 100, bytes_max: 1_000 }, ..ClaimOptions::default() };
    let claim = claim_with(&broker, "slow", options);
    claim.subscribe(filter("t"), QOS1);
    let large = "x".repeat(5_000);
    for _ in 0..3 {
        publish(&broker, message("t", &large, QOS1));
    }
    assert_eq!(drain(&claim).len(), 1);
    for _ in 0..20 {
        publish(&broker, message("t", &large[..100], QOS1));
    }
    assert_eq!(drain(&claim).len(), 5);
}

#[test]
fn a_shared_subscription_takes_turns() {
    let broker = broker();
    let (one, two) = (broker.claim("one"), broker.claim("two"));
    for claim in [&one, &two] {
        claim.subscribe(filter("$share/group/t/#"), QOS1);
    }
    for payload in ["a", "b", "c", "d"] {
        assert_eq!(publish(&broker, message("t/x", payload, QOS1)), 1);
    }
    assert_eq!((drain(&one).len(), drain(&two).len()), (2, 2));
    assert!(one.unsubscribe(&filter("$share/group/t/#")));
    assert!(!one.unsubscribe(&filter("$share/group/t/#")));
    publish(&broker, message("t/x", "e", QOS1));
    publish(&broker, message("t/x", "f", QOS1));
    assert_eq!((drain(&one).len(), drain(&two).len()), (0, 2));
    drop(two);
    assert_eq!(publish(&broker, message("t/x", "g", QOS1)), 0);
}

#[test]
fn whether_a_multi_level_wildcard_includes_the_parent_is_the_claims_choice() {
    let broker = broker();
    let standard = broker.claim("standard");
    let options = ClaimOptions { multi_level: MultiLevel::BelowParent, ..ClaimOptions::default() };
    let strict = claim_with(&broker, "strict", options);
    for claim in [&standard, &strict] {
        claim.subscribe(filter("sensor/#"), QOS0);
    }
    publish(&broker, message("sensor", "parent", QOS0));
    publish(&broker, message("sensor/1", "child", QOS0));
    assert_eq!(drain(&standard), [got("parent", QOS0), got("child", QOS0)]);
    assert_eq!(drain(&strict), [got("child", QOS0)]);
}
