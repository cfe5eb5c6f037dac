//! A connection's hold on its client id: what it subscribes to, and what it is to get.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use mqtt::codec::VariableInteger;
use mqtt::packet::{PacketId, RetainHandling, SubscribeOptions};
use mqtt::topic::MultiLevel;
use mqtt::{Qos, TopicFilter};
use store::{Commit, Expect, Position, QueueEntry, QueueWrite, Write};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::inbox::InboxLimits;
use crate::limits::{COMMIT_APPENDS_BYTES_MAX, COMMIT_WRITES_MAX};
use crate::loans::Loans;
use crate::message::{Delivery, Published, Rare};
use crate::publish::Receipt;
use crate::queued::append;
use crate::seat::{Ended, Link, Seat};
use crate::session::{session_write, will_write};
use crate::stored::{OUTGOING, OutgoingRow, SUBSCRIPTIONS, SubscriptionRow, below};
use crate::table::Member;

/// Dropped, or ended: a clean session goes, and another waits for its client. A newer claim of the same id is not touched
/// by that.
#[derive(Debug)]
pub struct Claim {
    pub(crate) broker: Broker,
    pub(crate) seat: Arc<Seat>,
    pub(crate) link: Arc<Link>,
    options: ClaimOptions,
    is_resumed: bool,
    local: Mutex<Local>,
}

/// What a listener's profile decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimOptions {
    pub inbox: InboxLimits,
    /// Whether a subscription to `sport/#` gets messages to `sport`.
    pub multi_level: MultiLevel,
    pub retained_for: RetainedFor,
}

/// Which new subscriptions get retained messages. Shared ones never do (5.0 section 4.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainedFor {
    AllFilters,
    /// AWS: "a wildcard subscription does not receive retained messages".
    ExactFilters,
}

/// Of this connection alone.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// Read from the queue, and not sent yet.
    pub batch: VecDeque<QueueEntry>,
    /// The last of them.
    pub read_to: Position,
    /// Retained messages for new subscriptions.
    replays: VecDeque<Delivery>,
    /// What has to be on disk before the client hears more.
    pub unsaved: Commit,
    /// Inbox and queue take turns.
    is_queues_turn: bool,
    /// Of a clean session.
    pub loans: Loans,
}

/// What is to become of the will when a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WillAtEnd {
    /// There is none, or it is not published, or it has been.
    Discarded,
    /// It is published when the delay is over, unless the client comes back.
    Delayed { delay_s: u32 },
}

/// What became of a delayed will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WillFate {
    /// There was none.
    None,
    /// It comes out of the broker in time (`next_due_will`).
    Kept,
    /// The client has come back to its session before [MQTT-3.1.3-9].
    Cancelled,
    /// The session has ended with the connection or before: it is to be published now.
    Due,
}

impl Default for ClaimOptions {
    fn default() -> Self {
        ClaimOptions {
            inbox: InboxLimits::default(),
            multi_level: MultiLevel::WithParent,
            retained_for: RetainedFor::AllFilters,
        }
    }
}

impl Claim {
    pub(crate) fn new(
        broker: Broker,
        seat: Arc<Seat>,
        link: Arc<Link>,
        options: ClaimOptions,
        is_resumed: bool,
    ) -> Self {
        Claim { broker, seat, link, options, is_resumed, local: Mutex::default() }
    }

    pub fn client_id(&self) -> &str {
        &self.seat.client_id
    }

    /// Whether an earlier session goes on: Session Present.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    pub fn filters(&self) -> Vec<TopicFilter> {
        self.broker.table().filters(&self.seat)
    }

    /// Subscribes, or changes the QoS of a subscription. After a takeover it has no effect.
    pub fn subscribe(&self, filter: TopicFilter, qos: Qos) -> Qos {
        self.subscribe_with(filter, SubscribeOptions::of_qos(qos), None).unwrap_or(qos)
    }

    /// The same with everything that MQTT 5 knows. Answers the granted QoS; `None`: the session has as many subscriptions
    /// as it may have. In a durable session it counts from the next `save`.
    pub fn subscribe_with(
        &self,
        filter: TopicFilter,
        options: SubscribeOptions,
        id: Option<VariableInteger>,
    ) -> Option<Qos> {
        let multi_level = self.options.multi_level;
        let member = Member { seat: self.seat.clone(), options, id, multi_level };
        let mut table = self.broker.table_mut();
        let subscriptions_max = self.broker.shared.limits.subscriptions_per_session_max;
        if table.subscription_count(&self.seat) >= subscriptions_max && !table.has_filter(&self.seat, &filter) {
            return None;
        }
        let Some(placed) = table.subscribe(filter.clone(), member) else { return Some(options.qos) };
        let is_replayed = filter.share_group().is_none()
            && match options.retain_handling {
                RetainHandling::SendAtSubscribe => true,
                RetainHandling::SendIfNew => placed.is_new,
                RetainHandling::DoNotSend => false,
            }
            && (self.options.retained_for == RetainedFor::AllFilters || !filter.has_wildcard());
        // Under the table's lock: a message that is retained meanwhile comes once, either way.
        let retained = match is_replayed {
            true => {
                let matches = |topic: &str| filter.matches_with(topic, multi_level);
                self.broker.retained_messages().matching(&filter, matches)
            }
            false => Vec::new(),
        };
        drop(table);
        let mut local = self.local();
        if self.seat.durable.is_some() {
            let key = below(SUBSCRIPTIONS, self.seat.number, placed.serial);
            let row = SubscriptionRow { subscription: mqtt::packet::Subscription { filter, options }, id, multi_level };
            local.unsaved.writes.push(Write { key, value: Some(row.encode()), expect: Expect::Anything });
        }
        self.replay(&mut local, retained, options.qos, id);
        Some(options.qos)
    }

    fn replay(&self, local: &mut Local, retained: Vec<Arc<Published>>, qos: Qos, id: Option<VariableInteger>) {
        for message in retained {
            let qos = message.qos.min(qos);
            let rare = Rare { ids: id.into_iter().collect(), ..Rare::default() };
            if qos != Qos::AtMostOnce
                && let Some(durable) = &self.seat.durable
            {
                let head = self.broker.head_of(durable, qos, true, &message, rare);
                local.unsaved.queue.extend(head.and_then(|head| append(&self.seat, head, &message)));
            } else if local.replays.len() < self.broker.shared.limits.retained_messages_max {
                local.replays.push_back(Delivery { message, qos, retain: true, rare: rare.boxed() });
            }
        }
    }

    /// Whether there was such a subscription. Messages that are in the inbox already stay there. In a durable session it
    /// counts from the next `save`.
    pub fn unsubscribe(&self, filter: &TopicFilter) -> bool {
        let Some(serial) = self.broker.table_mut().unsubscribe(&self.seat, filter) else { return false };
        if self.seat.durable.is_some() {
            let key = below(SUBSCRIPTIONS, self.seat.number, serial);
            self.local().unsaved.writes.push(Write { key, value: None, expect: Expect::Anything });
        }
        true
    }

    pub fn subscription_count(&self) -> usize {
        self.broker.table().subscription_count(&self.seat)
    }

    /// Whether `save` has nothing to wait for.
    pub fn is_saved(&self) -> bool {
        self.seat.durable.is_none() || self.local().unsaved.is_empty()
    }

    /// Waits until what the client is about to be told is on disk: subscriptions, and how far messages with QoS 2 have
    /// come. In a clean session there is nothing to wait for.
    pub async fn save(&self) -> Result<(), BrokerError> {
        if self.seat.durable.is_none() {
            return Ok(());
        }
        let unsaved = std::mem::take(&mut self.local().unsaved);
        if unsaved.is_empty() || !self.seat.is_held_by(&self.link) {
            return Ok(());
        }
        let mut proposed = Vec::new();
        for part in parts(unsaved) {
            proposed.push(self.broker.store().reserve(COMMIT_WRITES_MAX).await?.propose(part));
        }
        for proposed in proposed {
            proposed.await?;
        }
        Ok(())
    }

    /// The next message for this connection. Safe to cancel, as in `select!`: nothing is taken before it returns.
    pub async fn next_delivery(&self) -> Delivery {
        poll_fn(|cx| {
            // What arrives from here on wakes.
            self.seat.inbox.reader().wait(cx.waker());
            self.try_next_delivery().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// From now on `waker` is woken whenever something arrives after nothing was left to be taken. What is there already is
    /// not told.
    pub fn wake_on_arrival(&self, waker: &Waker) {
        self.seat.inbox.reader().wait(waker);
    }

    /// Takes what is there, into `batch`, which is empty: at most so many messages, and of those in memory no further one
    /// once they have so many bytes. Where it takes none, nothing is left.
    pub fn take_arrived(&self, batch: &mut VecDeque<Delivery>, messages_max: usize, bytes_max: usize) {
        let mut local = self.local();
        if self.seat.durable.is_some() || !local.replays.is_empty() {
            drop(local);
            // One by one, so that inbox and queue take turns; what is queued is on disk until it is taken.
            return batch.extend(self.try_next_delivery());
        }
        self.seat.inbox.take(batch, messages_max, bytes_max);
        batch.iter_mut().for_each(|delivery| local.loans.mark(delivery));
    }

    /// To write many messages at one wake-up.
    pub fn try_next_delivery(&self) -> Option<Delivery> {
        let mut local = self.local();
        if let Some(replay) = local.replays.pop_front() {
            return Some(replay);
        }
        if self.seat.durable.is_none() {
            let mut next = self.seat.inbox.try_next()?;
            local.loans.mark(&mut next);
            return Some(next);
        }
        local.is_queues_turn = !local.is_queues_turn;
        match local.is_queues_turn {
            true => self.next_queued(&mut local).or_else(|| self.seat.inbox.try_next()),
            false => self.seat.inbox.try_next().or_else(|| self.next_queued(&mut local)),
        }
    }

    /// It was written to the session's client, with QoS 1 or 2 under this packet identifier. With QoS 2 it may be sent
    /// after the next `save`.
    pub fn sent(&self, delivery: &Delivery, packet_id: Option<PacketId>) {
        match packet_id {
            Some(_) if self.seat.durable.is_none() => {
                if delivery.loan().is_some() {
                    self.local().loans.lend(delivery);
                }
            }
            Some(packet_id) => self.sent_as(delivery, packet_id),
            // With QoS 0 there is nothing to wait for.
            None => self.settled(delivery),
        }
    }

    /// It could not be written now: the next one again.
    pub fn put_back(&self, delivery: Delivery) {
        self.local().replays.push_front(delivery);
    }

    /// The client may not have it. Another member of its group gets it; where there is none, it goes.
    pub fn hand_back(&self, mut delivery: Delivery) {
        if let Some(rare) = &mut delivery.rare
            && rare.group.is_some()
        {
            rare.refused_by.push(self.seat.number);
            if let Some(write) = self.broker.pass_on(delivery.clone()) {
                match self.seat.durable {
                    Some(_) => self.local().unsaved.queue.push(write),
                    None => self.broker.store().defer(Commit { writes: Vec::new(), queue: vec![write] }),
                }
            }
        }
        self.settled(&delivery);
    }

    pub fn inbox_len(&self) -> usize {
        self.seat.inbox.len()
    }

    /// Messages that were lost because this connection was too slow.
    pub fn dropped(&self) -> u64 {
        self.seat.inbox.dropped()
    }

    /// To be handed in with a message with QoS 2; `None`: the session does not outlive the connection.
    pub fn receipt(&self, packet_id: PacketId) -> Option<Receipt> {
        let durable = self.seat.durable.as_ref()?;
        let mut progress = durable.progress();
        if progress.link != self.link.number {
            return None;
        }
        progress.unreleased.insert(packet_id);
        Some(Receipt { seat: self.seat.clone(), packet_id })
    }

    /// Returns when the connection has to end; at once if that is so already.
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + use<> {
        let link = self.link.clone();
        async move { link.wait().await }
    }

    /// Without waiting. Costs a look at a cell.
    pub fn has_ended(&self) -> bool {
        self.link.ended().is_some()
    }

    pub fn is_taken_over(&self) -> bool {
        self.link.ended() == Some(Ended::TakenOver)
    }

    /// The end of the connection, with what the client said last about its session.
    pub fn end(self, session_expiry_s: u32, will: WillAtEnd) -> WillFate {
        self.leave(Some(session_expiry_s), Some(will))
    }

    /// `None`: as it was when the connection began.
    fn leave(&self, session_expiry_s: Option<u32>, will: Option<WillAtEnd>) -> WillFate {
        let mut commit = Commit::default();
        let mut table = self.broker.table_mut();
        let is_current = self.seat.disconnect(&self.link);
        let fate = match &self.seat.durable {
            None => {
                if is_current {
                    table.leave(&self.seat);
                }
                due_if_delayed(will)
            }
            Some(durable) if !is_current => match durable.progress().has_ended {
                true => due_if_delayed(will),
                false if matches!(will, Some(WillAtEnd::Delayed { .. })) => WillFate::Cancelled,
                false => WillFate::None,
            },
            Some(durable) => {
                let mut progress = durable.progress();
                progress.expiry_s = session_expiry_s.unwrap_or(progress.expiry_s);
                if progress.expiry_s == 0 {
                    drop(progress);
                    self.broker.end_session(&mut table, &self.seat, Ended::TakenOver, &mut commit);
                    due_if_delayed(will)
                } else {
                    progress.disconnected_at_ms = Some(self.broker.now_ms());
                    match will {
                        Some(WillAtEnd::Delayed { delay_s }) => progress.will_delay_s = Some(delay_s),
                        Some(WillAtEnd::Discarded) => {
                            progress.will_delay_s = None;
                            commit.writes.push(will_write(&self.seat, None));
                        }
                        None => {}
                    }
                    let has_will = progress.will_delay_s.is_some();
                    commit.writes.extend(self.outgoing_rows(&mut progress.in_flight));
                    self.broker.schedule(self.seat.number, &progress);
                    drop(progress);
                    commit.writes.push(session_write(&self.seat, durable));
                    if has_will { WillFate::Kept } else { WillFate::None }
                }
            }
        };
        // Under the lock: what a newer connection writes comes after it.
        if !commit.is_empty() {
            self.broker.store().defer(commit);
        }
        let left = self.take_what_is_left(is_current);
        drop(table);
        left.into_iter().filter(Delivery::is_of_group).for_each(|delivery| self.hand_back(delivery));
        fate
    }

    /// What is in nobody's queue and was not acknowledged, in its order.
    fn take_what_is_left(&self, is_current: bool) -> VecDeque<Delivery> {
        let mut local = self.local();
        let mut left = local.loans.take_back();
        // Of a clean session all of it is this connection's alone.
        if self.seat.durable.is_none() {
            left.extend(std::mem::take(&mut local.replays));
        }
        if is_current {
            self.seat.inbox.reader().leave();
        }
        if is_current || self.seat.durable.is_none() {
            left.extend(self.seat.inbox.take_all());
        }
        left
    }

    /// Of messages with QoS 1, so that they are sent again under the same identifiers, also after a restart.
    fn outgoing_rows(&self, in_flight: &mut VecDeque<crate::seat::InFlight>) -> Vec<Write> {
        let unstored = in_flight.iter_mut().filter(|it| !it.is_stored);
        unstored
            .map(|it| {
                it.is_stored = true;
                let row = OutgoingRow { position: it.position, qos: it.qos, is_released: it.is_released };
                let key = below(OUTGOING, self.seat.number, it.packet_id.value().into());
                Write { key, value: Some(row.encode()), expect: Expect::Anything }
            })
            .collect()
    }

    pub(crate) fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.leave(None, None);
    }
}

fn due_if_delayed(will: Option<WillAtEnd>) -> WillFate {
    match will {
        Some(WillAtEnd::Delayed { .. }) => WillFate::Due,
        _ => WillFate::None,
    }
}

/// Commits within the store's bounds, in the same order.
fn parts(whole: Commit) -> Vec<Commit> {
    let mut parts = vec![Commit::default()];
    let mut bytes = 0;
    let mut writes = whole.writes.into_iter();
    let is_full = |part: &Commit, bytes: usize| {
        part.writes.len() + part.queue.len() >= COMMIT_WRITES_MAX || bytes >= COMMIT_APPENDS_BYTES_MAX
    };
    for write in writes.by_ref() {
        if parts.last().is_some_and(|part| is_full(part, 0)) {
            parts.push(Commit::default());
        }
        if let Some(part) = parts.last_mut() {
            part.writes.push(write);
        }
    }
    for write in whole.queue {
        if parts.last().is_some_and(|part| is_full(part, bytes)) {
            parts.push(Commit::default());
            bytes = 0;
        }
        if let QueueWrite::Append { body, .. } = &write {
            bytes += body.len();
        }
        if let Some(part) = parts.last_mut() {
            part.queue.push(write);
        }
    }
    parts
}
