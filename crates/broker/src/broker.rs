//! The meeting point of publishers and subscribers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mqtt::TopicName;
use store::Store;

use crate::clock::WallClock;
use crate::inbox::InboxUsage;
use crate::limits::BrokerLimits;
use crate::retained::{Retained, RetainedMessages};
use crate::room::Room;
use crate::schedule::Schedule;
use crate::seat::Seat;
use crate::table::Table;

/// Cheap to clone; all clones are one broker.
#[derive(Clone, Debug)]
pub struct Broker {
    pub(crate) shared: Arc<Shared>,
}

/// A publish reads the table, claims and subscriptions write it; held for lines. Inside it, in this order and never the
/// other way round: the retained messages, a seat, the schedule.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Store,
    clock: WallClock,
    pub limits: BrokerLimits,
    table: RwLock<Table>,
    retained: Mutex<RetainedMessages>,
    pub schedule: Schedule,
    pub queued: Room,
    pub published: AtomicU64,
    pub delivered: AtomicU64,
    pub dropped: AtomicU64,
    pub queued_total: AtomicU64,
    pub overflowed: AtomicU64,
    pub expired: AtomicU64,
    pub not_retained: AtomicU64,
    pub sessions_expired: AtomicU64,
}

/// Since the broker was made, but for what is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub published: u64,
    /// Put into inboxes and queues, whether or not they were dropped from there later.
    pub delivered: u64,
    /// Lost to a connection whose inbox was full, or to a session whose queue was.
    pub dropped: u64,
    /// Put into queues.
    pub queued: u64,
    /// Of those dropped, the ones that found no room in a queue.
    pub queue_overflows: u64,
    /// Messages that grew too old in a queue.
    pub expired: u64,
    /// Messages that were to be retained, and found no room.
    pub not_retained: u64,
    pub sessions_expired: u64,
    /// In queues now.
    pub queued_now: u64,
    pub queued_bytes_now: u64,
    /// Sessions that outlive their connections, now.
    pub durable_sessions: usize,
    pub retained_messages: usize,
    pub retained_bytes: usize,
}

impl Broker {
    pub(crate) fn with(store: Store, limits: BrokerLimits, clock: WallClock) -> Self {
        Broker {
            shared: Arc::new(Shared {
                store,
                clock,
                limits,
                table: RwLock::default(),
                retained: Mutex::default(),
                schedule: Schedule::default(),
                queued: Room::default(),
                published: AtomicU64::new(0),
                delivered: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                queued_total: AtomicU64::new(0),
                overflowed: AtomicU64::new(0),
                expired: AtomicU64::new(0),
                not_retained: AtomicU64::new(0),
                sessions_expired: AtomicU64::new(0),
            }),
        }
    }

    /// Whether anybody would get a message on the topic. It may say yes where in the end nobody does.
    pub fn has_receivers(&self, topic: &TopicName) -> bool {
        self.table().has_receivers(topic)
    }

    /// How many clients are connected.
    pub fn connected(&self) -> usize {
        self.table().connected_count()
    }

    /// What waits for connected clients, in memory. Looks at each of them: for a monitor, and not for every message.
    pub fn inboxes(&self) -> InboxUsage {
        // Publishers are kept from the table no longer than it takes to name who is there.
        let seats: Vec<Arc<Seat>> = self.table().all().cloned().collect();
        seats.iter().map(|seat| seat.inbox.usage()).fold(InboxUsage::default(), |all, one| InboxUsage {
            messages: all.messages + one.messages,
            bytes: all.bytes + one.bytes,
        })
    }

    pub fn counters(&self) -> Counters {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = &*self.shared;
        let durable_sessions = self.table().durable_count();
        let retained = self.retained_messages();
        Counters {
            published: count(&shared.published),
            delivered: count(&shared.delivered),
            dropped: count(&shared.dropped),
            queued: count(&shared.queued_total),
            queue_overflows: count(&shared.overflowed),
            expired: count(&shared.expired),
            not_retained: count(&shared.not_retained),
            sessions_expired: count(&shared.sessions_expired),
            queued_now: shared.queued.entries(),
            queued_bytes_now: shared.queued.bytes(),
            durable_sessions,
            retained_messages: retained.len(),
            retained_bytes: retained.bytes(),
        }
    }

    /// The retained message of a topic.
    pub fn retained(&self, topic: &TopicName) -> Option<Retained> {
        self.retained_messages().get(topic)
    }

    /// Retained messages in the order of their topics, behind `after`.
    pub fn retained_after(&self, after: Option<&TopicName>, limit: usize) -> Vec<Retained> {
        self.retained_messages().page(after, limit)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.shared.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.shared.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn retained_messages(&self) -> MutexGuard<'_, RetainedMessages> {
        self.shared.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
