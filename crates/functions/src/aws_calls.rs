//! How a function's calls to AWS leave this crate: as values, with the role's session that the server knows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

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
    /// The signing name: `iot`, `iot-data`, `lambda`, `iam`, `sts`, `logs`. What else a script names arrives as well.
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
