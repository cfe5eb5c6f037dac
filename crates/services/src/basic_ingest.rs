//! Basic Ingest: a message that names its rule in the topic, and reaches that rule alone.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-basic-ingest.html>)

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::Timestamp;
use domain::topic::BasicIngest;
use serde_json::json;

use crate::Services;
use crate::messages::Origin;
use crate::rules::Rule;

/// Between two log lines about rules that are not there. A device with a wrong topic sends all day.
const LOG_EVERY_MS: i64 = 1000;

/// Messages that named a rule which is not there or disabled. The publisher is not told, as on AWS.
#[derive(Default)]
pub(crate) struct RulesNotFound {
    count: AtomicU64,
    logged_at_ms: AtomicI64,
}

impl RulesNotFound {
    /// Counts one; whether it is to be logged.
    fn add(&self, now: Timestamp) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        let last = self.logged_at_ms.load(Ordering::Relaxed);
        let is_due = now.millis().saturating_sub(last).unsigned_abs() >= LOG_EVERY_MS.unsigned_abs();
        is_due && self.logged_at_ms.compare_exchange(last, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Services {
    /// AWS's metric `RuleNotFound`, since the server started.
    pub fn rules_not_found(&self) -> u64 {
        self.inner.rules_not_found.count.load(Ordering::Relaxed)
    }

    pub(crate) fn ingesting(&self, ingest: BasicIngest<'_>, origin: &Origin) -> Option<Arc<Rule>> {
        let rule = self.inner.rules.named(ingest.rule);
        let now = self.now();
        if rule.is_none() && self.inner.rules_not_found.add(now) {
            self.log_not_found(ingest, origin, now);
        }
        rule
    }

    /// All in one stream: the rule's name is a stranger's.
    fn log_not_found(&self, ingest: BasicIngest<'_>, origin: &Origin, now: Timestamp) {
        let BasicIngest { rule, topic } = ingest;
        let count = self.rules_not_found();
        tracing::warn!(
            connection = origin.connection,
            client_id = origin.client_id,
            certificate_id = origin.certificate_id(),
            rule,
            topic,
            count,
            "a message names a rule that is not enabled"
        );
        let line = json!({
            "eventType": "RuleNotFound",
            "status": "Failure",
            "logLevel": "ERROR",
            "clientId": origin.client_id.as_deref().unwrap_or("n/a"),
            "principalId": origin.principal,
            "topicName": topic,
            "ruleName": rule,
            "reason": "RuleNotFound",
        });
        self.logs().append("AWSIotLogsV2", "RuleNotFound", now, &line.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_log_line_a_second() {
        let not_found = RulesNotFound::default();
        for (ms, is_logged) in [(5000, true), (5001, false), (5999, false), (6000, true), (6001, false), (1000, true)] {
            assert_eq!(not_found.add(Timestamp::from_millis(ms)), is_logged, "{ms}");
        }
        assert_eq!(not_found.count.load(Ordering::Relaxed), 6);
    }
}
