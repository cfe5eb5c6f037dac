//! Everything that outlives a task: control records, journals, blobs. The only crate that names an engine.
//! It never knows what a record means.
//!
//! The store may refuse, it never forgets: what `Store::commit` answered is on disk. After a disk error it refuses
//! every further commit until the server is started again, since what the disk then holds is known only after a fresh
//! look.

mod apply;
mod blobs;
mod commit;
mod directory;
mod engine;
mod error;
mod journal;
mod limits;
mod store;
mod watch;
mod writer;

pub use blobs::{BlobHold, BlobId, Blobs};
pub use commit::{Change, Expect, Record, Write};
pub use error::{CommitError, StoreError};
pub use journal::{Entry, Journal, JournalBounds, JournalUsage, StreamFacts};
pub use limits::{
    BLOB_BYTES_MAX, COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, ENTRY_BYTES_MAX, KEY_BYTES_MAX, STREAM_BYTES_MAX,
    VALUE_BYTES_MAX,
};
pub use store::Store;
