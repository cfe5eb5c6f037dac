//! Asynchronous invocations: one row each, from the moment the event is accepted until the function has done its work or
//! was given up. Retries and dead letters belong to the row.

mod attempt;
mod backlog;
mod bounds;
pub mod dead_letter;
mod destination;
pub mod pending;
mod queue;
mod row;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use store::Expect;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::lambda::event_invoke_config::EventInvokeRecord;
use crate::record::{Committed, decode, delete, put};
use crate::{Error, Services, Step};
use attempt::{Next, Patience, next_step};
use backlog::{Backlog, Full, weight_bytes};
use bounds::{STORED_BYTES_MAX, STORED_MAX, UNSTORED_BYTES_MAX, UNSTORED_MAX};
use dead_letter::Letters;
use queue::{Queue, Waiting};
pub(crate) use row::InvocationRow;

const PREFIX: &str = "invocation/";

/// What functions get to come to their end when the server shuts down; as long as the API's requests get.
const DRAIN: Duration = Duration::from_secs(10);

/// Rows read at once where all are: each may have a payload of a megabyte.
const CHUNK: usize = 16;

/// What waits and what runs.
pub(crate) struct Invocations {
    queue: Mutex<Queue>,
    stored: Backlog,
    unstored: Backlog,
    letters: Mutex<Letters>,
    nudge: Notify,
}

impl Default for Invocations {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            stored: Backlog::new(STORED_MAX, STORED_BYTES_MAX),
            unstored: Backlog::new(UNSTORED_MAX, UNSTORED_BYTES_MAX),
            letters: Mutex::default(),
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

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// At start: every row that is there goes on. One that cannot be read stays, and is no reason not to start.
    pub(crate) fn reload_invocations(&self) -> Result<(), Error> {
        self.reload_letters()?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let chunk = self.scan_chunk(PREFIX, after.as_deref(), CHUNK)?;
            for (key, record) in &chunk {
                let Ok(found) = decode::<InvocationRow>(key, record) else { continue };
                let id = String::from_utf8_lossy(key.get(PREFIX.len()..).unwrap_or_default()).into_owned();
                let row = InvocationRow { id, ..found.value };
                self.inner.invocations.stored.take_over(&row);
                self.inner.invocations.push(Waiting::stored(&row));
            }
            match chunk.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    /// Committed before it answers; the worker finds them without looking. The caller may go away: what is committed is
    /// started.
    pub(crate) async fn store_and_start(&self, rows: Vec<InvocationRow>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        self.take_places(&rows).inspect_err(|_| self.metrics().rules.throttled.add(rows.len() as u64))?;
        let services = self.clone();
        let stored = tokio::spawn(async move {
            let committed = services.commit(rows.iter().map(InvocationRow::write).collect()).await;
            if !matches!(committed, Ok(Committed::Done)) {
                services.give_places_back(&rows);
            }
            match committed? {
                Committed::Done => {
                    services.metrics().invocations.events_received.add(rows.len() as u64);
                    services.start_stored(&rows);
                }
                Committed::Conflict => return Err(Error::internal("two invocations were given the same id")),
            }
            Ok(())
        });
        stored.await.unwrap_or_else(|err| Err(Error::internal(format!("an invocation was not stored: {err}"))))
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
        let (waiting, running) = self.inner.invocations.queue().counts();
        InvocationCounts { waiting, running, dead_letters: self.inner.invocations.letters().len() }
    }

    /// Rows that have just been committed, with room reserved.
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
                self.metrics().rules.throttled.add(1);
                continue;
            }
            self.metrics().invocations.events_received.add(u64::from(row.is_untried()));
            self.inner.invocations.push(Waiting::unstored(row));
        }
    }

    /// The function is gone: what waits for it is looked at now, finds that out and is given up.
    pub(crate) fn hasten_invocations(&self, function_arn: &str) {
        self.inner.invocations.queue().hasten(function_arn, self.now());
        self.inner.invocations.nudge.notify_one();
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
                Ok(None) => return self.inner.invocations.stored.give_back(1, waiting.weight_bytes),
                Err(err) => return tracing::error!(%id, error = %err, "an invocation cannot be read; it stays"),
            },
        };
        row.id = id;
        self.inner.config.checkpoints.pass(Step::Invoking, "");
        let metrics = self.metrics();
        if row.is_untried() {
            metrics.invocations.first_attempt(row.created_at, self.now());
            metrics.onboarding.function_started(&row.id, self.now());
        }
        let config = self.lambda().event_invoke_of(&row.function_arn);
        let patience = Patience::of(&self.inner.config.async_retry_ms, &config);
        let end = self.attempt(&row, &patience).await;
        self.inner.config.checkpoints.pass(Step::Invoked, "");
        let now = self.now();
        let next = next_step(&mut row, end, now, &patience);
        match &next {
            Next::Gone { .. } => {}
            Next::Again => metrics.invocations.retried(),
            Next::GivenUp { condition, .. } => metrics.invocations.given_up(condition),
        }
        if stored {
            self.settle(row, revision, next, &config, now).await;
            return;
        }
        let handed_on = self.handed_on(&row, &next, &config, now);
        let again = matches!(next, Next::Again).then_some(row);
        self.start_unstored(again.into_iter().chain(handed_on).collect());
    }

    /// What becomes of the row, in one commit: gone, tried again, handed on to its function's destination, or kept as a
    /// dead letter.
    async fn settle(&self, row: InvocationRow, revision: u64, next: Next, config: &EventInvokeRecord, now: Timestamp) {
        let expected = Expect::Revision(revision);
        let handed_on = self.handed_on(&row, &next, config, now);
        let mut letter = None;
        let mut writes = match &next {
            Next::Gone { .. } => vec![delete(row.key(), expected)],
            Next::Again => vec![put(row.key(), &row, expected)],
            Next::GivenUp { condition, response, .. } => {
                tracing::warn!(function = %row.function_arn, rule = %row.rule, request_id = %row.request_id, %condition, response = dead_letter::cut(response), "an invocation was given up");
                let mut writes = vec![delete(row.key(), expected)];
                if handed_on.is_none() {
                    let (kept, more) = self.keep_letter(&row, condition, response, now);
                    letter = Some(kept);
                    writes.extend(more);
                }
                writes
            }
        };
        writes.extend(handed_on.as_ref().map(InvocationRow::write));
        match self.commit(writes).await {
            Ok(Committed::Done) => {}
            Ok(Committed::Conflict) => {
                tracing::error!(id = %row.id, "an invocation's row was changed by somebody else; it stays as it is");
                return self.unkeep_letter(letter);
            }
            Err(err) => {
                tracing::error!(error = %err, "an invocation's end could not be written; it runs again at the next start");
                return self.unkeep_letter(letter);
            }
        }
        if matches!(next, Next::Again) {
            self.start_stored(&[row]);
        } else {
            self.give_places_back(&[row]);
        }
        if let Some(handed_on) = handed_on {
            self.inner.invocations.stored.take_over(&handed_on);
            self.metrics().invocations.events_received.add(1);
            self.start_stored(&[handed_on]);
        }
    }
}
