//! Everything that outlives a task: control records, journals, blobs. The only crate that names an engine.
//! It never knows what a record means.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub const KEY_BYTES_MAX: usize = 1024;
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// The open store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub value: Bytes,
    pub revision: u64,
}

/// One write of a commit: `value: None` deletes.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Vec<u8>,
    pub value: Option<Bytes>,
    pub expect: Expect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    Revision(u64),
}

#[derive(Debug)]
pub enum CommitError {
    /// The record at `key` was not as expected; nothing was written.
    Conflict {
        key: Vec<u8>,
    },
    Store(StoreError),
}

/// One sentence for the operator inside.
#[derive(Debug)]
pub enum StoreError {
    Io(String),
    Corrupt(String),
    InUse(String),
    NewerVersion(String),
    TooLarge(String),
    Closed,
}

/// What a commit changed below a watched prefix.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: Vec<u8>,
    pub record: Option<Record>,
}

impl Store {
    /// Blocking: opens or makes the store below `dir`.
    pub fn open(_dir: &Path) -> Result<Self, StoreError> {
        todo!()
    }
    /// Reads the local view; about a microsecond, no await.
    pub fn get(&self, _key: &[u8]) -> Result<Option<Record>, StoreError> {
        todo!()
    }
    /// Records whose key begins with `prefix`, in key order.
    pub fn scan(&self, _prefix: &[u8]) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        todo!()
    }
    /// At most `limit` of them, with keys greater than `after`.
    pub fn scan_after(
        &self,
        _prefix: &[u8],
        _after: Option<&[u8]>,
        _limit: usize,
    ) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        todo!()
    }
    /// All or nothing, on disk when it answers. The revision is the commit's sequence number.
    pub async fn commit(&self, _writes: Vec<Write>) -> Result<u64, CommitError> {
        todo!()
    }
    pub fn watch(&self, _prefix: &[u8]) -> tokio::sync::mpsc::UnboundedReceiver<Change> {
        todo!()
    }
    pub fn blobs(&self) -> &Blobs {
        todo!()
    }
    /// Opens (or makes) the journal `name`.
    pub fn journal(&self, _name: &str, _bounds: JournalBounds) -> Result<Journal, StoreError> {
        todo!()
    }
    /// Writes out what journals hold, finishes the running commit, refuses what comes after.
    pub async fn close(&self) {
        todo!()
    }
}

/// Files by their SHA-256.
#[derive(Clone)]
pub struct Blobs {}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobId(pub [u8; 32]);
impl Blobs {
    /// Written, fsynced, renamed (and the folder fsynced) when it answers.
    pub async fn put(&self, _bytes: Bytes) -> Result<BlobId, StoreError> {
        todo!()
    }
    pub async fn get(&self, _id: BlobId) -> Result<Option<Bytes>, StoreError> {
        todo!()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct JournalBounds {
    pub bytes_max: u64,
    pub age_max_ms: i64,
}

/// Append-only entries bounded by bytes and age; written out each second: a crash may cost the last second.
#[derive(Clone)]
pub struct Journal {}
#[derive(Clone, Debug)]
pub struct Entry {
    pub sequence: u64,
    pub at_ms: i64,
    pub stream: String,
    pub value: Bytes,
}
impl Journal {
    /// `stream` groups entries (a log stream, a certificate); never blocks, never fails: overflow drops the oldest.
    pub fn append(&self, _stream: &str, _at_ms: i64, _value: Bytes) -> u64 {
        todo!()
    }
    /// Entries with `sequence > after`, oldest first, at most `limit`.
    pub fn read(&self, _after: u64, _limit: usize) -> Vec<Entry> {
        todo!()
    }
    /// The last `limit` entries, newest first.
    pub fn last(&self, _limit: usize) -> Vec<Entry> {
        todo!()
    }
}
