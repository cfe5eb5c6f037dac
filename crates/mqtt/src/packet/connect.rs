//! The packets that open and end a connection: CONNECT, CONNACK, DISCONNECT, AUTH.

use std::fmt;

use bytes::Bytes;

use super::{Properties, Qos, ReasonCode, Version};
use crate::topic::TopicName;

#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    pub version: Version,
    /// Clean Session of 3.1.1, Clean Start of 5.0.
    pub clean: bool,
    pub keepalive_s: u16,
    /// May be empty.
    pub client_id: String,
    pub will: Option<Will>,
    pub username: Option<String>,
    pub password: Option<Bytes>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    pub session_present: bool,
    pub code: ReasonCode,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    pub code: ReasonCode,
    pub properties: Properties,
}

/// Enhanced authentication, 5.0 only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    pub code: ReasonCode,
    pub properties: Properties,
}

impl Connect {
    /// A clean 3.1.1 session without will or credentials.
    pub fn new(client_id: impl Into<String>) -> Self {
        Connect {
            version: Version::V311,
            clean: true,
            keepalive_s: 60,
            client_id: client_id.into(),
            will: None,
            username: None,
            password: None,
            properties: Properties::new(),
        }
    }
}

/// The password stays out of logs.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean", &self.clean)
            .field("keepalive_s", &self.keepalive_s)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("properties", &self.properties)
            .finish()
    }
}
