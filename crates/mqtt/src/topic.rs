//! Topic names and topic filters, checked where they enter (MQTT 3.1.1 section 4.7).

use std::fmt;
use std::sync::Arc;

/// A topic to publish to: 1 to 65,535 bytes of UTF-8, no wildcard, no NUL. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// A topic filter, well-formed wildcards; `$share/<group>/<filter>` is recognised. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    Empty,
    TooLong,
    Nul,
    Wildcard,
    MisplacedWildcard,
    MalformedShare,
}

impl TopicName {
    pub fn parse(_text: &str) -> Result<Self, TopicError> {
        todo!()
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TopicFilter {
    pub fn parse(_text: &str) -> Result<Self, TopicError> {
        todo!()
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// MQTT matching: a wildcard in the first level does not match `$`-topics [MQTT-4.7.2-1].
    pub fn matches(&self, _topic: &str) -> bool {
        todo!()
    }
}
impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
