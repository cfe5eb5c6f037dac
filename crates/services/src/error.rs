//! What a verb can answer instead of its output: AWS's exceptions by their names in the service's model. HTTP codes are
//! the door's business.

use std::fmt;

/// `code` is the exception's name (`ResourceNotFoundException`, `NoSuchEntity`, ...); `members` holds what else its
/// shape carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: &'static str,
    pub message: String,
    pub members: Vec<(&'static str, String)>,
}

impl Error {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), members: Vec::new() }
    }

    /// Our own fault. The door turns the code into what the service's model calls it.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailureException", message)
    }

    pub fn with_member(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.members.push((name, value.into()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
