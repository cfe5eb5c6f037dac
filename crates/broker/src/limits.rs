//! Every bound of what the broker keeps, with its reason. What a connection's inbox holds is the claim's choice.

/// The rule of overflow is the same everywhere: what is there stays, what comes and finds no room is not queued for that
/// session (others get it), and is counted. A message that was acknowledged to its publisher and queued is never dropped
/// for want of room, only for age or with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Sessions that outlive their connections, absent or not. One costs about 1 KiB of memory.
    pub sessions_max: usize,
    /// Of one session; a bridge has hundreds, AWS allows 50 per connection.
    pub subscriptions_per_session_max: usize,
    pub queue: QueueLimits,
    /// Of all queues together: half of what a small disk has.
    pub queued_messages_max: u64,
    pub queued_bytes_max: u64,
    /// AWS keeps 500,000 in an account; here they are in memory as well.
    pub retained_messages_max: usize,
    pub retained_bytes_max: usize,
}

/// Of one session's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// A device that reports every ten seconds, for more than a day.
    pub messages_max: u64,
    /// A tenth of that with payloads of 32 KiB.
    pub bytes_max: u64,
    /// AWS keeps no session for longer than seven days, and no message longer than its session.
    pub age_s_max: u32,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        BrokerLimits {
            sessions_max: 200_000,
            subscriptions_per_session_max: 10_000,
            queue: QueueLimits::default(),
            queued_messages_max: 5_000_000,
            queued_bytes_max: 4 << 30,
            retained_messages_max: 100_000,
            retained_bytes_max: 128 << 20,
        }
    }
}

impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits { messages_max: 10_000, bytes_max: 32 << 20, age_s_max: 7 * 24 * 3600 }
    }
}

/// What a queued message costs beside its topic, payload and properties.
pub(crate) const QUEUED_OVERHEAD_BYTES: u64 = 64;
/// A value of the store, less what stands in front of the message.
pub(crate) const RETAINED_MESSAGE_BYTES_MAX: usize = store::VALUE_BYTES_MAX - 1024;
/// Read from a queue at once, so that it is never in memory as a whole.
pub(crate) const BATCH_ENTRIES_MAX: usize = 64;
pub(crate) const BATCH_BYTES_MAX: usize = 256 << 10;
/// Of one commit, where a session's rows or a wildcard's retained messages need several.
pub(crate) const COMMIT_WRITES_MAX: usize = 512;
pub(crate) const COMMIT_APPENDS_BYTES_MAX: usize = 4 << 20;
/// A member of a shared subscription that has so many messages waiting is passed over while another has fewer.
pub(crate) const GROUP_WAITING_MAX: u64 = 1_000;
/// Between two looks at what has grown too old.
pub(crate) const SWEEP_EVERY_MS: u64 = 60_000;
