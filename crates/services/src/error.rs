//! What a verb can answer instead of its output: AWS's exceptions, in domain words. HTTP codes are the door's business.

/// `code` is the exception's name in the service's model (`ResourceNotFoundException`, `NoSuchEntity`, ...).
/// The constructors keep names in one place; `members` holds what else the exception's shape carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub code: &'static str,
    pub message: String,
    pub members: Vec<(&'static str, String)>,
}

impl Error {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), members: Vec::new() }
    }
}
