//! The outbox: events that are owed. A row is committed with its cause and goes when the event has been delivered.

use std::collections::HashMap;

use broker::{Message, Owed, Qos};
use domain::registered_event::RegisteredEvent;
use domain::{CertificateId, Timestamp};
use mqtt::TopicName;
use mqtt::packet::Properties;
use serde::{Deserialize, Serialize};
use store::{Expect, Write};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::invocation::InvocationRow;
use crate::messages::{Origin, refused};
use crate::record::{Committed, Stored, decode, delete};
use crate::rule_run::Fired;
use crate::{Error, Services, Step};

/// A certificate's registration event, not yet delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RegisteredRow {
    ca: CertificateId,
    at: Timestamp,
    /// `None` on the first event of a certificate.
    registered_at: Option<Timestamp>,
    /// What `clientid()` gives in a rule on the event.
    client_id: String,
}

impl Stored for RegisteredRow {
    const VERSION: u32 = 1;
}

pub(crate) const PREFIX: &str = "outbox/registered/";

/// Events delivered side by side; their commits share an fsync.
const BATCH_MAX: usize = 64;

/// An event is small: so many rows of it are far below what a commit takes.
const ROWS_PER_COMMIT_MAX: usize = 512;

pub(crate) fn registered_row_key(certificate: CertificateId) -> String {
    format!("{PREFIX}{certificate}")
}

impl RegisteredRow {
    pub(crate) fn new(ca: CertificateId, at: Timestamp, registered_at: Option<Timestamp>, client_id: &str) -> Self {
        Self { ca, at, registered_at, client_id: client_id.to_owned() }
    }
}

/// Rows that cannot be read, by key and revision: told once, and not looked at again until they change. What is beyond
/// the bound is told again.
#[derive(Default)]
struct Unreadable(HashMap<Vec<u8>, u64>);

impl Unreadable {
    const MAX: usize = 10_000;

    fn is_known(&self, key: &[u8], revision: u64) -> bool {
        self.0.get(key) == Some(&revision)
    }

    fn add(&mut self, key: Vec<u8>, revision: u64) {
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(key, revision);
    }
}

/// What became of an event.
enum Delivery {
    Delivered,
    /// As many invocations wait as may; the row waits for room.
    NoRoom,
}

impl Services {
    /// Looks at what is there, delivers it, and sleeps until somebody rings.
    pub(crate) async fn run_outbox(&self, mut shutdown: watch::Receiver<bool>) {
        let mut unreadable = Unreadable::default();
        let mut is_waiting = false;
        while !*shutdown.borrow() {
            match self.deliver_all(&mut unreadable, &shutdown).await {
                Ok(Delivery::NoRoom) if !is_waiting => {
                    is_waiting = true;
                    tracing::warn!(
                        "events wait in the outbox: too many invocations are pending (landfall invocations)"
                    );
                }
                Ok(Delivery::NoRoom) => {}
                Ok(Delivery::Delivered) => is_waiting = false,
                Err(err) => {
                    tracing::error!(error = %err, "the outbox could not be delivered; trying again in a second")
                }
            }
            tokio::select! {
                () = self.inner.outbox.notified() => {}
                // What failed or found no room is looked at again even if nobody rings.
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    /// Once through the whole outbox: rows that stay do not hold up those behind them.
    async fn deliver_all(
        &self,
        unreadable: &mut Unreadable,
        shutdown: &watch::Receiver<bool>,
    ) -> Result<Delivery, Error> {
        let mut after: Option<Vec<u8>> = None;
        while !*shutdown.borrow() {
            let rows = self.scan_chunk(PREFIX, after.as_deref(), BATCH_MAX)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let mut deliveries = JoinSet::new();
            for (key, record) in rows {
                if unreadable.is_known(&key, record.revision) {
                    continue;
                }
                let Ok(row) = decode::<RegisteredRow>(&key, &record) else {
                    unreadable.add(key, record.revision);
                    continue;
                };
                let services = self.clone();
                deliveries.spawn(async move { services.deliver(&key, &row.value, row.revision).await });
            }
            let mut has_room = true;
            while let Some(outcome) = deliveries.join_next().await {
                match outcome {
                    Ok(Ok(Delivery::Delivered)) => {}
                    Ok(Ok(Delivery::NoRoom)) => has_room = false,
                    Ok(Err(err)) => {
                        tracing::error!(error = %err, "an event could not be delivered; it stays in the outbox")
                    }
                    Err(err) => {
                        tracing::error!(%err, "the delivery of an event ended unexpectedly; it stays in the outbox")
                    }
                }
            }
            if !has_room {
                return Ok(Delivery::NoRoom);
            }
        }
        Ok(Delivery::Delivered)
    }

    async fn deliver(&self, key: &[u8], row: &RegisteredRow, revision: u64) -> Result<Delivery, Error> {
        self.inner.config.checkpoints.pass(Step::Delivering, "");
        let certificate = key.get(PREFIX.len()..).and_then(|id| std::str::from_utf8(id).ok());
        let certificate: CertificateId = certificate
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::internal("an outbox row's key names no certificate"))?;
        let event = RegisteredEvent {
            certificate,
            ca: row.ca,
            timestamp: row.at,
            account: self.config().account.clone(),
            registered_at: row.registered_at,
        };
        let topic = TopicName::parse(&event.topic()).map_err(|err| Error::internal(format!("{err:?}")))?;
        let message = Message {
            topic,
            payload: event.payload().into(),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
        };
        let origin = Origin {
            client_id: Some(row.client_id.clone()),
            principal: Some(certificate.to_string()),
            ..Origin::default()
        };

        let matching = self.inner.rules.matching(&message.topic);
        let Fired { rows, republished } = self.fire(&matching, &message, &origin);
        // While too many invocations wait, the event stays here.
        if self.take_places(&rows).is_err() {
            return Ok(Delivery::NoRoom);
        }
        // Before the row goes: a crash in between makes two of them, and never none.
        let committed = match self.accept_all(republished).await {
            Ok(()) => self.pay(key, revision, message, &rows).await,
            Err(err) => Err(err),
        };
        if committed != Ok(Committed::Done) {
            self.give_places_back(&rows);
        }
        if committed? == Committed::Conflict {
            // The row changed under our hands: whoever changed it delivers it.
            return Ok(Delivery::Delivered);
        }
        self.inner.config.checkpoints.pass(Step::Delivered, "");
        let metrics = self.metrics();
        metrics.invocations.events_received.add(rows.len() as u64);
        if row.registered_at.is_none() {
            metrics.onboarding.event_delivered(row.at, self.now(), rows.first().map(|row| row.id.as_str()));
        }
        self.start_stored(&rows);
        Ok(Delivery::Delivered)
    }

    /// The event for the row: invocations for rules, and a message for subscribers, whose queues have it exactly if the row
    /// is gone. One commit where it fits one. Otherwise the outbox row goes with the last: a crash in between delivers again
    /// what came before, which at-least-once allows, and loses nothing.
    async fn pay(
        &self,
        key: &[u8],
        revision: u64,
        message: Message,
        rows: &[InvocationRow],
    ) -> Result<Committed, Error> {
        let mut parts = rows.chunks(ROWS_PER_COMMIT_MAX);
        let mut next = parts.next().unwrap_or_default();
        for following in parts {
            let mut writes = vec![Write::lean_on(key, revision)];
            writes.extend(next.iter().map(InvocationRow::write));
            if self.commit(writes).await? == Committed::Conflict {
                return Ok(Committed::Conflict);
            }
            next = following;
        }
        let mut writes = vec![delete(key, Expect::Revision(revision))];
        writes.extend(next.iter().map(InvocationRow::write));
        match self.inner.broker.publish_owed(message, writes).await.map_err(refused)? {
            Owed::Paid => Ok(Committed::Done),
            Owed::Conflict => Ok(Committed::Conflict),
        }
    }
}
