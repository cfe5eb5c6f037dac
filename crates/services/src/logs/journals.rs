//! Where log events are kept: one journal for each group, so that a group can go, can have its own retention, and pays
//! for what it writes itself. All together they are bounded; where that is too little, the largest give up their oldest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use bytes::Bytes;
use domain::Timestamp;
use store::{Journal, JournalBounds, Store, StoreError};

use crate::Error;

/// A laptop's worth of logs, in memory and about the same on disk.
const BYTES_MAX: u64 = 64 << 20;

/// The bound of all is looked at after so much has been written.
const LOOK_EVERY_BYTES: u64 = 256 << 10;

/// Without a retention of its own a group keeps a month: longer than anybody asks back without having set one.
pub(super) const DAYS_DEFAULT: i32 = 30;

/// What a group may write in one second, and at once after it was quiet. A function that prints in a loop stays below
/// what a disk writes, and others are heard.
const RATE_BYTES_PER_S: u64 = 2 << 20;
const BURST_BYTES: u64 = 16 << 20;

/// Before there was a journal for each group there was this one; a stream's name in it is `<group>\n<stream>`.
const COMMON_JOURNAL: &str = "logs";

/// All journals of groups begin so.
const PREFIX: &str = "log-";

pub(crate) struct LogJournals {
    store: Store,
    groups: Mutex<Groups>,
}

#[derive(Default)]
struct Groups {
    by_name: HashMap<String, Group>,
    /// Written since the bound of all was looked at.
    unlooked_bytes: u64,
    /// Events that were over a group's rate.
    dropped: u64,
}

struct Group {
    journal: Journal,
    /// What it may write now, and when that was reckoned.
    allowance_bytes: u64,
    reckoned_at: Timestamp,
    /// Events that were over the rate since it was last told.
    dropped: u64,
}

impl LogJournals {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), groups: Mutex::default() }
    }

    /// At start, blocking: the journals of these groups, with their retention in days. What an older server wrote to the
    /// common journal is taken over; journals of groups that are gone are removed.
    pub(crate) fn load(&self, groups: &[(String, Option<i32>)]) -> Result<(), Error> {
        let names = self.store.journal_names().map_err(unopened)?;
        let is_common = names.iter().any(|name| name == COMMON_JOURNAL);
        let known: Vec<String> = groups.iter().map(|(group, _)| journal_name(group)).collect();
        for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
            // While the common journal is there, a take-over has not come to its end: it begins anew.
            if is_common || !known.contains(name) {
                self.store.remove_journal(name).map_err(unopened)?;
            }
        }
        for (group, days) in groups {
            self.open_group(group, *days)?;
        }
        if is_common {
            self.take_over()?;
        }
        Ok(())
    }

    fn take_over(&self) -> Result<(), Error> {
        let bounds = JournalBounds { bytes_max: BYTES_MAX, age_max_ms: i64::MAX };
        let common = self.store.journal(COMMON_JOURNAL, bounds).map_err(unopened)?;
        let groups = self.lock();
        for entry in common.read(0, usize::MAX) {
            let Some((group, stream)) = entry.stream.split_once('\n') else { continue };
            if let Some(group) = groups.by_name.get(group) {
                group.journal.append(stream, entry.at_ms, entry.value);
            }
        }
        for group in groups.by_name.values() {
            group.journal.flush();
        }
        drop(groups);
        self.store.remove_journal(COMMON_JOURNAL).map_err(unopened)
    }

    fn open_group(&self, group: &str, days: Option<i32>) -> Result<(), Error> {
        let journal = self.store.journal(&journal_name(group), bounds(days)).map_err(unopened)?;
        self.lock().by_name.entry(group.to_owned()).or_insert_with(|| Group::new(journal));
        Ok(())
    }

    pub(crate) fn has(&self, group: &str) -> bool {
        self.lock().by_name.contains_key(group)
    }

    pub(crate) fn of(&self, group: &str) -> Option<Journal> {
        self.lock().by_name.get(group).map(|group| group.journal.clone())
    }

    /// Opens the group's journal where it is missing; `Ok(true)` if it was.
    pub(crate) fn ensure(&self, group: &str, days: Option<i32>) -> Result<bool, Error> {
        if self.has(group) {
            return Ok(false);
        }
        self.open_group(group, days)?;
        Ok(true)
    }

    pub(crate) fn retain(&self, group: &str, days: Option<i32>) {
        if let Some(journal) = self.of(group) {
            journal.set_bounds(bounds(days));
        }
    }

    pub(crate) fn remove(&self, group: &str) -> Result<(), Error> {
        let mut groups = self.lock();
        groups.by_name.remove(group);
        self.store.remove_journal(&journal_name(group)).map_err(unopened)
    }

    /// `false`: the group is over its rate, and the event is not kept. The group is told how many once it is below.
    pub(crate) fn append(&self, group: &str, stream: &str, at: Timestamp, value: Bytes, now: Timestamp) -> bool {
        let mut groups = self.lock();
        let Some(found) = groups.by_name.get_mut(group) else { return false };
        let bytes = value.len() as u64 + 26;
        if !found.allows(bytes, now) {
            found.dropped += 1;
            groups.dropped += 1;
            return false;
        }
        if found.dropped > 0 {
            let notice = format!(
                "{} log events were dropped: this group wrote more than {RATE_BYTES_PER_S} bytes a second.",
                std::mem::take(&mut found.dropped)
            );
            found.journal.append(stream, at.millis(), notice.into());
        }
        found.journal.append(stream, at.millis(), value);
        groups.unlooked_bytes += bytes;
        if groups.unlooked_bytes >= LOOK_EVERY_BYTES {
            groups.unlooked_bytes = 0;
            groups.make_room();
        }
        true
    }

    /// Events that were over their group's rate, since the server started.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Whether a batch of so many bytes may be written now; what it takes is counted then.
    pub(crate) fn may_take(&self, group: &str, bytes: u64, now: Timestamp) -> bool {
        let mut groups = self.lock();
        groups.by_name.get_mut(group).is_some_and(|group| group.refreshed(now) >= bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn new(journal: Journal) -> Self {
        Self { journal, allowance_bytes: BURST_BYTES, reckoned_at: Timestamp::from_millis(0), dropped: 0 }
    }

    fn refreshed(&mut self, now: Timestamp) -> u64 {
        let passed_ms = now.since(self.reckoned_at).clamp(0, 60_000).unsigned_abs();
        self.allowance_bytes = (self.allowance_bytes + passed_ms * RATE_BYTES_PER_S / 1000).min(BURST_BYTES);
        self.reckoned_at = now;
        self.allowance_bytes
    }

    fn allows(&mut self, bytes: u64, now: Timestamp) -> bool {
        let allowed = self.refreshed(now) >= bytes;
        if allowed {
            self.allowance_bytes -= bytes;
        }
        allowed
    }
}

impl Groups {
    fn make_room(&self) {
        let sizes: Vec<u64> = self.by_name.values().map(|group| group.journal.usage().bytes).collect();
        let Some(level) = level(sizes, BYTES_MAX) else { return };
        for group in self.by_name.values() {
            group.journal.shrink_to(level);
        }
    }
}

/// The size to which the largest shrink so that all together fit; `None` where they do. Whoever has less keeps all.
fn level(mut sizes: Vec<u64>, bytes_max: u64) -> Option<u64> {
    if sizes.iter().sum::<u64>() <= bytes_max {
        return None;
    }
    sizes.sort_unstable();
    let (mut left, mut others) = (bytes_max, sizes.len() as u64);
    for size in sizes {
        let share = left / others;
        if size > share {
            return Some(share);
        }
        left -= size;
        others -= 1;
    }
    None
}

fn bounds(days: Option<i32>) -> JournalBounds {
    let days = i64::from(days.unwrap_or(DAYS_DEFAULT));
    JournalBounds { bytes_max: BYTES_MAX, age_max_ms: days * 24 * 3600 * 1000 }
}

/// Group names are longer than names of files.
fn journal_name(group: &str) -> String {
    let hash = digest::digest(&digest::SHA256, group.as_bytes());
    format!("{PREFIX}{}", hex::encode(&hash.as_ref()[..16]))
}

fn unopened(err: StoreError) -> Error {
    Error::internal(format!("the log journals cannot be opened: {err}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_shrink_and_the_small_keep_all() {
        for (sizes, bytes_max, expected) in [
            (vec![], 10, None),
            (vec![4, 6], 10, None),
            (vec![1, 20], 10, Some(9)),
            (vec![20, 1, 20], 10, Some(4)),
            (vec![3, 3, 3, 100], 12, Some(3)),
            (vec![100], 12, Some(12)),
        ] {
            assert_eq!(level(sizes.clone(), bytes_max), expected, "{sizes:?}");
            if let Some(level) = expected {
                assert!(sizes.iter().map(|size| size.min(&level)).sum::<u64>() <= bytes_max);
            }
        }
    }

    #[test]
    fn a_group_that_prints_in_a_loop_is_slowed_and_pushes_out_nobody() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path()).expect("a store");
        let journals = LogJournals::new(&store);
        for group in ["loops", "quiet"] {
            journals.ensure(group, None).expect("opened");
        }
        let line = Bytes::from(vec![b'x'; 1000]);
        let mut now = Timestamp::from_seconds(1_000_000);
        assert!(journals.append("quiet", "s", now, line.clone(), now));
        let mut kept = 0_u64;
        for second in 0..100 {
            now = Timestamp::from_seconds(1_000_000 + second);
            kept += (0..5000).filter(|_| journals.append("loops", "s", now, line.clone(), now)).count() as u64;
        }
        let bytes = kept * 1026;
        assert!((100 * RATE_BYTES_PER_S..100 * RATE_BYTES_PER_S + 2 * BURST_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(journals.of("quiet").expect("there").usage().entries, 1);
        assert_eq!(journals.dropped(), 500_000 - kept);
        let held = journals.of("loops").expect("there").usage();
        assert!(held.bytes <= BYTES_MAX, "{held:?}");
        let newest = journals.of("loops").expect("there").last(10_000);
        assert!(newest.iter().any(|entry| entry.value.ends_with(b"bytes a second.")), "what is missing is told");
    }
}
