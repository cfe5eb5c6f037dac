//! A commit as its caller writes it, and its bounds.

use bytes::Bytes;

use crate::error::StoreError;
use crate::limits::{COMMIT_BYTES_MAX, COMMIT_WRITES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::queue::{self, QueueWrite};

/// What is written together, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub writes: Vec<Write>,
    pub queue: Vec<QueueWrite>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub value: Bytes,
    /// The sequence number of the commit that wrote it.
    pub revision: u64,
}

/// One write of a commit: `value: None` deletes. Where a commit names a key twice, both expectations are checked
/// against what was there before the commit, and the later write stays.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: Vec<u8>,
    pub value: Option<Bytes>,
    pub expect: Expect,
}

impl Write {
    /// Leans on a record as it is, and writes nothing.
    pub fn lean_on(key: impl Into<Vec<u8>>, revision: u64) -> Self {
        Self { key: key.into(), value: None, expect: Expect::Unchanged(revision) }
    }

    /// Leans on there being no record whose key begins with `prefix`, and writes nothing.
    pub fn nothing_below(prefix: impl Into<Vec<u8>>) -> Self {
        Self { key: prefix.into(), value: None, expect: Expect::NothingBelow }
    }

    /// Of key and value.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }

    pub(crate) fn writes(&self) -> bool {
        !matches!(self.expect, Expect::Unchanged(_) | Expect::NothingBelow)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    Revision(u64),
    /// This revision too, and the record stays as it is: the write's value counts for nothing. Commits that only lean on
    /// the same record do not get into each other's way.
    Unchanged(u64),
    /// No record's key begins with this one; the write's value counts for nothing.
    NothingBelow,
}

/// What a commit wrote below a watched prefix.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: Vec<u8>,
    /// `None`: deleted.
    pub record: Option<Record>,
}

impl Commit {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.queue.is_empty()
    }

    /// The size of a commit that is within bounds, or why it is not.
    pub(crate) fn size_bytes(&self) -> Result<usize, StoreError> {
        Ok(size_bytes(&self.writes)? + queue::size_bytes(&self.queue)?)
    }
}

fn size_bytes(writes: &[Write]) -> Result<usize, StoreError> {
    if writes.len() > COMMIT_WRITES_MAX {
        return Err(StoreError::TooLarge(format!(
            "a commit of {} writes was refused: at most {COMMIT_WRITES_MAX} are taken",
            writes.len()
        )));
    }
    let mut size = 0;
    for write in writes {
        let value_bytes = write.value.as_ref().map_or(0, Bytes::len);
        if write.key.len() > KEY_BYTES_MAX {
            return Err(StoreError::TooLarge(format!(
                "a key of {} bytes was refused: at most {KEY_BYTES_MAX} are taken",
                write.key.len()
            )));
        }
        if value_bytes > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge(format!(
                "the value of {} has {value_bytes} bytes and was refused: at most {VALUE_BYTES_MAX} are taken",
                String::from_utf8_lossy(&write.key)
            )));
        }
        size += write.bytes();
    }
    if size > COMMIT_BYTES_MAX {
        return Err(StoreError::TooLarge(format!(
            "a commit of {size} bytes was refused: at most {COMMIT_BYTES_MAX} are taken"
        )));
    }
    Ok(size)
}
