//! What keeps one peer from flooding the admission records. Of identical refusals the first is written at once, the others
//! are counted and written as one record at growing intervals. What a source writes beyond its share of the journal goes to
//! a smaller one that all such sources have in common, and that as well takes only so much.
//!
//! A value that decides: the caller has the clock and the journals.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};

use domain::Timestamp;

use crate::admission_record::AdmissionRecord;
use crate::places::counted_as;

/// Kinds of refusal under observation: a fleet of thousands may be at the door at once. Some 150 bytes each.
const KINDS_MAX: usize = 16_384;

/// Identical refusals within this time of the first are counted; then for twice as long, and so on. A device that
/// hammers for a day leaves thirty records.
const WINDOW_FIRST_MS: i64 = 60_000;
const WINDOW_MAX_MS: i64 = 3600 * 1000;

/// Sources under observation, some 50 bytes each.
const SOURCES_MAX: usize = 65_536;

/// Of the journal's 64 MiB, what one address may write in a day: some 6,000 records.
const SHARE_BYTES: u64 = 16 << 20;
const SHARE_PERIOD_MS: u64 = 24 * 3600 * 1000;

/// What all addresses beyond their share may write in an hour: the disk is not worn out by whoever has an idle machine.
const OVERFLOW_BYTES: u64 = 4 << 20;
const OVERFLOW_PERIOD_MS: u64 = 3600 * 1000;

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    Main,
    /// Of those who have used up their share.
    Overflow,
}

/// A record that was written, as the journals know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Written {
    pub destination: Destination,
    pub sequence: u64,
}

/// Identical refusals since the last record of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeats {
    pub of: Written,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Counted with the record that is there.
    Count,
    /// To be written, and then told with `written`. It stands for these as well.
    Write { kind: Kind, repeats: Option<Repeats> },
}

/// Source, certificate, client id, reason and sentence, as one number that nobody outside can aim at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind(u64);

#[derive(Debug)]
struct Observed {
    written: Written,
    since: Timestamp,
    window_ms: i64,
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Flood {
    hashing: RandomState,
    kinds: HashMap<Kind, Observed>,
    shares: HashMap<IpAddr, Share>,
    overflow: Share,
    dropped: u64,
    /// Of those dropped.
    told: u64,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            hashing: RandomState::new(),
            kinds: HashMap::new(),
            shares: HashMap::new(),
            overflow: Share::whole(OVERFLOW_BYTES, OVERFLOW_PERIOD_MS),
            dropped: 0,
            told: 0,
        }
    }
}

impl Flood {
    pub(crate) fn judge(&mut self, record: &AdmissionRecord) -> Decision {
        let (kind, now) = (self.kind_of(record), record.at);
        let Some(observed) = self.kinds.get_mut(&kind) else { return Decision::Write { kind, repeats: None } };
        if observed.is_open(now) {
            if observed.count == 0 {
                observed.first_at = now;
            }
            observed.count = observed.count.saturating_add(1);
            observed.last_at = now;
            return Decision::Count;
        }
        Decision::Write { kind, repeats: observed.repeats() }
    }

    /// Where a record of this size goes; `None` where nothing takes it.
    pub(crate) fn destination(&mut self, record: &AdmissionRecord, bytes: u64) -> Option<Destination> {
        let now = record.at;
        let has_share = match source_of(record) {
            Some(source) if self.shares.contains_key(&source) || self.has_room_for_source(now) => {
                let share = || Share::whole(SHARE_BYTES, SHARE_PERIOD_MS);
                self.shares.entry(source).or_insert_with(share).take(bytes, now)
            }
            _ => false,
        };
        if has_share {
            return Some(Destination::Main);
        }
        if self.overflow.take(bytes, now) {
            return Some(Destination::Overflow);
        }
        self.dropped = self.dropped.saturating_add(1);
        None
    }

    /// What is like it is counted from now on.
    pub(crate) fn written(&mut self, kind: Kind, written: Written, now: Timestamp) {
        let window_ms = match self.kinds.get(&kind) {
            Some(observed) => observed.window_ms.saturating_mul(2).min(WINDOW_MAX_MS),
            None if self.kinds.len() < KINDS_MAX => WINDOW_FIRST_MS,
            // Each of this kind is written until others have calmed down.
            None => return,
        };
        let observed = Observed { written, since: now, window_ms, count: 0, first_at: now, last_at: now };
        self.kinds.insert(kind, observed);
    }

    /// Counted and not written yet.
    pub(crate) fn repeats(&self) -> Vec<Repeats> {
        self.kinds.values().filter_map(Observed::repeats).collect()
    }

    /// Forgets the kinds that have calmed down, and gives those whose time is over and whose count is to be written.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<(Kind, Repeats)> {
        self.kinds.retain(|_, observed| observed.is_open(now) || observed.count > 0);
        let over = self.kinds.iter().filter(|(_, observed)| !observed.is_open(now));
        over.filter_map(|(kind, observed)| Some((*kind, observed.repeats()?))).collect()
    }

    /// All that are counted, at the end.
    pub(crate) fn take_all(&mut self) -> Vec<Repeats> {
        self.kinds.drain().filter_map(|(_, observed)| observed.repeats()).collect()
    }

    /// Its record is out of the journal: there is nothing to repeat.
    pub(crate) fn forget(&mut self, kind: Kind) {
        self.kinds.remove(&kind);
    }

    /// Records that nothing took, since last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        let untold = self.dropped - self.told;
        self.told = self.dropped;
        untold
    }

    /// The same since the server started.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn kind_of(&self, record: &AdmissionRecord) -> Kind {
        // A shutdown ends all connections: one record for all of them.
        let own = (record.reason != "SERVER_SHUTDOWN").then_some((
            source_of(record),
            record.certificate_id,
            &record.client_id,
            &record.sni,
            &record.sentence,
        ));
        Kind(self.hashing.hash_one((&record.reason, own)))
    }

    /// A share that is whole again needs no memory.
    fn has_room_for_source(&mut self, now: Timestamp) -> bool {
        if self.shares.len() >= SOURCES_MAX {
            self.shares.retain(|_, share| !share.is_whole(now));
        }
        self.shares.len() < SOURCES_MAX
    }
}

impl Observed {
    /// A clock that was set back ends the window.
    fn is_open(&self, now: Timestamp) -> bool {
        (0..self.window_ms).contains(&now.since(self.since))
    }

    fn repeats(&self) -> Option<Repeats> {
        let Self { written, count, first_at, last_at, .. } = *self;
        (count > 0).then_some(Repeats { of: written, count, first_at, last_at })
    }
}

/// So many bytes, which come back evenly over the period.
#[derive(Debug)]
struct Share {
    bytes_max: u64,
    period_ms: u64,
    left: u64,
    at: Timestamp,
}

impl Share {
    fn whole(bytes_max: u64, period_ms: u64) -> Self {
        Self { bytes_max, period_ms, left: bytes_max, at: Timestamp::from_millis(0) }
    }

    fn take(&mut self, bytes: u64, now: Timestamp) -> bool {
        self.left = self.left_at(now);
        self.at = now;
        let fits = bytes <= self.left;
        if fits {
            self.left -= bytes;
        }
        fits
    }

    fn is_whole(&self, now: Timestamp) -> bool {
        self.left_at(now) >= self.bytes_max
    }

    fn left_at(&self, now: Timestamp) -> u64 {
        let passed_ms = u64::try_from(now.since(self.at)).unwrap_or(0).min(self.period_ms);
        let back = u128::from(self.bytes_max) * u128::from(passed_ms) / u128::from(self.period_ms);
        // No more than `bytes_max`, which is a u64.
        self.left.saturating_add(u64::try_from(back).unwrap_or(self.bytes_max)).min(self.bytes_max)
    }
}

fn source_of(record: &AdmissionRecord) -> Option<IpAddr> {
    record.source.parse::<SocketAddr>().ok().map(|source| counted_as(source.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_795_000_000);

    #[test]
    fn a_share_comes_back_over_its_period() {
        let mut share = Share::whole(1000, 10_000);
        assert!(share.take(1000, START));
        assert!(!share.take(1, START));
        assert!(!share.take(501, START.plus_millis(5000)));
        assert!(share.take(500, START.plus_millis(5000)));
        assert!(!share.is_whole(START.plus_millis(14_999)));
        assert!(share.is_whole(START.plus_millis(15_000)));
        assert!(share.take(1000, START.plus_millis(1_000_000)));
        assert!(!share.take(1, START), "a clock that was set back gives nothing");
    }
}
