//! Everything that outlives a task: control records, queues, journals, blobs. The only crate that names an engine.
//! It never knows what a record means.
//!
//! The store may refuse, it never forgets: what `Store::commit` answered is on disk. After a disk error it refuses
//! every further commit until the server is started again, since what the disk then holds is known only after a fresh
//! look.

mod apply;
mod blobs;
mod commit;
mod counters;
mod directory;
mod engine;
mod error;
mod histogram;
mod journal;
mod limits;
mod proposal;
mod queue;
mod store;
mod watch;
mod writer;

pub use blobs::{BlobHold, BlobId, Blobs};
pub use commit::{Change, Commit, Expect, Record, Write};
pub use counters::StoreCounters;
pub use error::{CommitError, StoreError};
pub use histogram::{Distribution, Histogram};
pub use journal::{Entry, Journal, JournalBounds, JournalUsage, StreamFacts};
pub use limits::{
    APPEND_BYTES_MAX, BLOB_BYTES_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, ENTRY_BYTES_MAX, KEY_BYTES_MAX,
    QUEUE_BODY_BYTES_MAX, STREAM_BYTES_MAX, VALUE_BYTES_MAX,
};
pub use proposal::{Place, Proposed};
pub use queue::{Position, QueueBell, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite};
pub use store::Store;
