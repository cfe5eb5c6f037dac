//! The server's side of one client's session as a state machine. It does no I/O and reads no clock: bytes, answers
//! and the time come in, actions and bytes to send come out.
//!
//! What happened: `poll_action` with the bytes that arrived, `handle_timer`, `handle_eof`, `deliver`, and the
//! application's answers (`accept_connect`, `publish_accepted`, ...). What to do: the returned `Action`s, the bytes
//! in `out`, and to call `handle_timer` at `next_deadline_ms`. Call `poll_action` until it returns `None`, then send
//! what is in `out`, then wait. It keeps no queue: `window_is_full` says when to stop delivering.

mod action;
mod limits;
mod window;

#[cfg(test)]
mod tests;

use bytes::BytesMut;

use crate::codec::{self, DecodeError, Decoder, Outgoing};
use crate::packet::{
    ConnAck, Connect, Disconnect, Packet, PacketId, PacketKind, Properties, Publish, Qos, ReasonCode, SubAck,
    Subscribe, UnsubAck, Version,
};

pub use action::{Action, Closed, ConnectFault, ProtocolError};
pub use limits::{EmptyClientId, KeepAlive, Limits};
pub use window::{PublishToken, SessionState};

use window::AcksOwed;

#[derive(Debug)]
pub struct Session {
    limits: Limits,
    decoder: Decoder,
    phase: Phase,
    version: Version,
    /// `None`: the client may be silent for ever.
    silence_ms_max: Option<u64>,
    /// When the last whole packet was read.
    heard_ms: u64,
    acks_owed: AcksOwed,
    state: SessionState,
    out: BytesMut,
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
    /// It has no form on the wire.
    TooLarge,
    /// There is no connection, or not yet.
    NotConnected,
}

impl Session {
    /// The clock that `now_ms` comes from must never go back.
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        Session {
            decoder: Decoder::for_server(limits.packet_bytes_max),
            limits,
            phase: Phase::AwaitingConnect,
            version: Version::V311,
            silence_ms_max: None,
            heard_ms: now_ms,
            acks_owed: AcksOwed::new(),
            state: SessionState::new(),
            out: BytesMut::new(),
        }
    }

    /// Bytes to be sent. The caller takes off what it has written.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// No message with QoS 1 can be delivered before the client acknowledges one.
    pub fn window_is_full(&self) -> bool {
        self.state.in_flight() >= usize::from(self.limits.in_flight_max)
    }

    /// So many publishes wait for the application's answer that nothing more is read.
    pub fn is_waiting_for_answers(&self) -> bool {
        self.phase == Phase::Deciding || self.acks_owed.len() >= usize::from(self.limits.acks_owed_max)
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

    /// Reads packets off the front of `input` until one of them needs the application, or no whole one is left.
    pub fn poll_action(&mut self, input: &mut BytesMut, now_ms: u64) -> Option<Action> {
        while self.phase != Phase::Closed && !self.is_waiting_for_answers() {
            match self.decoder.decode(input) {
                Ok(Some(packet)) => {
                    self.heard_ms = now_ms;
                    let action = self.handle_packet(packet);
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
        self.say_goodbye(ReasonCode::KeepAliveTimeout);
        Some(self.closed(Closed::KeepAliveTimeout))
    }

    /// The peer sends nothing more, or the connection broke.
    pub fn handle_eof(&mut self) -> Option<Action> {
        (self.phase != Phase::Closed).then(|| self.closed(Closed::ConnectionLost))
    }

    /// Answers `Action::Connect` with a CONNACK. With the state of an earlier session of this client, what it had
    /// not acknowledged is sent again [MQTT-4.4.0-1]. The keep-alive runs from here.
    pub fn accept_connect(&mut self, resumed: Option<SessionState>, now_ms: u64) {
        if self.phase != Phase::Deciding {
            return;
        }
        self.phase = Phase::Connected;
        self.heard_ms = now_ms;
        self.write(Packet::ConnAck(ConnAck {
            session_present: resumed.is_some(),
            code: ReasonCode::Success,
            properties: Properties::new(),
        }));
        if let Some(state) = resumed {
            state.resend(self.version, &mut self.out);
            self.state = state;
        }
    }

    /// Answers `Action::Connect` with a CONNACK that says why not. To say nothing, just close the connection.
    pub fn refuse_connect(&mut self, code: ReasonCode) {
        if self.phase == Phase::Deciding {
            self.write_refusal(self.version, code);
            self.phase = Phase::Closed;
        }
    }

    /// The application has taken responsibility for the message: PUBACK follows, in the order of the publishes
    /// [MQTT-4.6.0-2]. 3.1.1 cannot refuse a publish: close the connection instead.
    pub fn publish_accepted(&mut self, token: PublishToken) {
        if self.phase == Phase::Connected {
            self.acks_owed.answer(token, self.version, &mut self.out);
        }
    }

    /// Answers `Action::Subscribe`, with one code per filter in their order.
    pub fn subscribe_answered(&mut self, packet_id: PacketId, codes: Vec<ReasonCode>) {
        self.write_if_connected(Packet::SubAck(SubAck { packet_id, codes, properties: Properties::new() }));
    }

    /// Answers `Action::Unsubscribe`, with one code per filter in their order; 3.1.1 does not send them.
    pub fn unsubscribe_answered(&mut self, packet_id: PacketId, codes: Vec<ReasonCode>) {
        self.write_if_connected(Packet::UnsubAck(UnsubAck { packet_id, codes, properties: Properties::new() }));
    }

    /// Writes a message to the client. With QoS 1 it is kept until the client acknowledges it.
    pub fn deliver(&mut self, message: &Outgoing<'_>) -> Result<(), NotDelivered> {
        if self.phase != Phase::Connected {
            return Err(NotDelivered::NotConnected);
        }
        let qos = message.qos.min(self.limits.qos_max);
        if qos == Qos::AtMostOnce {
            return codec::encode_at_most_once(message, self.version, &mut self.out)
                .map_err(|_| NotDelivered::TooLarge);
        }
        if self.window_is_full() {
            return Err(NotDelivered::WindowFull);
        }
        let message = Outgoing { qos, ..*message };
        self.state.send(&message, self.version, &mut self.out)
    }

    /// Writes a message with QoS 0 that was encoded for this session's version before (`encode_at_most_once`).
    pub fn deliver_encoded(&mut self, frame: &[u8]) -> Result<(), NotDelivered> {
        if self.phase != Phase::Connected {
            return Err(NotDelivered::NotConnected);
        }
        self.out.extend_from_slice(frame);
        Ok(())
    }

    /// The version that the client asked for; 3.1.1 before CONNECT.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The server ends the session: 5.0 gets a DISCONNECT with the reason, 3.1.1 has none to send.
    pub fn close(&mut self, code: ReasonCode) {
        self.say_goodbye(code);
        self.phase = Phase::Closed;
    }

    /// What outlives the connection if the session is to be resumed.
    pub fn into_state(self) -> SessionState {
        self.state
    }

    fn handle_packet(&mut self, packet: Packet) -> Option<Action> {
        match (self.phase, packet) {
            (Phase::AwaitingConnect, Packet::Connect(connect)) => Some(self.connect(connect)),
            // [MQTT-3.1.0-2]
            (_, Packet::Connect(_)) => Some(self.violation(ProtocolError::SecondConnect)),
            (_, Packet::Publish(publish)) => Some(self.publish(publish)),
            (_, Packet::PubAck(ack)) => {
                self.state.acknowledge(ack.packet_id);
                None
            }
            (_, Packet::Subscribe(subscribe)) => Some(self.subscribe(subscribe)),
            (_, Packet::Unsubscribe(unsubscribe)) => Some(Action::Unsubscribe(unsubscribe)),
            (_, Packet::PingReq) => {
                self.write(Packet::PingResp);
                None
            }
            (_, Packet::Disconnect(disconnect)) => Some(self.closed(Closed::ByClient { code: disconnect.code })),
            (_, packet) => Some(self.violation(ProtocolError::Unexpected { packet: packet.kind() })),
        }
    }

    fn connect(&mut self, connect: Box<Connect>) -> Action {
        self.version = connect.version;
        if let Some(fault) = self.limits.connect_fault(&connect) {
            if let Some(code) = fault.connack_code() {
                self.write_refusal(connect.version, code);
            }
            return self.closed(Closed::RefusedConnect(fault));
        }
        self.silence_ms_max = self.limits.keepalive.silence_ms_max(connect.keepalive_s);
        self.phase = Phase::Deciding;
        Action::Connect(connect)
    }

    fn publish(&mut self, publish: Publish) -> Action {
        if publish.qos > self.limits.qos_max {
            return self.violation(ProtocolError::QosNotServed { packet: PacketKind::Publish, qos: publish.qos });
        }
        if publish.payload.len() > self.limits.payload_bytes_max {
            return self.violation(ProtocolError::PayloadTooLarge {
                bytes: publish.payload.len(),
                bytes_max: self.limits.payload_bytes_max,
            });
        }
        let token = self.acks_owed.owe(publish.packet_id);
        Action::Publish { publish, token }
    }

    fn subscribe(&mut self, subscribe: Subscribe) -> Action {
        let filters = subscribe.subscriptions.len();
        if filters > self.limits.filters_per_subscribe_max {
            return self.violation(ProtocolError::TooManyFilters {
                filters,
                filters_max: self.limits.filters_per_subscribe_max,
            });
        }
        let qos_max = self.limits.qos_max;
        if let Some(asked) = subscribe.subscriptions.iter().find(|asked| asked.options.qos > qos_max) {
            return self
                .violation(ProtocolError::QosNotServed { packet: PacketKind::Subscribe, qos: asked.options.qos });
        }
        Action::Subscribe(subscribe)
    }

    fn malformed(&mut self, error: DecodeError) -> Action {
        if self.phase != Phase::AwaitingConnect {
            self.say_goodbye(error.reason_code());
            return self.closed(Closed::Malformed(error));
        }
        // [MQTT-3.1.2-2]: a version that is not served is the one fault of CONNECT that gets an answer.
        if matches!(error, DecodeError::ProtocolLevel { .. }) {
            self.write_refusal(Version::V311, ReasonCode::UnsupportedProtocolVersion);
        }
        self.closed(Closed::MalformedConnect(error))
    }

    fn violation(&mut self, error: ProtocolError) -> Action {
        self.say_goodbye(error.reason_code());
        self.closed(Closed::ProtocolError(error))
    }

    fn closed(&mut self, closed: Closed) -> Action {
        self.phase = Phase::Closed;
        Action::Closed(closed)
    }

    fn say_goodbye(&mut self, code: ReasonCode) {
        if self.phase == Phase::Connected && self.version == Version::V5 {
            self.write(Packet::Disconnect(Disconnect { code, properties: Properties::new() }));
        }
    }

    fn write_refusal(&mut self, version: Version, code: ReasonCode) {
        self.version = version;
        self.write(Packet::ConnAck(ConnAck { session_present: false, code, properties: Properties::new() }));
    }

    fn write_if_connected(&mut self, packet: Packet) {
        if self.phase == Phase::Connected {
            self.write(packet);
        }
    }

    /// Only packets that the session itself has built, which always have a form on the wire.
    fn write(&mut self, packet: Packet) {
        let written = codec::encode(&packet, self.version, &mut self.out);
        debug_assert!(written.is_ok(), "{packet:?} must be encodable");
    }
}
