//! One attempt of an asynchronous invocation, and what Lambda's rules make of its end.

use bytes::Bytes;
use domain::Timestamp;
use functions::{FunctionSpec, Invocation, InvokeError};

use super::row::InvocationRow;
use crate::Services;
use crate::lambda::event_invoke_config::EventInvokeRecord;

/// AWS gives an event up after six hours of throttling and system errors.
const AGE_MAX_MS: i64 = 6 * 3600 * 1000;

/// The pause after the runner itself was busy or failed, doubled each time up to AWS's five minutes.
const BUSY_PAUSE_MS: i64 = 1000;
const BUSY_PAUSE_MAX_MS: i64 = 300_000;

/// How one attempt ended.
pub(super) enum End {
    Done(Bytes),
    FunctionError(Bytes),
    /// The runner was busy or failed; the function was not reached.
    NotReached(String),
    /// Trying again cannot help: no such function, no package, no such runtime.
    Impossible(String),
    /// It has waited longer than its function allows.
    TooOld,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Gone { response: Bytes },
    Again,
    GivenUp { condition: &'static str, response: String, is_function_error: bool },
}

/// How often and for how long an event is tried.
pub(super) struct Patience<'a> {
    /// The pauses before the second, third ... attempt.
    pauses_ms: &'a [i64],
    age_max_ms: i64,
}

impl<'a> Patience<'a> {
    /// The server's schedule, within what the function's event-invoke configuration allows.
    pub(super) fn of(pauses_ms: &'a [i64], config: &EventInvokeRecord) -> Self {
        let retries = config.retries_max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        Self {
            pauses_ms: pauses_ms.get(..retries).unwrap_or(pauses_ms),
            age_max_ms: config.age_max_s.map_or(AGE_MAX_MS, |seconds| i64::from(seconds) * 1000),
        }
    }

    pub(super) fn is_over(&self, row: &InvocationRow, now: Timestamp) -> bool {
        now.since(row.created_at) > self.age_max_ms
    }
}

impl Services {
    pub(super) async fn attempt(&self, row: &InvocationRow, patience: &Patience<'_>) -> End {
        if patience.is_over(row, self.now()) {
            return End::TooOld;
        }
        let lambda = self.lambda();
        let function = match lambda.spec_of(&row.function_arn) {
            Ok(function) => function,
            Err(err) if err.code == "ResourceNotFoundException" => return End::Impossible(err.to_string()),
            Err(err) => return End::NotReached(err.to_string()),
        };
        match lambda.is_younger(&function.name, row.created_at) {
            Ok(false) => {}
            Ok(true) => {
                let name = &function.name;
                return End::Impossible(format!("The function {name} was deleted, and made anew after the event."));
            }
            Err(err) => return End::NotReached(err.to_string()),
        }
        if let Err(err) = lambda.must_hold_role(&function) {
            return End::NotReached(err.to_string());
        }
        let event = match row.event() {
            Ok(event) => event,
            Err(err) => return End::Impossible(err.to_string()),
        };
        let logs = self.logs().sink_of_function(&function.name);
        let invocation = Invocation { function: function.clone(), request_id: row.request_id.clone(), event, logs };
        match self.run_function(invocation).await {
            Ok(outcome) => match outcome.result {
                Ok(response) => End::Done(response),
                Err(error) => End::FunctionError(error),
            },
            Err(InvokeError::NoPackage(why)) if self.has_changed(&function) => End::NotReached(why),
            Err(InvokeError::NoPackage(why) | InvokeError::UnsupportedRuntime(why)) => End::Impossible(why),
            Err(InvokeError::Busy(why) | InvokeError::Internal(why)) => End::NotReached(why),
        }
    }

    /// Its code was replaced while the run began: the old package is gone, and the new one is there.
    fn has_changed(&self, function: &FunctionSpec) -> bool {
        self.lambda().spec_of(&function.arn).is_ok_and(|now| now.blob != function.blob)
    }
}

/// Lambda's rules for asynchronous invocations: a function's error is tried again after each pause; what never reached
/// the function, for as long as an event may wait. What could only run beyond that is given up at once, as on AWS.
pub(super) fn next_step(row: &mut InvocationRow, end: End, now: Timestamp, patience: &Patience<'_>) -> Next {
    let given_up =
        |condition, response: String, is_function_error| Next::GivenUp { condition, response, is_function_error };
    match end {
        End::Done(response) => Next::Gone { response },
        End::Impossible(response) => given_up("Impossible", response, false),
        End::TooOld => {
            let message = format!("The event waited longer than {} seconds.", patience.age_max_ms / 1000);
            given_up("EventAgeExceeded", message, false)
        }
        End::FunctionError(response) => {
            let response = String::from_utf8_lossy(&response).into_owned();
            let pause_ms = patience.pauses_ms.get(row.failures).copied();
            row.failures += 1;
            match pause_ms {
                None => given_up("RetriesExhausted", response, true),
                Some(pause_ms) if patience.is_over(row, now.plus_millis(pause_ms)) => {
                    given_up("EventAgeExceeded", response, true)
                }
                Some(pause_ms) => {
                    row.next_at = now.plus_millis(pause_ms);
                    Next::Again
                }
            }
        }
        End::NotReached(why) => {
            let pause_ms = BUSY_PAUSE_MS.saturating_mul(1 << row.delays.min(16)).min(BUSY_PAUSE_MAX_MS);
            if patience.is_over(row, now.plus_millis(pause_ms)) {
                return given_up("EventAgeExceeded", why, false);
            }
            tracing::warn!(function = %row.function_arn, %why, pause_ms, "the function could not be reached; trying again");
            row.delays = row.delays.saturating_add(1);
            row.next_at = now.plus_millis(pause_ms);
            Next::Again
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn row() -> InvocationRow {
        InvocationRow::new("arn", &Bytes::from_static(b"{}"), "rule", START)
    }

    fn config(retries_max: Option<i32>, age_max_s: Option<i32>) -> EventInvokeRecord {
        EventInvokeRecord { retries_max, age_max_s, ..EventInvokeRecord::default() }
    }

    /// Fails at once, each time it is due; the seconds at which it ran, and why it ended.
    fn failing(retries_max: Option<i32>, age_max_s: Option<i32>) -> (Vec<i64>, &'static str) {
        let config = config(retries_max, age_max_s);
        let patience = Patience::of(&[60_000, 120_000], &config);
        let (mut row, mut ran) = (row(), Vec::new());
        loop {
            let now = row.next_at;
            ran.push(now.since(START) / 1000);
            match next_step(&mut row, End::FunctionError(Bytes::from_static(b"no")), now, &patience) {
                Next::Again => {}
                Next::GivenUp { condition, response, is_function_error } => {
                    assert!(is_function_error && response == "no" && row.failures == ran.len());
                    return (ran, condition);
                }
                Next::Gone { .. } => panic!("a failure is no success"),
            }
        }
    }

    #[test]
    fn a_functions_error_is_tried_again_after_each_pause() {
        for (retries_max, age_max_s, expected) in [
            (None, None, (vec![0, 60, 180], "RetriesExhausted")),
            (Some(2), None, (vec![0, 60, 180], "RetriesExhausted")),
            (Some(1), None, (vec![0, 60], "RetriesExhausted")),
            (Some(0), None, (vec![0], "RetriesExhausted")),
            (None, Some(100), (vec![0, 60], "EventAgeExceeded")),
            (Some(0), Some(60), (vec![0], "RetriesExhausted")),
        ] {
            assert_eq!(failing(retries_max, age_max_s), expected, "{retries_max:?} {age_max_s:?}");
        }
        let config = EventInvokeRecord::default();
        let done = next_step(&mut row(), End::Done(Bytes::new()), START, &Patience::of(&[], &config));
        assert_eq!(done, Next::Gone { response: Bytes::new() });
    }

    #[test]
    fn an_unreached_function_is_tried_for_six_hours() {
        for (age_max_s, attempts_expected) in [(None, 70..100), (Some(60), 5..7)] {
            let config = config(None, age_max_s);
            let patience = Patience::of(&[], &config);
            let (mut row, mut now, mut attempts) = (row(), START, 0);
            let last = loop {
                match next_step(&mut row, End::NotReached("busy".into()), now, &patience) {
                    Next::Again => {
                        assert!(row.next_at.since(now) <= BUSY_PAUSE_MAX_MS);
                        (now, attempts) = (row.next_at, attempts + 1);
                    }
                    last => break last,
                }
            };
            let response = "busy".to_owned();
            let expected = Next::GivenUp { condition: "EventAgeExceeded", response, is_function_error: false };
            assert_eq!(last, expected);
            assert!(now.since(START) <= patience.age_max_ms);
            assert!(attempts_expected.contains(&attempts), "{attempts}");
        }
    }
}
