//! The session, its application, and the link.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Buf, BytesMut};
use mqtt::codec::Outgoing;
use mqtt::packet::{Properties, ReasonCode};
use mqtt::session::{Delivery, NotDelivered, Progress, PublishToken, SessionState};
use mqtt::{Action, Limits, PacketId, Qos, Session, Version, Welcome};

use crate::client::{Client, TOPICS, number, payload, topic, topic_index};
use crate::random::Random;

const LIMITS: Limits = Limits { receive_max: 4, in_flight_max: 5, topic_alias_out_max: 2, ..Limits::STANDARD };
/// More turns than any exchange needs when nothing disturbs it.
const TURNS_MAX: usize = 10_000;

pub struct World {
    version: Version,
    random: Random,
    client: Client,
    session: Option<Session>,
    /// Between connections.
    state: SessionState,
    now_ms: u64,
    /// On the link.
    up: BytesMut,
    down: BytesMut,
    /// Arrived at the server.
    input: BytesMut,
    publishes: Vec<(u32, Qos, PublishToken)>,
    releases: Vec<PacketId>,
    published: BTreeMap<u32, Qos>,
    /// How often the application took responsibility for a message of the client.
    accepted: BTreeMap<u32, usize>,
    /// By topic and QoS, in the order in which messages reached the application.
    handed_on: [[Vec<u32>; 3]; TOPICS],
    next_number: u32,
    delivered: BTreeMap<u32, Qos>,
    /// Delivered, and nothing heard of them.
    awaited: BTreeSet<u32>,
}

impl World {
    pub fn new(version: Version, random: Random) -> Self {
        let mut world = World {
            version,
            random,
            client: Client::new(version),
            session: None,
            state: SessionState::new(),
            now_ms: 0,
            up: BytesMut::new(),
            down: BytesMut::new(),
            input: BytesMut::new(),
            publishes: Vec::new(),
            releases: Vec::new(),
            published: BTreeMap::new(),
            accepted: BTreeMap::new(),
            handed_on: Default::default(),
            next_number: 0,
            delivered: BTreeMap::new(),
            awaited: BTreeSet::new(),
        };
        world.connect();
        world
    }

    pub fn step(&mut self) {
        match self.random.below(40) {
            0 => self.cut(),
            1..=6 => self.published.extend(self.client.publish(&mut self.random)),
            7..=12 => self.deliver(),
            13..=20 => self.carry_up(),
            21..=28 => self.carry_down(),
            29..=33 => self.client.send_ack(),
            34..=37 => self.answer(),
            _ => self.release(),
        }
    }

    /// Until nothing moves any more.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.carry_up();
            self.answer();
            self.release();
            self.carry_down();
            self.client.send_ack();
            let is_quiet = self.up.is_empty()
                && self.down.is_empty()
                && self.client.out.is_empty()
                && self.session().out().is_empty()
                && self.publishes.is_empty()
                && self.releases.is_empty()
                && !self.client.has_acks();
            if is_quiet && self.client.is_connected {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    pub fn check(&mut self) {
        assert!(!self.client.has_open_messages(), "the client still waits");
        let state = self.session().state();
        assert_eq!((state.in_flight(), state.unreleased().count()), (0, 0), "the server still waits");
        assert_eq!(self.awaited, BTreeSet::new(), "the application still waits");
        for (number, qos) in &self.published {
            let times = self.accepted.get(number).copied().unwrap_or(0);
            match qos {
                _ if self.client.refused.contains(number) && *qos == Qos::ExactlyOnce => assert_eq!(times, 0),
                _ if self.client.refused.contains(number) => {}
                Qos::ExactlyOnce => assert_eq!(times, 1, "message {number} of the client"),
                _ => assert!(times >= 1, "message {number} of the client was lost"),
            }
        }
        for (number, qos) in &self.delivered {
            let all = &self.client.taken[topic_index(*number)][*qos as usize];
            let times = all.iter().filter(|taken| *taken == number).count();
            match qos {
                Qos::ExactlyOnce => assert_eq!(times, 1, "message {number} to the client"),
                _ => assert!(times >= 1, "message {number} to the client was lost"),
            }
        }
        for lists in [&self.handed_on, &self.client.taken] {
            for list in lists.iter().flatten() {
                check_order(list);
            }
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("there is always a connection")
    }

    /// What is on the link is lost, but for what may still arrive.
    fn cut(&mut self) {
        if self.random.one_in(2) {
            self.carry_up();
        }
        if self.random.one_in(2) {
            self.carry_down();
        }
        self.up.clear();
        self.down.clear();
        self.input.clear();
        self.publishes.clear();
        self.releases.clear();
        let mut session = self.session.take().expect("there is always a connection");
        assert!(matches!(session.handle_eof(), Some(Action::Closed(_))));
        let state = session.into_state();
        // What is written down must do, too.
        self.state = match self.random.one_in(2) {
            true => SessionState::restore(state.open(), state.unreleased()),
            false => state,
        };
        self.client.cut();
        self.connect();
    }

    /// CONNECT arrives at once; everything after it goes over the link.
    fn connect(&mut self) {
        let mut session = Session::new(LIMITS, self.now_ms);
        self.client.connect(&mut self.random);
        self.input.unsplit(self.client.out.split());
        assert!(matches!(session.poll_action(&mut self.input, self.now_ms), Some(Action::Connect(_))));
        let resumed = Some(std::mem::take(&mut self.state));
        session.accept_connect(Welcome { resumed, ..Welcome::default() }, self.now_ms);
        self.session = Some(session);
    }

    fn carry_up(&mut self) {
        self.up.unsplit(self.client.out.split());
        let bytes = self.some_of(self.up.len());
        self.input.extend_from_slice(&self.up.split_to(bytes));
        self.poll();
    }

    fn carry_down(&mut self) {
        let out = self.session().out().split();
        self.down.unsplit(out);
        let bytes = self.some_of(self.down.len());
        self.client.receive(&self.down[..bytes]);
        self.down.advance(bytes);
    }

    fn some_of(&mut self, bytes: usize) -> usize {
        match self.random.one_in(3) {
            true => self.random.below(bytes + 1),
            false => bytes,
        }
    }

    fn poll(&mut self) {
        self.now_ms += 1;
        while let Some(action) = {
            let (session, input) = (self.session.as_mut().expect("connected"), &mut self.input);
            session.poll_action(input, self.now_ms)
        } {
            match action {
                Action::Publish { publish, token } => {
                    let number = number(&publish.payload);
                    self.handed_on[topic_index(number)][publish.qos as usize].push(number);
                    self.publishes.push((number, publish.qos, token));
                    let bound = usize::from(LIMITS.receive_max);
                    assert!(self.publishes.len() <= bound, "more than {bound} unanswered");
                }
                Action::Release(packet_id) => self.releases.push(packet_id),
                Action::Acknowledged { tag, progress } => {
                    let number = u32::try_from(tag).expect("a number");
                    assert!(self.awaited.remove(&number), "{number} is told once");
                    let qos = self.delivered[&number];
                    assert_eq!(matches!(progress, Progress::Received(_)), qos == Qos::ExactlyOnce);
                }
                Action::Completed(_) => {}
                action => panic!("{action:?}"),
            }
        }
    }

    /// In any order; some are refused where that can be said.
    fn answer(&mut self) {
        if self.publishes.is_empty() {
            return;
        }
        let (number, _, token) = self.publishes.remove(self.random.below(self.publishes.len()));
        if self.version == Version::V5 && self.random.one_in(10) {
            self.session().publish_refused(token, ReasonCode::QuotaExceeded);
        } else {
            *self.accepted.entry(number).or_default() += 1;
            self.session().publish_accepted(token);
        }
        self.poll();
    }

    fn release(&mut self) {
        if let Some(packet_id) = self.releases.pop() {
            self.session().publish_released(packet_id);
        }
    }

    fn deliver(&mut self) {
        let qos = if self.random.one_in(2) { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
        let number = self.next_number;
        let (topic, payload, properties) = (topic(topic_index(number)), payload(number), Properties::new());
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &properties };
        let delivery = Delivery { tag: Some(u64::from(number)), ..Delivery::plain(message) };
        let (now_ms, session) = (self.now_ms, self.session());
        let was_full = session.window_is_full();
        match session.deliver(&delivery, now_ms) {
            Ok(packet_id) => {
                assert!(packet_id.is_some() && !was_full);
                self.next_number += 1;
                self.delivered.insert(number, qos);
                self.awaited.insert(number);
            }
            Err(why) => assert_eq!((why, was_full), (NotDelivered::WindowFull, true)),
        }
    }
}

/// Messages may come again, but each for the first time in the order in which they were sent.
fn check_order(list: &[u32]) {
    let mut seen = BTreeSet::new();
    let firsts: VecDeque<u32> = list.iter().copied().filter(|number| seen.insert(*number)).collect();
    assert!(firsts.iter().is_sorted(), "out of order: {firsts:?}");
}
