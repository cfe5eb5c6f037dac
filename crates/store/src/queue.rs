//! Queues of messages: appended in one commit with whatever else belongs to it, read from a cursor, and removed one by
//! one. A body that goes to many queues is on disk once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;

use crate::error::StoreError;
use crate::limits::{APPEND_BYTES_MAX, QUEUE_BODY_BYTES_MAX, QUEUE_HEAD_BYTES_MAX};

/// Chosen by who uses the queue, and never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u64);

/// Rises with each append, over all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

#[derive(Clone, Debug)]
pub enum QueueWrite {
    /// One body at the end of each of these queues, each with a head of its own.
    Append { body: Bytes, to: Vec<(QueueId, Bytes)> },
    /// Nothing where it is gone already.
    Remove { queue: QueueId, position: Position },
    /// Everything up to and with the position.
    RemoveTo { queue: QueueId, position: Position },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    pub position: Position,
    pub head: Bytes,
    pub body: Bytes,
}

/// How much of a queue is read at once: at least one entry, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRead {
    pub entries_max: usize,
    pub bytes_max: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueUsage {
    pub entries: u64,
    /// Of heads and bodies; a shared body counts in each queue.
    pub bytes: u64,
}

/// Rung when something was appended, and is there to be read.
#[derive(Debug)]
pub struct QueueBell {
    rung: AtomicBool,
    reader: Waker,
}

#[derive(Default)]
pub(crate) struct QueueBells {
    bells: Mutex<HashMap<QueueId, Arc<QueueBell>>>,
}

impl Default for QueueBell {
    /// It wakes nobody.
    fn default() -> Self {
        Self::new(Waker::noop().clone())
    }
}

impl QueueBell {
    /// Whoever is woken by `reader` may wait for other things by it.
    pub fn new(reader: Waker) -> Self {
        Self { rung: AtomicBool::new(false), reader }
    }

    pub fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.reader.wake_by_ref();
    }

    /// Whether it has been rung since it was taken last.
    pub fn take(&self) -> bool {
        self.rung.load(Ordering::Acquire) && self.rung.swap(false, Ordering::AcqRel)
    }
}

impl QueueBells {
    pub(crate) fn hang(&self, queue: QueueId, bell: Arc<QueueBell>) {
        self.lock().insert(queue, bell);
    }

    pub(crate) fn take_down(&self, queue: QueueId) {
        self.lock().remove(&queue);
    }

    /// Called by the writer once the appends are on disk, and before they are answered.
    pub(crate) fn ring(&self, writes: &[QueueWrite]) {
        if writes.is_empty() {
            return;
        }
        let bells = self.lock();
        for write in writes {
            let QueueWrite::Append { to, .. } = write else { continue };
            for (queue, _) in to {
                if let Some(bell) = bells.get(queue) {
                    bell.ring();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueId, Arc<QueueBell>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of writes that are within bounds, or why they are not.
pub(crate) fn size_bytes(writes: &[QueueWrite]) -> Result<usize, StoreError> {
    let mut size = 0;
    for write in writes {
        let QueueWrite::Append { body, to } = write else {
            size += size_of::<QueueWrite>();
            continue;
        };
        check("body", body.len(), QUEUE_BODY_BYTES_MAX)?;
        size += body.len();
        for (_, head) in to {
            check("head", head.len(), QUEUE_HEAD_BYTES_MAX)?;
            size += size_of::<(QueueId, Bytes)>() + head.len();
        }
    }
    check("commit", size, APPEND_BYTES_MAX)?;
    Ok(size)
}

fn check(what: &str, bytes: usize, bytes_max: usize) -> Result<(), StoreError> {
    if bytes > bytes_max {
        return Err(StoreError::TooLarge(format!(
            "a message's {what} of {bytes} bytes was refused by its queue: at most {bytes_max} are taken"
        )));
    }
    Ok(())
}
