//! A durable session's queue: what its connection reads from it, and what becomes of each message.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mqtt::Qos;
use mqtt::packet::{PacketId, Version};
use mqtt::session::{Kept, Open, Progress as Acknowledged, SessionState, packet_id_of};
use store::{Commit, Expect, Position, QueueEntry, QueueId, QueueRead, QueueWrite, Write};

use crate::broker::Broker;
use crate::claim::{Claim, Local};
use crate::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
use crate::message::{Delivery, Message, Published, Queued, Rare};
use crate::publish::room_bytes;
use crate::seat::{Durable, InFlight, Seat};
use crate::stored::{Head, INCOMING, OUTGOING, OutgoingRow, below, read_body};

pub(crate) const BATCH: QueueRead = QueueRead { entries_max: BATCH_ENTRIES_MAX, bytes_max: BATCH_BYTES_MAX };

impl Claim {
    /// What of the session the new connection goes on with. `now_ms` is on the clock of `mqtt::Session`.
    pub fn state(&self, now_ms: u64) -> SessionState {
        let Some(durable) = &self.seat.durable else { return SessionState::new() };
        let mut progress = durable.progress();
        let mut open = Vec::new();
        progress.in_flight.retain_mut(|in_flight| {
            let next = match in_flight.is_released {
                true => Some(Open::Release(in_flight.packet_id)),
                false => self.kept(in_flight, now_ms).map(|kept| Open::Message(in_flight.packet_id, kept)),
            };
            let is_there = next.is_some();
            open.extend(next);
            is_there
        });
        SessionState::restore(open, progress.unreleased.iter().copied())
    }

    fn kept(&self, in_flight: &mut InFlight, now_ms: u64) -> Option<Kept> {
        let before = Position(in_flight.position.0.checked_sub(1)?);
        let one = QueueRead { entries_max: 1, ..BATCH };
        let entry = self.broker.store().read_queue(self.seat.queue(), before, one).ok()?.into_iter().next()?;
        if entry.position != in_flight.position {
            return None;
        }
        in_flight.bytes = queued(&entry).bytes;
        let delivery = self.broker.read_entry(&entry)?;
        let message = &delivery.message;
        Some(Kept {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: in_flight.qos,
            retain: delivery.retain,
            properties: message.properties.clone(),
            subscription_ids: delivery.rare.as_ref().map(|rare| rare.ids.clone()).unwrap_or_default(),
            expires_at_ms: message.expires_at_ms(now_ms),
            tag: Some(in_flight.position.0),
        })
    }

    pub(crate) fn next_queued(&self, local: &mut Local) -> Option<Delivery> {
        let durable = self.seat.durable.as_ref()?;
        loop {
            while let Some(entry) = local.batch.pop_front() {
                if let Some(delivery) = self.deliverable(durable, &entry) {
                    return Some(delivery);
                }
            }
            if !durable.bell.take() {
                return None;
            }
            self.read_batch(durable, local);
        }
    }

    fn read_batch(&self, durable: &Durable, local: &mut Local) {
        let progress = durable.progress();
        if progress.link != self.link.number {
            return;
        }
        let after = local.read_to.max(progress.cursor);
        drop(progress);
        match self.broker.store().read_queue(self.seat.queue(), after, BATCH) {
            Ok(entries) => {
                if let Some(last) = entries.last() {
                    local.read_to = last.position;
                    // There may be more.
                    durable.bell.ring();
                }
                local.batch.extend(entries);
            }
            Err(error) => tracing::error!(%error, client_id = self.client_id(), "a queue cannot be read"),
        }
    }

    /// `None`: it is on its way already, or has grown too old.
    fn deliverable(&self, durable: &Durable, entry: &QueueEntry) -> Option<Delivery> {
        if durable.progress().has_begun(entry.position) {
            return None;
        }
        let delivery = self.broker.read_entry(entry);
        if delivery.is_none() {
            tracing::error!(client_id = self.client_id(), "a queued message cannot be read; it is dropped");
        }
        let mut delivery = delivery.filter(|_| !self.broker.is_too_old(entry, self.broker.now_ms()));
        if delivery.is_none() && self.pass(durable, entry.position) {
            self.broker.shared.expired.fetch_add(1, Ordering::Relaxed);
            self.remove(durable, queued(entry), Vec::new());
        }
        if let Some(rare) = delivery.as_mut().and_then(|delivery| delivery.rare.as_mut()) {
            rare.is_doubtful = entry.position <= durable.progress().doubtful_to;
        }
        delivery
    }

    /// A newer connection goes on behind it. `false`: that is so already.
    fn pass(&self, durable: &Durable, position: Position) -> bool {
        let mut progress = durable.progress();
        let is_held = progress.link == self.link.number;
        if is_held {
            progress.advance(position);
        }
        is_held
    }

    /// It is no longer to be sent: it was, with QoS 0, or it cannot be.
    pub fn settled(&self, delivery: &Delivery) {
        let (Some(queued), Some(durable)) = (delivery.queued(), &self.seat.durable) else { return };
        if self.pass(durable, queued.position) {
            self.remove(durable, queued, Vec::new());
        }
    }

    pub(crate) fn sent_as(&self, delivery: &Delivery, packet_id: PacketId) {
        let (Some(queued), Some(durable)) = (delivery.queued(), &self.seat.durable) else { return };
        let Queued { position, bytes } = queued;
        let mut progress = durable.progress();
        if progress.link != self.link.number {
            return;
        }
        // The identifier of a message with QoS 1 follows from its place, but for the rare one that another has in flight.
        let is_stored = delivery.qos == Qos::ExactlyOnce || packet_id != packet_id_of(queued.number());
        let qos = delivery.qos;
        progress.advance(position);
        progress.in_flight.push_back(InFlight { packet_id, position, bytes, qos, is_released: false, is_stored });
        drop(progress);
        if is_stored {
            let row = OutgoingRow { position, qos: delivery.qos, is_released: false };
            self.local().unsaved.writes.push(self.outgoing(packet_id, Some(row)));
        }
    }

    /// `Action::Acknowledged`. With QoS 2 the next packet may be sent after the next `save`.
    pub fn acknowledged(&self, tag: u64, progress_of: Acknowledged) {
        let Some(durable) = &self.seat.durable else { return self.local().loans.settle(tag) };
        let position = Position(tag);
        let mut progress = durable.progress();
        if progress.link != self.link.number {
            return;
        }
        let Some(index) = progress.in_flight.iter().position(|it| it.position == position) else { return };
        match progress_of {
            Acknowledged::Received(packet_id) => {
                let Some(in_flight) = progress.in_flight.get_mut(index) else { return };
                in_flight.is_released = true;
                in_flight.is_stored = true;
                let bytes = std::mem::take(&mut in_flight.bytes);
                progress.take_out(position);
                drop(progress);
                let row = OutgoingRow { position, qos: Qos::ExactlyOnce, is_released: true };
                let mut local = self.local();
                local.unsaved.writes.push(self.outgoing(packet_id, Some(row)));
                local.unsaved.queue.push(QueueWrite::Remove { queue: self.seat.queue(), position });
                drop(local);
                self.broker.give_room_back(durable, bytes);
            }
            Acknowledged::Done(_) => {
                let Some(in_flight) = progress.in_flight.remove(index) else { return };
                progress.take_out(position);
                drop(progress);
                let row = in_flight.is_stored.then(|| self.outgoing(in_flight.packet_id, None));
                self.remove(durable, Queued { position, bytes: in_flight.bytes }, row.into_iter().collect());
            }
        }
    }

    /// `Action::Completed`: the packet identifier is free again.
    pub fn completed(&self, packet_id: PacketId) {
        let Some(durable) = &self.seat.durable else { return };
        let mut progress = durable.progress();
        if progress.link == self.link.number {
            progress.in_flight.retain(|it| it.packet_id != packet_id || !it.is_released);
            drop(progress);
            let writes = vec![self.outgoing(packet_id, None)];
            self.broker.store().defer(Commit { writes, queue: Vec::new() });
        }
    }

    /// `Action::Release`: the client may use the identifier again, after the next `save`.
    pub fn released(&self, packet_id: PacketId) {
        let Some(durable) = &self.seat.durable else { return };
        if durable.progress().unreleased.remove(&packet_id) {
            let key = below(INCOMING, self.seat.number, packet_id.value().into());
            self.local().unsaved.writes.push(Write { key, value: None, expect: Expect::Anything });
        }
    }

    /// Need not be on disk soon: after a crash the message is sent again.
    fn remove(&self, durable: &Durable, queued: Queued, writes: Vec<Write>) {
        let queue = vec![QueueWrite::Remove { queue: self.seat.queue(), position: queued.position }];
        self.broker.store().defer(Commit { writes, queue });
        self.broker.give_room_back(durable, queued.bytes);
    }

    fn outgoing(&self, packet_id: PacketId, row: Option<OutgoingRow>) -> Write {
        let key = below(OUTGOING, self.seat.number, packet_id.value().into());
        Write { key, value: row.map(OutgoingRow::encode), expect: Expect::Anything }
    }
}

impl Broker {
    pub(crate) fn read_entry(&self, entry: &QueueEntry) -> Option<Delivery> {
        let head = Head::decode(&entry.head)?;
        let (topic, payload, properties) = read_body(&entry.body)?;
        let left_ms = head.expires_at_ms.map(|at_ms| at_ms.saturating_sub(self.now_ms()));
        let message = Message { topic, payload, qos: head.qos, retain: head.retain, properties };
        let Head { ids, group, refused_by, .. } = head;
        let rare = Rare { ids, group, refused_by, queued: Some(queued(entry)), ..Rare::default() };
        Some(Delivery {
            message: Arc::new(Published::restored(message, left_ms)),
            qos: head.qos,
            retain: head.retain,
            rare: rare.boxed(),
        })
    }

    pub(crate) fn is_too_old(&self, entry: &QueueEntry, now_ms: u64) -> bool {
        let Some(head) = Head::decode(&entry.head) else { return true };
        let age_ms_max = u64::from(self.shared.limits.queue.age_s_max) * 1000;
        head.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms)
            || head.queued_at_ms.saturating_add(age_ms_max) <= now_ms
    }

    pub(crate) fn give_room_back(&self, durable: &Durable, bytes: u64) {
        durable.room.subtract(1, bytes);
        // What a session had when it ended was given back then.
        if !durable.progress().has_ended {
            self.shared.queued.subtract(1, bytes);
        }
    }

    /// Gives a message to another member of its group. `Some`: by its queue.
    pub(crate) fn pass_on(&self, delivery: Delivery) -> Option<QueueWrite> {
        let rare = delivery.rare?;
        let (message, group) = (delivery.message, rare.group?);
        let mut table = self.table_mut();
        let Some(receiver) = table.other_of_group(&group, message.qos, &rare.refused_by) else {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let qos = receiver.qos.min(message.qos);
        let retain = message.retain && receiver.retain_as_published;
        if let (Some(durable), true) = (&receiver.seat.durable, qos != Qos::AtMostOnce) {
            let rare = Rare { ids: receiver.ids, group: Some(group), refused_by: rare.refused_by, ..Rare::default() };
            let head = self.head_of(durable, qos, retain, &message, rare);
            if head.is_none() {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            return append(receiver.seat, head?, &message);
        }
        let rare = Rare { ids: receiver.ids, group: Some(group), refused_by: rare.refused_by, ..Rare::default() };
        let dropped = receiver.seat.inbox.push(Delivery { message, qos, retain, rare: rare.boxed() });
        self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        None
    }
}

/// One body into these queues. A client that gets it several times, by a subscription of its own and as a member of groups, has
/// it in its queue as often; one append has one place in each queue.
pub(crate) fn appends(body: &Bytes, to: Vec<(QueueId, Bytes)>) -> Vec<QueueWrite> {
    let (mut appends, mut rest) = (Vec::new(), to);
    while !rest.is_empty() {
        let mut named = HashSet::new();
        let (first, again) = rest.into_iter().partition(|(queue, _)| named.insert(*queue));
        appends.push(QueueWrite::Append { body: body.clone(), to: first });
        rest = again;
    }
    appends
}

pub(crate) fn append(seat: &Seat, head: Bytes, message: &Published) -> Option<QueueWrite> {
    let body = message.encoded_at_most_once(Version::V5)?.clone();
    Some(QueueWrite::Append { body, to: vec![(seat.queue(), head)] })
}

fn queued(entry: &QueueEntry) -> Queued {
    Queued { position: entry.position, bytes: room_bytes(entry.head.len(), entry.body.len()) }
}
