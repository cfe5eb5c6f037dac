//! Who asks, when, and in which request. Every verb takes one; nothing is ambient.

use domain::Timestamp;
use functions::RoleSession;

#[derive(Clone, Debug)]
pub struct Op {
    pub caller: Caller,
    pub now: Timestamp,
    pub request_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The account's root credentials.
    Root { access_key_id: String },
    /// A session of a role: a function's, or one made by AssumeRole.
    Role(RoleSession),
}
