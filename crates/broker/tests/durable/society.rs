//! Everything at once under a seed: sessions that are clean or outlive their connections, taken over, resumed, begun anew,
//! expired; plain and shared subscriptions; retained messages; wills that wait; messages that grow too old; restarts. After
//! each step the broker must have done what a naive model does, which looks at every session for every message.
//!
//! A seed that fails is printed; `BROKER_SOCIETY_SEED` repeats it, `BROKER_SOCIETY_SEEDS` says how many are tried.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;

use broker::{Claim, Handed, KeptWill, Message, SessionRequest, Start, WillAtEnd, WillFate};
use mqtt::{Qos, TopicFilter};

use crate::random::Random;
use crate::world::{World, expiring, filter, message, payload, request};

const SEEDS: u64 = 12;
const STEPS: usize = 120;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TOPICS: [&str; 4] = ["t/1", "t/2", "u/1", "s/1"];
const QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];
const WILL_TOPIC: &str = "u/will";
const FILTERS: [&str; 6] = ["t/+", "t/1", "u/#", "#", "$share/g/s/#", "$share/h/t/1"];

/// What a client must get by a subscription of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    payload: String,
    qos: Qos,
    retain: bool,
    expires_at_s: Option<u64>,
}

#[derive(Debug, Default)]
struct Session {
    is_durable: bool,
    expiry_s: u32,
    /// `None`: connected.
    away_since_s: Option<u64>,
    /// Payload and delay.
    will: Option<(String, u32)>,
    filters: BTreeMap<TopicFilter, Qos>,
    /// On disk; the others are in memory, and retained ones come first.
    queue: VecDeque<Expected>,
    inbox: VecDeque<Expected>,
    replays: VecDeque<Expected>,
}

/// A message to a group, until one of its members has it.
#[derive(Debug)]
struct Shared {
    group: TopicFilter,
    payload: String,
    /// Everybody who could have it went, or it was in the memory of a server that ended.
    may_be_lost: bool,
}

#[derive(Default)]
struct Model {
    now_s: u64,
    sessions: BTreeMap<&'static str, Session>,
    retained: BTreeMap<&'static str, (String, Qos)>,
    shared: Vec<Shared>,
    /// Of sessions that have ended.
    wills_due: BTreeSet<String>,
}

/// For the disk, after a publish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    AtOnce,
    Later,
}

struct Society {
    /// Gone only while it is started again.
    world: Option<World>,
    model: Model,
    claims: BTreeMap<&'static str, Claim>,
    /// Connections that were taken over and do not know it yet.
    ghosts: Vec<Claim>,
    /// Published, and nobody has waited for the disk.
    unsettled: Vec<Handed>,
    random: Random,
    next: u32,
}

impl Session {
    fn is_connected(&self) -> bool {
        self.away_since_s.is_none()
    }

    fn expect(&mut self, expected: Expected) {
        match expected.qos {
            Qos::AtMostOnce if !self.is_connected() => {}
            Qos::AtLeastOnce | Qos::ExactlyOnce if self.is_durable => self.queue.push_back(expected),
            _ => self.inbox.push_back(expected),
        }
    }

    /// The best of its own filters that match.
    fn granted(&self, topic: &str) -> Option<Qos> {
        let own = self.filters.iter().filter(|(filter, _)| filter.share_group().is_none());
        own.filter(|(filter, _)| filter.matches(topic)).map(|(_, qos)| *qos).max()
    }

    fn will_due_s(&self) -> Option<u64> {
        let (_, delay_s) = self.will.as_ref()?;
        Some(self.away_since_s? + u64::from((*delay_s).min(self.expiry_s)))
    }
}

impl Model {
    fn publish(&mut self, topic: &str, payload: &str, qos: Qos, expiry_s: Option<u32>) {
        let now_s = self.now_s;
        for session in self.sessions.values_mut() {
            let Some(granted) = session.granted(topic) else { continue };
            let expires_at_s = expiry_s.map(|s| now_s + u64::from(s));
            session.expect(Expected {
                payload: payload.to_owned(),
                qos: granted.min(qos),
                retain: false,
                expires_at_s,
            });
        }
        let groups: BTreeSet<&TopicFilter> = self
            .sessions
            .values()
            .flat_map(|session| session.filters.keys())
            .filter(|it| it.share_group().is_some())
            .collect();
        let matching = groups.into_iter().filter(|group| group.matches(topic)).cloned().collect::<Vec<_>>();
        for group in matching {
            // Which member gets it, in memory or on disk, is the broker's choice; where one can only keep it in memory, or
            // not take it at all, it may be lost.
            let may_be_lost = self
                .members(&group)
                .any(|(session, granted)| !session.is_durable || granted.min(qos) == Qos::AtMostOnce)
                || expiry_s.is_some();
            self.shared.push(Shared { group, payload: payload.to_owned(), may_be_lost });
        }
    }

    fn members(&self, group: &TopicFilter) -> impl Iterator<Item = (&Session, Qos)> {
        self.sessions.values().filter_map(move |session| Some((session, *session.filters.get(group)?)))
    }

    /// A member has gone: what it had goes to the others, if there are any.
    fn member_went(&mut self) {
        let left: Vec<TopicFilter> =
            self.sessions.values().flat_map(|session| session.filters.keys().cloned()).collect();
        for shared in &mut self.shared {
            shared.may_be_lost |= !left.contains(&shared.group);
        }
    }

    fn end(&mut self, name: &'static str) {
        let Some(session) = self.sessions.remove(name) else { return };
        if let (false, Some((will, _))) = (session.is_connected(), session.will) {
            self.wills_due.insert(will);
        }
        self.member_went();
    }

    fn expired(&self) -> Vec<&'static str> {
        let is_over = |session: &Session| {
            session.away_since_s.is_some_and(|since_s| since_s + u64::from(session.expiry_s) <= self.now_s)
        };
        self.sessions.iter().filter(|(_, session)| is_over(session)).map(|(name, _)| *name).collect()
    }

    /// Wills whose time has come, once.
    fn take_due(&mut self) -> BTreeSet<String> {
        let now_s = self.now_s;
        for session in self.sessions.values_mut() {
            if session.will_due_s().is_some_and(|at_s| at_s <= now_s) {
                self.wills_due.extend(session.will.take().map(|(will, _)| will));
            }
        }
        for name in self.expired() {
            self.end(name);
        }
        std::mem::take(&mut self.wills_due)
    }

    fn restart(&mut self) {
        let in_memory = self.sessions.values().filter(|session| !session.is_durable);
        let groups: BTreeSet<TopicFilter> = in_memory.flat_map(|session| session.filters.keys().cloned()).collect();
        self.shared.iter_mut().for_each(|shared| shared.may_be_lost |= groups.contains(&shared.group));
        self.sessions.retain(|_, session| session.is_durable);
        let now_s = self.now_s;
        for session in self.sessions.values_mut() {
            session.away_since_s.get_or_insert(now_s);
            session.inbox.clear();
            session.replays.clear();
        }
        self.member_went();
    }
}

impl Society {
    fn new(random: Random) -> Self {
        Self {
            world: Some(World::new()),
            model: Model::default(),
            claims: BTreeMap::new(),
            ghosts: Vec::new(),
            unsettled: Vec::new(),
            random,
            next: 0,
        }
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("it is there")
    }

    fn text(&mut self) -> String {
        self.next += 1;
        self.next.to_string()
    }

    /// One thing after the other, or several of which none waits for the disk of those before it.
    async fn step(&mut self) {
        if self.random.one_in(4) {
            for _ in 0..2 + self.random.below(6) {
                self.act(Waiting::Later).await;
            }
        } else {
            self.act(Waiting::AtOnce).await;
        }
        for handed in std::mem::take(&mut self.unsettled) {
            handed.settled().await.expect("it is on disk");
        }
        self.settle().await;
    }

    async fn act(&mut self, waiting: Waiting) {
        let name = self.random.one_of(&NAMES);
        match self.random.below(20) {
            0..=2 => {
                let start = self.random.one_of(&[Start::Resume, Start::Resume, Start::Clean]);
                let expiry_s = self.random.one_of(&[0, 20, 60]);
                let delay_s = self.random.one_of(&[None, Some(0), Some(5), Some(30)]);
                self.connect(name, start, expiry_s, delay_s).await;
            }
            3 | 4 => self.leave(name).await,
            5..=7 => self.subscribe(name).await,
            8 => self.unsubscribe(name).await,
            9..=13 => self.publish(waiting).await,
            14..=16 => self.hear(name),
            17 if waiting == Waiting::AtOnce => {
                let s = self.random.below(30);
                self.world().pass_s(s);
                self.model.now_s += s;
            }
            18 => self.ghosts.clear(),
            19 if waiting == Waiting::AtOnce && self.random.one_in(3) => self.restart().await,
            _ => {}
        }
    }

    async fn connect(&mut self, name: &'static str, start: Start, expiry_s: u32, delay_s: Option<u32>) {
        let will = delay_s.map(|delay_s| (self.text(), delay_s));
        let kept =
            will.clone().map(|(text, delay_s)| KeptWill { message: will_message(&text), delay_s, principal: None });
        let claim = self.world().claim(name, SessionRequest { will: kept, ..request(start, expiry_s) }).await;
        self.ghosts.extend(self.claims.remove(name));
        let is_resumed =
            start == Start::Resume && self.model.sessions.get(name).is_some_and(|session| session.is_durable);
        assert_eq!(claim.is_resumed(), is_resumed, "{name}");
        if !is_resumed {
            self.model.end(name);
            let fresh = Session { is_durable: expiry_s > 0, ..Session::default() };
            self.model.sessions.insert(name, fresh);
        }
        let session = self.model.sessions.get_mut(name).expect("it is there");
        session.expiry_s = expiry_s;
        session.away_since_s = None;
        session.will = will.filter(|_| session.is_durable);
        // They were the older connection's.
        session.replays.clear();
        self.claims.insert(name, claim);
    }

    /// With a word, or without one: then its will is published, now or later.
    async fn leave(&mut self, name: &'static str) {
        let Some(claim) = self.claims.remove(name) else { return };
        let with_a_word = self.random.one_in(2);
        let now_s = self.model.now_s;
        let session = self.model.sessions.get_mut(name).expect("it is connected");
        let will = session.will.take().filter(|_| !with_a_word);
        let expiry_s = session.expiry_s;
        let is_kept = session.is_durable && expiry_s > 0;
        session.away_since_s = Some(now_s);
        session.inbox.clear();
        session.replays.clear();
        let fate = match &will {
            Some((_, delay_s @ 1..)) => claim.end(expiry_s, WillAtEnd::Delayed { delay_s: *delay_s }),
            _ => claim.end(expiry_s, WillAtEnd::Discarded),
        };
        let is_delayed = will.as_ref().is_some_and(|(_, delay_s)| *delay_s > 0);
        let expected = match (is_delayed, is_kept) {
            (true, true) => WillFate::Kept,
            (true, false) => WillFate::Due,
            (false, _) => WillFate::None,
        };
        assert_eq!(fate, expected, "{name}");
        match (will, fate) {
            (will @ Some(_), WillFate::Kept) => session.will = will,
            // As a gateway does.
            (Some((text, _)), _) => self.publish_will(&text).await,
            (None, _) => {}
        }
        if !is_kept {
            self.model.end(name);
        }
    }

    async fn subscribe(&mut self, name: &'static str) {
        let filter = filter(self.random.one_of(&FILTERS));
        let qos = self.random.one_of(&QOS);
        let Some(claim) = self.claims.get(name) else { return };
        // In a group everybody keeps what he can.
        let qos = if filter.share_group().is_some() { Qos::ExactlyOnce } else { qos };
        claim.subscribe(filter.clone(), qos);
        claim.save().await.expect("it is on disk");
        let session = self.model.sessions.get_mut(name).expect("it is connected");
        let matching = self.model.retained.iter().filter(|(topic, _)| filter.matches(topic));
        for (_, (payload, retained_qos)) in matching.filter(|_| filter.share_group().is_none()) {
            let qos = qos.min(*retained_qos);
            let expected = Expected { payload: payload.clone(), qos, retain: true, expires_at_s: None };
            match session.is_durable && qos != Qos::AtMostOnce {
                true => session.queue.push_back(expected),
                false => session.replays.push_back(expected),
            }
        }
        session.filters.insert(filter, qos);
    }

    async fn unsubscribe(&mut self, name: &'static str) {
        let filter = filter(self.random.one_of(&FILTERS));
        let Some(claim) = self.claims.get(name) else { return };
        let session = self.model.sessions.get_mut(name).expect("it is connected");
        assert_eq!(claim.unsubscribe(&filter), session.filters.remove(&filter).is_some(), "{name}");
        claim.save().await.expect("it is on disk");
    }

    async fn publish(&mut self, waiting: Waiting) {
        let (topic, qos) = (self.random.one_of(&TOPICS), self.random.one_of(&QOS));
        let is_retained = !topic.starts_with('s') && self.random.one_in(3);
        // Nothing takes the place of what is retained; the group's messages are known by their payloads.
        let is_cleared = is_retained && topic != "t/1" && self.random.one_in(3);
        let text = if is_cleared { String::new() } else { self.text() };
        let expiry_s = (!is_retained && self.random.one_in(4)).then(|| self.random.one_of(&[5, 20]));
        let mut message = message(topic, &text, qos);
        message.retain = is_retained;
        if let Some(expiry_s) = expiry_s {
            message = expiring(message, expiry_s);
        }
        let handed = self.world().broker.publish(message).expect("it is taken");
        match waiting {
            Waiting::AtOnce => drop(handed.settled().await.expect("it is on disk")),
            Waiting::Later => self.unsettled.push(handed),
        }
        match (is_retained, is_cleared) {
            (true, true) => drop(self.model.retained.remove(topic)),
            (true, false) => drop(self.model.retained.insert(topic, (text.clone(), qos))),
            (false, _) => {}
        }
        self.model.publish(topic, &text, qos, expiry_s);
    }

    async fn publish_will(&mut self, text: &str) {
        self.world().publish(will_message(text)).await;
        self.model.publish(WILL_TOPIC, text, Qos::AtLeastOnce, None);
    }

    /// Everything that waits for it, and it has had it. What is on its way to the disk may come later.
    fn hear(&mut self, name: &'static str) {
        let Some(claim) = self.claims.get(name) else { return };
        let session = self.model.sessions.get_mut(name).expect("it is connected");
        let (mut stored, mut unstored) = (Vec::new(), Vec::new());
        while let Some(delivery) = claim.try_next_delivery() {
            claim.sent(&delivery, None);
            let text = payload(&delivery);
            if delivery.is_of_group() {
                let place = self.model.shared.iter().position(|shared| shared.payload == text);
                let place = place.unwrap_or_else(|| panic!("{name}: a message to a group a second time: {text}"));
                self.model.shared.swap_remove(place);
                continue;
            }
            let heard = (text, delivery.qos, delivery.retain);
            match session.is_durable && delivery.qos != Qos::AtMostOnce {
                true => stored.push(heard),
                false => unstored.push(heard),
            }
        }
        let now_s = self.model.now_s;
        let is_fresh = |expected: &Expected| expected.expires_at_s.is_none_or(|at_s| at_s > now_s);
        let shown = |expected: Expected| (expected.payload, expected.qos, expected.retain);
        session.queue.retain(is_fresh);
        let there = if self.unsettled.is_empty() { session.queue.len() } else { stored.len().min(session.queue.len()) };
        let queue: Vec<_> = session.queue.drain(..there).map(shown).collect();
        assert_eq!(stored, queue, "{name}: what was on disk");
        let memory: Vec<_> = session.replays.drain(..).chain(session.inbox.drain(..)).map(shown).collect();
        assert_eq!(unstored, memory, "{name}: what was in memory");
    }

    /// As by a crash: nobody says goodbye.
    async fn restart(&mut self) {
        self.ghosts.clear();
        std::mem::take(&mut self.claims).into_values().for_each(std::mem::forget);
        if let Some(world) = self.world.take() {
            world.store.commit(Vec::new()).await.expect("what was deferred is on disk");
            self.world = Some(world.restart().await);
        }
        self.model.restart();
    }

    /// What is due is done, and nothing else; what was deferred is on disk.
    async fn settle(&mut self) {
        self.flush().await;
        let mut expected = self.model.take_due();
        while let Some(due) = self.world().broker.work().await.expect("it works") {
            let text = String::from_utf8_lossy(&due.message.payload).into_owned();
            assert!(expected.remove(&text), "the will {text} is not due, but {expected:?}");
            self.world().broker.will_published(&due).await.expect("it is told");
            self.publish_will(&text).await;
        }
        assert!(expected.is_empty(), "wills that did not come: {expected:?}");
        self.flush().await;
    }

    async fn flush(&self) {
        self.world().store.commit(Vec::new()).await.expect("it writes");
    }

    /// Everybody comes once more, and then nothing is left.
    async fn end(&mut self) {
        self.ghosts.clear();
        self.settle().await;
        let names: Vec<_> = self.model.sessions.keys().copied().collect();
        for name in &names {
            if !self.claims.contains_key(name) {
                self.connect(name, Start::Resume, 60, None).await;
            }
            self.hear(name);
        }
        self.settle().await;
        names.iter().for_each(|name| self.hear(name));
        let lost: Vec<&Shared> = self.model.shared.iter().filter(|shared| !shared.may_be_lost).collect();
        assert!(lost.is_empty(), "messages to groups that nobody got: {lost:?}");
        let connected = self.model.sessions.values().filter(|session| session.is_connected()).count();
        assert_eq!(self.world().broker.connected(), connected);
        self.flush().await;
        let counters = self.world().broker.counters();
        let durable = self.model.sessions.values().filter(|session| session.is_durable).count();
        assert_eq!((counters.queued_now, counters.durable_sessions), (0, durable));
        assert_eq!(counters.retained_messages, self.model.retained.len());
    }
}

fn will_message(text: &str) -> Message {
    message(WILL_TOPIC, text, Qos::AtLeastOnce)
}

#[test]
fn it_does_what_a_naive_model_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BROKER_SOCIETY_SEED");
    let seeds = first.map_or(1..number("BROKER_SOCIETY_SEEDS").unwrap_or(SEEDS) + 1, |seed| seed..seed + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for seed in seeds {
        let run = || {
            runtime.block_on(async {
                let mut society = Society::new(Random::new(seed));
                for _ in 0..STEPS {
                    society.step().await;
                }
                society.end().await;
            });
        };
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(run)) {
            eprintln!("BROKER_SOCIETY_SEED={seed} repeats it");
            std::panic::resume_unwind(panic);
        }
    }
}
