//! The meeting point of publishers and subscribers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mqtt::TopicName;

use crate::claim::{Claim, ClaimOptions};
use crate::message::{Delivery, Message, Published};
use crate::table::Table;

/// Cheap to clone; all clones are one broker.
#[derive(Clone, Debug, Default)]
pub struct Broker {
    shared: Arc<Shared>,
}

/// Held for lines: a publish reads the table, claims and subscriptions write it. Inboxes are locked inside, and
/// nothing else.
#[derive(Debug, Default)]
struct Shared {
    table: RwLock<Table>,
    published: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
}

/// Since the broker was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub published: u64,
    /// Put into inboxes, whether or not they were dropped from there later.
    pub delivered: u64,
    /// Lost because an inbox was full.
    pub dropped: u64,
}

impl Broker {
    pub fn new() -> Self {
        Broker::default()
    }

    /// Takes the client id, over from an older connection if there is one.
    pub fn claim(&self, client_id: &str) -> Claim {
        self.claim_with(client_id, ClaimOptions::default())
    }

    pub fn claim_with(&self, client_id: &str, options: ClaimOptions) -> Claim {
        Claim::take(self.clone(), client_id, options)
    }

    /// Puts the message into the inbox of everyone who subscribes to its topic, and says how many they are. It never
    /// waits for them.
    pub fn publish(&self, message: Message) -> usize {
        self.publish_from(None, message)
    }

    /// The same for a client's message: its own subscriptions may be such that they do not want it.
    pub fn publish_from(&self, client_id: Option<&str>, message: Message) -> usize {
        let (message_qos, is_retained) = (message.qos, message.retain);
        let published = Arc::new(Published::new(message));
        let mut receivers = 0;
        let mut dropped = 0;
        self.table().receivers(&published.topic, client_id, |member| {
            receivers += 1;
            dropped += member.seat.inbox.push(Delivery {
                message: published.clone(),
                qos: member.options.qos.min(message_qos),
                retain: is_retained && member.options.retain_as_published,
            });
        });
        self.shared.published.fetch_add(1, Ordering::Relaxed);
        self.shared.delivered.fetch_add(receivers as u64, Ordering::Relaxed);
        if dropped > 0 {
            self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        receivers
    }

    /// Whether anybody would get a message on the topic. It may say yes where in the end nobody does.
    pub fn has_receivers(&self, topic: &TopicName) -> bool {
        self.table().has_receivers(topic)
    }

    /// How many client ids are held.
    pub fn connected(&self) -> usize {
        self.table().seated_count()
    }

    pub fn counters(&self) -> Counters {
        Counters {
            published: self.shared.published.load(Ordering::Relaxed),
            delivered: self.shared.delivered.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.shared.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.shared.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
