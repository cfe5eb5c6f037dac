//! The protocol as AWS IoT shapes it: what a session may ask for. Which topics are a client's to use is in
//! `domain::topic`.
//! AWS's values and their sources are in `domain::quota`.

pub(crate) use domain::quota::SUBSCRIPTIONS_PER_CONNECTION_MAX;
use domain::quota::{
    CLIENT_ID_BYTES_MAX, FILTERS_PER_SUBSCRIBE_MAX, IN_FLIGHT_MAX, KEEPALIVE_S_MAX, KEEPALIVE_S_MIN,
    MESSAGE_EXPIRY_S_MAX, MESSAGE_EXPIRY_S_MIN, PAYLOAD_BYTES_MAX, TOPIC_ALIAS_MAX,
};
use mqtt::Qos;
use mqtt::packet::{Properties, Property};
use mqtt::session::{EmptyClientId, KeepAlive, Limits as SessionLimits};

use crate::limits::Limits;

/// Beside the payload: fixed header, topic, packet identifier and the properties of MQTT 5, with room to spare.
const PACKET_OVERHEAD_BYTES_MAX: usize = 18 * 1024;
/// Of one PUBLISH or will, as they go on the wire. A small property is ten times as large in memory as on the wire, and a
/// message is kept for each receiver that is slow.
const PROPERTIES_BYTES_MAX: usize = 16 * 1024;
pub(crate) fn session_limits(limits: &Limits) -> SessionLimits {
    SessionLimits {
        packet_bytes_max: PAYLOAD_BYTES_MAX + PACKET_OVERHEAD_BYTES_MAX,
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        qos_max: Qos::AtLeastOnce,
        retain: true,
        subscription_ids: false,
        filters_per_subscribe_max: FILTERS_PER_SUBSCRIBE_MAX,
        client_id_bytes_max: CLIENT_ID_BYTES_MAX,
        empty_client_id: EmptyClientId::AssignedIn5,
        keepalive: KeepAlive::Clamped { s_min: KEEPALIVE_S_MIN, s_max: KEEPALIVE_S_MAX },
        connect_timeout_ms: u64::try_from(limits.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        session_expiry_s_max: limits.session_expiry_s_max,
        session_expiry_311_s: limits.session_expiry_s_max,
        receive_max: IN_FLIGHT_MAX,
        in_flight_max: IN_FLIGHT_MAX,
        topic_alias_max: TOPIC_ALIAS_MAX,
        topic_alias_out_max: TOPIC_ALIAS_MAX,
    }
}

/// What goes with a message to its receivers. A message lives for a second at least, and a week at most: 0 means 1, and
/// what is longer is a week.
pub(crate) fn message_properties(published: Properties) -> Properties {
    let properties = published.of_message();
    match properties.message_expiry_s() {
        Some(expiry_s) if !(MESSAGE_EXPIRY_S_MIN..=MESSAGE_EXPIRY_S_MAX).contains(&expiry_s) => {
            let expiry_s = expiry_s.clamp(MESSAGE_EXPIRY_S_MIN, MESSAGE_EXPIRY_S_MAX);
            let clamped = |property: &Property| match property {
                Property::MessageExpiryIntervalS(_) => Property::MessageExpiryIntervalS(expiry_s),
                property => property.clone(),
            };
            properties.iter().map(clamped).collect()
        }
        _ => properties,
    }
}

pub(crate) fn check_properties(properties: &Properties) -> Result<(), String> {
    let bytes = properties.wire_bytes();
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(format!("the message's properties have {bytes} bytes; {PROPERTIES_BYTES_MAX} are allowed"));
    }
    Ok(())
}

/// The session has looked at the length already.
pub(crate) fn check_client_id(client_id: &str) -> Result<(), String> {
    if client_id.starts_with('$') {
        return Err("a client identifier must not start with $".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mqtt::packet::{Properties, Property};

    use super::message_properties;

    #[test]
    fn messages_live_for_a_second_to_a_week() {
        for (asked_s, granted_s) in [(0, 1), (1, 1), (60, 60), (604_800, 604_800), (604_801, 604_800)] {
            let kept = Property::ContentType("text/plain".to_owned());
            let published: Properties =
                [Property::TopicAlias(1), kept.clone(), Property::MessageExpiryIntervalS(asked_s)]
                    .into_iter()
                    .collect();
            let expected: Properties = [kept, Property::MessageExpiryIntervalS(granted_s)].into_iter().collect();
            assert_eq!(message_properties(published), expected);
        }
    }
}
