//! Every bound of the store, with its reason.

use std::time::Duration;

/// Keys are paths of AWS names; the longest name AWS allows (a role path) has 512 characters.
pub const KEY_BYTES_MAX: usize = 1024;

/// Well above the largest record that is not a blob: a policy with five versions, a chain of certificates.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// One commit changes one noun and what hangs on it; more than this belongs in several commits.
pub const COMMIT_WRITES_MAX: usize = 1024;

/// Bounds the engine transaction, and later the entry of a replicated log.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;

/// Memory that waiting commits may hold, in units of `QUEUE_UNIT_BYTES`: at least one commit of the largest size. Each
/// takes a unit at least, which bounds their number; beyond it `Store::reserve` waits.
pub(crate) const QUEUE_UNIT_BYTES: usize = 1024;
pub(crate) const QUEUE_UNITS_MAX: usize = (64 << 20) / QUEUE_UNIT_BYTES;

/// Deferred commits wait so long for one that somebody waits for: they cost no fsync of their own while there is work,
/// and few where there is none.
pub(crate) const DEFERRED_PATIENCE: Duration = Duration::from_millis(50);

/// The largest packet that any door takes, and its properties.
pub const QUEUE_BODY_BYTES_MAX: usize = 17 << 20;
/// What differs from queue to queue: a few numbers, and the name of a group (a topic filter).
pub const QUEUE_HEAD_BYTES_MAX: usize = 128 << 10;
/// The appends of one commit.
pub const APPEND_BYTES_MAX: usize = 32 << 20;

/// One engine transaction takes at most this much from the queue, so that no commit waits for an endless one.
pub(crate) const GROUP_COMMITS_MAX: usize = 4096;
pub(crate) const GROUP_BYTES_MAX: usize = 16 << 20;

/// Lambda takes packages of 50 MB by direct upload; zip and JSON framing stay below the rest.
pub const BLOB_BYTES_MAX: usize = 64 << 20;

/// A log event of CloudWatch has at most 1 MB.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;
/// A log group and a log stream of 512 characters each, as UTF-8, and what joins them.
pub const STREAM_BYTES_MAX: usize = 2048;
/// Journals are named by the code; this keeps the folder's name below what file systems take.
pub(crate) const JOURNAL_NAME_BYTES_MAX: usize = 64;

/// Memory an entry takes beside its value and the name of its stream, where the stream has no other entry: its place in
/// the ring and in the index, allocations included.
pub(crate) const ENTRY_OVERHEAD_BYTES: u64 = 192;
/// Segments are removed whole: an eighth of a journal bounds what lies on disk beyond it.
pub(crate) const SEGMENTS_PER_JOURNAL: u64 = 8;
/// Less is not worth a file.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 64 << 10;
