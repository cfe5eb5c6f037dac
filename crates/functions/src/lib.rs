//! Keeps function packages and runs them. Grants itself no rights: what a function may call is asked of `AwsCalls`.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use serde_json::Value;

/// The role session under which a function's calls are judged. Known to the server from the pipe, never from the worker's word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleSession {
    pub role_arn: String,
    pub session_name: String,
}

#[derive(Clone, Debug)]
pub struct AwsCall {
    pub session: RoleSession,
    pub service: String,
    pub operation: String,
    pub input: Value,
}

#[derive(Clone, Debug)]
pub struct AwsCallError {
    pub code: String,
    pub message: String,
    pub status: u16,
    pub request_id: String,
}

type AwsFuture = Pin<Box<dyn Future<Output = Result<Value, AwsCallError>> + Send>>;

/// A function calls AWS: the boxed async function that `api` builds from its operation table.
#[derive(Clone)]
pub struct AwsCalls(pub Arc<dyn Fn(AwsCall) -> AwsFuture + Send + Sync>);

/// Takes each line of a function's log as it is written.
#[derive(Clone)]
pub struct LogSink(pub Arc<dyn Fn(LogLine) + Send + Sync>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub at: Timestamp,
    pub stream: String,
    pub text: String,
}

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

#[derive(Clone, Debug)]
pub struct Config {
    /// The program to start workers from, with `worker_args`.
    pub program: PathBuf,
    pub worker_args: Vec<String>,
    pub idle_timeout: Duration,
    pub environments_max: usize,
}

#[derive(Clone)]
pub struct Functions {}
impl Functions {
    pub fn new(_config: Config, _store: store::Store, _calls: AwsCalls) -> Self {
        todo!()
    }
    pub async fn invoke(&self, _invocation: Invocation) -> Result<Outcome, InvokeError> {
        todo!()
    }
    /// Starts the spare process (any function exists).
    pub fn keep_warm(&self) {
        todo!()
    }
    pub async fn close(&self) {
        todo!()
    }
}

/// What an uploaded zip holds, checked: count, sizes, ratio, names.
#[derive(Clone, Debug)]
pub struct Package {}
impl Package {
    pub fn read(_zip: &[u8]) -> Result<Self, PackageError> {
        todo!()
    }
    pub fn file(&self, _path: &str) -> Option<&[u8]> {
        todo!()
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageError(pub String);

/// The worker process: `landfall __function-worker` calls this and exits with its code.
pub fn worker_main() -> i32 {
    todo!()
}
