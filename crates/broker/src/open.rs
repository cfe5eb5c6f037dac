//! The broker as it was left: sessions, subscriptions, what was in flight, wills and retained messages are read back from
//! the store. Queues are not: they are read when their clients come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mqtt::packet::PacketId;
use store::{Commit, Expect, Position, QueueUsage, Record, Store, StoreError, Write};

use crate::broker::Broker;
use crate::claim::ClaimOptions;
use crate::clock::WallClock;
use crate::error::BrokerError;
use crate::inbox::Inbox;
use crate::limits::{BrokerLimits, COMMIT_WRITES_MAX};
use crate::schedule::Orphan;
use crate::seat::{Durable, InFlight, Progress, Seat};
use crate::session::session_write;
use crate::stored::{
    INCOMING, OUTGOING, OutgoingRow, RETAINED, RetainedRow, SESSIONS, SUBSCRIPTIONS, SessionRow, SubscriptionRow,
    WILLS, numbers_of,
};
use crate::table::{Member, Table};

const PAGE: usize = 1024;

/// What is no longer of use, after a crash between two commits.
type Leftovers = Vec<Write>;

impl Broker {
    /// Whoever was connected when the server ended is absent from now on.
    pub fn open(store: Store, limits: BrokerLimits, clock: WallClock) -> Result<Self, BrokerError> {
        let broker = Broker::with(store, limits, clock);
        let mut table = broker.table_mut();
        let mut leftovers = broker.read_sessions(&mut table)?;
        leftovers.extend(broker.read_subscriptions(&mut table)?);
        leftovers.extend(broker.read_in_flight(&table)?);
        leftovers.extend(broker.read_wills(&table)?);
        leftovers.extend(broker.read_retained()?);
        for number in table.durable_numbers() {
            if let Some(durable) = table.of_number(number).and_then(|seat| seat.durable.as_ref()) {
                broker.schedule(number, &durable.progress());
            }
        }
        drop(table);
        for writes in leftovers.chunks(COMMIT_WRITES_MAX) {
            broker.store().defer(Commit { writes: writes.to_vec(), queue: Vec::new() });
        }
        Ok(broker)
    }

    fn read_sessions(&self, table: &mut Table) -> Result<Leftovers, BrokerError> {
        let mut usage: HashMap<u64, QueueUsage> =
            self.store().queues()?.into_iter().map(|(queue, usage)| (queue.0, usage)).collect();
        let mut changed = Vec::new();
        let now_ms = self.now_ms();
        let last_position = self.store().last_position()?;
        each(self.store(), SESSIONS, |key, record| {
            let row = SessionRow::decode(&record.value);
            let Some((row, (number, _))) = row.zip(numbers_of(SESSIONS, key)) else { return unreadable(key) };
            table.pass_number(number);
            let inbox = Inbox::new(ClaimOptions::default().inbox);
            let progress = Progress {
                expiry_s: row.expiry_s,
                disconnected_at_ms: Some(row.disconnected_at_ms.unwrap_or(now_ms)),
                will_delay_s: row.will_delay_s,
                // Whoever left in order left rows of what was in flight.
                doubtful_to: if row.disconnected_at_ms.is_none() { last_position } else { Position::default() },
                ..Progress::default()
            };
            let usage = usage.remove(&number).unwrap_or_default();
            let durable = Durable::new(row.version, inbox.waker(), usage, progress);
            self.shared.queued.add(durable.room.entries(), durable.room.bytes());
            let seat = Arc::new(Seat::new(number, row.client_id.as_str().into(), inbox, Some(durable)));
            if let Some(durable) = &seat.durable {
                self.store().hang_bell(seat.queue(), durable.bell.clone());
                if row.disconnected_at_ms.is_none() {
                    // Its time runs from here on.
                    changed.push(session_write(&seat, durable));
                }
            }
            table.seat(seat);
        })?;
        for number in usage.into_keys() {
            table.pass_number(number);
            self.shared.schedule.add_orphan(Orphan { number, begun: Vec::new() });
        }
        Ok(changed)
    }

    fn read_subscriptions(&self, table: &mut Table) -> Result<Leftovers, BrokerError> {
        let mut leftovers = Leftovers::new();
        each(self.store(), SUBSCRIPTIONS, |key, record| {
            let row = SubscriptionRow::decode(&record.value);
            let Some((row, (number, Some(serial)))) = row.zip(numbers_of(SUBSCRIPTIONS, key)) else {
                return unreadable(key);
            };
            table.pass_number(number);
            let Some(seat) = table.of_number(number).cloned() else { return leftovers.push(gone(key)) };
            let SubscriptionRow { subscription, id, multi_level } = row;
            let member = Member { seat, options: subscription.options, id, multi_level };
            table.restore(subscription.filter, member, serial);
        })?;
        Ok(leftovers)
    }

    fn read_in_flight(&self, table: &Table) -> Result<Leftovers, BrokerError> {
        let mut leftovers = Leftovers::new();
        let mut touched = HashSet::new();
        let durable = |number| table.of_number(number).and_then(|seat| seat.durable.as_ref());
        each(self.store(), OUTGOING, |key, record| {
            let row = OutgoingRow::decode(&record.value);
            let Some((row, (number, Some(packet_id)))) = row.zip(numbers_of(OUTGOING, key)) else {
                return unreadable(key);
            };
            let Some((durable, packet_id)) = durable(number).zip(packet_id_of(packet_id)) else {
                return leftovers.push(gone(key));
            };
            touched.insert(number);
            let OutgoingRow { position, qos, is_released } = row;
            // The room it takes is known when it is read.
            let in_flight = InFlight { packet_id, position, bytes: 0, qos, is_released, is_stored: true };
            durable.progress().in_flight.push_back(in_flight);
        })?;
        for number in touched {
            if let Some(durable) = durable(number) {
                durable.progress().in_flight.make_contiguous().sort_by_key(|in_flight| in_flight.position);
            }
        }
        each(self.store(), INCOMING, |key, _| {
            let Some((number, Some(packet_id))) = numbers_of(INCOMING, key) else { return unreadable(key) };
            match durable(number).zip(packet_id_of(packet_id)) {
                Some((durable, packet_id)) => {
                    durable.progress().unreleased.insert(packet_id);
                }
                None => leftovers.push(gone(key)),
            }
        })?;
        Ok(leftovers)
    }

    /// A will without a session is one that was due when the session ended.
    fn read_wills(&self, table: &Table) -> Result<Leftovers, BrokerError> {
        let mut leftovers = Leftovers::new();
        each(self.store(), WILLS, |key, _| {
            let Some((number, None)) = numbers_of(WILLS, key) else { return unreadable(key) };
            match table.of_number(number).and_then(|seat| seat.durable.as_ref()) {
                None => self.shared.schedule.add_will(number),
                // It was published, or the client went with a word.
                Some(durable) if durable.progress().will_delay_s.is_none() => leftovers.push(gone(key)),
                Some(_) => {}
            }
        })?;
        Ok(leftovers)
    }

    fn read_retained(&self) -> Result<Leftovers, BrokerError> {
        let mut leftovers = Leftovers::new();
        let now_ms = self.now_ms();
        let mut retained = self.retained_messages();
        each(self.store(), RETAINED, |key, record| {
            let row = RetainedRow::decode(&record.value);
            let Some((row, (serial, None))) = row.zip(numbers_of(RETAINED, key)) else { return unreadable(key) };
            match row.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                true => leftovers.push(gone(key)),
                false => retained.restore(serial, row, now_ms),
            }
        })?;
        Ok(leftovers)
    }
}

/// A page at a time.
fn each(store: &Store, prefix: &str, mut visit: impl FnMut(&[u8], &Record)) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan_after(prefix.as_bytes(), after.as_deref(), PAGE)?;
        page.iter().for_each(|(key, record)| visit(key, record));
        if page.len() < PAGE {
            return Ok(());
        }
        after = page.into_iter().last().map(|(key, _)| key);
    }
}

/// It stays as it is: a newer server may have written it.
fn unreadable(key: &[u8]) {
    tracing::error!(key = %String::from_utf8_lossy(key), "a stored record cannot be read");
}

fn gone(key: &[u8]) -> Write {
    Write { key: key.to_vec(), value: None, expect: Expect::Anything }
}

fn packet_id_of(part: u32) -> Option<PacketId> {
    u16::try_from(part).ok().and_then(PacketId::new)
}
