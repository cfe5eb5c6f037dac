//! Journals: append-only entries bounded by bytes and age, read from memory, written out each second.
//!
//! They never hold up what is being told: an append takes a lock for a few lines and no disk. A crash may cost the last
//! second, overflow costs the oldest, and a disk error is logged and tried again. What must not be lost belongs in a
//! commit.

mod ring;
mod segment;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::counters::JournalCounters;
use ring::{Held, Lost, Ring};
use segment::Segments;
pub(crate) use writer::Journals;

#[derive(Clone, Copy, Debug)]
pub struct JournalBounds {
    /// Of memory, and about the same on disk. The overhead of an entry counts.
    pub bytes_max: u64,
    /// Measured from the newest entry, not from a clock: an idle journal keeps what it has.
    pub age_max_ms: i64,
}

/// One journal. Cheap to clone. What is appended after the store was closed stays in memory.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Grows with every entry of the journal, across restarts too, with gaps.
    pub sequence: u64,
    pub at_ms: i64,
    pub stream: String,
    pub value: Bytes,
}

/// What a journal holds of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    pub name: String,
    pub entries: usize,
    pub first_at_ms: i64,
    pub last_at_ms: i64,
    pub last_sequence: u64,
}

/// What a journal takes and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalUsage {
    pub entries: usize,
    /// Of the values alone.
    pub value_bytes: u64,
    /// What counts against the bounds.
    pub bytes: u64,
}

struct Shared {
    name: String,
    ring: Mutex<Ring>,
    /// Held while writing to disk, never together with a wait for the ring's readers.
    segments: Mutex<Segments>,
    /// Of all journals.
    counters: Arc<JournalCounters>,
}

impl Journal {
    /// `stream` groups entries (a log stream, a certificate); never blocks, never fails: overflow drops the oldest.
    /// A value above `ENTRY_BYTES_MAX` or the journal's bounds is not kept; a longer stream name than
    /// `STREAM_BYTES_MAX` is cut.
    pub fn append(&self, stream: &str, at_ms: i64, value: Bytes) -> u64 {
        self.ring().append(stream, at_ms, value)
    }

    /// Entries with `sequence > after`, oldest first, at most `limit`.
    pub fn read(&self, after: u64, limit: usize) -> Vec<Entry> {
        self.ring().read(after, limit)
    }

    /// Entries with `sequence < before`, newest first, at most `limit`.
    pub fn read_back(&self, before: u64, limit: usize) -> Vec<Entry> {
        self.ring().read_back(before, limit)
    }

    /// The last `limit` entries, newest first.
    pub fn last(&self, limit: usize) -> Vec<Entry> {
        self.read_back(u64::MAX, limit)
    }

    /// As `read`, of one stream.
    pub fn read_stream(&self, stream: &str, after: u64, limit: usize) -> Vec<Entry> {
        self.ring().read_stream(stream, after, limit)
    }

    /// As `read_back`, of one stream.
    pub fn read_stream_back(&self, stream: &str, before: u64, limit: usize) -> Vec<Entry> {
        self.ring().read_stream_back(stream, before, limit)
    }

    /// The streams that have entries and whose name begins with `prefix`, by name.
    pub fn streams(&self, prefix: &str) -> Vec<StreamFacts> {
        self.ring().streams(prefix)
    }

    pub fn usage(&self) -> JournalUsage {
        self.ring().usage()
    }

    pub fn set_bounds(&self, bounds: JournalBounds) {
        self.ring().set_bounds(bounds);
    }

    /// Forgets what is older, up to the first entry that is not.
    pub fn forget_before(&self, at_ms: i64) {
        self.ring().forget_before(at_ms);
    }

    /// Forgets the oldest until the rest takes no more than so many bytes.
    pub fn shrink_to(&self, bytes: u64) {
        self.ring().shrink_to(bytes);
    }

    /// Writes out what is new, and gives the disk back what was forgotten. Waits for the disk; each second a thread of the
    /// store does the same.
    pub fn flush(&self) {
        self.write_out();
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out what is new. The caller is the writer's thread: this waits for the disk.
    fn write_out(&self) {
        let mut segments = self.shared.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, first_sequence, bytes, lost) = {
            let mut ring = self.ring();
            let entries: Vec<Held> = ring.held_after(segments.written_through()).cloned().collect();
            (entries, ring.first_sequence(), ring.usage().bytes, ring.take_lost())
        };
        let Lost { too_large, no_room } = lost;
        self.shared.counters.too_large.fetch_add(too_large, Ordering::Relaxed);
        self.shared.counters.no_room.fetch_add(no_room, Ordering::Relaxed);
        if too_large > 0 {
            tracing::warn!("the journal {} did not take {too_large} entries: they are too large", self.shared.name);
        }
        // Segments go by what is held now, so that what was forgotten does not lie about in a large one.
        if let Err(error) = segments.write(&entries, first_sequence, bytes) {
            tracing::warn!("the journal {} is kept in memory only for now: {error}", self.shared.name);
        }
    }
}
