//! Every limit of the AWS door, with its reason.

use std::time::Duration;

/// What the operator may set, each with the reason for its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. One costs some 30 KiB with TLS.
    pub connections_max: usize,
    /// Of these, from one address: an SDK keeps ten to fifty, a machine in CI runs several.
    pub connections_per_address_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a body larger than `BODY_BYTES_MAX` waits for one of the `LARGE_BODIES_MAX` places. Whose body it is, is known
    /// only at its end: who sends slowly on purpose must not keep everybody else waiting without an answer.
    pub large_body_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            connections_per_address_max: 128,
            handshake_timeout: Duration::from_secs(10),
            large_body_wait: Duration::from_secs(30),
        }
    }
}

/// A body of most operations. The largest legitimate ones are a CA certificate (64 KiB) and a rule (256 KiB).
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// AWS takes a package of 50 MiB; in base64 that is this many bytes, the number in AWS's own message.
pub const PACKAGE_BODY_BYTES_MAX: usize = 69_905_067;

/// AWS's limit of a synchronous invocation's payload.
pub const INVOKE_BODY_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Bodies larger than `BODY_BYTES_MAX` held at once: they would otherwise fill the memory of a small machine.
pub const LARGE_BODIES_MAX: usize = 4;

/// Headers together: session tokens and tags are the long ones. hyper answers 431 to what is much longer.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

pub const HEADERS_MAX: usize = 100;

/// As AWS's front ends refuse it.
pub const URI_BYTES_MAX: usize = 16 * 1024;

/// Deepest nesting in a JSON body. The deepest shape has 9 levels, a document inside one may add some.
pub const JSON_DEPTH_MAX: usize = 64;

/// Values in a JSON body: a value costs about 32 bytes of memory for 2 on the wire.
pub const JSON_VALUES_MAX: usize = 100_000;

/// Pairs in a form or a query string.
pub const PAIRS_MAX: usize = 2000;

/// Characters of a refused value that are quoted back.
pub const ECHO_CHARACTERS_MAX: usize = 128;

/// Violations that one answer lists.
pub const VIOLATIONS_MAX: usize = 20;

/// From the start of a connection, or the end of an answer, to the end of the next head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// From the head to the end of the body: a full package over a slow line.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// How long open requests may take to end after shutdown was asked for.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Signing keys kept: one a day, region and service for each caller; a few hundred bytes each.
pub const SIGNING_KEYS_MAX: usize = 256;

/// Admission records in one answer, each up to some 10 KB with its chain.
pub const ADMISSION_RECORDS_MAX: usize = 1000;
