//! What a session lets its client do. The values are the caller's: one profile of a listener, one `Limits`.

use super::action::ConnectFault;
use crate::packet::{Connect, Property, Qos, Version};

/// How much longer than the keep-alive a client may be silent: one and a half times [MQTT-3.1.2-22].
const KEEPALIVE_TOLERANCE: (u64, u64) = (3, 2);
/// Of a session that never expires (5.0 section 3.1.2.11.2).
pub const SESSION_EXPIRY_NEVER_S: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A whole packet, with its fixed header; refused on sight of its length. 5.0 clients are told.
    pub packet_bytes_max: usize,
    /// Of one PUBLISH, and of a will.
    pub payload_bytes_max: usize,
    /// A client that publishes or subscribes with more is disconnected.
    pub qos_max: Qos,
    /// Whether messages may be retained. 5.0 clients are told, and disconnected if they try; in 3.1.1, which has no
    /// word for it, it is the application's to ignore.
    pub retain: bool,
    /// Whether subscriptions may have identifiers, in 5.0.
    pub subscription_ids: bool,
    pub filters_per_subscribe_max: usize,
    pub client_id_bytes_max: usize,
    pub empty_client_id: EmptyClientId,
    pub keepalive: KeepAlive,
    /// A session that asks to outlive its connection for longer outlives it for this long.
    pub session_expiry_s_max: u32,
    /// What a 3.1.1 client asks for that does not clean its session: it cannot say how long.
    pub session_expiry_311_s: u32,
    /// From the start of the session to the whole of its CONNECT.
    pub connect_timeout_ms: u64,
    /// Messages of the client with QoS 1 and 2 that are not acknowledged to the end. A 5.0 client is told, and
    /// disconnected if it sends more; from a 3.1.1 client nothing more is read.
    pub receive_max: u16,
    /// Messages with QoS 1 and 2 on their way to the client; a 5.0 client may ask for fewer.
    pub in_flight_max: u16,
    /// Topic aliases that the client may use, in 5.0.
    pub topic_alias_max: u16,
    /// Of those that the client offers, how many are used; each keeps a topic in memory, and is looked for in turn.
    pub topic_alias_out_max: u16,
}

/// What a client without an id gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyClientId {
    Refused,
    /// The application chooses an id; in 3.1.1 only if the session is clean [MQTT-3.1.3-7].
    Assigned,
    /// The same, but for 3.1.1 clients, which are not told their id.
    AssignedIn5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// The client's word counts; with 0 it may be silent for ever.
    AsAsked,
    /// Too short is raised to the minimum; too long, and 0, means the maximum.
    Clamped { s_min: u16, s_max: u16 },
}

impl Limits {
    /// What the standard allows, bounded where it bounds nothing.
    pub const STANDARD: Limits = Limits {
        packet_bytes_max: 16 * 1024 * 1024,
        payload_bytes_max: 16 * 1024 * 1024,
        qos_max: Qos::ExactlyOnce,
        retain: true,
        subscription_ids: true,
        filters_per_subscribe_max: 1024,
        client_id_bytes_max: 65_535,
        empty_client_id: EmptyClientId::Assigned,
        keepalive: KeepAlive::AsAsked,
        session_expiry_s_max: SESSION_EXPIRY_NEVER_S,
        session_expiry_311_s: SESSION_EXPIRY_NEVER_S,
        connect_timeout_ms: 10_000,
        receive_max: 1024,
        in_flight_max: 1024,
        topic_alias_max: 64,
        topic_alias_out_max: 16,
    };

    pub(super) fn connect_fault(&self, connect: &Connect) -> Option<ConnectFault> {
        if connect.client_id.is_empty() && !self.may_be_assigned(connect) {
            return Some(ConnectFault::ClientIdEmpty);
        }
        let bytes = connect.client_id.len();
        if bytes > self.client_id_bytes_max {
            return Some(ConnectFault::ClientIdTooLong { bytes, bytes_max: self.client_id_bytes_max });
        }
        let has = |wanted: fn(&Property) -> bool| connect.properties.iter().any(wanted);
        if has(|property| matches!(property, Property::AuthenticationMethod(_))) {
            return Some(ConnectFault::AuthenticationMethodNotServed);
        }
        if has(|property| matches!(property, Property::AuthenticationData(_))) {
            return Some(ConnectFault::AuthenticationDataWithoutMethod);
        }
        let will = connect.will.as_ref()?;
        let bytes = will.payload.len();
        if will.qos > self.qos_max {
            Some(ConnectFault::WillQosNotServed { qos: will.qos })
        } else if will.retain && !self.retain && connect.version == Version::V5 {
            Some(ConnectFault::WillRetainNotServed)
        } else if bytes > self.payload_bytes_max {
            Some(ConnectFault::WillTooLarge { bytes, bytes_max: self.payload_bytes_max })
        } else {
            None
        }
    }

    /// For how long the session outlives its connection.
    pub(super) fn session_expiry_s(&self, connect: &Connect) -> u32 {
        match connect.version {
            Version::V311 if connect.clean => 0,
            Version::V311 => self.session_expiry_311_s,
            Version::V5 => connect.properties.session_expiry_s().unwrap_or(0).min(self.session_expiry_s_max),
        }
    }

    fn may_be_assigned(&self, connect: &Connect) -> bool {
        match (self.empty_client_id, connect.version) {
            (EmptyClientId::Refused, _) | (EmptyClientId::AssignedIn5, Version::V311) => false,
            (_, Version::V311) => connect.clean,
            (_, Version::V5) => true,
        }
    }
}

impl KeepAlive {
    /// What counts, whatever the client asked for; 0 if it may be silent for ever.
    pub(super) fn granted_s(self, asked_s: u16) -> u16 {
        match self {
            KeepAlive::AsAsked => asked_s,
            KeepAlive::Clamped { s_max, .. } if asked_s == 0 => s_max,
            KeepAlive::Clamped { s_min, s_max } => asked_s.max(s_min).min(s_max),
        }
    }

    pub(super) fn silence_ms_max(granted_s: u16) -> Option<u64> {
        let (times, over) = KEEPALIVE_TOLERANCE;
        (granted_s != 0).then(|| u64::from(granted_s) * 1000 * times / over)
    }
}
