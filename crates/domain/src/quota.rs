//! AWS's quotas that are held here, key by key. The constants are what the rest of the code reads; `QUOTAS` is the same as
//! a table, from which docs/quotas.md is checked.

use crate::rate::Rate;

/// Publish request payload: 128 KB. CONNECT has the same bound.
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
pub const TOPIC_BYTES_MAX: usize = 256;
pub const TOPIC_SLASHES_MAX: usize = 7;
pub const CLIENT_ID_BYTES_MAX: usize = 128;
pub const KEEPALIVE_S_MIN: u16 = 30;
/// Also what 0 means.
pub const KEEPALIVE_S_MAX: u16 = 1200;
pub const FILTERS_PER_SUBSCRIBE_MAX: usize = 8;
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 50;
/// Unacknowledged QoS 1 publishes, each way.
pub const IN_FLIGHT_MAX: u16 = 100;
/// Both ways.
pub const TOPIC_ALIAS_MAX: u16 = 8;
pub const MESSAGE_EXPIRY_S_MIN: u32 = 1;
pub const MESSAGE_EXPIRY_S_MAX: u32 = 604_800;

pub const CONNECTS_PER_CLIENT_ID: Rate = rate(1);
pub const PUBLISHES_PER_CONNECTION: Rate = rate(100);
/// Bytes, both ways together.
pub const BYTES_PER_CONNECTION: Rate = rate(512 * 1024);

pub const POLICIES_PER_TARGET_MAX: usize = 10;
pub const POLICY_VERSIONS_MAX: usize = 5;
/// Blanks not counted.
pub const POLICY_DOCUMENT_CHARS_MAX: usize = 2048;

/// What AWS allows a whole account, and raises if asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRates {
    pub connects: Rate,
    pub publishes_in: Rate,
    pub publishes_out: Rate,
    pub subscribes: Rate,
}

impl Default for AccountRates {
    fn default() -> Self {
        Self { connects: rate(500), publishes_in: rate(20_000), publishes_out: rate(20_000), subscribes: rate(500) }
    }
}

const fn rate(per_s: u32) -> Rate {
    match Rate::per_s(per_s) {
        Some(rate) => rate,
        None => panic!("no quota is 0"),
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub name: &'static str,
    pub value: String,
    /// Below `[limits]` of the config file, where AWS lets an account have another value.
    pub key: Option<&'static str>,
    /// What becomes of what is beyond it.
    pub beyond: &'static str,
    pub source: &'static str,
}

const BROKER: &str = "AWS IoT Core endpoints and quotas, message broker and protocols";
const MQTT: &str = "developer guide, MQTT";
const SECURITY: &str = "AWS IoT Core endpoints and quotas, security and identity";
const CLOSED: &str = "the connection is closed";
const DISCARDED: &str = "reported; with `rates = \"enforce\"` discarded (MQTT 5: PUBACK 0x97)";
const REFUSED: &str = "reported; with `rates = \"enforce\"` refused (MQTT 5: CONNACK 0x97)";

pub fn quotas() -> Vec<Quota> {
    let row = |name, value: String, beyond, source| Quota { name, value, key: None, beyond, source };
    let adjustable = |name, rate: Rate, key, beyond| Quota {
        name,
        value: format!("{}/s", rate.value_per_s()),
        key: Some(key),
        beyond,
        source: BROKER,
    };
    let per_second = |rate: Rate| format!("{}/s", rate.value_per_s());
    let account = AccountRates::default();
    vec![
        row("payload of a message, and of CONNECT", format!("{PAYLOAD_BYTES_MAX} bytes"), CLOSED, BROKER),
        row(
            "topic or filter",
            format!("{TOPIC_BYTES_MAX} bytes"),
            "refused; a publish over MQTT closes the connection",
            BROKER,
        ),
        row(
            "slashes in a topic or filter",
            TOPIC_SLASHES_MAX.to_string(),
            "refused; a publish over MQTT closes the connection",
            BROKER,
        ),
        row("client id", format!("{CLIENT_ID_BYTES_MAX} bytes"), "CONNACK with the standard's code", BROKER),
        row(
            "keep-alive",
            format!("{KEEPALIVE_S_MIN} to {KEEPALIVE_S_MAX} s"),
            "taken for the nearest, and 0 for the longest",
            BROKER,
        ),
        row("filters in a SUBSCRIBE", FILTERS_PER_SUBSCRIBE_MAX.to_string(), CLOSED, BROKER),
        row(
            "subscriptions of a connection",
            SUBSCRIPTIONS_PER_CONNECTION_MAX.to_string(),
            "refused (SUBACK 0x80, MQTT 5: 0x97)",
            BROKER,
        ),
        row(
            "unacknowledged QoS 1 messages, each way",
            IN_FLIGHT_MAX.to_string(),
            "to the device: they wait; from it, MQTT 5: the connection is closed (0x93)",
            BROKER,
        ),
        row("topic aliases, each way", TOPIC_ALIAS_MAX.to_string(), "the connection is closed (0x94)", MQTT),
        row(
            "message expiry",
            format!("{MESSAGE_EXPIRY_S_MIN} to {MESSAGE_EXPIRY_S_MAX} s"),
            "taken for the nearest",
            MQTT,
        ),
        row("CONNECTs of one client id", per_second(CONNECTS_PER_CLIENT_ID), REFUSED, BROKER),
        adjustable("CONNECTs of the account", account.connects, "connects_per_s", REFUSED),
        row(
            "messages on one connection, each way",
            per_second(PUBLISHES_PER_CONNECTION),
            "reported; with `rates = \"enforce\"` discarded (MQTT 5: PUBACK 0x97); to the device they wait",
            BROKER,
        ),
        row(
            "bytes on one connection",
            per_second(BYTES_PER_CONNECTION),
            "reported; with `rates = \"enforce\"` they wait",
            BROKER,
        ),
        adjustable("messages from all clients", account.publishes_in, "publishes_in_per_s", DISCARDED),
        adjustable(
            "messages to all clients",
            account.publishes_out,
            "publishes_out_per_s",
            "reported; with `rates = \"enforce\"` they wait",
        ),
        adjustable(
            "subscriptions of all clients",
            account.subscribes,
            "subscribes_per_s",
            "reported; with `rates = \"enforce\"` refused (SUBACK 0x80, MQTT 5: 0x97)",
        ),
        row("policies of a certificate", POLICIES_PER_TARGET_MAX.to_string(), "LimitExceededException", SECURITY),
        row("versions of a policy", POLICY_VERSIONS_MAX.to_string(), "VersionsLimitExceededException", SECURITY),
        row(
            "policy document, blanks not counted",
            format!("{POLICY_DOCUMENT_CHARS_MAX} characters"),
            "MalformedPolicyException",
            SECURITY,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/quotas.md says the same.
    #[test]
    fn the_table_is_documented() {
        let page = include_str!("../../../docs/quotas.md");
        for Quota { name, value, key, beyond, source } in quotas() {
            let key = key.map(|key| format!("`{key}`")).unwrap_or_default();
            let line = format!("| {name} | {value} | {key} | {beyond} | {source} |");
            assert!(page.lines().any(|found| found == line), "docs/quotas.md lacks:\n{line}");
        }
    }
}
