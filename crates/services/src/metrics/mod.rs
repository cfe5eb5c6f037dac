//! What the server has done and what it has to do, in numbers for a monitor: `GET /_landfall/metrics`. Names and labels
//! are in docs/metrics.md.
//!
//! Labels come from closed sets of this program's own words: never a client id, a certificate, a topic or anything else
//! that somebody chose, so that the page stays small and tells nobody's business. Where CloudWatch has a metric, its name
//! is used (`aws_iot_...`, `aws_lambda_...`).

mod api_call;
mod bounds;
mod connection;
mod exposition;
mod invocation;
mod onboarding;
mod outcome;
mod rule;
mod tally;
mod traffic;

use std::sync::Arc;

pub use api_call::{ApiCall, CalledFrom};
pub use connection::{ConnectionMetrics, Listener, Stage};
pub use exposition::{CONTENT_TYPE, Exposition, Family, Measure};
pub use outcome::Outcome;
pub use tally::Present;
pub use traffic::{Dropped, TrafficMetrics, Turn, Unsent};

use crate::Services;
use crate::rates::RateKind;

/// Everything that is counted here and in the doors. What broker, functions and store count, they count themselves.
#[derive(Debug, Default)]
pub struct Metrics {
    pub connections: ConnectionMetrics,
    pub traffic: TrafficMetrics,
    pub(crate) rules: rule::RuleMetrics,
    pub(crate) invocations: invocation::InvocationMetrics,
    pub(crate) onboarding: onboarding::OnboardingMetrics,
    pub api: api_call::ApiMetrics,
}

impl Services {
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// All but what the binary knows.
    pub fn show_metrics(&self, page: &mut Exposition) {
        let metrics = self.metrics();
        let broker = self.inner.broker.counters();
        metrics.connections.show(page);
        metrics.traffic.show(page, &metrics.api.publishes(), broker.dropped.saturating_sub(broker.queue_overflows));
        self.show_broker(page);
        self.show_rates(page);
        metrics.onboarding.show(page);
        metrics.rules.show(page, self.rules_not_found());
        metrics.invocations.show(page);
        self.show_backlog(page);
        metrics.api.show(page);
        self.show_store(page);
    }

    fn show_broker(&self, page: &mut Exposition) {
        let broker = &self.inner.broker;
        let (counters, inboxes) = (broker.counters(), broker.inboxes());
        page.counter("aws_iot_queued_total", "Messages for the queues of sessions, by outcome (AWS: Queued.*).")
            .sample(&[("outcome", "Success"), ("protocol", "MQTT")], counters.queued)
            .sample(&[("outcome", "Throttle"), ("protocol", "MQTT")], counters.queue_overflows);
        for (name, help, count) in [
            (
                "landfall_broker_published_total",
                "Messages that entered the broker, from whatever source.",
                counters.published,
            ),
            (
                "landfall_broker_delivered_total",
                "Messages put into inboxes and queues, one for each receiver.",
                counters.delivered,
            ),
            ("landfall_queue_expired_total", "Messages that grew too old in a queue.", counters.expired),
            ("landfall_retained_refused_total", "Messages to be retained that found no room.", counters.not_retained),
            ("landfall_sessions_expired_total", "Persistent sessions whose time was over.", counters.sessions_expired),
        ] {
            page.counter(name, help).sample(&[], count);
        }
        for (name, help, count) in [
            ("landfall_client_ids", "Client ids that are connected.", broker.connected() as u64),
            (
                "landfall_sessions",
                "Sessions that outlive their connections, connected or not.",
                counters.durable_sessions as u64,
            ),
            ("landfall_inbox_messages", "Messages in memory that wait for connected clients.", inboxes.messages as u64),
            ("landfall_inbox_bytes", "Their size.", inboxes.bytes as u64),
            ("landfall_queued_messages", "Messages in the queues of sessions.", counters.queued_now),
            ("landfall_queued_bytes", "Their size.", counters.queued_bytes_now),
            ("landfall_retained_messages", "Messages retained.", counters.retained_messages as u64),
            ("landfall_retained_bytes", "Their size.", counters.retained_bytes as u64),
        ] {
            page.gauge(name, help).sample(&[], count);
        }
    }

    fn show_rates(&self, page: &mut Exposition) {
        let mut family = page.counter("landfall_rate_exceeded_total", "What was beyond one of AWS's rates, by rate.");
        for kind in RateKind::ALL {
            family.sample(&[("rate", kind.as_str())], self.rates().exceeded(kind));
        }
    }

    fn show_backlog(&self, page: &mut Exposition) {
        let health = self.health();
        for (name, help, count) in [
            (
                "landfall_registration_events_waiting",
                "Registration events not yet delivered, up to 10,000.",
                health.outbox,
            ),
            (
                "landfall_invocations_waiting",
                "Events that wait for their time or their turn.",
                health.invocations_waiting,
            ),
            ("landfall_dead_letters", "Events that were given up and are kept.", health.dead_letters),
        ] {
            page.gauge(name, help).sample(&[], count);
        }
    }

    fn show_store(&self, page: &mut Exposition) {
        let store = self.store();
        let counters = store.counters();
        page.counter("landfall_store_commits_total", "Commits of records, by outcome.")
            .sample(&[("outcome", "applied")], counters.commits_applied)
            .sample(&[("outcome", "conflict")], counters.commits_conflicted)
            .sample(&[("outcome", "failed")], counters.commits_failed);
        page.counter("landfall_journal_entries_dropped_total", "Log events and admission records not kept, by cause.")
            .sample(&[("cause", "too_large")], counters.journal_entries_too_large)
            .sample(&[("cause", "no_room")], counters.journal_entries_without_room)
            .sample(&[("cause", "log_group_rate")], self.inner.logs.dropped())
            .sample(&[("cause", "source_share")], self.inner.admissions.dropped());
        page.histogram("landfall_store_group_commits", "Commits that share a transaction and its fsync.").distribution(
            &[],
            &counters.group_commits,
            Measure::Count,
        );
        page.histogram("landfall_store_group_seconds", "Time of such a transaction, with its fsync.").distribution(
            &[],
            &counters.group_time_us,
            Measure::Microseconds,
        );
        page.gauge("landfall_store_writes", "1 while the store writes, 0 after an error of the disk.")
            .sample(&[], u8::from(store.failure().is_none()));
    }
}
