//! Queues as the engine keeps them.
//!
//! An entry stands under its queue and position: the length of its head, the head, and then the body, or, where the body
//! went to several queues, the number it has among the bodies. A body lies behind the count of entries that name it, and
//! goes with the last of them. What a queue holds is counted beside it, so that opening reads no queue.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{damaged, sentence};
use crate::error::StoreError;
use crate::queue::{Position, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite};

const ENTRIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("queue-entries");
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("queue-bodies");
const USAGE: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("queue-usage");

/// A shorter body is cheaper in each of its queues than beside them.
const INLINE_BYTES_MAX: usize = 64;
const COUNT_BYTES: usize = 4;

/// Which form an entry has.
const INLINE: u8 = 0;
const SHARED: u8 = 1;

/// The queues' part of a draft.
pub(crate) struct QueueDraft<'txn> {
    entries: Table<'txn, (u64, u64), &'static [u8]>,
    bodies: Table<'txn, u64, &'static [u8]>,
    usage: Table<'txn, u64, (u64, u64)>,
    /// Of the queues that this draft changes.
    changed: HashMap<u64, QueueUsage>,
    pub(super) position: u64,
    path: &'txn Path,
}

struct Stored<'a> {
    head: &'a [u8],
    body: StoredBody<'a>,
}

enum StoredBody<'a> {
    Inline(&'a [u8]),
    Shared(u64),
}

impl<'txn> QueueDraft<'txn> {
    pub(super) fn open(write: &'txn WriteTransaction, position: u64, path: &'txn Path) -> Result<Self, StoreError> {
        let failed = |error| sentence(path, error);
        Ok(Self {
            entries: write.open_table(ENTRIES).map_err(failed)?,
            bodies: write.open_table(BODIES).map_err(failed)?,
            usage: write.open_table(USAGE).map_err(failed)?,
            changed: HashMap::new(),
            position,
            path,
        })
    }

    pub(crate) fn apply(&mut self, write: &QueueWrite) -> Result<(), StoreError> {
        match write {
            QueueWrite::Append { body, to } => self.append(body, to),
            QueueWrite::Remove { queue, position } => {
                let removed = self.entries.remove((queue.0, position.0));
                let removed = removed.map_err(|error| sentence(self.path, error))?;
                let removed = removed.map(|guard| guard.value().to_vec());
                removed.map_or(Ok(()), |stored| self.forget(queue.0, &stored))
            }
            QueueWrite::RemoveTo { queue, position } => self.remove_to(queue.0, position.0),
        }
    }

    fn append(&mut self, body: &Bytes, to: &[(QueueId, Bytes)]) -> Result<(), StoreError> {
        self.position += 1;
        let position = self.position;
        let is_shared = to.len() > 1 && body.len() > INLINE_BYTES_MAX;
        let mut count: u32 = 0;
        for (queue, head) in to {
            let (form, rest) = if is_shared { (SHARED, &position.to_be_bytes()[..]) } else { (INLINE, &body[..]) };
            let head_bytes = u32::try_from(head.len()).unwrap_or(u32::MAX);
            let stored = [&[form][..], &head_bytes.to_be_bytes(), head, rest].concat();
            let before = self.entries.insert((queue.0, position), stored.as_slice());
            // A queue that is named twice gets the message once.
            if before.map_err(|error| sentence(self.path, error))?.is_none() {
                count = count.saturating_add(1);
                let usage = self.usage_of(queue.0)?;
                usage.entries += 1;
                usage.bytes += (head.len() + body.len()) as u64;
            }
        }
        if is_shared {
            let stored = [&count.to_be_bytes()[..], body].concat();
            self.bodies.insert(position, stored.as_slice()).map_err(|error| sentence(self.path, error))?;
        }
        Ok(())
    }

    fn remove_to(&mut self, queue: u64, position: u64) -> Result<(), StoreError> {
        let mut removed = Vec::new();
        let extracted = self.entries.extract_from_if((queue, 0)..=(queue, position), |_, _| true);
        for item in extracted.map_err(|error| sentence(self.path, error))? {
            let (_, stored) = item.map_err(|error| sentence(self.path, error))?;
            removed.push(stored.value().to_vec());
        }
        removed.iter().try_for_each(|stored| self.forget(queue, stored))
    }

    /// What an entry that was removed takes with it.
    fn forget(&mut self, queue: u64, stored: &[u8]) -> Result<(), StoreError> {
        let path = self.path;
        let entry = split(stored).ok_or_else(|| short_entry(path))?;
        let body_bytes = match entry.body {
            StoredBody::Inline(body) => body.len(),
            StoredBody::Shared(number) => self.release(number)?,
        };
        let bytes = (entry.head.len() + body_bytes) as u64;
        let usage = self.usage_of(queue)?;
        usage.entries = usage.entries.saturating_sub(1);
        usage.bytes = usage.bytes.saturating_sub(bytes);
        Ok(())
    }

    /// One entry names the body no longer. Its size.
    fn release(&mut self, number: u64) -> Result<usize, StoreError> {
        let failed = |error| sentence(self.path, error);
        let stored = self.bodies.get(number).map_err(failed)?.map(|guard| guard.value().to_vec());
        let (count, body) = stored.as_deref().and_then(split_body).ok_or_else(|| short_entry(self.path))?;
        if count <= 1 {
            self.bodies.remove(number).map_err(failed)?;
        } else {
            let stored = [&(count - 1).to_be_bytes()[..], body].concat();
            self.bodies.insert(number, stored.as_slice()).map_err(failed)?;
        }
        Ok(body.len())
    }

    fn usage_of(&mut self, queue: u64) -> Result<&mut QueueUsage, StoreError> {
        match self.changed.entry(queue) {
            Entry::Occupied(present) => Ok(present.into_mut()),
            Entry::Vacant(vacant) => {
                let stored = self.usage.get(queue).map_err(|error| sentence(self.path, error))?;
                let (entries, bytes) = stored.map(|guard| guard.value()).unwrap_or_default();
                Ok(vacant.insert(QueueUsage { entries, bytes }))
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        let path = self.path;
        for (queue, usage) in self.changed.drain() {
            if usage.entries == 0 {
                self.usage.remove(queue).map_err(|error| sentence(path, error))?;
            } else {
                self.usage.insert(queue, (usage.entries, usage.bytes)).map_err(|error| sentence(path, error))?;
            }
        }
        Ok(())
    }
}

/// Entries beyond `after`, in their order.
pub(super) fn read(
    transaction: &ReadTransaction,
    queue: QueueId,
    after: Position,
    read: QueueRead,
    path: &Path,
) -> Result<Vec<QueueEntry>, StoreError> {
    let failed = |error| sentence(path, error);
    let entries = transaction.open_table(ENTRIES).map_err(|error| sentence(path, error))?;
    let bodies = transaction.open_table(BODIES).map_err(|error| sentence(path, error))?;
    let mut found = Vec::new();
    let mut bytes = 0;
    let from = (queue.0, after.0.saturating_add(1));
    for item in entries.range(from..=(queue.0, u64::MAX)).map_err(failed)?.take(read.entries_max) {
        let (key, stored) = item.map_err(failed)?;
        let stored = stored.value();
        let entry = split(stored).ok_or_else(|| short_entry(path))?;
        let body = match entry.body {
            StoredBody::Inline(body) => Bytes::copy_from_slice(body),
            StoredBody::Shared(number) => {
                let stored = bodies.get(number).map_err(failed)?.ok_or_else(|| short_entry(path))?;
                let (_, body) = split_body(stored.value()).ok_or_else(|| short_entry(path))?;
                Bytes::copy_from_slice(body)
            }
        };
        bytes += entry.head.len() + body.len();
        if bytes > read.bytes_max && !found.is_empty() {
            break;
        }
        let head = Bytes::copy_from_slice(entry.head);
        found.push(QueueEntry { position: Position(key.value().1), head, body });
    }
    Ok(found)
}

pub(super) fn usage(transaction: &ReadTransaction, path: &Path) -> Result<Vec<(QueueId, QueueUsage)>, StoreError> {
    let failed = |error| sentence(path, error);
    let table = transaction.open_table(USAGE).map_err(|error| sentence(path, error))?;
    let mut all = Vec::new();
    for item in table.iter().map_err(failed)? {
        let (queue, usage) = item.map_err(failed)?;
        let (entries, bytes) = usage.value();
        all.push((QueueId(queue.value()), QueueUsage { entries, bytes }));
    }
    Ok(all)
}

fn split(stored: &[u8]) -> Option<Stored<'_>> {
    let (form, stored) = stored.split_first()?;
    let (head_bytes, stored) = stored.split_first_chunk::<4>()?;
    let (head, rest) = stored.split_at_checked(u32::from_be_bytes(*head_bytes) as usize)?;
    let body = match *form {
        INLINE => StoredBody::Inline(rest),
        SHARED => StoredBody::Shared(u64::from_be_bytes(rest.try_into().ok()?)),
        _ => return None,
    };
    Some(Stored { head, body })
}

fn split_body(stored: &[u8]) -> Option<(u32, &[u8])> {
    let (count, body) = stored.split_first_chunk::<COUNT_BYTES>()?;
    Some((u32::from_be_bytes(*count), body))
}

fn short_entry(path: &Path) -> StoreError {
    damaged(path, "an entry of a queue cannot be read")
}
