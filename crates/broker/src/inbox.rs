//! The bounded queue between publishers and one connection. Publishers never wait for it.
//!
//! What does not fit is dropped and counted: a message with QoS 0 itself; for a message with QoS 1 the oldest ones
//! with QoS 0 give way, and only if there are none left it is dropped too.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use mqtt::Qos;

use crate::message::Delivery;
use crate::reader::Reader;

/// What a message costs beside its topic and payload: its place in the queue and its header.
const MESSAGE_OVERHEAD_BYTES: usize = 96;

/// Places that an empty queue keeps: enough for steady traffic, little for ten thousand idle connections.
const IDLE_PLACES_MAX: usize = 8;

/// Bounds of one connection's inbox. A single message always fits, however large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    pub messages_max: usize,
    pub bytes_max: usize,
}

/// What waits in inboxes. A message that waits for many is counted for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxUsage {
    pub messages: usize,
    pub bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    limits: InboxLimits,
    queue: Mutex<Queue>,
    reader: Reader,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    at_most_once: usize,
    dropped: u64,
}

impl Default for InboxLimits {
    /// Ten seconds at a hundred messages a second, and sixteen payloads of 128 KiB.
    fn default() -> Self {
        InboxLimits { messages_max: 1_000, bytes_max: 2 * 1024 * 1024 }
    }
}

impl Inbox {
    pub fn new(limits: InboxLimits) -> Self {
        Inbox { limits, queue: Mutex::default(), reader: Reader::default() }
    }

    /// How many messages were dropped for it, this one or others.
    pub fn push(&self, delivery: Delivery) -> u64 {
        let mut queue = self.queue();
        let was_empty = queue.deliveries.is_empty();
        let dropped = queue.push(delivery, self.limits);
        let wake = was_empty && !queue.deliveries.is_empty();
        drop(queue);
        // The reader waits only after it has found the queue empty.
        if wake {
            self.reader.wake();
        }
        dropped
    }

    pub fn try_next(&self) -> Option<Delivery> {
        self.queue().pop()
    }

    /// Appends to `batch` what has waited longest: at most so many messages, and no further one once they have so many
    /// bytes. One lock for all of them.
    pub fn take(&self, batch: &mut VecDeque<Delivery>, messages_max: usize, bytes_max: usize) {
        let mut queue = self.queue();
        if batch.is_empty() && queue.deliveries.len() <= messages_max && queue.bytes <= bytes_max {
            // The empty one has its turn as the queue: steady traffic allocates nothing.
            std::mem::swap(&mut queue.deliveries, batch);
            (queue.bytes, queue.at_most_once) = (0, 0);
            queue.forget_a_burst();
            return;
        }
        let mut bytes = 0;
        while batch.len() < messages_max && bytes < bytes_max {
            let Some(delivery) = queue.pop() else { break };
            bytes += cost_bytes(&delivery);
            batch.push_back(delivery);
        }
    }

    /// Woken whenever something arrives after the reader found nothing.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// For others that have something for the same reader.
    pub fn waker(&self) -> Waker {
        self.reader.waker()
    }

    pub fn has_room(&self) -> bool {
        self.queue().deliveries.len() < self.limits.messages_max
    }

    /// Everything that is in it.
    pub fn take_all(&self) -> VecDeque<Delivery> {
        let mut queue = self.queue();
        let dropped = queue.dropped;
        std::mem::replace(&mut *queue, Queue { dropped, ..Queue::default() }).deliveries
    }

    pub fn len(&self) -> usize {
        self.queue().deliveries.len()
    }

    pub fn usage(&self) -> InboxUsage {
        let queue = self.queue();
        InboxUsage { messages: queue.deliveries.len(), bytes: queue.bytes }
    }

    pub fn dropped(&self) -> u64 {
        self.queue().dropped
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, delivery: Delivery, limits: InboxLimits) -> u64 {
        let bytes = cost_bytes(&delivery);
        let mut dropped = 0;
        while !self.has_room(bytes, limits) {
            if delivery.qos == Qos::AtMostOnce || !self.drop_oldest_at_most_once() {
                self.dropped += dropped + 1;
                return dropped + 1;
            }
            dropped += 1;
        }
        self.bytes += bytes;
        self.at_most_once += usize::from(delivery.qos == Qos::AtMostOnce);
        self.deliveries.push_back(delivery);
        self.dropped += dropped;
        dropped
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.forget(&delivery);
        self.forget_a_burst();
        Some(delivery)
    }

    /// An idle connection keeps no memory of it.
    fn forget_a_burst(&mut self) {
        if self.deliveries.is_empty() && self.deliveries.capacity() > IDLE_PLACES_MAX {
            self.deliveries = VecDeque::new();
        }
    }

    fn has_room(&self, bytes: usize, limits: InboxLimits) -> bool {
        self.deliveries.is_empty()
            || (self.deliveries.len() < limits.messages_max && self.bytes.saturating_add(bytes) <= limits.bytes_max)
    }

    fn drop_oldest_at_most_once(&mut self) -> bool {
        if self.at_most_once == 0 {
            return false;
        }
        let oldest = self.deliveries.iter().position(|delivery| delivery.qos == Qos::AtMostOnce);
        match oldest.and_then(|index| self.deliveries.remove(index)) {
            Some(delivery) => {
                self.forget(&delivery);
                true
            }
            None => false,
        }
    }

    fn forget(&mut self, delivery: &Delivery) {
        self.bytes -= cost_bytes(delivery);
        self.at_most_once -= usize::from(delivery.qos == Qos::AtMostOnce);
    }
}

fn cost_bytes(delivery: &Delivery) -> usize {
    MESSAGE_OVERHEAD_BYTES + delivery.message.bytes()
}
