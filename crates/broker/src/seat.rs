//! A session's place in the broker, and the connection that holds it. A clean session ends with its connection; a durable
//! one stays, and what it may not forget is here.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use mqtt::packet::{PacketId, Version};
use mqtt::{Qos, session::SESSION_EXPIRY_NEVER_S};
use store::{Position, QueueBell, QueueId, QueueUsage};
use tokio::sync::Notify;

use crate::inbox::Inbox;
use crate::limits::QUEUED_OVERHEAD_BYTES;
use crate::room::Room;
use crate::stored::SessionRow;

#[derive(Debug)]
pub(crate) struct Seat {
    /// Unique, also among sessions of earlier runs: a newer one has a higher one.
    pub number: u64,
    pub client_id: Arc<str>,
    /// What is not queued on disk: everything of a clean session, and QoS 0.
    pub inbox: Inbox,
    pub durable: Option<Durable>,
    link: Mutex<Option<Arc<Link>>>,
    is_connected: AtomicBool,
}

/// One connection's hold on a seat.
#[derive(Debug)]
pub(crate) struct Link {
    /// Of a seat's links, the highest holds it.
    pub number: u64,
    ended: OnceLock<Ended>,
    changed: Notify,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A newer connection has taken the client id.
    TakenOver,
    /// An operator has ended it.
    Disconnected { will: WillOnDisconnect },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WillOnDisconnect {
    Published,
    Prevented,
}

#[derive(Debug)]
pub(crate) struct Durable {
    pub version: Version,
    pub bell: Arc<QueueBell>,
    pub room: Room,
    progress: Mutex<Progress>,
}

/// How far the session has come with its client. Only the link that holds the seat changes it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub link: u64,
    pub expiry_s: u32,
    pub disconnected_at_ms: Option<u64>,
    pub will_delay_s: Option<u32>,
    /// Everything in the queue up to here was sent, or is settled.
    pub cursor: Position,
    /// What is in the queue up to here may have been sent by a server that crashed.
    pub doubtful_to: Position,
    /// In the order in which they were sent.
    pub in_flight: VecDeque<InFlight>,
    /// Beyond the cursor, where a restart has left it: what the client has had since, and a reader of the queue may still
    /// find there.
    pub done: BTreeSet<Position>,
    /// QoS 2: of messages from the client that it has not released.
    pub unreleased: BTreeSet<PacketId>,
    pub has_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub packet_id: PacketId,
    pub position: Position,
    /// The room that it takes in the queue; nothing once it is released.
    pub bytes: u64,
    pub qos: Qos,
    pub is_released: bool,
    /// Whether there is a row of it.
    pub is_stored: bool,
}

impl Seat {
    pub fn new(number: u64, client_id: Arc<str>, inbox: Inbox, durable: Option<Durable>) -> Self {
        Seat { number, client_id, inbox, durable, link: Mutex::default(), is_connected: AtomicBool::new(false) }
    }

    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    /// Of a durable session.
    pub fn queue(&self) -> QueueId {
        QueueId(self.number)
    }

    /// The older connection, if there is one, is told.
    pub fn connect(&self, link: Arc<Link>) {
        if let Some(durable) = &self.durable {
            durable.progress().link = link.number;
        }
        let older = self.lock_link().replace(link);
        self.is_connected.store(true, Ordering::Release);
        if let Some(older) = older {
            older.end(Ended::TakenOver);
        }
    }

    /// Whether it was this link's to leave.
    pub fn disconnect(&self, link: &Link) -> bool {
        let mut current = self.lock_link();
        let is_current = current.as_ref().is_some_and(|current| current.number == link.number);
        if is_current {
            *current = None;
            self.is_connected.store(false, Ordering::Release);
        }
        is_current
    }

    /// Whether there was a connection to tell.
    pub fn end_link(&self, ended: Ended) -> bool {
        let link = self.lock_link().take();
        self.is_connected.store(false, Ordering::Release);
        link.is_some_and(|link| link.end(ended))
    }

    pub fn tell_link(&self, ended: Ended) -> bool {
        self.lock_link().as_ref().is_some_and(|link| link.end(ended))
    }

    pub fn is_held_by(&self, link: &Link) -> bool {
        self.lock_link().as_ref().is_some_and(|current| current.number == link.number)
    }

    fn lock_link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    pub fn new(number: u64) -> Self {
        Link { number, ended: OnceLock::new(), changed: Notify::new() }
    }

    pub fn end(&self, ended: Ended) -> bool {
        let is_first = self.ended.set(ended).is_ok();
        self.changed.notify_one();
        is_first
    }

    pub fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }

    pub async fn wait(&self) -> Ended {
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            self.changed.notified().await;
        }
    }
}

impl Durable {
    pub fn new(version: Version, reader: Waker, usage: QueueUsage, progress: Progress) -> Self {
        Durable {
            version,
            bell: Arc::new(QueueBell::new(reader)),
            room: Room::new(usage.entries, usage.bytes + usage.entries * QUEUED_OVERHEAD_BYTES),
            progress: Mutex::new(progress),
        }
    }

    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn row(&self, client_id: &str) -> SessionRow {
        let progress = self.progress();
        SessionRow {
            client_id: client_id.to_owned(),
            version: self.version,
            expiry_s: progress.expiry_s,
            disconnected_at_ms: progress.disconnected_at_ms,
            will_delay_s: progress.will_delay_s,
        }
    }
}

impl Progress {
    /// Everything up to here was sent, or is settled now.
    pub fn advance(&mut self, position: Position) {
        self.cursor = self.cursor.max(position);
        while self.done.first().is_some_and(|first| *first <= self.cursor) {
            self.done.pop_first();
        }
    }

    /// The client has it; it is on its way out of the queue.
    pub fn take_out(&mut self, position: Position) {
        if position > self.cursor {
            self.done.insert(position);
        }
    }

    /// Whether it is not to be read from the queue: it is sent, or the client has it.
    pub fn has_begun(&self, position: Position) -> bool {
        self.done.contains(&position) || self.in_flight.iter().any(|in_flight| in_flight.position == position)
    }

    /// When the session ends, and when its will is due: no later than that.
    pub fn deadlines_ms(&self) -> (Option<u64>, Option<u64>) {
        let Some(since_ms) = self.disconnected_at_ms else { return (None, None) };
        let at = |s: u32| since_ms.saturating_add(u64::from(s) * 1000);
        let expiry = (self.expiry_s != SESSION_EXPIRY_NEVER_S).then(|| at(self.expiry_s));
        (expiry, self.will_delay_s.map(|delay_s| at(delay_s.min(self.expiry_s))))
    }
}
