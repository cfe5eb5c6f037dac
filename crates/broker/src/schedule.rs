//! What has to be done and when: sessions that expire, wills that are due, queues whose session has gone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Position;
use tokio::sync::Notify;

/// Looked at again when its time has come: the session may have been resumed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    Will,
    Expiry,
}

/// The queue of a session that has ended. What other members of its groups may have is passed on to them.
#[derive(Clone, Debug)]
pub(crate) struct Orphan {
    pub number: u64,
    /// On their way to the client with QoS 2: nobody else gets those (5.0 section 4.8.2).
    pub begun: Vec<Position>,
}

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    deadlines: BTreeSet<(u64, Deadline, u64)>,
    /// Of sessions that have ended.
    wills: VecDeque<u64>,
    orphans: VecDeque<Orphan>,
    swept_at_ms: u64,
}

impl Schedule {
    pub fn add(&self, at_ms: u64, deadline: Deadline, number: u64) {
        self.state().deadlines.insert((at_ms, deadline, number));
        self.changed.notify_one();
    }

    pub fn add_will(&self, number: u64) {
        self.state().wills.push_back(number);
        self.changed.notify_one();
    }

    pub fn add_orphan(&self, orphan: Orphan) {
        self.state().orphans.push_back(orphan);
        self.changed.notify_one();
    }

    pub fn next_due(&self, now_ms: u64) -> Option<(Deadline, u64)> {
        let mut state = self.state();
        let first = *state.deadlines.first()?;
        let (at_ms, deadline, number) = first;
        (at_ms <= now_ms).then(|| {
            state.deadlines.remove(&first);
            (deadline, number)
        })
    }

    pub fn next_will(&self) -> Option<u64> {
        self.state().wills.pop_front()
    }

    pub fn next_orphan(&self) -> Option<Orphan> {
        self.state().orphans.pop_front()
    }

    /// Whether the last sweep is so long ago.
    pub fn sweep_is_due(&self, now_ms: u64, every_ms: u64) -> bool {
        let mut state = self.state();
        let is_due = now_ms.saturating_sub(state.swept_at_ms) >= every_ms;
        if is_due {
            state.swept_at_ms = now_ms;
        }
        is_due
    }

    pub fn next_at_ms(&self) -> Option<u64> {
        self.state().deadlines.first().map(|(at_ms, ..)| *at_ms)
    }

    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
