//! What of a session outlives its connection (5.0 section 4.1): messages on their way to the client, and identifiers of
//! messages from it that it has not released. Subscriptions and messages that wait are the application's.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::codec::VariableInteger;
use crate::packet::{PacketId, Properties, Qos};
use crate::topic::TopicName;

/// Places that an empty window keeps: an idle connection should keep no memory of a burst.
const IDLE_PLACES_MAX: usize = 4;
const PACKET_IDS: u64 = 65_535;

/// Sessions that hand it on to each other must have the same clock: messages expire on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// In the order in which they were sent first.
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) number_next: u64,
    /// QoS 2: acknowledged with PUBREC, and not released yet. Whether it counts against the receive maximum: only if
    /// it came on this connection.
    pub(super) unreleased: BTreeMap<PacketId, bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InFlight {
    /// They rise for ever, and the packet identifier follows from them: while the oldest one is less than a whole
    /// round behind, the next identifier is certainly free.
    pub number: u64,
    pub stage: Stage,
    /// Whether its PUBLISH went out on this connection.
    pub is_counted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Published(Kept),
    /// QoS 2: the client has it, PUBCOMP is awaited.
    Released,
}

/// A message that the client has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
    pub properties: Properties,
    pub subscription_ids: Vec<VariableInteger>,
    pub expires_at_ms: Option<u64>,
    pub tag: Option<u64>,
}

/// One message on its way, as it is written down and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// To be sent again.
    Message(PacketId, Kept),
    /// The client has it; PUBREL is to be sent again.
    Release(PacketId),
}

impl SessionState {
    pub fn new() -> Self {
        SessionState { in_flight: VecDeque::new(), number_next: 0, unreleased: BTreeMap::new() }
    }

    /// From what was written down: what `open` and `unreleased` gave, in the same order.
    pub fn restore(open: impl IntoIterator<Item = Open>, unreleased: impl IntoIterator<Item = PacketId>) -> Self {
        let mut state = SessionState::new();
        for open in open {
            let (packet_id, stage) = match open {
                Open::Message(packet_id, kept) => (packet_id, Stage::Published(kept)),
                Open::Release(packet_id) => (packet_id, Stage::Released),
            };
            let number = state.number_of(packet_id);
            state.number_next = number + 1;
            state.in_flight.push_back(InFlight { number, stage, is_counted: false });
        }
        state.unreleased = unreleased.into_iter().map(|packet_id| (packet_id, false)).collect();
        state
    }

    /// Messages that were sent and not acknowledged to the end.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The same one by one, in the order in which they were sent first.
    pub fn open(&self) -> impl Iterator<Item = Open> + '_ {
        self.in_flight.iter().map(|in_flight| {
            let packet_id = SessionState::packet_id(in_flight.number);
            match &in_flight.stage {
                Stage::Published(kept) => Open::Message(packet_id, kept.clone()),
                Stage::Released => Open::Release(packet_id),
            }
        })
    }

    /// Identifiers of the client's messages with QoS 2 that are not to be accepted a second time.
    pub fn unreleased(&self) -> impl Iterator<Item = PacketId> + '_ {
        self.unreleased.keys().copied()
    }

    pub(super) fn position(&self, packet_id: PacketId) -> Option<usize> {
        // Clients acknowledge in order, so it is the first one nearly always.
        self.in_flight.iter().position(|in_flight| SessionState::packet_id(in_flight.number) == packet_id)
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<InFlight> {
        let removed = self.in_flight.remove(index);
        if self.in_flight.is_empty() && self.in_flight.capacity() > IDLE_PLACES_MAX {
            self.in_flight = VecDeque::new();
        }
        removed
    }

    pub(super) fn packet_id(number: u64) -> PacketId {
        // Below 65,536, and the first one is 1 [MQTT-2.2.1-4].
        u16::try_from(number % PACKET_IDS + 1).ok().and_then(PacketId::new).unwrap_or(PacketId::FIRST)
    }

    /// From `next` on, the first number whose identifier no message in flight has; `None` if all are taken. All numbers in
    /// flight are below `next`.
    pub(super) fn free_number(&self, next: u64) -> Option<u64> {
        let is_a_round_behind = |in_flight: &InFlight| next - in_flight.number >= PACKET_IDS;
        if !self.in_flight.front().is_some_and(is_a_round_behind) {
            return Some(next);
        }
        (next..next + PACKET_IDS).find(|number| self.position(SessionState::packet_id(*number)).is_none())
    }

    /// The number itself where it is not passed yet, and otherwise the first from the next on with the same identifier.
    pub(super) fn number_like(&self, number: u64) -> u64 {
        if number >= self.number_next { number } else { self.number_of(SessionState::packet_id(number)) }
    }

    /// The first one from the next on that has this identifier.
    fn number_of(&self, packet_id: PacketId) -> u64 {
        let round = self.number_next - self.number_next % PACKET_IDS;
        let number = round + u64::from(packet_id.value()) - 1;
        if number < self.number_next { number + PACKET_IDS } else { number }
    }
}

impl Default for SessionState {
    fn default() -> Self {
        SessionState::new()
    }
}
