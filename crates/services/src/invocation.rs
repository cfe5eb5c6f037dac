//! Asynchronous invocations: one row each, from the moment the event is accepted until the function has done its work or
//! was given up. Retries and dead letters belong to the row.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::Timestamp;
use functions::{Invocation, InvokeError};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::invocation_backlog::{Backlog, Full, weight_bytes};
use crate::invocation_queue::{Queue, Waiting};
use crate::record::{Stored, delete, put};
use crate::{Error, Services, Step, random};

const PREFIX: &str = "invocation/";
const DEAD_LETTER_PREFIX: &str = "dead-letter/";

/// What functions get to come to their end when the server shuts down; as long as the API's requests get.
const DRAIN: Duration = Duration::from_secs(10);

/// Dead letters kept. A function that fails on every message would fill the disk with them; the oldest go first.
const DEAD_LETTERS_MAX: usize = 1000;

/// Invocations of QoS 0 messages that may wait, in memory alone. What is over is dropped and said.
const UNSTORED_MAX: usize = 10_000;
const UNSTORED_BYTES_MAX: usize = 64 << 20;

/// Rows that may wait: an hour of twenty-five events a second to a function that does not run. What is over is refused to
/// whoever brings it; a device keeps its message and sends it again.
const STORED_MAX: usize = 100_000;
const STORED_BYTES_MAX: usize = 1 << 30;

/// Of a function's error, what is kept with its dead letter and told in the log. AWS keeps as much.
const RESPONSE_BYTES_MAX: usize = 1024;

/// AWS gives an event up after six hours of throttling and system errors.
const AGE_MAX_MS: i64 = 6 * 3600 * 1000;

/// The pause after the runner itself was busy or failed, doubled each time up to AWS's five minutes.
const BUSY_PAUSE_MS: i64 = 1000;
const BUSY_PAUSE_MAX_MS: i64 = 300_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvocationRow {
    #[serde(skip)]
    pub id: String,
    pub function_arn: String,
    request_id: String,
    payload: String,
    rule: String,
    created_at: Timestamp,
    pub next_at: Timestamp,
    /// Attempts that ended in the function's own error.
    failures: usize,
    /// Attempts that never reached the function.
    delays: u32,
}

impl Stored for InvocationRow {
    const VERSION: u32 = 1;
}

/// One that was given up, with the last answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeadLetter {
    invocation: InvocationRow,
    at: Timestamp,
    condition: String,
    response: String,
}

impl Stored for DeadLetter {
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
        }
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    pub(crate) fn write(&self) -> Write {
        put(self.key(), self, Expect::Absent)
    }
}

/// What waits and what runs.
pub(crate) struct Invocations {
    queue: Mutex<Queue>,
    stored: Backlog,
    unstored: Backlog,
    dead_letters: AtomicUsize,
    nudge: Notify,
}

impl Default for Invocations {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            stored: Backlog::new(STORED_MAX, STORED_BYTES_MAX),
            unstored: Backlog::new(UNSTORED_MAX, UNSTORED_BYTES_MAX),
            dead_letters: AtomicUsize::new(0),
            nudge: Notify::new(),
        }
    }
}

impl Invocations {
    fn push(&self, waiting: Waiting) {
        self.queue().push(waiting);
        self.nudge.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whoever looks after the server.
pub(crate) struct InvocationCounts {
    pub waiting: usize,
    pub running: usize,
    pub dead_letters: usize,
}

/// One running invocation's place; free again however the run ends.
struct Place {
    services: Services,
    function_arn: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let invocations = &self.services.inner.invocations;
        invocations.queue().finished(&self.function_arn);
        invocations.nudge.notify_one();
    }
}

impl Services {
    /// At start: every row that is there goes on.
    pub(crate) fn reload_invocations(&self) -> Result<(), Error> {
        self.inner.invocations.dead_letters.store(self.keys_below(DEAD_LETTER_PREFIX)?.len(), Ordering::Relaxed);
        for id in self.keys_below(PREFIX)? {
            // One at a time: their payloads together may be more than there is memory.
            let Some(found) = self.find::<InvocationRow>(&format!("{PREFIX}{id}"))? else { continue };
            let row = InvocationRow { id, ..found.value };
            self.inner.invocations.stored.take_over(&row);
            self.inner.invocations.push(Waiting::stored(&row));
        }
        Ok(())
    }

    /// Before rows are committed. Whoever commits nothing gives the places back.
    pub(crate) fn take_places(&self, rows: &[InvocationRow]) -> Result<(), Error> {
        self.inner.invocations.stored.take(rows).map_err(|Full| {
            tracing::warn!(STORED_MAX, STORED_BYTES_MAX, "too many invocations wait; an event was refused");
            Error::new("ThrottlingException", "Too many events wait for their functions; send it again later.")
        })
    }

    pub(crate) fn give_places_back(&self, rows: &[InvocationRow]) {
        self.inner.invocations.stored.give_back(rows.len(), rows.iter().map(weight_bytes).sum());
    }

    pub(crate) fn invocation_counts(&self) -> InvocationCounts {
        let invocations = &self.inner.invocations;
        let (waiting, running) = invocations.queue().counts();
        InvocationCounts { waiting, running, dead_letters: invocations.dead_letters.load(Ordering::Relaxed) }
    }

    /// Rows that have just been committed.
    pub(crate) fn start_stored(&self, rows: &[InvocationRow]) {
        for row in rows {
            self.inner.invocations.push(Waiting::stored(row));
        }
    }

    /// Rows of QoS 0 messages: at most once, so nothing is written.
    pub(crate) fn start_unstored(&self, rows: Vec<InvocationRow>) {
        for row in rows {
            if self.inner.invocations.unstored.take(std::slice::from_ref(&row)) == Err(Full) {
                tracing::warn!(rule = %row.rule, function = %row.function_arn, "too many invocations wait; one of a QoS 0 message was dropped");
                continue;
            }
            self.inner.invocations.push(Waiting::unstored(row));
        }
    }

    pub(crate) async fn run_invocations(&self, mut shutdown: watch::Receiver<bool>) {
        let mut running = JoinSet::new();
        while !*shutdown.borrow() {
            while running.try_join_next().is_some() {}
            let next = self.inner.invocations.queue().start_next(self.now());
            match next {
                Ok(waiting) => {
                    let place = Place { services: self.clone(), function_arn: waiting.function_arn.clone() };
                    running.spawn(async move { place.services.run_one(waiting).await });
                }
                Err(pause) => tokio::select! {
                    () = self.inner.invocations.nudge.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                    _ = shutdown.changed() => {}
                },
            }
        }
        // What does not end in time has its row, and runs again at the next start.
        let _ = tokio::time::timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await;
    }

    async fn run_one(&self, waiting: Waiting) {
        let stored = waiting.unstored.is_none();
        let id = waiting.id;
        let (mut row, revision) = match waiting.unstored {
            Some(row) => {
                self.inner.invocations.unstored.give_back(1, weight_bytes(&row));
                (*row, 0)
            }
            None => match self.find::<InvocationRow>(&format!("{PREFIX}{id}")) {
                Ok(Some(found)) => (found.value, found.revision),
                Ok(None) => return,
                Err(err) => return tracing::error!(%id, error = %err, "an invocation cannot be read; it stays"),
            },
        };
        row.id = id;
        self.inner.config.checkpoints.pass(Step::Invoking, "");
        let end = self.attempt(&row).await;
        self.inner.config.checkpoints.pass(Step::Invoked, "");
        let now = self.now();
        let next = next_step(&mut row, end, now, &self.config().async_retry_ms);
        if !stored {
            if matches!(next, Next::Again) {
                self.start_unstored(vec![row]);
            }
            return;
        }
        self.settle(row, revision, next, now).await;
    }

    async fn attempt(&self, row: &InvocationRow) -> End {
        let function = match self.lambda().spec_of(&row.function_arn) {
            Ok(function) => function,
            Err(err) if err.code == "ResourceNotFoundException" => return End::Impossible(err.to_string()),
            Err(err) => return End::NotReached(err.to_string()),
        };
        if let Err(err) = self.lambda().must_hold_role(&function) {
            return End::NotReached(err.to_string());
        }
        let event = match STANDARD.decode(&row.payload) {
            Ok(event) => Bytes::from(event),
            Err(err) => return End::Impossible(err.to_string()),
        };
        let logs = self.logs().sink_of_function(&function.name);
        let invocation = Invocation { function, request_id: row.request_id.clone(), event, logs };
        match self.functions().invoke(invocation).await {
            Ok(outcome) => match outcome.result {
                Ok(_) => End::Done,
                Err(error) => End::FunctionError(kept_of(&error)),
            },
            Err(InvokeError::NoPackage(why) | InvokeError::UnsupportedRuntime(why)) => End::Impossible(why),
            Err(InvokeError::Busy(why) | InvokeError::Internal(why)) => End::NotReached(why),
        }
    }

    /// The oldest letter's end, once as many are there as are kept.
    fn make_room_for_dead_letter(&self) -> Option<Write> {
        let before = self.inner.invocations.dead_letters.fetch_add(1, Ordering::Relaxed);
        if before < DEAD_LETTERS_MAX {
            return None;
        }
        let oldest = self.store().scan_after(DEAD_LETTER_PREFIX.as_bytes(), None, 1).ok()?.into_iter().next();
        let (key, _) = oldest?;
        self.inner.invocations.dead_letters.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(kept = DEAD_LETTERS_MAX, "the oldest dead letter makes room for a new one");
        Some(delete(key, Expect::Anything))
    }

    async fn settle(&self, row: InvocationRow, revision: u64, next: Next, now: Timestamp) {
        let expected = Expect::Revision(revision);
        let writes = match &next {
            Next::Gone => vec![delete(row.key(), expected)],
            Next::Again => vec![put(row.key(), &row, expected)],
            Next::GivenUp { condition, response } => {
                tracing::warn!(function = %row.function_arn, rule = %row.rule, request_id = %row.request_id, %condition, %response, "an invocation was given up");
                let letter = DeadLetter {
                    invocation: row.clone(),
                    at: now,
                    condition: (*condition).to_owned(),
                    response: response.clone(),
                };
                let key = format!("{DEAD_LETTER_PREFIX}{}", row.id);
                let mut writes = vec![delete(row.key(), expected), put(key, &letter, Expect::Anything)];
                writes.extend(self.make_room_for_dead_letter());
                writes
            }
        };
        if let Err(err) = self.commit(writes).await {
            tracing::error!(error = %err, "an invocation's end could not be written; it runs again at the next start");
            return;
        }
        match next {
            Next::Again => self.start_stored(&[row]),
            Next::Gone | Next::GivenUp { .. } => self.give_places_back(&[row]),
        }
    }
}

/// A function's error as far as it is kept: a function can fail with megabytes, and does so again and again.
fn kept_of(error: &[u8]) -> String {
    let text = String::from_utf8_lossy(error);
    let end = text.floor_char_boundary(RESPONSE_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

/// How one attempt ended.
enum End {
    Done,
    FunctionError(String),
    /// The runner was busy or failed; the function was not reached.
    NotReached(String),
    /// Trying again cannot help: no such function, no package, no such runtime.
    Impossible(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Gone,
    Again,
    GivenUp { condition: &'static str, response: String },
}

/// Lambda's rules for asynchronous invocations: a function's error is tried again after each of `retry_ms`; what never
/// reached the function is tried for six hours.
fn next_step(row: &mut InvocationRow, end: End, now: Timestamp, retry_ms: &[i64]) -> Next {
    match end {
        End::Done => Next::Gone,
        End::Impossible(response) => Next::GivenUp { condition: "Impossible", response },
        End::FunctionError(response) => match retry_ms.get(row.failures) {
            None => Next::GivenUp { condition: "RetriesExhausted", response },
            Some(pause_ms) => {
                row.failures += 1;
                row.next_at = now.plus_millis(*pause_ms);
                Next::Again
            }
        },
        End::NotReached(response) if now.since(row.created_at) >= AGE_MAX_MS => {
            Next::GivenUp { condition: "EventAgeExceeded", response }
        }
        End::NotReached(why) => {
            let pause_ms = BUSY_PAUSE_MS.saturating_mul(1 << row.delays.min(16)).min(BUSY_PAUSE_MAX_MS);
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

    #[test]
    fn a_functions_error_is_tried_again_after_each_pause() {
        let start = Timestamp::from_seconds(1_000_000);
        let mut row = InvocationRow::new("arn", &Bytes::from_static(b"{}"), "rule", start);
        let fails = || End::FunctionError("no".into());
        let pauses = [60_000, 120_000];
        assert_eq!(next_step(&mut row, fails(), start, &pauses), Next::Again);
        assert_eq!(row.next_at.since(start), 60_000);
        let due = row.next_at;
        assert_eq!(next_step(&mut row, fails(), due, &pauses), Next::Again);
        assert_eq!(row.next_at.since(start), 180_000);
        let given_up = Next::GivenUp { condition: "RetriesExhausted", response: "no".into() };
        let due = row.next_at;
        assert_eq!(next_step(&mut row, fails(), due, &pauses), given_up);
        assert_eq!(next_step(&mut row, End::Done, start, &pauses), Next::Gone);
    }

    #[test]
    fn of_a_large_error_a_kilobyte_is_kept() {
        for (error, kept) in
            [("no".to_owned(), 2), ("x".repeat(6 << 20), 1024), ("x".to_owned() + &"é".repeat(1000), 1023)]
        {
            assert_eq!(kept_of(error.as_bytes()).len(), kept);
        }
    }

    #[test]
    fn an_unreached_function_is_tried_for_six_hours() {
        let start = Timestamp::from_seconds(1_000_000);
        let mut row = InvocationRow::new("arn", &Bytes::from_static(b"{}"), "rule", start);
        let (mut now, mut attempts) = (start, 0);
        while next_step(&mut row, End::NotReached("busy".into()), now, &[]) == Next::Again {
            assert!(row.next_at.since(now) <= BUSY_PAUSE_MAX_MS);
            (now, attempts) = (row.next_at, attempts + 1);
        }
        assert!(now.since(start) >= AGE_MAX_MS);
        assert!((70..100).contains(&attempts), "{attempts}");
    }
}
