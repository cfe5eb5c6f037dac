//! The protocol as the standards have it, for programs on the same machine: no limit of AWS's, and bounds only where
//! the standards bound nothing.
//!
//! What it shares with devices is the broker: topics, client ids, retained messages. One thing it must not be able to
//! do is speak in the server's name: `$aws/...` is read by rules and devices as the word of AWS IoT (presence, registered
//! certificates), so nobody publishes there from here. The standards leave that to the server (3.1.1 and 5.0 section
//! 4.7.2, [MQTT-3.3.5-2] of 3.1.1).

use mqtt::packet::Properties;
use mqtt::session::Limits as SessionLimits;

use crate::limits::Limits;

/// Of one PUBLISH or will, as they go on the wire; a small property is ten times as large in memory.
const PROPERTIES_BYTES_MAX: usize = 64 * 1024;
pub(crate) const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 10_000;
/// Two of the largest messages.
pub(crate) const INBOX_BYTES_MAX: usize = 2 * SessionLimits::STANDARD.packet_bytes_max;

pub(crate) fn session_limits(limits: &Limits) -> SessionLimits {
    SessionLimits {
        connect_timeout_ms: u64::try_from(limits.connect_timeout.as_millis()).unwrap_or(u64::MAX),
        receive_max: limits.plain_in_flight_max,
        in_flight_max: limits.plain_in_flight_max,
        ..SessionLimits::STANDARD
    }
}

pub(crate) fn check_publish(topic: &str) -> Result<(), String> {
    if topic == "$aws" || topic.starts_with("$aws/") {
        return Err(format!(
            "the topic {topic} is the server's own: nobody publishes to $aws without a device's rights"
        ));
    }
    Ok(())
}

pub(crate) fn check_properties(properties: &Properties) -> Result<(), String> {
    let bytes = properties.wire_bytes();
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(format!("the message's properties have {bytes} bytes; {PROPERTIES_BYTES_MAX} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_publish;

    #[test]
    fn only_the_servers_own_topics_are_closed() {
        for (topic, is_open) in [
            ("a", true),
            ("$awsome", true),
            ("$anything/else", true),
            ("$aws", false),
            ("$aws/events/presence/connected/x", false),
            ("$aws/rules/x", false),
        ] {
            assert_eq!(check_publish(topic).is_ok(), is_open, "{topic}");
        }
    }
}
