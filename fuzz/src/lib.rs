//! What a stranger can send, as plain functions that take any bytes and panic where a promise is broken.
//!
//! The ordinary test run calls them over the checked-in corpus on stable Rust; libFuzzer calls them for hours with bytes
//! of its own (`fuzz/libfuzzer`, docs/fuzzing.md). A target never asks whether its input is good: it asks that whatever
//! comes back is bounded, the same the second time, and true to the bytes.

mod certificates;
mod device_requests;
mod http_requests;
mod iam_policies;
mod iot_policies;
mod journal_segments;
mod mqtt_packets;
mod mqtt_sessions;
mod packages;
mod parts;
mod rule_sql;
mod signatures;
mod signing_requests;
mod stored_records;

pub use certificates::certificates;
pub use device_requests::device_requests;
pub use http_requests::http_requests;
pub use iam_policies::iam_policies;
pub use iot_policies::iot_policies;
pub use journal_segments::journal_segments;
pub use mqtt_packets::mqtt_packets;
pub use mqtt_sessions::mqtt_sessions;
pub use packages::packages;
pub use rule_sql::rule_sql;
pub use signatures::signatures;
pub use signing_requests::signing_requests;
pub use stored_records::stored_records;

/// Each target under the name of its corpus and of its libFuzzer binary.
pub const TARGETS: [(&str, fn(&[u8])); 13] = [
    ("certificates", certificates),
    ("device_requests", device_requests),
    ("http_requests", http_requests),
    ("iam_policies", iam_policies),
    ("iot_policies", iot_policies),
    ("journal_segments", journal_segments),
    ("mqtt_packets", mqtt_packets),
    ("mqtt_sessions", mqtt_sessions),
    ("packages", packages),
    ("rule_sql", rule_sql),
    ("signatures", signatures),
    ("signing_requests", signing_requests),
    ("stored_records", stored_records),
];
