//! The protocol as AWS IoT shapes it: what a session may ask for. Which topics are a client's to use is in
//! `domain::topic`.
//! Source of each value: "AWS IoT Core message broker and protocol limits and quotas" and the guide's MQTT page.

use domain::topic::PAYLOAD_BYTES_MAX;
use mqtt::Qos;
use mqtt::session::{EmptyClientId, KeepAlive, Limits as SessionLimits};

use crate::limits::Limits;

/// Beside the payload: fixed header, topic and packet identifier, with room to spare.
const PACKET_OVERHEAD_BYTES_MAX: usize = 1024;
const CLIENT_ID_BYTES_MAX: usize = 128;
const KEEPALIVE_S_MIN: u16 = 30;
/// Also what 0 means.
const KEEPALIVE_S_MAX: u16 = 1200;
const FILTERS_PER_SUBSCRIBE_MAX: usize = 8;
pub(crate) const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 50;
/// Unacknowledged QoS 1 publishes, each way.
const IN_FLIGHT_MAX: u16 = 100;
/// Both ways.
const TOPIC_ALIAS_MAX: u16 = 8;
/// No session outlives its connection yet.
const SESSION_EXPIRY_S_MAX: u32 = 0;

pub(crate) fn session_limits(limits: &Limits) -> SessionLimits {
    SessionLimits {
        packet_bytes_max: PAYLOAD_BYTES_MAX + PACKET_OVERHEAD_BYTES_MAX,
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        qos_max: Qos::AtLeastOnce,
        // Nothing is retained yet.
        retain: false,
        subscription_ids: false,
        filters_per_subscribe_max: FILTERS_PER_SUBSCRIBE_MAX,
        client_id_bytes_max: CLIENT_ID_BYTES_MAX,
        empty_client_id: EmptyClientId::AssignedIn5,
        keepalive: KeepAlive::Clamped { s_min: KEEPALIVE_S_MIN, s_max: KEEPALIVE_S_MAX },
        connect_timeout_ms: u64::try_from(limits.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        session_expiry_s_max: SESSION_EXPIRY_S_MAX,
        session_expiry_311_s: SESSION_EXPIRY_S_MAX,
        receive_max: IN_FLIGHT_MAX,
        in_flight_max: IN_FLIGHT_MAX,
        topic_alias_max: TOPIC_ALIAS_MAX,
        topic_alias_out_max: TOPIC_ALIAS_MAX,
    }
}

/// The session has looked at the length already.
pub(crate) fn check_client_id(client_id: &str) -> Result<(), String> {
    if client_id.starts_with('$') {
        return Err("a client identifier must not start with $".to_owned());
    }
    Ok(())
}
