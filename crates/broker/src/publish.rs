//! One message to everyone who subscribes to its topic: into inboxes at once, into queues and among the retained
//! messages by way of the disk.

use std::future::Future as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use mqtt::packet::{PacketId, Version};
use mqtt::{Qos, TopicName};
use store::{Commit, Expect, Place, Proposed, QueueId, Write};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::limits::QUEUED_OVERHEAD_BYTES;
use crate::message::{Delivery, Message, Published, Rare};
use crate::queued::appends;
use crate::seat::{Durable, Seat};
use crate::stored::{Head, INCOMING, below, incoming_row};
use crate::table::Receiver;

/// Where a message comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// Its own subscriptions may be such that they do not want it.
    pub client_id: Option<&'a str>,
    pub receipt: Option<&'a Receipt>,
}

/// Of a message with QoS 2 from a durable session: its packet identifier goes to disk with it, so that it is not taken
/// a second time [MQTT-4.3.3-10].
#[derive(Clone, Debug)]
pub struct Receipt {
    pub(crate) seat: Arc<Seat>,
    pub(crate) packet_id: PacketId,
}

/// A message in the broker's hands.
#[derive(Debug)]
pub struct Handed {
    /// How many get it.
    pub receivers: usize,
    pub settling: Settling,
}

/// Until it is done, the message must not be acknowledged to its publisher.
#[derive(Debug)]
pub enum Settling {
    Done,
    /// On its way to the disk, behind those that came before.
    Proposed(Box<Proposed>),
    /// The store has no room for it yet: what the same publisher sends next must wait, or it would come before.
    Blocked(Box<Blocked>),
}

#[derive(Debug)]
pub struct Blocked {
    broker: Broker,
    outlay: Outlay,
}

/// What a message has to leave on disk.
#[derive(Debug)]
struct Outlay {
    message: Arc<Published>,
    to: Vec<(QueueId, Bytes)>,
    /// Of the row of the retained message.
    retained: Option<(TopicName, u64)>,
    receipt: Option<Receipt>,
}

impl Settling {
    pub fn is_done(&self) -> bool {
        matches!(self, Settling::Done)
    }

    pub fn is_blocked(&self) -> bool {
        matches!(self, Settling::Blocked(_))
    }

    /// What came of it, if that is known already. Whoever waits for it must ask again.
    pub fn try_settle(&mut self) -> Option<Result<(), BrokerError>> {
        let mut settle = std::pin::pin!(self.settle());
        match settle.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Waits until what has to be on disk is. Safe to cancel.
    pub async fn settle(&mut self) -> Result<(), BrokerError> {
        if let Settling::Blocked(blocked) = self {
            let place = blocked.broker.store().reserve(blocked.outlay.bytes()).await?;
            let proposed = blocked.broker.propose(place, &blocked.outlay);
            *self = Settling::Proposed(Box::new(proposed));
        }
        if let Settling::Proposed(proposed) = self {
            let outcome = proposed.await;
            *self = Settling::Done;
            outcome?;
        }
        Ok(())
    }
}

impl Handed {
    pub async fn settled(mut self) -> Result<usize, BrokerError> {
        self.settling.settle().await?;
        Ok(self.receivers)
    }
}

impl Broker {
    /// Puts the message into the inbox or the queue of everyone who subscribes to its topic. It never waits for them,
    /// nor for the disk: that is `Handed::settling`.
    pub fn publish(&self, message: Message) -> Result<Handed, BrokerError> {
        self.publish_from(Source::default(), message)
    }

    /// The same for a client's message. A refused one was given to nobody.
    pub fn publish_from(&self, source: Source<'_>, message: Message) -> Result<Handed, BrokerError> {
        let (qos, retain) = (message.qos, message.retain);
        let published = Arc::new(Published::new(message));
        let mut receivers = 0;
        let mut dropped = 0;
        let mut to: Vec<(QueueId, Bytes)> = Vec::new();
        let table = self.table();
        let mut retained = None;
        if retain && !published.topic.as_str().starts_with('$') {
            retained = self.retain(&published)?;
        }
        table.receivers(&published.topic, qos, source.client_id, |receiver| {
            let qos = receiver.qos.min(qos);
            let retain = retain && receiver.retain_as_published;
            match &receiver.seat.durable {
                Some(durable) if qos != Qos::AtMostOnce => match self.head(&receiver, durable, qos, retain, &published)
                {
                    Some(head) => {
                        receivers += 1;
                        to.push((receiver.seat.queue(), head));
                    }
                    None => dropped += 1,
                },
                Some(_) if !receiver.seat.is_connected() => {}
                _ => {
                    receivers += 1;
                    let rare = Rare { ids: receiver.ids, group: receiver.group.cloned(), ..Rare::default() }.boxed();
                    dropped += receiver.seat.inbox.push(Delivery { message: published.clone(), qos, retain, rare });
                }
            }
        });
        self.shared.published.fetch_add(1, Ordering::Relaxed);
        self.shared.delivered.fetch_add(receivers as u64, Ordering::Relaxed);
        if dropped > 0 {
            self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        if to.is_empty() && retained.is_none() && source.receipt.is_none() {
            return Ok(Handed { receivers, settling: Settling::Done });
        }
        let retained = retained.map(|serial| (published.topic.clone(), serial));
        let outlay = Outlay { message: published, to, retained, receipt: source.receipt.cloned() };
        // Under the table's lock: whoever leaves it deletes its queue behind this.
        let settling = self.put_down(outlay)?;
        drop(table);
        // Nobody is told of a message with QoS 0 that it is on disk.
        let settling = if qos == Qos::AtMostOnce && !settling.is_blocked() { Settling::Done } else { settling };
        Ok(Handed { receivers, settling })
    }

    /// `None`: there is nothing to retain, and no room for a message that need not be.
    fn retain(&self, message: &Arc<Published>) -> Result<Option<u64>, BrokerError> {
        let mut retained = self.retained_messages();
        match retained.check(message, &self.shared.limits) {
            Ok(()) => Ok(retained.set(message, self.now_ms())),
            // It cannot be told, and may be discarded (5.0 section 3.3.1.3).
            Err(_) if message.qos == Qos::AtMostOnce => {
                self.shared.not_retained.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => {
                self.shared.not_retained.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Takes room in the session's queue; `None` if there is none.
    fn head(
        &self,
        receiver: &Receiver<'_>,
        durable: &Durable,
        qos: Qos,
        retain: bool,
        message: &Published,
    ) -> Option<Bytes> {
        let rare = Rare { ids: receiver.ids.clone(), group: receiver.group.cloned(), ..Rare::default() };
        self.head_of(durable, qos, retain, message, rare)
    }

    pub(crate) fn head_of(
        &self,
        durable: &Durable,
        qos: Qos,
        retain: bool,
        message: &Published,
        rare: Rare,
    ) -> Option<Bytes> {
        let body_bytes = message.encoded_at_most_once(Version::V5)?.len();
        let now_ms = self.now_ms();
        let expires_at_ms = message.expires_at_ms(now_ms);
        let Rare { ids, group, refused_by, .. } = rare;
        let head = Head { qos, retain, queued_at_ms: now_ms, expires_at_ms, ids, group, refused_by }.encode();
        self.take_room(durable, room_bytes(head.len(), body_bytes)).then_some(head)
    }

    fn take_room(&self, durable: &Durable, bytes: u64) -> bool {
        let limits = &self.shared.limits;
        let (queue, all) = (&limits.queue, &self.shared.queued);
        let has_room = durable.room.entries() < queue.messages_max
            && durable.room.bytes().saturating_add(bytes) <= queue.bytes_max
            && all.entries() < limits.queued_messages_max
            && all.bytes().saturating_add(bytes) <= limits.queued_bytes_max;
        if has_room {
            durable.room.add(1, bytes);
            all.add(1, bytes);
            self.shared.queued_total.fetch_add(1, Ordering::Relaxed);
        } else {
            self.shared.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    fn put_down(&self, outlay: Outlay) -> Result<Settling, BrokerError> {
        match self.store().try_reserve(outlay.bytes())? {
            Some(place) => Ok(Settling::Proposed(Box::new(self.propose(place, &outlay)))),
            None => Ok(Settling::Blocked(Box::new(Blocked { broker: self.clone(), outlay }))),
        }
    }

    /// Rows of one retained message go to disk in the order in which it changed.
    fn propose(&self, place: Place, outlay: &Outlay) -> Proposed {
        let mut commit = Commit::default();
        if let Some(receipt) = &outlay.receipt {
            commit.writes.push(receipt.write());
        }
        if !outlay.to.is_empty()
            && let Some(body) = outlay.message.encoded_at_most_once(Version::V5)
        {
            commit.queue.extend(appends(body, outlay.to.clone()));
        }
        let Some((topic, serial)) = &outlay.retained else { return place.propose(commit) };
        let retained = self.retained_messages();
        commit.writes.push(retained.write(topic, *serial));
        place.propose(commit)
    }
}

/// The room that a message takes in a queue.
pub(crate) fn room_bytes(head_bytes: usize, body_bytes: usize) -> u64 {
    QUEUED_OVERHEAD_BYTES + (head_bytes + body_bytes) as u64
}

impl Outlay {
    fn bytes(&self) -> usize {
        let heads: usize = self.to.iter().map(|(_, head)| 16 + head.len()).sum();
        heads + self.message.bytes() * (1 + usize::from(self.retained.is_some()))
    }
}

impl Receipt {
    fn write(&self) -> Write {
        let key = below(INCOMING, self.seat.number, u32::from(self.packet_id.value()));
        Write { key, value: Some(incoming_row()), expect: Expect::Anything }
    }
}
