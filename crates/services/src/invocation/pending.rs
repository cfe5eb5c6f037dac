//! What waits, as an operator sees it.

use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CHUNK, InvocationRow, PREFIX};
use crate::authorization::DeniedAs;
use crate::record::decode;
use crate::{Error, Op, Services};

/// An asynchronous invocation that is not done yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingInvocation {
    pub id: String,
    pub function_arn: String,
    /// The rule that fired; none for an event of the Invoke operation or of another function.
    pub rule: Option<String>,
    pub request_id: String,
    pub accepted_at: Timestamp,
    /// When it is tried next; one that runs has this behind it.
    pub next_at: Timestamp,
    /// Attempts that the function itself failed, and attempts that never reached it.
    pub failures: usize,
    pub delays: u32,
    pub payload_bytes: usize,
}

/// A list's page, and the id to ask on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingPage {
    pub invocations: Vec<PendingInvocation>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

impl Services {
    /// Oldest first. Those of QoS 0 messages have no row and are not among them.
    pub async fn pending_invocations(&self, op: &Op, after: Option<&str>, limit: usize) -> Result<PendingPage, Error> {
        let resource = self.own_arn("invocation/*");
        self.authorize(op, "landfall:ListInvocations", &resource, DeniedAs::AccessDeniedException)?;
        let mut page = PendingPage { invocations: Vec::new(), next: None };
        let mut after = after.map(|after| format!("{PREFIX}{after}").into_bytes());
        loop {
            let chunk = self.scan_chunk(PREFIX, after.as_deref(), CHUNK)?;
            if chunk.is_empty() {
                return Ok(page);
            }
            for (key, record) in chunk {
                let id = String::from_utf8_lossy(key.get(PREFIX.len()..).unwrap_or_default()).into_owned();
                if let Ok(found) = decode::<InvocationRow>(&key, &record) {
                    page.invocations.push(shape(id.clone(), &found.value));
                }
                if page.invocations.len() >= limit {
                    page.next = Some(id);
                    return Ok(page);
                }
                after = Some(key);
            }
            tokio::task::yield_now().await;
        }
    }
}

fn shape(id: String, row: &InvocationRow) -> PendingInvocation {
    PendingInvocation {
        id,
        function_arn: row.function_arn.clone(),
        rule: Some(row.rule.clone()).filter(|rule| !rule.is_empty()),
        request_id: row.request_id.clone(),
        accepted_at: row.created_at,
        next_at: row.next_at,
        failures: row.failures,
        delays: row.delays,
        payload_bytes: row.event_bytes(),
    }
}
