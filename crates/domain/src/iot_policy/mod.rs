//! IoT policies: parse, compile once per version, judge without looking anything up.

use std::net::IpAddr;
use std::sync::Arc;

use crate::CertificateId;
use crate::x509::Certificate;

/// Non-blank characters of a document at most. (CreatePolicy)
pub const DOCUMENT_CHARS_MAX: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedPolicy {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// One policy version, ready to be judged; shared by every connection that it applies to.
#[derive(Debug)]
pub struct CompiledPolicy {
    name: String,
}

impl CompiledPolicy {
    pub fn parse(_name: &str, _document: &str) -> Result<Self, MalformedPolicy> {
        todo!()
    }
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IotAction {
    Connect,
    Publish,
    Subscribe,
    Receive,
    RetainPublish,
}

impl IotAction {
    /// `iot:Connect`, ...
    pub const fn as_str(self) -> &'static str {
        todo!()
    }
}

/// Everything about a connection that a policy's variables and conditions can ask for.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    pub client_id: String,
    pub certificate_id: CertificateId,
    pub certificate: Arc<Certificate>,
    pub source_ip: Option<IpAddr>,
    /// `PersistentConnect`, `LastWill`.
    pub connect_attributes: Vec<&'static str>,
    pub last_will_topic_arn: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed { policy: String, statement: usize },
    Denied { policy: String, statement: usize, sid: Option<String> },
    NotAllowed,
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// `resource` is a whole ARN: `arn:aws:iot:<region>:<account>:topic/<topic>` and so on.
pub fn judge(
    _policies: &[Arc<CompiledPolicy>],
    _action: IotAction,
    _resource: &str,
    _facts: &ConnectionFacts,
) -> Decision {
    todo!()
}
