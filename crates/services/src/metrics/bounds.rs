//! Times: the bounds of the histograms, in microseconds, and what lies between two moments.

use std::time::Duration;

use domain::Timestamp;

/// What happens between a read and the next write, or waits for an fsync.
pub(super) const IMMEDIATE_US: &[u64] =
    &[10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/// What a machine does by itself: from a tenth of a millisecond to the ten seconds after which doors give up.
pub(super) const QUICK_US: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// What waits for functions, which may run for fifteen minutes, and for devices, which come back when they like.
pub(super) const SLOW_US: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
];

/// The clock may have been set back meanwhile.
pub(super) fn between(first: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.since(first)).unwrap_or(0))
}
