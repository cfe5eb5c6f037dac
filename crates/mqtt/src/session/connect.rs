//! CONNECT and its answer: what the client asks for, what it is granted, and how it is told.

use super::action::{Action, Closed, ConnectFault};
use super::inbound::Inbound;
use super::limits::KeepAlive;
use super::outbound::Outbound;
use super::state::SessionState;
use super::{Phase, Session};
use crate::codec::{DecodeError, VariableInteger};
use crate::packet::{ConnAck, Connect, Packet, Properties, Property, Qos, Reason, ReasonCode, Version};

/// What the application adds to the answer.
#[derive(Debug, Default)]
pub struct Welcome {
    /// Of an earlier session of this client that goes on.
    pub resumed: Option<SessionState>,
    /// For a client that left the choice to the server; 5.0 tells it [MQTT-3.2.2-16].
    pub assigned_client_id: Option<String>,
    /// Further properties of the CONNACK: user properties, response information and the like.
    pub properties: Properties,
}

/// What the client asked for, where the answer depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub keepalive_s: u16,
    pub session_expiry_s: u32,
}

impl Session {
    pub(super) fn connect(&mut self, connect: Box<Connect>) -> Action {
        self.writer.learn(&connect, self.limits.topic_alias_out_max);
        if let Some(fault) = self.limits.connect_fault(&connect) {
            return self.refuse_fault(fault);
        }
        self.asked = Asked {
            keepalive_s: connect.keepalive_s,
            session_expiry_s: connect.properties.session_expiry_s().unwrap_or(0),
        };
        self.silence_ms_max = KeepAlive::silence_ms_max(self.limits.keepalive.granted_s(connect.keepalive_s));
        self.session_expiry_s = self.limits.session_expiry_s(&connect);
        self.phase = Phase::Deciding;
        Action::Connect(connect)
    }

    /// Answers `Action::Connect` with a CONNACK. With the state of an earlier session of this client, what it had
    /// not acknowledged is sent again [MQTT-4.4.0-1]. The keep-alive runs from here.
    pub fn accept_connect(&mut self, welcome: Welcome, now_ms: u64) {
        if self.phase != Phase::Deciding {
            return;
        }
        self.phase = Phase::Connected;
        self.heard_ms = now_ms;
        let session_present = welcome.resumed.is_some();
        let version = self.writer.version;
        let connack = |properties| Packet::ConnAck(ConnAck { session_present, code: ReasonCode::Success, properties });
        let mut properties = match version {
            Version::V311 => Properties::new(),
            Version::V5 => self.connack_properties(welcome.assigned_client_id, &welcome.properties),
        };
        if !self.writer.write(&connack(properties.clone())) {
            // [MQTT-3.2.2-19], [MQTT-3.2.2-20], and what goes without saying.
            properties.retain(|property| !may_be_left_out(property));
            if !self.writer.write(&connack(properties)) {
                let closed = Closed::RefusedConnect(ConnectFault::PacketMaxTooSmall);
                return self.end(closed);
            }
        }
        if version == Version::V5 {
            self.decoder.offer_topic_aliases(self.limits.topic_alias_max);
        }
        let mut state = welcome.resumed.unwrap_or_default();
        let mut unreleased = std::mem::take(&mut state.unreleased);
        unreleased.values_mut().for_each(|is_counted| *is_counted = false);
        self.inbound = Inbound::new(unreleased);
        let window = self.writer.receive_max.min(self.limits.in_flight_max);
        self.outbound = Outbound::resume(state, usize::from(window));
        self.resend(now_ms);
    }

    /// Answers `Action::Connect` with a CONNACK that says why not. To say nothing, just close the connection.
    pub fn refuse_connect(&mut self, reason: impl Into<Reason>) {
        if self.phase == Phase::Deciding {
            self.write_refusal(&reason.into());
            self.phase = Phase::Closed;
        }
    }

    /// The first packet is no CONNECT, or not one that can be read.
    pub(super) fn malformed_connect(&mut self, error: DecodeError) -> Action {
        let code = error.reason_code();
        match error {
            // [MQTT-3.1.2-2] of 3.1.1: the one fault that gets an answer. Later versions are answered as 5.0 is.
            DecodeError::ProtocolLevel { level } => {
                self.writer.version = if level > Version::V5.level() { Version::V5 } else { Version::V311 };
                self.write_refusal(&code.into());
            }
            // [MQTT-3.1.4-1] of 5.0: it may be told.
            _ if self.decoder.version_asked() == Some(Version::V5) => {
                self.writer.version = Version::V5;
                self.write_refusal(&Reason::new(code, error.to_string()));
            }
            _ => {}
        }
        self.closed(Closed::MalformedConnect(error))
    }

    fn refuse_fault(&mut self, fault: ConnectFault) -> Action {
        match self.writer.version {
            Version::V5 => self.write_refusal(&Reason::new(fault.code_5(), fault.to_string())),
            Version::V311 => {
                if let Some(code) = fault.code_311() {
                    self.write_refusal(&code.into());
                }
            }
        }
        self.closed(Closed::RefusedConnect(fault))
    }

    fn write_refusal(&mut self, reason: &Reason) {
        let code = match reason.code.belongs_in(crate::packet::PacketKind::ConnAck) {
            true => reason.code,
            false => ReasonCode::UnspecifiedError,
        };
        self.writer.write_with_reason(reason, |properties| {
            Packet::ConnAck(ConnAck { session_present: false, code, properties })
        });
    }

    /// Section 3.2.2.3. What is as the client asked for is not repeated.
    fn connack_properties(&self, assigned_client_id: Option<String>, further: &Properties) -> Properties {
        let limits = &self.limits;
        let mut list = Vec::with_capacity(12);
        if self.session_expiry_s != self.asked.session_expiry_s {
            list.push(Property::SessionExpiryIntervalS(self.session_expiry_s));
        }
        list.push(Property::ReceiveMaximum(limits.receive_max.max(1)));
        match limits.qos_max {
            Qos::AtMostOnce => list.push(Property::MaximumQos(0)),
            Qos::AtLeastOnce => list.push(Property::MaximumQos(1)),
            // It cannot be said, only left unsaid.
            Qos::ExactlyOnce => {}
        }
        list.push(Property::RetainAvailable(u8::from(limits.retain)));
        if let Ok(bytes) = u32::try_from(limits.packet_bytes_max)
            && bytes <= VariableInteger::MAX
        {
            list.push(Property::MaximumPacketSizeBytes(bytes.max(1)));
        }
        list.extend(assigned_client_id.map(Property::AssignedClientIdentifier));
        if limits.topic_alias_max > 0 {
            list.push(Property::TopicAliasMaximum(limits.topic_alias_max));
        }
        list.push(Property::WildcardSubscriptionAvailable(1));
        list.push(Property::SubscriptionIdentifierAvailable(u8::from(limits.subscription_ids)));
        list.push(Property::SharedSubscriptionAvailable(1));
        // [MQTT-3.1.2-21]: the client must use it instead of its own.
        let keepalive_s = limits.keepalive.granted_s(self.asked.keepalive_s);
        if keepalive_s != self.asked.keepalive_s {
            list.push(Property::ServerKeepAliveS(keepalive_s));
        }
        list.into_iter().chain(further.iter().cloned()).collect()
    }
}

/// What a client that accepts only small packets can do without: it means the same if it is not said.
fn may_be_left_out(property: &Property) -> bool {
    matches!(
        property,
        Property::ReasonString(_)
            | Property::UserProperty(_)
            | Property::RetainAvailable(1)
            | Property::WildcardSubscriptionAvailable(1)
            | Property::SubscriptionIdentifierAvailable(1)
            | Property::SharedSubscriptionAvailable(1)
    )
}
