//! What the broker can answer instead of doing what it was asked.

use std::fmt;

use store::{CommitError, StoreError};

#[derive(Clone, Debug)]
pub enum BrokerError {
    /// There are as many persistent sessions as are kept.
    TooManySessions {
        sessions_max: usize,
    },
    /// A message is to be retained, and as many are as are kept.
    RetainedFull {
        messages_max: usize,
        bytes_max: usize,
    },
    /// It is larger than what can be retained.
    RetainedTooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    Store(StoreError),
}

impl BrokerError {
    /// Whether it is a bound that was met, rather than a failure.
    pub fn is_quota(&self) -> bool {
        !matches!(self, BrokerError::Store(_))
    }
}

impl From<StoreError> for BrokerError {
    fn from(error: StoreError) -> Self {
        BrokerError::Store(error)
    }
}

impl From<CommitError> for BrokerError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => BrokerError::Store(error),
            // Nothing of the broker's leans on a revision where it waits for the answer.
            CommitError::Conflict { key } => {
                BrokerError::Store(StoreError::Corrupt(format!("{} was changed", String::from_utf8_lossy(&key))))
            }
        }
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerError::TooManySessions { sessions_max } => {
                write!(f, "there are {sessions_max} persistent sessions, and no more are kept")
            }
            BrokerError::RetainedFull { messages_max, bytes_max } => write!(
                f,
                "no more messages are retained: at most {messages_max}, and at most {bytes_max} bytes of them"
            ),
            BrokerError::RetainedTooLarge { bytes, bytes_max } => {
                write!(f, "a message of {bytes} bytes is not retained: at most {bytes_max} are")
            }
            BrokerError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BrokerError {}
