//! A message that is owed: it goes out in one commit with the records that say so, and so neither twice nor never to those
//! who are absent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mqtt::Qos;
use mqtt::packet::Version;
use store::{Commit, CommitError, Place, Proposed, QueueId, Write};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::message::{Delivery, Message, Published, Rare};
use crate::publish::room_bytes;
use crate::queued::appends;
use crate::seat::Seat;
use crate::table::Table;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// The records are changed, and everyone has the message.
    Paid,
    /// A record was not as expected: nothing is changed, and nobody has the message.
    Conflict,
}

/// Who gets the message, and how.
#[derive(Debug, Default)]
struct Receivers {
    to: Vec<(QueueId, Bytes)>,
    /// The room that was taken in each queue.
    rooms: Vec<(Arc<Seat>, u64)>,
    inboxes: Vec<(Arc<Seat>, Delivery)>,
    dropped: u64,
}

impl Broker {
    /// As `publish`, but for messages that nobody retains: what queues get is one commit with `writes`, and those who are
    /// connected hear of it once that is on disk.
    pub async fn publish_owed(&self, message: Message, writes: Vec<Write>) -> Result<Owed, BrokerError> {
        debug_assert!(!message.retain, "what is owed is not retained");
        let published = Arc::new(Published::new(message));
        let bytes = published.bytes() + writes.iter().map(Write::bytes).sum::<usize>();
        let place = self.store().reserve(bytes).await?;
        let (receivers, proposed) = self.propose_owed(place, &published, writes);
        let outcome = proposed.await;
        if outcome.is_err() {
            self.give_rooms_back(&receivers);
        }
        match outcome {
            Ok(_) => {
                self.hand_out(receivers);
                Ok(Owed::Paid)
            }
            Err(CommitError::Conflict { .. }) => Ok(Owed::Conflict),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    fn propose_owed(&self, place: Place, message: &Arc<Published>, writes: Vec<Write>) -> (Receivers, Proposed) {
        let table = self.table();
        let mut receivers = self.receivers_of(&table, message);
        let mut commit = Commit { writes, queue: Vec::new() };
        if !receivers.to.is_empty()
            && let Some(body) = message.encoded_at_most_once(Version::V5)
        {
            let to = std::mem::take(&mut receivers.to);
            commit.queue.extend(appends(body, to));
        }
        // Under the table's lock: whoever leaves it deletes its queue behind this.
        (receivers, place.propose(commit))
    }

    fn receivers_of(&self, table: &Table, message: &Arc<Published>) -> Receivers {
        let mut receivers = Receivers::default();
        table.receivers(&message.topic, message.qos, None, |receiver| {
            let qos = receiver.qos.min(message.qos);
            let seat = receiver.seat;
            let rare = Rare { ids: receiver.ids, group: receiver.group.cloned(), ..Rare::default() };
            match &seat.durable {
                Some(durable) if qos != Qos::AtMostOnce => match self.head_of(durable, qos, false, message, rare) {
                    Some(head) => {
                        let body_bytes = message.encoded_at_most_once(Version::V5).map_or(0, Bytes::len);
                        receivers.rooms.push((seat.clone(), room_bytes(head.len(), body_bytes)));
                        receivers.to.push((seat.queue(), head));
                    }
                    None => receivers.dropped += 1,
                },
                Some(_) if !seat.is_connected() => {}
                _ => {
                    let delivery = Delivery { message: message.clone(), qos, retain: false, rare: rare.boxed() };
                    receivers.inboxes.push((seat.clone(), delivery));
                }
            }
        });
        receivers
    }

    fn hand_out(&self, receivers: Receivers) {
        let Receivers { rooms, inboxes, mut dropped, .. } = receivers;
        let shared = &self.shared;
        shared.published.fetch_add(1, Ordering::Relaxed);
        shared.delivered.fetch_add((rooms.len() + inboxes.len()) as u64, Ordering::Relaxed);
        for (seat, delivery) in inboxes {
            if seat.is_connected() || !delivery.is_of_group() {
                dropped += seat.inbox.push(delivery);
            } else if let Some(write) = self.pass_on(delivery) {
                // It left its group meanwhile.
                self.store().defer(Commit { writes: Vec::new(), queue: vec![write] });
            }
        }
        shared.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    fn give_rooms_back(&self, receivers: &Receivers) {
        for (seat, bytes) in &receivers.rooms {
            if let Some(durable) = &seat.durable {
                self.give_room_back(durable, *bytes);
            }
        }
    }
}
