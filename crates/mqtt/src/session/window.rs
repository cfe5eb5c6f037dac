//! The two windows of a session: messages that the client has not acknowledged, and acknowledgements that are owed
//! to the client.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::NotDelivered;
use crate::codec::{self, Outgoing};
use crate::packet::{Ack, PacketId, PacketKind, Publish, Version};

/// Places that an empty window keeps: an idle connection should keep no memory of a burst.
const IDLE_PLACES_MAX: usize = 4;

/// What of a session outlives its connection: messages on their way to the client, and the packet identifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// In the order in which they were sent; all have a packet identifier.
    in_flight: VecDeque<Publish>,
    packet_id_next: PacketId,
}

/// Names a publish of the client until it is answered.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a publish that is never answered is never acknowledged"]
pub struct PublishToken(Option<u64>);

/// Acknowledgements go out in the order of the publishes, whatever the order of the answers [MQTT-4.6.0-2].
#[derive(Debug)]
pub(super) struct AcksOwed {
    owed: VecDeque<AckOwed>,
    /// The number of the first one in `owed`.
    first: u64,
}

#[derive(Debug)]
struct AckOwed {
    packet_id: PacketId,
    answered: bool,
}

impl SessionState {
    pub fn new() -> Self {
        SessionState { in_flight: VecDeque::new(), packet_id_next: PacketId::FIRST }
    }

    /// Messages that were sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn send(
        &mut self,
        message: &Outgoing<'_>,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), NotDelivered> {
        let packet_id = self.free_packet_id().ok_or(NotDelivered::WindowFull)?;
        let publish = Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: message.topic.clone(),
            packet_id: Some(packet_id),
            payload: message.payload.clone(),
            properties: message.properties.clone(),
        };
        codec::encode_publish(&publish, version, out).map_err(|_| NotDelivered::TooLarge)?;
        self.packet_id_next = packet_id.next();
        self.in_flight.push_back(publish);
        Ok(())
    }

    /// An identifier that is not in use is a late or repeated acknowledgement, and of no consequence.
    pub(super) fn acknowledge(&mut self, packet_id: PacketId) {
        let is_it = |publish: &Publish| publish.packet_id == Some(packet_id);
        // Clients acknowledge in order, so it is the first one nearly always.
        if let Some(index) = self.in_flight.iter().position(is_it) {
            self.in_flight.remove(index);
            if self.in_flight.is_empty() && self.in_flight.capacity() > IDLE_PLACES_MAX {
                self.in_flight = VecDeque::new();
            }
        }
    }

    /// The same identifiers, with DUP [MQTT-4.4.0-1], [MQTT-3.3.1-1].
    pub(super) fn resend(&self, version: Version, out: &mut BytesMut) {
        for publish in &self.in_flight {
            let again = Publish { dup: true, ..publish.clone() };
            let written = codec::encode_publish(&again, version, out);
            debug_assert!(written.is_ok(), "it was encoded before");
        }
    }

    /// The next identifier that no message in flight has [MQTT-2.3.1-4]; `None` if all are taken.
    fn free_packet_id(&self) -> Option<PacketId> {
        let mut packet_id = self.packet_id_next;
        // One more candidate than there are identifiers in use: one of them is free.
        for _ in 0..=self.in_flight.len().min(usize::from(u16::MAX) - 1) {
            let is_taken = self.in_flight.iter().any(|publish| publish.packet_id == Some(packet_id));
            if !is_taken {
                return Some(packet_id);
            }
            packet_id = packet_id.next();
        }
        None
    }
}

impl Default for SessionState {
    fn default() -> Self {
        SessionState::new()
    }
}

impl AcksOwed {
    pub fn new() -> Self {
        AcksOwed { owed: VecDeque::new(), first: 0 }
    }

    pub fn len(&self) -> usize {
        self.owed.len()
    }

    pub fn owe(&mut self, packet_id: Option<PacketId>) -> PublishToken {
        PublishToken(packet_id.map(|packet_id| {
            let number = self.first + self.owed.len() as u64;
            self.owed.push_back(AckOwed { packet_id, answered: false });
            number
        }))
    }

    pub fn answer(&mut self, token: PublishToken, version: Version, out: &mut BytesMut) {
        let index =
            token.0.and_then(|number| number.checked_sub(self.first)).and_then(|index| usize::try_from(index).ok());
        if let Some(owed) = index.and_then(|index| self.owed.get_mut(index)) {
            owed.answered = true;
        }
        while let Some(owed) = self.owed.front() {
            if !owed.answered {
                return;
            }
            let written = codec::encode_ack(PacketKind::PubAck, &Ack::success(owed.packet_id), version, out);
            debug_assert!(written.is_ok(), "it has no field that could be too long");
            self.owed.pop_front();
            self.first += 1;
        }
    }
}
