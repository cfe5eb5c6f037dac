//! The protocol as AWS IoT shapes it: what a session may ask for, and which topics are a client's to use.
//! Source of each value: "AWS IoT Core message broker and protocol limits and quotas" and the guide's MQTT page.

use mqtt::Qos;
use mqtt::session::{EmptyClientId, KeepAlive, Limits as SessionLimits};

use crate::limits::Limits;

/// Publish request payload: 128 KB. CONNECT has the same bound.
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
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
const TOPIC_BYTES_MAX: usize = 256;
const TOPIC_SLASHES_MAX: usize = 7;
/// AWS names no bound; a subscription is kept as long as its connection, so there is one: a client id's.
const SHARE_NAME_BYTES_MAX: usize = 128;

pub(crate) fn session_limits(limits: &Limits) -> SessionLimits {
    SessionLimits {
        packet_bytes_max: PAYLOAD_BYTES_MAX + PACKET_OVERHEAD_BYTES_MAX,
        payload_bytes_max: PAYLOAD_BYTES_MAX,
        qos_max: Qos::AtLeastOnce,
        filters_per_subscribe_max: FILTERS_PER_SUBSCRIBE_MAX,
        client_id_bytes_max: CLIENT_ID_BYTES_MAX,
        empty_client_id: EmptyClientId::Refused,
        keepalive: KeepAlive::Clamped { s_min: KEEPALIVE_S_MIN, s_max: KEEPALIVE_S_MAX },
        connect_timeout_ms: u64::try_from(limits.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        acks_owed_max: IN_FLIGHT_MAX,
        in_flight_max: IN_FLIGHT_MAX,
    }
}

/// The session has looked at the length already.
pub(crate) fn check_client_id(client_id: &str) -> Result<(), String> {
    if client_id.starts_with('$') {
        return Err("a client identifier must not start with $".to_owned());
    }
    Ok(())
}

/// Whether a client may publish here at all; the policy is asked afterwards. No service that takes requests on a
/// `$aws` topic is served yet, so none of these is open.
pub(crate) fn check_publish_topic(topic: &str) -> Result<(), String> {
    if topic.starts_with('$') {
        return Err(format!("the topic {topic} is reserved: clients cannot publish to topics that start with $"));
    }
    check_size("topic", topic)
}

pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    let (share, filter) = without_share(filter);
    if share.len() > SHARE_NAME_BYTES_MAX {
        return Err(format!("the share name has {} bytes; {SHARE_NAME_BYTES_MAX} are allowed", share.len()));
    }
    check_size("topic filter", filter)
}

/// `$share/<name>/` does not count as a part of the filter.
fn without_share(filter: &str) -> (&str, &str) {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).unwrap_or(("", filter))
}

fn check_size(kind: &str, text: &str) -> Result<(), String> {
    if text.len() > TOPIC_BYTES_MAX {
        return Err(format!("the {kind} has {} bytes; {TOPIC_BYTES_MAX} are allowed", text.len()));
    }
    let slashes = text.bytes().filter(|byte| *byte == b'/').count();
    if slashes > TOPIC_SLASHES_MAX {
        return Err(format!("the {kind} {text} has {slashes} slashes; {TOPIC_SLASHES_MAX} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_filters() {
        let long = "x".repeat(256);
        let too_long = "x".repeat(257);
        let (share, long_share) = (format!("$share/{}/a", "g".repeat(128)), format!("$share/{}/a", "g".repeat(129)));
        for (topic, publish, filter) in [
            ("a", true, true),
            ("a/b/c/d/e/f/g/h", true, true),
            ("a/b/c/d/e/f/g/h/i", false, false),
            ("$aws/things/x/shadow/update", false, true),
            ("$aws/events/certificates/registered/x", false, true),
            ("$anything", false, true),
            ("$share/group/a/b/c/d/e/f/g/h", false, true),
            ("$share/group/a/b/c/d/e/f/g/h/i", false, false),
            (&share, false, true),
            (&long_share, false, false),
            (&long, true, true),
            (&too_long, false, false),
        ] {
            assert_eq!(check_publish_topic(topic).is_ok(), publish, "publish {topic}");
            assert_eq!(check_filter(topic).is_ok(), filter, "subscribe {topic}");
        }
    }
}
