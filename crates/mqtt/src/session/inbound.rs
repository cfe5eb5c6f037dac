//! Messages from the client: the receiver's side of QoS 1 and 2 (section 4.3), and the acknowledgements that are owed.

use std::collections::{BTreeMap, VecDeque};

use super::writer::Writer;
use crate::packet::{PacketId, PacketKind, Publish, Qos, Reason, ReasonCode, Version};

/// Places that an empty queue keeps.
const IDLE_PLACES_MAX: usize = 4;

/// Names a publish of the client until it is answered.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a publish that is never answered is never acknowledged"]
pub struct PublishToken {
    /// `None`: QoS 0.
    number: Option<u64>,
}

/// Acknowledgements go out in the order of the publishes, whatever the order of the answers [MQTT-4.6.0-2],
/// [MQTT-4.6.0-3].
#[derive(Debug)]
pub(super) struct Inbound {
    owed: VecDeque<AckOwed>,
    /// The number of the first one in `owed`.
    first: u64,
    /// See `SessionState`. 3.1.1 has no receive maximum: there the identifiers themselves bound it.
    unreleased: BTreeMap<PacketId, bool>,
    /// How many of them count against the receive maximum.
    counted: usize,
}

#[derive(Debug)]
struct AckOwed {
    packet_id: PacketId,
    qos: Qos,
    answer: Option<Answer>,
}

#[derive(Debug)]
enum Answer {
    Said(Reason),
    /// The message was discarded: nothing is written for it.
    Unsaid,
}

#[derive(Debug)]
pub(super) enum Received {
    /// For the application.
    Fresh(PublishToken),
    /// Nothing is left to do.
    Settled,
}

impl Inbound {
    pub fn new(unreleased: BTreeMap<PacketId, bool>) -> Self {
        Inbound { owed: VecDeque::new(), first: 0, unreleased, counted: 0 }
    }

    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Messages of this connection that the client still counts against the receive maximum.
    pub fn in_process(&self) -> usize {
        self.owed.len() + self.counted
    }

    pub fn receive(&mut self, publish: &Publish, writer: &mut Writer) -> Received {
        let Some(packet_id) = publish.packet_id else {
            return Received::Fresh(PublishToken { number: None });
        };
        match publish.qos {
            Qos::AtMostOnce => return Received::Fresh(PublishToken { number: None }),
            Qos::AtLeastOnce => {
                if writer.version == Version::V5 && self.unreleased.contains_key(&packet_id) {
                    return self.settle(packet_id, publish.qos, ReasonCode::PacketIdentifierInUse, writer);
                }
            }
            Qos::ExactlyOnce => {
                // Sent again: it is not handed on a second time [MQTT-4.3.3-10].
                if self.unreleased.contains_key(&packet_id) {
                    return self.settle(packet_id, publish.qos, ReasonCode::Success, writer);
                }
                match self.owed.iter().find(|owed| owed.packet_id == packet_id).map(|owed| owed.qos) {
                    // Its PUBREC is on the way.
                    Some(Qos::ExactlyOnce) => return Received::Settled,
                    Some(_) if writer.version == Version::V5 => {
                        return self.settle(packet_id, publish.qos, ReasonCode::PacketIdentifierInUse, writer);
                    }
                    _ => {}
                }
            }
        }
        let number = self.first + self.owed.len() as u64;
        self.owed.push_back(AckOwed { packet_id, qos: publish.qos, answer: None });
        Received::Fresh(PublishToken { number: Some(number) })
    }

    pub fn answer(&mut self, token: &PublishToken, reason: Reason, writer: &mut Writer) {
        self.settle_owed(token, Answer::Said(reason), writer);
    }

    /// Those behind it are acknowledged in their order, and this one never.
    pub fn discard(&mut self, token: &PublishToken, writer: &mut Writer) {
        self.settle_owed(token, Answer::Unsaid, writer);
    }

    fn settle_owed(&mut self, token: &PublishToken, answer: Answer, writer: &mut Writer) {
        let index = token
            .number
            .and_then(|number| number.checked_sub(self.first))
            .and_then(|index| usize::try_from(index).ok());
        if let Some(owed) = index.and_then(|index| self.owed.get_mut(index)) {
            owed.answer = Some(answer);
        }
        self.write_answered(writer);
    }

    /// Whether the client may release it: PUBREC was sent. Otherwise it is told that there is no such message.
    pub fn pubrel(&mut self, packet_id: PacketId, writer: &mut Writer) -> bool {
        let is_known = self.unreleased.contains_key(&packet_id);
        if !is_known {
            writer.ack(PacketKind::PubComp, packet_id, &ReasonCode::PacketIdentifierNotFound.into());
        }
        is_known
    }

    /// The identifier may be used for another message from now on [MQTT-4.3.3-12].
    pub fn release(&mut self, packet_id: PacketId, writer: &mut Writer) {
        let Some(is_counted) = self.unreleased.remove(&packet_id) else {
            return;
        };
        self.counted -= usize::from(is_counted);
        writer.ack(PacketKind::PubComp, packet_id, &ReasonCode::Success.into());
    }

    /// What must not be taken a second time: the application has it, whether or not its PUBREC could be written yet.
    pub fn taken(&self) -> BTreeMap<PacketId, bool> {
        let is_taken = |owed: &&AckOwed| {
            let is_taken = |answer: &Answer| matches!(answer, Answer::Said(reason) if !reason.code.is_failure());
            owed.qos == Qos::ExactlyOnce && owed.answer.as_ref().is_some_and(is_taken)
        };
        let written = self.unreleased.iter().map(|(packet_id, is_counted)| (*packet_id, *is_counted));
        written.chain(self.owed.iter().filter(is_taken).map(|owed| (owed.packet_id, true))).collect()
    }

    fn settle(&mut self, packet_id: PacketId, qos: Qos, code: ReasonCode, writer: &mut Writer) -> Received {
        self.owed.push_back(AckOwed { packet_id, qos, answer: Some(Answer::Said(code.into())) });
        self.write_answered(writer);
        Received::Settled
    }

    fn write_answered(&mut self, writer: &mut Writer) {
        while let Some(AckOwed { packet_id, qos, answer: Some(answer) }) = self.owed.front() {
            match (answer, qos) {
                (Answer::Unsaid, _) => {}
                (Answer::Said(reason), Qos::ExactlyOnce) => {
                    writer.ack(PacketKind::PubRec, *packet_id, reason);
                    // [MQTT-4.3.3-9]: a message that was refused leaves its identifier free. One that an earlier
                    // connection left open counts from here on.
                    if !reason.code.is_failure() && self.unreleased.insert(*packet_id, true) != Some(true) {
                        self.counted += 1;
                    }
                }
                (Answer::Said(reason), _) => writer.ack(PacketKind::PubAck, *packet_id, reason),
            }
            self.owed.pop_front();
            self.first += 1;
        }
        if self.owed.is_empty() && self.owed.capacity() > IDLE_PLACES_MAX {
            self.owed = VecDeque::new();
        }
    }
}

impl PublishToken {
    pub fn is_at_most_once(&self) -> bool {
        self.number.is_none()
    }
}
