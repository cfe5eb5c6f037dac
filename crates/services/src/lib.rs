//! Every AWS noun and its rules, one file each. Authorisation is the first line of every verb.
//! Knows no HTTP, TLS, sockets or storage engines.

pub mod admission;
pub mod blob;
pub mod connection;
pub mod credentials;
pub mod epoch_seconds;
pub mod error;
pub mod iam;
pub mod iot;
pub mod lambda;
pub mod logs;
pub mod messages;
pub mod op;
pub mod sts;

pub use credentials::Credential;
pub use error::Error;
pub use functions::{AwsCall, AwsCallError, AwsCalls};
pub use op::{Caller, Op};

use std::sync::Arc;

use domain::{AccountId, Region};

/// What the operator decides about the server as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    pub region: Region,
    pub account: AccountId,
    /// The first is the address that DescribeEndpoint gives.
    pub endpoint_names: Vec<String>,
    /// Pauses before the second and third attempt of an asynchronous invocation.
    pub async_retry_ms: Vec<u64>,
}

/// Everything behind both doors. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    #[expect(dead_code)]
    inner: Arc<()>,
}
