//! Messages on their way to the client: the sender's side of QoS 1 and 2 (sections 4.3 and 4.4), and how many may be
//! on their way at once (5.0 section 4.9).

use bytes::Bytes;

use super::NotDelivered;
use super::state::{InFlight, Kept, SessionState, Stage};
use super::writer::Writer;
use crate::codec::{ForReceiver, Outgoing, PublishFlags, VariableInteger};
use crate::packet::{PacketId, PacketKind, Qos, ReasonCode, Version};

/// A message for this client. Its expiry is on the session's clock; `tag` is what the application calls it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    pub message: Outgoing<'a>,
    /// Of the client's subscriptions that the message matches.
    pub subscription_ids: &'a [VariableInteger],
    /// Not delivered from then on; before, the client is told what is left.
    pub expires_at_ms: Option<u64>,
    /// With one, `Action::Acknowledged` tells how a message with QoS 1 or 2 gets on.
    pub tag: Option<u64>,
    /// What its packet identifier follows from (`packet_id_of`), unless another message in flight has that. Without one it gets
    /// the next identifier.
    pub number: Option<u64>,
    /// It may have been sent before.
    pub dup: bool,
}

/// The identifier that follows from a number.
pub fn packet_id_of(number: u64) -> PacketId {
    SessionState::packet_id(number)
}

#[derive(Debug)]
pub(super) struct Outbound {
    /// Kept beyond the connection, but for what follows here.
    pub state: SessionState,
    /// How many of the messages in flight, from the oldest, have been sent on this connection.
    sent: usize,
    /// How many of those count against the client's receive maximum.
    counted: usize,
    window: usize,
}

/// The client acknowledged a message in a way that its QoS, or its state, does not know.
#[derive(Debug)]
pub(super) struct OutOfOrder;

impl Outbound {
    pub fn new() -> Self {
        Outbound { state: SessionState::new(), sent: 0, counted: 0, window: 0 }
    }

    /// On a new connection nothing has been sent yet.
    pub fn resume(mut state: SessionState, window: usize) -> Self {
        state.in_flight.iter_mut().for_each(|in_flight| in_flight.is_counted = false);
        Outbound { state, sent: 0, counted: 0, window }
    }

    pub fn window_is_full(&self) -> bool {
        let in_flight = self.state.in_flight.len();
        self.counted >= self.window || in_flight >= self.window || self.sent < in_flight
    }

    pub fn send(
        &mut self,
        delivery: &Delivery<'_>,
        qos: Qos,
        expiry_s: Option<u32>,
        writer: &mut Writer,
    ) -> Result<PacketId, NotDelivered> {
        if self.window_is_full() {
            return Err(NotDelivered::WindowFull);
        }
        let next = delivery.number.map_or(self.state.number_next, |number| self.state.number_like(number));
        let number = self.state.free_number(next).ok_or(NotDelivered::WindowFull)?;
        let packet_id = SessionState::packet_id(number);
        let message = Outgoing { qos, ..delivery.message };
        let for_receiver = ForReceiver { expiry_s, subscription_ids: delivery.subscription_ids, alias: None };
        let flags = PublishFlags { dup: delivery.dup, qos, retain: message.retain, packet_id: Some(packet_id) };
        writer.publish(&message, for_receiver, flags).map_err(|_| NotDelivered::TooLarge)?;
        self.state.number_next = number + 1;
        let kept = Kept::of(delivery, qos);
        self.state.in_flight.push_back(InFlight { number, stage: Stage::Published(kept), is_counted: true });
        self.sent += 1;
        self.counted += 1;
        Ok(packet_id)
    }

    /// Sends again what an earlier connection left open, in the old order and with the old identifiers, as far as the
    /// window lets it [MQTT-4.4.0-1]. Messages that are too large for this connection are given up, and come out
    /// [MQTT-3.1.2-25].
    pub fn resend(&mut self, writer: &mut Writer, now_ms: u64) -> Vec<Kept> {
        let mut given_up = Vec::new();
        while let Some(in_flight) = self.state.in_flight.get_mut(self.sent) {
            let packet_id = SessionState::packet_id(in_flight.number);
            let Stage::Published(kept) = &in_flight.stage else {
                // It cannot raise the count: the client does not count it either (5.0 section 4.9).
                writer.ack(PacketKind::PubRel, packet_id, &ReasonCode::Success.into());
                self.sent += 1;
                continue;
            };
            if self.counted >= self.window {
                break;
            }
            let flags = PublishFlags { dup: true, qos: kept.qos, retain: kept.retain, packet_id: Some(packet_id) };
            if writer.publish(&kept.outgoing(), kept.for_receiver(now_ms), flags).is_ok() {
                in_flight.is_counted = true;
                self.sent += 1;
                self.counted += 1;
            } else if let Some(InFlight { stage: Stage::Published(kept), .. }) = self.state.in_flight.remove(self.sent)
            {
                given_up.push(kept);
            }
        }
        given_up
    }

    /// The message has arrived. An unknown identifier is a late or repeated acknowledgement, and of no consequence.
    pub fn puback(&mut self, packet_id: PacketId) -> Result<Option<Kept>, OutOfOrder> {
        let Some(index) = self.state.position(packet_id) else {
            return Ok(None);
        };
        match self.state.in_flight.get(index).map(|in_flight| &in_flight.stage) {
            Some(Stage::Published(kept)) if kept.qos == Qos::AtLeastOnce => Ok(self.remove(index)),
            _ => Err(OutOfOrder),
        }
    }

    /// The client owns the message now, or refuses it. What was kept of it comes out.
    pub fn pubrec(
        &mut self,
        packet_id: PacketId,
        code: ReasonCode,
        writer: &mut Writer,
    ) -> Result<Option<Kept>, OutOfOrder> {
        let Some(index) = self.state.position(packet_id) else {
            // 3.1.1 has no code for it; the client can only be helped to forget it.
            if !code.is_failure() || writer.version == Version::V311 {
                writer.ack(PacketKind::PubRel, packet_id, &ReasonCode::PacketIdentifierNotFound.into());
            }
            return Ok(None);
        };
        let Some(in_flight) = self.state.in_flight.get_mut(index) else {
            return Ok(None);
        };
        match &in_flight.stage {
            Stage::Published(kept) if kept.qos != Qos::ExactlyOnce => Err(OutOfOrder),
            // [MQTT-4.3.3-4]: the identifier is free again.
            Stage::Published(_) if code.is_failure() => Ok(self.remove(index)),
            Stage::Published(_) => {
                let stage = std::mem::replace(&mut in_flight.stage, Stage::Released);
                writer.ack(PacketKind::PubRel, packet_id, &ReasonCode::Success.into());
                match stage {
                    Stage::Published(kept) => Ok(Some(kept)),
                    Stage::Released => Ok(None),
                }
            }
            Stage::Released => {
                writer.ack(PacketKind::PubRel, packet_id, &ReasonCode::Success.into());
                Ok(None)
            }
        }
    }

    /// Whether a message with QoS 2 is complete by it.
    pub fn pubcomp(&mut self, packet_id: PacketId) -> Result<bool, OutOfOrder> {
        let Some(index) = self.state.position(packet_id) else {
            return Ok(false);
        };
        match self.state.in_flight.get(index).map(|in_flight| &in_flight.stage) {
            Some(Stage::Released) => {
                self.remove(index);
                Ok(true)
            }
            _ => Err(OutOfOrder),
        }
    }

    fn remove(&mut self, index: usize) -> Option<Kept> {
        let in_flight = self.state.remove(index)?;
        self.sent -= usize::from(index < self.sent);
        self.counted -= usize::from(in_flight.is_counted);
        match in_flight.stage {
            Stage::Published(kept) => Some(kept),
            Stage::Released => None,
        }
    }
}

impl<'a> Delivery<'a> {
    /// Without expiry, subscription identifier, tag and number; sent for the first time.
    pub fn plain(message: Outgoing<'a>) -> Self {
        Delivery { message, subscription_ids: &[], expires_at_ms: None, tag: None, number: None, dup: false }
    }
}

impl Kept {
    fn of(delivery: &Delivery<'_>, qos: Qos) -> Self {
        Kept {
            topic: delivery.message.topic.clone(),
            payload: Bytes::clone(delivery.message.payload),
            qos,
            retain: delivery.message.retain,
            properties: delivery.message.properties.clone(),
            subscription_ids: delivery.subscription_ids.to_vec(),
            expires_at_ms: delivery.expires_at_ms,
            tag: delivery.tag,
        }
    }

    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: &self.properties,
        }
    }

    /// A message that was sent before does not expire any more [MQTT-4.3.3-7]; then there is nothing left to tell.
    fn for_receiver(&self, now_ms: u64) -> ForReceiver<'_> {
        let expiry_s = self.expires_at_ms.map(|at_ms| left_s(at_ms, now_ms).unwrap_or(0));
        ForReceiver { expiry_s, subscription_ids: &self.subscription_ids, alias: None }
    }
}

/// What is left of a message's life, rounded up; `None` if nothing is.
pub(super) fn left_s(expires_at_ms: u64, now_ms: u64) -> Option<u32> {
    let left_ms = expires_at_ms.checked_sub(now_ms).filter(|left_ms| *left_ms > 0)?;
    Some(u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX))
}
