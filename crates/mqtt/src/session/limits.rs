//! What a session lets its client do. The values are the caller's: one profile of a listener, one `Limits`.

use super::action::ConnectFault;
use crate::packet::{Connect, Qos, Version};

/// How much longer than the keep-alive a client may be silent: one and a half times [MQTT-3.1.2-24].
const KEEPALIVE_TOLERANCE: (u64, u64) = (3, 2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A whole packet, with its fixed header; refused on sight of its length.
    pub packet_bytes_max: usize,
    /// Of one PUBLISH.
    pub payload_bytes_max: usize,
    /// A client that asks for more is disconnected.
    pub qos_max: Qos,
    pub filters_per_subscribe_max: usize,
    pub client_id_bytes_max: usize,
    pub empty_client_id: EmptyClientId,
    pub keepalive: KeepAlive,
    /// From the start of the session to the whole of its CONNECT.
    pub connect_timeout_ms: u64,
    /// Publishes of the client that the application has not answered yet; beyond that nothing more is read.
    pub acks_owed_max: u16,
    /// Messages with QoS 1 on their way to the client and not acknowledged.
    pub in_flight_max: u16,
}

/// What a client without an id gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyClientId {
    Refused,
    /// The application chooses an id, if the session is clean [MQTT-3.1.3-7].
    Assigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// The client's word counts; with 0 it may be silent for ever.
    AsAsked,
    /// Too short is raised to the minimum; too long, and 0, means the maximum.
    Clamped { s_min: u16, s_max: u16 },
}

impl Limits {
    /// What the standard allows, bounded where it bounds nothing, as far as this session serves it.
    pub const STANDARD: Limits = Limits {
        packet_bytes_max: 16 * 1024 * 1024,
        payload_bytes_max: 16 * 1024 * 1024,
        qos_max: Qos::AtLeastOnce,
        filters_per_subscribe_max: 1024,
        client_id_bytes_max: 65_535,
        empty_client_id: EmptyClientId::Assigned,
        keepalive: KeepAlive::AsAsked,
        connect_timeout_ms: 10_000,
        acks_owed_max: 100,
        in_flight_max: 100,
    };

    pub(super) fn connect_fault(&self, connect: &Connect) -> Option<ConnectFault> {
        if connect.version == Version::V5 {
            return Some(ConnectFault::VersionNotServed);
        }
        if connect.client_id.is_empty() && (self.empty_client_id == EmptyClientId::Refused || !connect.clean) {
            return Some(ConnectFault::ClientIdEmpty);
        }
        let bytes = connect.client_id.len();
        if bytes > self.client_id_bytes_max {
            return Some(ConnectFault::ClientIdTooLong { bytes, bytes_max: self.client_id_bytes_max });
        }
        match &connect.will {
            Some(will) if will.qos > self.qos_max => Some(ConnectFault::WillQosNotServed { qos: will.qos }),
            _ => None,
        }
    }
}

impl KeepAlive {
    pub(super) fn silence_ms_max(self, asked_s: u16) -> Option<u64> {
        let keepalive_s = match self {
            KeepAlive::AsAsked if asked_s == 0 => return None,
            KeepAlive::AsAsked => asked_s,
            KeepAlive::Clamped { s_max, .. } if asked_s == 0 => s_max,
            KeepAlive::Clamped { s_min, s_max } => asked_s.max(s_min).min(s_max),
        };
        let (times, over) = KEEPALIVE_TOLERANCE;
        Some(u64::from(keepalive_s) * 1000 * times / over)
    }
}
