//! Invocations of functions, under the names of Lambda's metrics
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>).

use domain::Timestamp;
use functions::{InvokeError, Outcome};
use store::Histogram;

use super::bounds::{SLOW_US, between};
use super::exposition::{Exposition, Measure};
use super::tally::{Counter, Gauge, Tally};

#[derive(Debug)]
pub struct InvocationMetrics {
    invocations: Counter,
    errors: Counter,
    throttles: Counter,
    pub(crate) running: Gauge,
    not_run: Tally<1>,
    /// As the function's REPORT line has it.
    duration: Histogram,
    pub(crate) events_received: Counter,
    /// From the event to the start of its first attempt.
    event_age: Histogram,
    retries: Counter,
    given_up: Tally<1>,
}

impl Default for InvocationMetrics {
    fn default() -> Self {
        Self {
            invocations: Counter::default(),
            errors: Counter::default(),
            throttles: Counter::default(),
            running: Gauge::default(),
            not_run: Tally::of(["busy", "no_package", "unsupported_runtime", "internal"].map(|cause| [cause])),
            duration: Histogram::new(SLOW_US),
            events_received: Counter::default(),
            event_age: Histogram::new(SLOW_US),
            retries: Counter::default(),
            given_up: Tally::of(["RetriesExhausted", "EventAgeExceeded", "Impossible"].map(|condition| [condition])),
        }
    }
}

impl InvocationMetrics {
    pub(crate) fn ended(&self, outcome: &Result<Outcome, InvokeError>) {
        match outcome {
            Ok(outcome) => {
                self.invocations.add(1);
                self.errors.add(u64::from(outcome.result.is_err()));
                self.duration.observe_time(outcome.duration);
            }
            Err(error) => {
                let cause = match error {
                    InvokeError::Busy(_) => "busy",
                    InvokeError::NoPackage(_) => "no_package",
                    InvokeError::UnsupportedRuntime(_) => "unsupported_runtime",
                    InvokeError::Internal(_) => "internal",
                };
                self.throttles.add(u64::from(cause == "busy"));
                self.not_run.add([cause]);
            }
        }
    }

    pub(crate) fn first_attempt(&self, event_at: Timestamp, now: Timestamp) {
        self.event_age.observe_time(between(event_at, now));
    }

    pub(crate) fn retried(&self) {
        self.retries.add(1);
    }

    pub(crate) fn given_up(&self, condition: &'static str) {
        self.given_up.add([condition]);
    }

    pub(super) fn show(&self, page: &mut Exposition) {
        let given_up = self.given_up.counts().into_iter().map(|(_, count)| count).sum::<u64>();
        for (name, help, count) in [
            (
                "aws_lambda_invocations_total",
                "Functions run, whatever they ended with (AWS/Lambda: Invocations).",
                self.invocations.value(),
            ),
            (
                "aws_lambda_errors_total",
                "Functions that ended with an error or a timeout (AWS/Lambda: Errors).",
                self.errors.value(),
            ),
            (
                "aws_lambda_throttles_total",
                "Runs refused because all environments were busy (AWS/Lambda: Throttles).",
                self.throttles.value(),
            ),
            (
                "aws_lambda_async_events_received_total",
                "Events accepted for functions (AWS/Lambda: AsyncEventsReceived).",
                self.events_received.value(),
            ),
            (
                "aws_lambda_async_events_dropped_total",
                "Events given up, to a destination or as dead letters (AWS/Lambda: AsyncEventsDropped).",
                given_up,
            ),
            ("landfall_invocation_retries_total", "Attempts that are tried again after a pause.", self.retries.value()),
        ] {
            page.counter(name, help).sample(&[], count);
        }
        page.gauge(
            "aws_lambda_concurrent_executions",
            "Functions that run or wait for a place (AWS/Lambda: ConcurrentExecutions).",
        )
        .sample(&[], self.running.value());
        page.counter("landfall_invocations_given_up_total", "Events given up, by condition.")
            .tally(["condition"], &self.given_up);
        page.counter("landfall_invocations_not_run_total", "Runs that never reached the function, by cause.")
            .tally(["cause"], &self.not_run);
        page.histogram("aws_lambda_duration_seconds", "Time that functions ran (AWS/Lambda: Duration).").distribution(
            &[],
            &self.duration.distribution(),
            Measure::Microseconds,
        );
        page.histogram(
            "aws_lambda_async_event_age_seconds",
            "From an event to the start of its function (AWS/Lambda: AsyncEventAge).",
        )
        .distribution(&[], &self.event_age.distribution(), Measure::Microseconds);
    }
}
