//! How much is queued: of one session, and of all.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Room {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Room {
    pub fn new(entries: u64, bytes: u64) -> Self {
        Room { entries: AtomicU64::new(entries), bytes: AtomicU64::new(bytes) }
    }

    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn add(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn subtract(&self, entries: u64, bytes: u64) {
        for (value, by) in [(&self.entries, entries), (&self.bytes, bytes)] {
            let less = |now: u64| Some(now.saturating_sub(by));
            let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}
