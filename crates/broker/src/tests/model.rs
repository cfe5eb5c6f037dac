//! Random steps, held against a model that looks at every subscription.

use std::collections::BTreeMap;

use mqtt::packet::Properties;
use mqtt::{Qos, TopicFilter, TopicName};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;

use super::{QOS0, QOS1, broker, drain, publish};
use crate::{Broker, Claim, Message};

#[derive(Clone, Debug)]
enum Step {
    Claim(u8),
    Drop(Index),
    Subscribe(Index, TopicFilter, Qos),
    Unsubscribe(Index, TopicFilter),
    Publish(TopicName, Qos),
}

/// A claim beside what it should be.
struct Held {
    claim: Claim,
    id: u8,
    taken_over: bool,
    filters: BTreeMap<TopicFilter, Qos>,
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(QOS0), Just(QOS1)]
}

fn step() -> impl Strategy<Value = Step> {
    let filter =
        proptest::string::string_regex("(\\$share/[gh]/)?([ab]|\\+)(/([ab]|\\+)){0,2}(/#)?").expect("a pattern");
    let filter = filter.prop_filter_map("a filter", |text| TopicFilter::parse(&text).ok()).boxed();
    let topic = proptest::string::string_regex("[ab](/[ab]){0,2}").expect("a pattern");
    let topic = topic.prop_filter_map("a topic", |text| TopicName::parse(&text).ok());
    prop_oneof![
        2 => (0..4u8).prop_map(Step::Claim),
        1 => any::<Index>().prop_map(Step::Drop),
        6 => (any::<Index>(), filter.clone(), qos()).prop_map(|(at, filter, qos)| Step::Subscribe(at, filter, qos)),
        2 => (any::<Index>(), filter).prop_map(|(at, filter)| Step::Unsubscribe(at, filter)),
        6 => (topic, qos()).prop_map(|(topic, qos)| Step::Publish(topic, qos)),
    ]
}

fn run(step: Step, broker: &Broker, held: &mut Vec<Held>) {
    let pick = |at: Index| (!held.is_empty()).then(|| at.index(held.len()));
    match step {
        Step::Claim(id) => {
            for older in held.iter_mut().filter(|older| older.id == id) {
                older.taken_over = true;
                older.filters.clear();
            }
            let claim = broker.claim(&id.to_string());
            held.push(Held { claim, id, taken_over: false, filters: BTreeMap::new() });
        }
        Step::Drop(at) => {
            if let Some(at) = pick(at) {
                held.remove(at);
            }
        }
        Step::Subscribe(at, filter, qos) => {
            if let Some(at) = pick(at) {
                let held = &mut held[at];
                assert_eq!(held.claim.subscribe(filter.clone(), qos), qos);
                if !held.taken_over {
                    held.filters.insert(filter, qos);
                }
            }
        }
        Step::Unsubscribe(at, filter) => {
            if let Some(at) = pick(at) {
                let held = &mut held[at];
                assert_eq!(held.claim.unsubscribe(&filter), held.filters.remove(&filter).is_some());
            }
        }
        Step::Publish(topic, qos) => check_publish(broker, held, topic, qos),
    }
}

fn check_publish(broker: &Broker, held: &[Held], topic: TopicName, qos: Qos) {
    let matching = |held: &Held, shared: bool| -> Vec<(TopicFilter, Qos)> {
        let of_kind = held.filters.iter().filter(|(filter, _)| filter.share_group().is_some() == shared);
        of_kind
            .filter(|(filter, _)| filter.matches(topic.as_str()))
            .map(|(filter, qos)| (filter.clone(), *qos))
            .collect()
    };
    let own = |held: &Held| matching(held, false).iter().map(|(_, granted)| (*granted).min(qos)).max();
    let mut groups: Vec<TopicFilter> =
        held.iter().flat_map(|held| matching(held, true)).map(|(filter, _)| filter).collect();
    groups.sort();
    groups.dedup();
    let expected = held.iter().filter(|held| own(held).is_some()).count() + groups.len();

    let message =
        Message { topic: topic.clone(), payload: "x".into(), qos, retain: false, properties: Properties::new() };
    assert_eq!(publish(broker, message), expected);
    let mut received = 0;
    for held in held {
        let got: Vec<Qos> = drain(&held.claim).into_iter().map(|(_, qos)| qos).collect();
        let turns_max = matching(held, true).len();
        let own = own(held);
        let at_least = usize::from(own.is_some());
        assert!((at_least..=at_least + turns_max).contains(&got.len()), "{got:?} of {topic}");
        assert!(own.is_none_or(|own| got.contains(&own)), "{got:?} should have {own:?}");
        received += got.len();
    }
    assert_eq!(received, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_agrees_with_looking_at_every_subscription(steps in vec(step(), 1..80)) {
        let broker = broker();
        let mut held = Vec::new();
        for step in steps {
            run(step, &broker, &mut held);
            for held in &held {
                assert_eq!(held.claim.is_taken_over(), held.taken_over);
                assert_eq!(held.claim.subscription_count(), held.filters.len());
            }
            assert_eq!(broker.connected(), held.iter().filter(|held| !held.taken_over).count());
        }
    }
}
