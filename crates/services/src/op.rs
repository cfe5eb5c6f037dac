//! Who asks, when, and in which request. Every verb takes one; nothing is ambient.

use std::net::IpAddr;
use std::sync::Arc;

use domain::Timestamp;
use functions::RoleSession;

use crate::sts::Session;

#[derive(Clone, Debug)]
pub struct Op {
    pub caller: Caller,
    pub now: Timestamp,
    pub request_id: String,
    /// `None` where no network was in between: a function's call, or our own.
    pub via: Option<Via>,
}

/// How a request came, as far as policies ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// Of the connection; what a proxy says of its clients is not believed.
    pub source_ip: IpAddr,
    pub is_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The account's root credentials.
    Root { access_key_id: String },
    /// A function, in its role.
    Role(RoleSession),
    /// Who has temporary credentials, made by AssumeRole.
    Session(Arc<Session>),
}

impl Caller {
    /// `None` for the root.
    pub fn role_arn(&self) -> Option<&str> {
        match self {
            Self::Root { .. } => None,
            Self::Role(session) => Some(&session.role_arn),
            Self::Session(session) => Some(&session.role_arn),
        }
    }

    /// `None` for the root.
    pub fn session_name(&self) -> Option<&str> {
        match self {
            Self::Root { .. } => None,
            Self::Role(session) => Some(&session.session_name),
            Self::Session(session) => Some(&session.session_name),
        }
    }
}
