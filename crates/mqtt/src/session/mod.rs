//! The server's side of one client's session as a state machine, in the version that the client asks for. It does no
//! I/O and reads no clock: bytes, answers and the time come in, actions and bytes to send come out.
//!
//! What happened: `poll_action` with the bytes that arrived, `handle_timer`, `handle_eof`, `deliver`, and the
//! application's answers (`accept_connect`, `publish_accepted`, ...). What to do: the returned `Action`s, the bytes
//! in `out`, and to call `handle_timer` at `next_deadline_ms`. Call `poll_action` until it returns `None`, then send
//! what is in `out`, then wait. It keeps no queue: `window_is_full` says when to stop delivering.

mod action;
mod aliases;
mod connect;
mod inbound;
mod limits;
mod outbound;
mod state;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;

use crate::codec::{DecodeError, Decoder, ForReceiver, PublishFlags};
use crate::packet::{
    Ack, Disconnect, Packet, PacketId, PacketKind, Properties, Property, Publish, Qos, Reason, ReasonCode, SubAck,
    Subscribe, UnsubAck, Version, Will,
};

pub use action::{Action, Closed, ConnectFault, Progress, ProtocolError};
pub use connect::Welcome;
pub use inbound::PublishToken;
pub use limits::{EmptyClientId, KeepAlive, Limits, SESSION_EXPIRY_NEVER_S};
pub use outbound::{Delivery, packet_id_of};
pub use state::{Kept, Open, SessionState};

use connect::Asked;
use inbound::{Inbound, Received};
use outbound::{OutOfOrder, Outbound, left_s};
use writer::Writer;

#[derive(Debug)]
pub struct Session {
    limits: Limits,
    decoder: Decoder,
    phase: Phase,
    asked: Asked,
    session_expiry_s: u32,
    /// `None`: the client may be silent for ever.
    silence_ms_max: Option<u64>,
    /// When the last whole packet was read.
    heard_ms: u64,
    inbound: Inbound,
    outbound: Outbound,
    writer: Writer,
    /// What came of the application's calls, for the next `poll_action`.
    pending: VecDeque<Action>,
    will_is_discarded: bool,
    pings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing but CONNECT may come [MQTT-3.1.0-1].
    AwaitingConnect,
    /// The application thinks about the CONNECT; what the client sends meanwhile is left in the input.
    Deciding,
    Connected,
    Closed,
}

/// Why a message was not written. It was not taken either: the caller still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDelivered {
    /// Too many messages wait for the client's acknowledgement.
    WindowFull,
    /// It has no form on the wire, or is larger than the client accepts: to be forgotten [MQTT-3.1.2-25].
    TooLarge,
    /// To be forgotten [MQTT-3.3.2-5].
    Expired,
    /// There is no connection, or not yet.
    NotConnected,
}

/// SUBACK or UNSUBACK: one code per filter in their order, and words for the person who debugs the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    pub codes: Vec<ReasonCode>,
    pub words: Option<String>,
}

impl From<Vec<ReasonCode>> for Answers {
    fn from(codes: Vec<ReasonCode>) -> Self {
        Answers { codes, words: None }
    }
}

impl Session {
    /// The clock that `now_ms` comes from must never go back.
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        Session {
            decoder: Decoder::for_server(limits.packet_bytes_max),
            limits,
            phase: Phase::AwaitingConnect,
            asked: Asked::default(),
            session_expiry_s: 0,
            silence_ms_max: None,
            heard_ms: now_ms,
            inbound: Inbound::new(BTreeMap::new()),
            outbound: Outbound::new(),
            writer: Writer::new(),
            pending: VecDeque::new(),
            will_is_discarded: false,
            pings: 0,
        }
    }

    /// Bytes to be sent. The caller takes off what it has written.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.writer.out
    }

    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// The version that the client asked for; 3.1.1 before CONNECT.
    pub fn version(&self) -> Version {
        self.writer.version
    }

    /// No message with QoS 1 or 2 can be delivered before the client acknowledges one.
    pub fn window_is_full(&self) -> bool {
        self.outbound.window_is_full()
    }

    /// So many publishes wait for the application's answer that nothing more is read. A 5.0 client knows how many it
    /// may send, and is read to see whether it keeps to that.
    pub fn is_waiting_for_answers(&self) -> bool {
        self.phase == Phase::Deciding
            || (self.writer.version == Version::V311 && self.inbound.owed() >= usize::from(self.limits.receive_max))
    }

    /// For how long the session outlives its connection, as granted; `SESSION_EXPIRY_NEVER_S` is for ever.
    pub fn session_expiry_s(&self) -> u32 {
        self.session_expiry_s
    }

    /// After the end: when the will is to be published, from then; `None` if it is not. No later than the session
    /// ends, and not at all if the client comes back to its session before [MQTT-3.1.3-9].
    pub fn will_delay_s(&self, will: &Will) -> Option<u32> {
        if self.will_is_discarded {
            return None;
        }
        match self.writer.version {
            Version::V311 => Some(0),
            Version::V5 => Some(will.properties.will_delay_s().unwrap_or(0).min(self.session_expiry_s)),
        }
    }

    /// When `handle_timer` has to be called, unless something else is heard before.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let silence_ms_max = match self.phase {
            Phase::AwaitingConnect => Some(self.limits.connect_timeout_ms),
            Phase::Connected => self.silence_ms_max,
            Phase::Deciding | Phase::Closed => None,
        };
        silence_ms_max.map(|silence_ms| self.heard_ms.saturating_add(silence_ms))
    }

    /// PINGREQs that were answered since this was asked last.
    pub fn take_pings(&mut self) -> u32 {
        std::mem::take(&mut self.pings)
    }

    /// Reads packets off the front of `input` until one of them needs the application, or no whole one is left.
    pub fn poll_action(&mut self, input: &mut BytesMut, now_ms: u64) -> Option<Action> {
        if let Some(action) = self.pending.pop_front() {
            return Some(action);
        }
        while self.phase != Phase::Closed && !self.is_waiting_for_answers() {
            match self.decoder.decode(input) {
                Ok(Some(packet)) => {
                    self.heard_ms = now_ms;
                    let action = self.handle_packet(packet, now_ms).or_else(|| self.pending.pop_front());
                    if action.is_some() {
                        return action;
                    }
                }
                Ok(None) => return None,
                Err(error) => return Some(self.malformed(error)),
            }
        }
        None
    }

    /// The deadline may have moved since the timer was set: then nothing happens.
    pub fn handle_timer(&mut self, now_ms: u64) -> Option<Action> {
        if self.next_deadline_ms()? > now_ms {
            return None;
        }
        if self.phase == Phase::AwaitingConnect {
            return Some(self.closed(Closed::ConnectTimeout));
        }
        self.say_goodbye(&ReasonCode::KeepAliveTimeout.into());
        Some(self.closed(Closed::KeepAliveTimeout))
    }

    /// The peer sends nothing more, or the connection broke.
    pub fn handle_eof(&mut self) -> Option<Action> {
        (self.phase != Phase::Closed).then(|| self.closed(Closed::ConnectionLost))
    }

    /// The application has taken responsibility for the message: PUBACK or PUBREC follows, in the order of the
    /// publishes [MQTT-4.6.0-2].
    pub fn publish_accepted(&mut self, token: PublishToken) {
        self.publish_answered(&token, ReasonCode::Success.into());
    }

    /// As `publish_accepted`, for a message that nobody subscribes to: 5.0 lets the client know.
    pub fn publish_unheard(&mut self, token: PublishToken) {
        self.publish_answered(&token, ReasonCode::NoMatchingSubscribers.into());
    }

    /// The message is not taken. 5.0 says so in the acknowledgement, and the connection goes on. A message with QoS 0
    /// has none, and 3.1.1 has no word for it: there the connection ends [MQTT-3.3.5-2], by the next `poll_action`.
    pub fn publish_refused(&mut self, token: PublishToken, reason: impl Into<Reason>) {
        let reason = reason.into();
        if self.phase != Phase::Connected {
            return;
        }
        if self.writer.version == Version::V5 && !token.is_at_most_once() {
            return self.publish_answered(&token, reason);
        }
        self.say_goodbye(&reason);
        self.end(Closed::PublishRefused(reason));
    }

    /// The message is not taken, and the client is not told: its place in the order of acknowledgements is given up.
    /// 5.0 has a word for it, which is `publish_refused`.
    pub fn publish_discarded(&mut self, token: PublishToken) {
        if self.phase == Phase::Connected {
            self.inbound.discard(&token, &mut self.writer);
        }
    }

    /// Answers `Action::Release`.
    pub fn publish_released(&mut self, packet_id: PacketId) {
        if self.phase == Phase::Connected {
            self.inbound.release(packet_id, &mut self.writer);
        }
    }

    /// Answers `Action::Subscribe`, with one code per filter in their order.
    pub fn subscribe_answered(&mut self, packet_id: PacketId, answers: impl Into<Answers>) {
        self.write_answers(answers.into(), |codes, properties| Packet::SubAck(SubAck { packet_id, codes, properties }));
    }

    /// Answers `Action::Unsubscribe`, with one code per filter in their order; 3.1.1 does not send them.
    pub fn unsubscribe_answered(&mut self, packet_id: PacketId, answers: impl Into<Answers>) {
        self.write_answers(answers.into(), |codes, properties| {
            Packet::UnsubAck(UnsubAck { packet_id, codes, properties })
        });
    }

    /// Writes a message to the client, with no more than the highest QoS that is served. With QoS 1 and 2 it is kept
    /// until the client acknowledges it, under the packet identifier that is answered.
    pub fn deliver(&mut self, delivery: &Delivery<'_>, now_ms: u64) -> Result<Option<PacketId>, NotDelivered> {
        if self.phase != Phase::Connected {
            return Err(NotDelivered::NotConnected);
        }
        let expiry_s = match delivery.expires_at_ms {
            None => None,
            Some(at_ms) => Some(left_s(at_ms, now_ms).ok_or(NotDelivered::Expired)?),
        };
        let qos = delivery.message.qos.min(self.limits.qos_max);
        if qos != Qos::AtMostOnce {
            return self.outbound.send(delivery, qos, expiry_s, &mut self.writer).map(Some);
        }
        let for_receiver = ForReceiver { expiry_s, subscription_ids: delivery.subscription_ids, alias: None };
        let flags = PublishFlags { dup: false, qos, retain: delivery.message.retain, packet_id: None };
        let written = self.writer.publish(&delivery.message, for_receiver, flags);
        written.map(|()| None).map_err(|_| NotDelivered::TooLarge)
    }

    /// Writes a message with QoS 0 that was encoded for this session's version before (`encode_at_most_once`).
    pub fn deliver_encoded(&mut self, frame: &[u8]) -> Result<(), NotDelivered> {
        if self.phase != Phase::Connected {
            return Err(NotDelivered::NotConnected);
        }
        if !self.writer.fits(frame.len()) {
            return Err(NotDelivered::TooLarge);
        }
        self.writer.out.extend_from_slice(frame);
        Ok(())
    }

    /// The server ends the session: 5.0 gets a DISCONNECT with the reason, 3.1.1 has none to send.
    pub fn close(&mut self, reason: impl Into<Reason>) {
        self.say_goodbye(&reason.into());
        self.phase = Phase::Closed;
    }

    /// What outlives the connection if the session is to be resumed.
    pub fn into_state(self) -> SessionState {
        SessionState { unreleased: self.inbound.taken(), ..self.outbound.state }
    }

    /// The same, to write it down while the connection goes on.
    pub fn state(&self) -> SessionState {
        SessionState { unreleased: self.inbound.taken(), ..self.outbound.state.clone() }
    }

    fn handle_packet(&mut self, packet: Packet, now_ms: u64) -> Option<Action> {
        match (self.phase, packet) {
            (Phase::AwaitingConnect, Packet::Connect(connect)) => Some(self.connect(connect)),
            // [MQTT-3.1.0-2]
            (_, Packet::Connect(_)) => Some(self.violation(ProtocolError::SecondConnect)),
            (_, Packet::Publish(publish)) => self.publish(publish),
            (_, Packet::PubAck(ack)) => self.puback(&ack, now_ms),
            (_, Packet::PubRec(ack)) if self.limits.qos_max == Qos::ExactlyOnce => self.pubrec(&ack, now_ms),
            (_, Packet::PubRel(ack)) if self.limits.qos_max == Qos::ExactlyOnce => {
                self.inbound.pubrel(ack.packet_id, &mut self.writer).then_some(Action::Release(ack.packet_id))
            }
            (_, Packet::PubComp(ack)) if self.limits.qos_max == Qos::ExactlyOnce => self.pubcomp(&ack, now_ms),
            (_, Packet::Subscribe(subscribe)) => self.subscribe(subscribe),
            (_, Packet::Unsubscribe(unsubscribe)) => Some(Action::Unsubscribe(unsubscribe)),
            (_, Packet::PingReq) => {
                self.pings = self.pings.saturating_add(1);
                self.writer.write(&Packet::PingResp);
                None
            }
            (_, Packet::Disconnect(disconnect)) => Some(self.disconnect(&disconnect)),
            (_, packet) => Some(self.violation(ProtocolError::Unexpected { packet: packet.kind() })),
        }
    }

    fn publish(&mut self, publish: Publish) -> Option<Action> {
        let payload_bytes_max = self.limits.payload_bytes_max;
        let is_5 = self.writer.version == Version::V5;
        let error = if publish.qos > self.limits.qos_max {
            ProtocolError::QosNotServed { packet: PacketKind::Publish, qos: publish.qos }
        } else if publish.payload.len() > payload_bytes_max {
            ProtocolError::PayloadTooLarge { bytes: publish.payload.len(), bytes_max: payload_bytes_max }
        } else if is_5 && publish.retain && !self.limits.retain {
            ProtocolError::RetainNotServed
        } else if publish.properties.subscription_id().is_some() {
            // [MQTT-3.3.4-6]
            ProtocolError::SubscriptionIdInPublish
        } else if is_5
            && publish.qos != Qos::AtMostOnce
            && self.inbound.in_process() >= usize::from(self.limits.receive_max)
        {
            ProtocolError::ReceiveMaximumExceeded { receive_max: self.limits.receive_max }
        } else {
            return match self.inbound.receive(&publish, &mut self.writer) {
                Received::Fresh(token) => Some(Action::Publish { publish, token }),
                Received::Settled => None,
            };
        };
        Some(self.violation(error))
    }

    fn publish_answered(&mut self, token: &PublishToken, reason: Reason) {
        if self.phase == Phase::Connected {
            self.inbound.answer(token, reason, &mut self.writer);
        }
    }

    fn puback(&mut self, ack: &Ack, now_ms: u64) -> Option<Action> {
        let acknowledged = self.outbound.puback(ack.packet_id);
        self.acknowledged(PacketKind::PubAck, ack, acknowledged, Progress::Done(ack.code), now_ms)
    }

    fn pubrec(&mut self, ack: &Ack, now_ms: u64) -> Option<Action> {
        let acknowledged = self.outbound.pubrec(ack.packet_id, ack.code, &mut self.writer);
        let progress = match ack.code.is_failure() {
            true => Progress::Done(ack.code),
            false => Progress::Received(ack.packet_id),
        };
        self.acknowledged(PacketKind::PubRec, ack, acknowledged, progress, now_ms)
    }

    fn pubcomp(&mut self, ack: &Ack, now_ms: u64) -> Option<Action> {
        let packet_id = ack.packet_id;
        match self.outbound.pubcomp(packet_id) {
            Err(OutOfOrder) => {
                Some(self.violation(ProtocolError::AckOutOfOrder { packet: PacketKind::PubComp, packet_id }))
            }
            Ok(is_complete) => {
                self.resend(now_ms);
                is_complete.then_some(Action::Completed(packet_id))
            }
        }
    }

    fn acknowledged(
        &mut self,
        packet: PacketKind,
        ack: &Ack,
        acknowledged: Result<Option<Kept>, OutOfOrder>,
        progress: Progress,
        now_ms: u64,
    ) -> Option<Action> {
        match acknowledged {
            Err(OutOfOrder) => Some(self.violation(ProtocolError::AckOutOfOrder { packet, packet_id: ack.packet_id })),
            Ok(kept) => {
                self.resend(now_ms);
                kept.and_then(|kept| kept.tag).map(|tag| Action::Acknowledged { tag, progress })
            }
        }
    }

    fn resend(&mut self, now_ms: u64) {
        for given_up in self.outbound.resend(&mut self.writer, now_ms) {
            let progress = Progress::Done(ReasonCode::PacketTooLarge);
            self.pending.extend(given_up.tag.map(|tag| Action::Acknowledged { tag, progress }));
        }
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Option<Action> {
        let (filters, filters_max) = (subscribe.subscriptions.len(), self.limits.filters_per_subscribe_max);
        let qos_max = self.limits.qos_max;
        let error = if filters > filters_max {
            ProtocolError::TooManyFilters { filters, filters_max }
        } else if !self.limits.subscription_ids && subscribe.properties.subscription_id().is_some() {
            ProtocolError::SubscriptionIdNotServed
        } else if let Some(asked) = subscribe.subscriptions.iter().find(|asked| asked.options.qos > qos_max) {
            ProtocolError::QosNotServed { packet: PacketKind::Subscribe, qos: asked.options.qos }
        } else {
            return Some(Action::Subscribe(subscribe));
        };
        Some(self.violation(error))
    }

    fn disconnect(&mut self, disconnect: &Disconnect) -> Action {
        if let Some(asked_s) = disconnect.properties.session_expiry_s() {
            // Section 3.14.2.2.2.
            if self.asked.session_expiry_s == 0 && asked_s != 0 {
                return self.violation(ProtocolError::SessionExpiryRaised);
            }
            self.session_expiry_s = asked_s.min(self.limits.session_expiry_s_max);
        }
        // [MQTT-3.14.4-3]; any other code publishes it.
        self.will_is_discarded = disconnect.code == ReasonCode::Success;
        self.closed(Closed::ByClient { code: disconnect.code })
    }

    fn malformed(&mut self, error: DecodeError) -> Action {
        if self.phase == Phase::AwaitingConnect {
            return self.malformed_connect(error);
        }
        self.say_goodbye(&Reason::new(error.reason_code(), error.to_string()));
        self.closed(Closed::Malformed(error))
    }

    fn violation(&mut self, error: ProtocolError) -> Action {
        self.say_goodbye(&Reason::new(error.reason_code(), error.to_string()));
        self.closed(Closed::ProtocolError(error))
    }

    fn closed(&mut self, closed: Closed) -> Action {
        self.phase = Phase::Closed;
        Action::Closed(closed)
    }

    /// Ended by a call of the application, which learns of it by the next `poll_action`.
    fn end(&mut self, closed: Closed) {
        let action = self.closed(closed);
        self.pending.push_back(action);
    }

    /// Never before CONNACK [MQTT-3.14.0-1].
    fn say_goodbye(&mut self, reason: &Reason) {
        if self.phase != Phase::Connected || self.writer.version == Version::V311 {
            return;
        }
        let code = match reason.code.belongs_in(PacketKind::Disconnect) {
            true => reason.code,
            false => ReasonCode::UnspecifiedError,
        };
        // Always with words: paho reads the code of a DISCONNECT only if properties follow it.
        let words = reason.words.clone().unwrap_or_else(|| code.words().to_owned());
        let reason = Reason::new(code, words);
        self.writer.write_with_reason(&reason, |properties| Packet::Disconnect(Disconnect { code, properties }));
    }

    fn write_answers(&mut self, answers: Answers, packet: impl Fn(Vec<ReasonCode>, Properties) -> Packet) {
        if self.phase != Phase::Connected {
            return;
        }
        let words = answers.words.filter(|_| self.writer.version == Version::V5 && self.writer.wants_reasons());
        let properties: Properties = words.map(Property::ReasonString).into_iter().collect();
        if properties.is_empty() || !self.writer.write(&packet(answers.codes.clone(), properties)) {
            self.writer.write(&packet(answers.codes, Properties::new()));
        }
    }
}
