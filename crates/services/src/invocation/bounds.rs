//! How much may wait and how much is kept of what was given up. What is beyond is refused, or said.

/// Invocations of QoS 0 messages that may wait, in memory alone. What is over is dropped and said.
pub(super) const UNSTORED_MAX: usize = 10_000;
pub(super) const UNSTORED_BYTES_MAX: usize = 64 << 20;

/// Rows that may wait: an hour of twenty-five events a second to a function that does not run. What is over is refused to
/// whoever brings it; a device keeps its message and sends it again.
pub(super) const STORED_MAX: usize = 100_000;
pub(super) const STORED_BYTES_MAX: usize = 1 << 30;

/// Dead letters kept. A function that fails on every message would fill the disk with them; the oldest go first, and the
/// server's log says so.
pub(super) const DEAD_LETTERS_MAX: usize = 1000;
pub(super) const DEAD_LETTER_BYTES_MAX: u64 = 64 << 20;

/// Of a function's error, what is kept with its dead letter and told in the log: it can fail with megabytes, and does so
/// again and again. AWS keeps as much.
pub(super) const RESPONSE_BYTES_MAX: usize = 1024;
