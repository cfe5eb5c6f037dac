//! What the operator decides about the server as a whole.

use domain::{AccountId, Region};

use crate::rates::RateLimits;
use crate::{Checkpoints, RootCredentials};

#[derive(Clone, Debug)]
pub struct Config {
    pub region: Region,
    pub account: AccountId,
    pub root: RootCredentials,
    /// The first is the address that DescribeEndpoint gives.
    pub endpoint_names: Vec<String>,
    /// Pauses before the second, third ... attempt of an asynchronous invocation; AWS: one minute, then two.
    pub async_retry_ms: Vec<i64>,
    pub rates: RateLimits,
    pub checkpoints: Checkpoints,
}
