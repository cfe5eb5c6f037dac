//! What the writer's thread has done since the store was opened.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::{Distribution, Histogram};

/// A group is one fsync: a fraction of a millisecond on a good disk, a second on one that is overwhelmed.
const GROUP_TIME_US: &[u64] =
    &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000];

/// Up to `limits::GROUP_COMMITS_MAX`.
const GROUP_COMMITS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

#[derive(Debug)]
pub(crate) struct Counters {
    applied: AtomicU64,
    conflicts: AtomicU64,
    failed: AtomicU64,
    group_commits: Histogram,
    group_time_us: Histogram,
}

/// Entries of all journals that were not kept as long as their age would have let them, as far as the journals' writer has
/// come by.
#[derive(Debug, Default)]
pub(crate) struct JournalCounters {
    pub too_large: AtomicU64,
    pub no_room: AtomicU64,
}

#[derive(Clone, Debug)]
pub struct StoreCounters {
    pub commits_applied: u64,
    /// A record was not as expected.
    pub commits_conflicted: u64,
    /// After an error of the disk.
    pub commits_failed: u64,
    /// How many commits share a transaction and its fsync.
    pub group_commits: Distribution,
    /// In microseconds, of groups that were written.
    pub group_time_us: Distribution,
    /// Entries that were larger than their journal takes.
    pub journal_entries_too_large: u64,
    /// Entries that gave way to newer ones before they were too old.
    pub journal_entries_without_room: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            applied: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            group_commits: Histogram::new(GROUP_COMMITS),
            group_time_us: Histogram::new(GROUP_TIME_US),
        }
    }
}

impl Counters {
    pub(crate) fn group_written(&self, applied: usize, conflicts: usize, time: Duration) {
        self.applied.fetch_add(applied as u64, Ordering::Relaxed);
        self.conflicts.fetch_add(conflicts as u64, Ordering::Relaxed);
        self.group_commits.observe((applied + conflicts) as u64);
        self.group_time_us.observe_time(time);
    }

    pub(crate) fn group_failed(&self, commits: usize) {
        self.failed.fetch_add(commits as u64, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, journals: &JournalCounters) -> StoreCounters {
        StoreCounters {
            commits_applied: self.applied.load(Ordering::Relaxed),
            commits_conflicted: self.conflicts.load(Ordering::Relaxed),
            commits_failed: self.failed.load(Ordering::Relaxed),
            group_commits: self.group_commits.distribution(),
            group_time_us: self.group_time_us.distribution(),
            journal_entries_too_large: journals.too_large.load(Ordering::Relaxed),
            journal_entries_without_room: journals.no_room.load(Ordering::Relaxed),
        }
    }
}
