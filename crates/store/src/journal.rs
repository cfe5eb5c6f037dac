//! Append-only entries bounded by bytes and age.

use bytes::Bytes;

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
