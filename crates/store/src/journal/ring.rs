//! A journal's entries in memory, oldest first, with an index by stream. It forgets the oldest and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::{Entry, JournalBounds, JournalUsage, StreamFacts};
use crate::limits::{ENTRY_BYTES_MAX, ENTRY_OVERHEAD_BYTES, STREAM_BYTES_MAX};

#[derive(Clone)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) at_ms: i64,
    pub(super) stream: Arc<str>,
    pub(super) value: Bytes,
}

impl Held {
    fn cost_bytes(&self) -> u64 {
        (self.value.len() + self.stream.len()) as u64 + ENTRY_OVERHEAD_BYTES
    }

    fn entry(&self) -> Entry {
        Entry { sequence: self.sequence, at_ms: self.at_ms, stream: self.stream.to_string(), value: self.value.clone() }
    }
}

pub(super) struct Ring {
    bounds: JournalBounds,
    /// Sequences grow, with gaps.
    entries: VecDeque<Held>,
    /// The sequences of each stream's entries. A stream without entries is not there.
    streams: BTreeMap<Arc<str>, VecDeque<u64>>,
    bytes: u64,
    value_bytes: u64,
    next_sequence: u64,
    newest_at_ms: i64,
    /// Since last asked.
    lost: Lost,
}

/// Entries that are not kept as long as the journal's age has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Larger than the bounds allow.
    pub too_large: u64,
    /// Pushed out by newer ones.
    pub no_room: u64,
}

impl Ring {
    pub(super) fn new(bounds: JournalBounds) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            streams: BTreeMap::new(),
            bytes: 0,
            value_bytes: 0,
            next_sequence: 1,
            newest_at_ms: i64::MIN,
            lost: Lost::default(),
        }
    }

    pub(super) fn append(&mut self, stream: &str, at_ms: i64, value: Bytes) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.hold(sequence, stream, at_ms, value);
        sequence
    }

    /// An entry read back from disk.
    pub(super) fn restore(&mut self, sequence: u64, stream: &str, at_ms: i64, value: Bytes) {
        self.next_sequence = sequence.saturating_add(1);
        self.hold(sequence, stream, at_ms, value);
    }

    /// The next sequence is beyond this one.
    pub(super) fn go_on_after(&mut self, sequence: u64) {
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
    }

    /// Leaves a gap in the sequence.
    pub(super) fn skip(&mut self, count: u64) {
        self.next_sequence = self.next_sequence.saturating_add(count);
    }

    pub(super) fn set_bounds(&mut self, bounds: JournalBounds) {
        self.bounds = bounds;
        self.trim();
    }

    pub(super) fn usage(&self) -> JournalUsage {
        JournalUsage { entries: self.entries.len(), value_bytes: self.value_bytes, bytes: self.bytes }
    }

    pub(super) fn forget_before(&mut self, at_ms: i64) {
        while self.entries.front().is_some_and(|front| front.at_ms < at_ms) {
            self.forget_oldest();
        }
    }

    pub(super) fn shrink_to(&mut self, bytes: u64) {
        while self.bytes > bytes {
            self.lost.no_room += 1;
            self.forget_oldest();
        }
    }

    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// The sequence of the oldest entry, or the one that the next will get.
    pub(super) fn first_sequence(&self) -> u64 {
        self.entries.front().map_or(self.next_sequence, |held| held.sequence)
    }

    pub(super) fn held_after(&self, after: u64) -> impl Iterator<Item = &Held> {
        self.entries.range(self.position_after(after)..)
    }

    pub(super) fn read(&self, after: u64, limit: usize) -> Vec<Entry> {
        self.held_after(after).take(limit).map(Held::entry).collect()
    }

    pub(super) fn read_back(&self, before: u64, limit: usize) -> Vec<Entry> {
        let end = self.entries.partition_point(|held| held.sequence < before);
        self.entries.range(..end).rev().take(limit).map(Held::entry).collect()
    }

    pub(super) fn read_stream(&self, stream: &str, after: u64, limit: usize) -> Vec<Entry> {
        let Some(sequences) = self.streams.get(stream) else { return Vec::new() };
        let start = sequences.partition_point(|sequence| *sequence <= after);
        sequences.range(start..).take(limit).filter_map(|sequence| self.find(*sequence)).map(Held::entry).collect()
    }

    pub(super) fn read_stream_back(&self, stream: &str, before: u64, limit: usize) -> Vec<Entry> {
        let Some(sequences) = self.streams.get(stream) else { return Vec::new() };
        let end = sequences.partition_point(|sequence| *sequence < before);
        sequences.range(..end).rev().take(limit).filter_map(|sequence| self.find(*sequence)).map(Held::entry).collect()
    }

    pub(super) fn streams(&self, prefix: &str) -> Vec<StreamFacts> {
        let below = self
            .streams
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix));
        below
            .filter_map(|(name, sequences)| {
                let first = self.find(*sequences.front()?)?;
                let last = self.find(*sequences.back()?)?;
                Some(StreamFacts {
                    name: name.to_string(),
                    entries: sequences.len(),
                    first_at_ms: first.at_ms,
                    last_at_ms: last.at_ms,
                    last_sequence: last.sequence,
                })
            })
            .collect()
    }

    fn hold(&mut self, sequence: u64, stream: &str, at_ms: i64, value: Bytes) {
        let stream = &stream[..stream.floor_char_boundary(STREAM_BYTES_MAX)];
        let stream = match self.streams.get_key_value(stream) {
            Some((known, _)) => known.clone(),
            None => Arc::from(stream),
        };
        let held = Held { sequence, at_ms, stream, value };
        if held.value.len() > ENTRY_BYTES_MAX || held.cost_bytes() > self.bounds.bytes_max {
            self.lost.too_large += 1;
            return;
        }
        self.newest_at_ms = self.newest_at_ms.max(at_ms);
        self.bytes += held.cost_bytes();
        self.value_bytes += held.value.len() as u64;
        self.streams.entry(held.stream.clone()).or_default().push_back(sequence);
        self.entries.push_back(held);
        self.trim();
    }

    fn trim(&mut self) {
        let oldest_at_ms = self.newest_at_ms.saturating_sub(self.bounds.age_max_ms);
        while let Some(front) = self.entries.front() {
            let is_too_old = front.at_ms < oldest_at_ms;
            if self.bytes <= self.bounds.bytes_max && !is_too_old {
                break;
            }
            self.lost.no_room += u64::from(!is_too_old);
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(held) = self.entries.pop_front() else { return };
        self.bytes -= held.cost_bytes();
        self.value_bytes -= held.value.len() as u64;
        if let Some(sequences) = self.streams.get_mut(&held.stream) {
            sequences.pop_front();
            if sequences.is_empty() {
                self.streams.remove(&held.stream);
            }
        }
    }

    fn find(&self, sequence: u64) -> Option<&Held> {
        let position = self.entries.binary_search_by_key(&sequence, |held| held.sequence).ok()?;
        self.entries.get(position)
    }

    fn position_after(&self, after: u64) -> usize {
        self.entries.partition_point(|held| held.sequence <= after)
    }
}
