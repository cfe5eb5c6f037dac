//! What happens without anybody asking: sessions expire, wills become due, queues of sessions that have gone are emptied,
//! and what has grown too old goes. The broker publishes nothing by itself: due wills come out of it as values.

use std::time::Duration;

use store::{Commit, Expect, Position, QueueId, QueueRead, QueueWrite, Write};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::limits::SWEEP_EVERY_MS;
use crate::message::Message;
use crate::queued::BATCH;
use crate::schedule::{Deadline, Orphan};
use crate::stored::{StoredMessage, WILLS, WillRow, numbered};

/// After an error of the store: it refuses until the server is started again.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// A will whose time has come. It is kept until `will_published`.
#[derive(Clone, Debug)]
pub struct DueWill {
    pub client_id: String,
    pub principal: Option<String>,
    pub message: Message,
    number: u64,
    /// Of its row: a newer connection may have put another will in its place.
    revision: u64,
}

impl Broker {
    /// The next will that is to be published, when its time has come. Does everything else that is due while it waits,
    /// so that somebody must always wait for it. Safe to cancel.
    pub async fn next_due_will(&self) -> DueWill {
        loop {
            match self.work().await {
                Ok(Some(will)) => return will,
                Ok(None) => self.wait_for_work().await,
                Err(error) => {
                    tracing::error!(%error, "what sessions leave behind cannot be cleared away");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// Does what is due now, up to the next will.
    pub async fn work(&self) -> Result<Option<DueWill>, BrokerError> {
        let now_ms = self.now_ms();
        while let Some((deadline, number)) = self.shared.schedule.next_due(now_ms) {
            match deadline {
                Deadline::Expiry => {
                    let commit = self.expire(number);
                    if !commit.is_empty() {
                        self.store().commit_all(commit).await?;
                    }
                }
                Deadline::Will if self.will_is_due(number, now_ms) => self.shared.schedule.add_will(number),
                Deadline::Will => {}
            }
        }
        while let Some(orphan) = self.shared.schedule.next_orphan() {
            self.clear(&orphan).await?;
        }
        if self.shared.schedule.sweep_is_due(now_ms, SWEEP_EVERY_MS) {
            self.sweep(now_ms).await?;
        }
        while let Some(number) = self.shared.schedule.next_will() {
            if let Some(will) = self.read_will(number)? {
                return Ok(Some(will));
            }
        }
        Ok(None)
    }

    /// It has been published, and is not published again.
    pub async fn will_published(&self, will: &DueWill) -> Result<(), BrokerError> {
        let key = numbered(WILLS, will.number);
        let gone = Write { key, value: None, expect: Expect::Revision(will.revision) };
        match self.store().commit(vec![gone]).await {
            Ok(_) | Err(store::CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Until then nothing is due, unless something happens.
    async fn wait_for_work(&self) {
        let next_ms = self.shared.schedule.next_at_ms().map(|at_ms| at_ms.saturating_sub(self.now_ms()));
        // The wall clock may be set: no wait is longer than this.
        let wait = Duration::from_millis(next_ms.unwrap_or(SWEEP_EVERY_MS).clamp(1, SWEEP_EVERY_MS));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shared.schedule.changed() => {}
        }
    }

    /// Unless the client has come back.
    fn will_is_due(&self, number: u64, now_ms: u64) -> bool {
        let table = self.table();
        let Some(durable) = table.of_number(number).and_then(|seat| seat.durable.as_ref()) else { return false };
        let mut progress = durable.progress();
        let (_, will_ms) = progress.deadlines_ms();
        let is_due = will_ms.is_some_and(|at_ms| at_ms <= now_ms);
        if is_due {
            progress.will_delay_s = None;
        }
        is_due
    }

    fn read_will(&self, number: u64) -> Result<Option<DueWill>, BrokerError> {
        let Some(record) = self.store().get(&numbered(WILLS, number))? else { return Ok(None) };
        let Some(WillRow { client_id, principal, message }) = WillRow::decode(&record.value) else {
            tracing::error!(number, "a stored will cannot be read");
            return Ok(None);
        };
        let StoredMessage { topic, payload, properties, qos, retain } = message;
        let message = Message { topic, payload, qos, retain, properties };
        Ok(Some(DueWill { client_id, principal, message, number, revision: record.revision }))
    }

    /// Empties a queue, and passes on what members of its groups may have.
    async fn clear(&self, orphan: &Orphan) -> Result<(), BrokerError> {
        let queue = QueueId(orphan.number);
        loop {
            let entries = self.store().read_queue(queue, Position(0), BATCH)?;
            let Some(last) = entries.last() else { return Ok(()) };
            let mut writes = Vec::new();
            for entry in entries.iter().filter(|entry| !orphan.begun.contains(&entry.position)) {
                if let Some(delivery) = self.read_entry(entry).filter(|delivery| delivery.is_of_group()) {
                    writes.extend(self.pass_on(delivery));
                }
            }
            writes.push(QueueWrite::RemoveTo { queue, position: last.position });
            self.store().commit_all(Commit { writes: Vec::new(), queue: writes }).await?;
        }
    }

    /// What is too old, of retained messages and at the front of the queues of those who are absent.
    async fn sweep(&self, now_ms: u64) -> Result<(), BrokerError> {
        let expired = self.retained_messages().sweep();
        for writes in expired.chunks(crate::limits::COMMIT_WRITES_MAX) {
            self.store().defer(Commit { writes: writes.to_vec(), queue: Vec::new() });
        }
        let numbers = self.table().durable_numbers();
        for number in numbers {
            while self.sweep_queue(number, now_ms)? {}
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Whether there may be more to sweep.
    fn sweep_queue(&self, number: u64, now_ms: u64) -> Result<bool, BrokerError> {
        let seat = self.table().of_number(number).cloned();
        let Some((seat, durable)) = seat.as_ref().and_then(|seat| Some((seat, seat.durable.as_ref()?))) else {
            return Ok(false);
        };
        if seat.is_connected() || durable.room.entries() == 0 {
            return Ok(false);
        }
        let one = QueueRead { entries_max: 1, ..BATCH };
        let cursor = durable.progress().cursor;
        let Some(first) = self.store().read_queue(seat.queue(), cursor, one)?.into_iter().next() else {
            return Ok(false);
        };
        // What the client has seen before is sent again whatever its age [MQTT-4.4.0-1].
        if durable.progress().has_begun(first.position) || !self.is_too_old(&first, now_ms) {
            return Ok(false);
        }
        let gone = QueueWrite::Remove { queue: seat.queue(), position: first.position };
        self.store().defer(Commit { writes: Vec::new(), queue: vec![gone] });
        let mut progress = durable.progress();
        progress.advance(first.position);
        drop(progress);
        self.give_room_back(durable, crate::publish::room_bytes(first.head.len(), first.body.len()));
        self.shared.expired.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(true)
    }
}
