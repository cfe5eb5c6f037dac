//! One asynchronous invocation as it is stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::PREFIX;
use crate::record::{Stored, put};
use crate::{Error, random};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvocationRow {
    #[serde(skip)]
    pub id: String,
    pub function_arn: String,
    pub request_id: String,
    /// Base64.
    pub(super) payload: String,
    /// The rule that fired, or nothing.
    pub rule: String,
    pub created_at: Timestamp,
    pub next_at: Timestamp,
    /// Attempts that ended in the function's own error.
    pub failures: usize,
    /// Attempts that never reached the function.
    pub delays: u32,
    /// Functions that handed the event on, each as its destination.
    #[serde(default)]
    pub hops: u32,
}

impl Stored for InvocationRow {
    const VERSION: u32 = 1;
}

impl InvocationRow {
    pub(crate) fn new(function_arn: &str, payload: &Bytes, rule: &str, now: Timestamp) -> Self {
        let request_id = random::uuid();
        Self {
            id: format!("{:013}-{request_id}", now.millis()),
            function_arn: function_arn.to_owned(),
            request_id,
            payload: STANDARD.encode(payload),
            rule: rule.to_owned(),
            created_at: now,
            next_at: now,
            failures: 0,
            delays: 0,
            hops: 0,
        }
    }

    /// The same event from the beginning, as a new row.
    pub(super) fn anew(&self, now: Timestamp) -> Self {
        let fresh = Self::new(&self.function_arn, &Bytes::new(), &self.rule, now);
        Self { payload: self.payload.clone(), ..fresh }
    }

    pub(super) fn is_untried(&self) -> bool {
        self.failures == 0 && self.delays == 0
    }

    pub(super) fn event(&self) -> Result<Bytes, Error> {
        let event = STANDARD.decode(&self.payload);
        event.map(Bytes::from).map_err(|err| Error::internal(format!("the event cannot be read: {err}")))
    }

    pub(super) fn event_bytes(&self) -> usize {
        self.payload.len() / 4 * 3
    }

    pub(super) fn key(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }

    pub(crate) fn write(&self) -> Write {
        put(self.key(), self, Expect::Absent)
    }
}
