//! What the store can answer instead of doing what it was asked.

use std::fmt;
use std::io;
use std::path::Path;

#[derive(Clone, Debug)]
pub enum CommitError {
    /// The record at `key` was not as expected; nothing was written.
    Conflict {
        key: Vec<u8>,
    },
    Store(StoreError),
}

/// One sentence for the operator inside.
#[derive(Clone, Debug)]
pub enum StoreError {
    Io(String),
    Corrupt(String),
    InUse(String),
    NewerVersion(String),
    TooLarge(String),
    Closed,
}

impl StoreError {
    /// `doing` completes "cannot ...".
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io(format!("cannot {doing} {}: {error}", path.display()))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(sentence)
            | Self::Corrupt(sentence)
            | Self::InUse(sentence)
            | Self::NewerVersion(sentence)
            | Self::TooLarge(sentence) => f.write_str(sentence),
            Self::Closed => f.write_str("the store is closed, the server is shutting down"),
        }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { key } => {
                write!(f, "the record {} was changed meanwhile", String::from_utf8_lossy(key))
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CommitError {}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
