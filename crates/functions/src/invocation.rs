//! What goes into one run of a function, and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::aws_calls::RoleSession;
use crate::log::LogSink;

/// Everything that a run needs to know of a function's version.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    pub name: String,
    pub arn: String,
    pub version: String,
    pub runtime: String,
    pub handler: String,
    pub timeout: Duration,
    pub memory_mb: u32,
    pub environment: BTreeMap<String, String>,
    /// Base64 SHA-256 of the package, as AWS shows it; environments of another one are replaced.
    pub code_sha256: String,
    pub blob: store::BlobId,
    /// Changes whenever code or configuration changes.
    pub revision_id: String,
    pub session: RoleSession,
    pub region: String,
    pub account_id: String,
}

pub struct Invocation {
    pub function: Arc<FunctionSpec>,
    pub request_id: String,
    /// JSON of at most `PAYLOAD_BYTES_MAX`; empty is `{}`.
    pub event: Bytes,
    pub logs: LogSink,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    /// The handler's JSON, or Lambda's error object.
    pub result: Result<Bytes, Bytes>,
    pub log_stream: String,
    pub duration: Duration,
}

/// The runner never got as far as the function's code.
#[derive(Clone, Debug)]
pub enum InvokeError {
    Busy(String),
    NoPackage(String),
    UnsupportedRuntime(String),
    Internal(String),
}
