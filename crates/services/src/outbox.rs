//! The outbox: events that are owed. A row is committed with its cause and goes when the event has been delivered.

use broker::{Message, Qos};
use domain::registered_event::RegisteredEvent;
use domain::{CertificateId, Timestamp};
use mqtt::TopicName;
use mqtt::packet::Properties;
use serde::{Deserialize, Serialize};
use store::Expect;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::invocation::InvocationRow;
use crate::messages::Origin;
use crate::record::{Committed, Stored, decode, delete};
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

pub(crate) fn registered_row_key(certificate: CertificateId) -> String {
    format!("{PREFIX}{certificate}")
}

impl RegisteredRow {
    pub(crate) fn new(ca: CertificateId, at: Timestamp, registered_at: Option<Timestamp>, client_id: &str) -> Self {
        Self { ca, at, registered_at, client_id: client_id.to_owned() }
    }
}

impl Services {
    /// Looks at what is there, delivers it, and sleeps until somebody rings.
    pub(crate) async fn run_outbox(&self, mut shutdown: watch::Receiver<bool>) {
        while !*shutdown.borrow() {
            match self.deliver_batch().await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(err) => {
                    tracing::error!(error = %err, "the outbox could not be delivered; trying again in a second")
                }
            }
            tokio::select! {
                () = self.inner.outbox.notified() => {}
                // A failed batch is looked at again even if nobody rings.
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                _ = shutdown.changed() => {}
            }
        }
    }

    async fn deliver_batch(&self) -> Result<usize, Error> {
        let rows = self
            .store()
            .scan_after(PREFIX.as_bytes(), None, BATCH_MAX)
            .map_err(|err| Error::internal(format!("{err:?}")))?;
        let mut deliveries = JoinSet::new();
        for (key, record) in rows {
            let services = self.clone();
            deliveries.spawn(async move {
                let row = decode::<RegisteredRow>(&key, &record)?;
                services.deliver(&key, &row.value, row.revision).await
            });
        }
        let mut delivered = 0;
        while let Some(outcome) = deliveries.join_next().await {
            match outcome {
                Ok(Ok(())) => delivered += 1,
                Ok(Err(err)) => {
                    tracing::error!(error = %err, "an event could not be delivered; it stays in the outbox")
                }
                Err(err) => {
                    tracing::error!(%err, "the delivery of an event ended unexpectedly; it stays in the outbox")
                }
            }
        }
        Ok(delivered)
    }

    async fn deliver(&self, key: &[u8], row: &RegisteredRow, revision: u64) -> Result<(), Error> {
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
        let origin = Origin { client_id: Some(row.client_id.clone()), principal: Some(certificate.to_string()) };

        let matching = self.inner.rules.matching(&message.topic);
        let rows = self.rows_of(&matching, &message, &origin);
        let mut writes = vec![delete(key, Expect::Revision(revision))];
        writes.extend(rows.iter().map(InvocationRow::write));
        // While too many invocations wait, the event stays here.
        self.take_places(&rows)?;
        let committed = self.commit(writes).await;
        if committed != Ok(Committed::Done) {
            self.give_places_back(&rows);
        }
        if committed? == Committed::Conflict {
            // The row changed under our hands: whoever changed it delivers it.
            return Ok(());
        }
        self.inner.config.checkpoints.pass(Step::Delivered, "");
        self.start_stored(&rows);
        self.inner.broker.publish(message);
        Ok(())
    }
}
