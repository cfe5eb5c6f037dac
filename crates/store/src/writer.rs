//! The one thread that writes: it takes all commits that wait, applies them in one engine transaction with a verdict
//! each, pays one fsync for all of them, and then answers each.

#[cfg(test)]
mod disk_errors;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use crate::apply::{Outcome, apply};
use crate::counters::Counters;
use crate::engine::Engine;
use crate::error::{CommitError, StoreError};
use crate::limits::{DEFERRED_PATIENCE, GROUP_BYTES_MAX, GROUP_COMMITS_MAX};
use crate::proposal::Proposal;
use crate::queue::QueueBells;
use crate::watch::Watchers;

/// What the writer and the readers hold in common.
pub(crate) struct View {
    /// `None` once the store is closed. Readers hold the lock for one look; the writer for one group.
    engine: RwLock<Option<Engine>>,
    /// Why nothing is written any more.
    failure: OnceLock<StoreError>,
    pub(crate) watchers: Watchers,
    pub(crate) bells: QueueBells,
    pub(crate) counters: Counters,
}

impl View {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine: RwLock::new(Some(engine)),
            failure: OnceLock::new(),
            watchers: Watchers::default(),
            bells: QueueBells::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn with_engine<T>(&self, look: impl FnOnce(&Engine) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        look(engine.as_ref().ok_or(StoreError::Closed)?)
    }

    /// Ends the watches and closes the file.
    pub(crate) fn close(&self) {
        self.watchers.end();
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failure.get()
    }
}

/// Runs until every sender is gone and the queue is empty.
pub(crate) fn run(view: &Arc<View>, queue: &Receiver<Proposal>) {
    let _guard = StoppedGuard { view };
    while let Ok(first) = queue.recv() {
        let group = gather(first, queue);
        commit_group(view, group);
    }
}

/// All that wait. Where nobody waits for any of them, more may come for a while.
fn gather(first: Proposal, queue: &Receiver<Proposal>) -> Vec<Proposal> {
    let until = Instant::now() + DEFERRED_PATIENCE;
    let mut bytes = first.size_bytes;
    let mut is_awaited = first.answer.is_some();
    let mut group = vec![first];
    while group.len() < GROUP_COMMITS_MAX && bytes < GROUP_BYTES_MAX {
        let patience = if is_awaited { None } else { Some(until.saturating_duration_since(Instant::now())) };
        let next = match patience {
            None => queue.try_recv().ok(),
            Some(patience) => queue.recv_timeout(patience).ok(),
        };
        let Some(next) = next else { break };
        bytes += next.size_bytes;
        is_awaited |= next.answer.is_some();
        group.push(next);
    }
    group
}

fn commit_group(view: &View, group: Vec<Proposal>) {
    let begun = Instant::now();
    let verdicts = match view.failure() {
        Some(failure) => Err(failure.clone()),
        None => view.with_engine(|engine| engine.transact(|draft| apply_all(draft, &group))),
    };
    match verdicts {
        Ok(verdicts) => {
            let applied = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
            view.counters.group_written(applied, verdicts.len() - applied, begun.elapsed());
            for (proposal, verdict) in group.iter().zip(&verdicts) {
                if let Ok(revision) = verdict {
                    view.watchers.tell(*revision, &proposal.commit.writes);
                    view.bells.ring(&proposal.commit.queue);
                }
            }
            for (proposal, verdict) in group.into_iter().zip(verdicts) {
                proposal.answer(verdict);
            }
        }
        Err(error) => {
            stop_writing(view, &error);
            view.counters.group_failed(group.len());
            let failure = view.failure().unwrap_or(&error);
            for proposal in group {
                proposal.answer(Err(CommitError::Store(failure.clone())));
            }
        }
    }
}

/// One verdict for each: a conflict takes no sequence number and leaves the others alone.
fn apply_all(
    draft: &mut crate::engine::Draft<'_>,
    group: &[Proposal],
) -> Result<Vec<Result<u64, CommitError>>, StoreError> {
    let mut verdicts = Vec::with_capacity(group.len());
    for proposal in group {
        let sequence = draft.sequence() + 1;
        verdicts.push(match apply(draft, sequence, &proposal.commit)? {
            Outcome::Applied => {
                draft.set_sequence(sequence);
                Ok(sequence)
            }
            Outcome::Conflict { key } => Err(CommitError::Conflict { key }),
        });
    }
    Ok(verdicts)
}

/// After a failed write or fsync nobody knows what the disk holds (the kernel may have dropped the pages), so nothing
/// is written until the file is opened afresh, by a restart.
fn stop_writing(view: &View, error: &StoreError) {
    let failure = StoreError::Io(format!(
        "nothing is written any more after an error of the store ({error}); repair its cause and start the server again"
    ));
    if view.failure.set(failure).is_ok() {
        tracing::error!("the store stopped writing: {error}; repair the cause and start the server again");
    }
}

/// Lets a panic of the writer be told apart from a shutdown.
struct StoppedGuard<'a> {
    view: &'a View,
}

impl Drop for StoppedGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            stop_writing(self.view, &StoreError::Corrupt("the writer panicked".into()));
        }
    }
}
