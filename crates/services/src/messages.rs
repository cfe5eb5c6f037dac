//! The one way in for messages, from whatever source: a device, a will, iot-data, the outbox, republish, the console.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use broker::{BrokerError, Message, Qos, Receipt, Settling, Source};
use domain::CertificateId;
use domain::topic::BasicIngest;

pub use crate::republish::Lineage;
use crate::rules::Rule;
use crate::{Error, Services};

/// Where a message comes from, as a rule's functions see it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub client_id: Option<String>,
    pub principal: Option<String>,
    /// Of the device gateway, as its log numbers them.
    pub connection: Option<u64>,
    /// Of a republished message.
    pub lineage: Lineage,
    /// Of a message with QoS 2 from a session that outlives its connection.
    pub receipt: Option<Receipt>,
}

impl Origin {
    /// For the log: the principal, where that is a certificate.
    pub(crate) fn certificate_id(&self) -> Option<&str> {
        self.principal.as_deref().filter(|principal| principal.parse::<CertificateId>().is_ok())
    }
}

/// A message that is on its way, and not to be acknowledged before it is settled.
#[derive(Debug, Default)]
#[must_use = "a message that is not settled may not be acknowledged"]
pub struct Accepted {
    /// Of the message, and of what rules have republished of it.
    settling: VecDeque<Settling>,
}

impl Accepted {
    fn of(settling: Settling) -> Self {
        let mut accepted = Self::default();
        if !settling.is_done() {
            accepted.settling.push_back(settling);
        }
        accepted
    }

    pub fn is_settled(&self) -> bool {
        self.settling.is_empty()
    }

    /// Waits until everything that has to be on disk is. Safe to cancel.
    pub async fn settle(&mut self) -> Result<(), Error> {
        while let Some(first) = self.settling.front_mut() {
            let outcome = first.settle().await;
            self.settling.pop_front();
            outcome.map_err(refused)?;
        }
        Ok(())
    }

    /// What came of it, if that is known already.
    pub fn try_settle(&mut self) -> Option<Result<(), Error>> {
        while let Some(first) = self.settling.front_mut() {
            let outcome = first.try_settle()?;
            self.settling.pop_front();
            if let Err(error) = outcome {
                return Some(Err(refused(error)));
            }
        }
        Some(Ok(()))
    }
}

/// Whom a message is for.
struct Concerned {
    rules: Vec<Arc<Rule>>,
    is_for_subscribers: bool,
}

/// What became of a message so far.
pub enum HandedIn {
    Now(Accepted),
    /// A rule fires, or the store has no room yet.
    Later(Pin<Box<dyn Future<Output = Result<Accepted, Error>> + Send>>),
}

impl Services {
    /// As `hand_in`, without waiting: most messages need not, and then nothing of the origin is copied, and no
    /// connection's future keeps room for what others wait for.
    pub fn hand_in_at_once(&self, message: Message, origin: &Origin) -> Result<HandedIn, Error> {
        let concerned = self.concerned(&message, origin);
        if !concerned.is_for_subscribers || !concerned.rules.is_empty() {
            let (services, origin) = (self.clone(), origin.clone());
            return Ok(HandedIn::Later(Box::pin(async move { services.hand_in_to(concerned, message, origin).await })));
        }
        let source = Source { client_id: origin.client_id.as_deref(), receipt: origin.receipt.as_ref() };
        let mut settling = self.inner.broker.publish_from(source, message).map_err(refused)?.settling;
        if !settling.is_blocked() {
            return Ok(HandedIn::Now(Accepted::of(settling)));
        }
        Ok(HandedIn::Later(Box::pin(async move {
            settling.settle().await.map_err(refused)?;
            Ok(Accepted::of(settling))
        })))
    }

    /// As `hand_in`, and waits until the message may be acknowledged.
    pub async fn accept(&self, message: Message, origin: Origin) -> Result<(), Error> {
        self.hand_in(message, origin).await?.settle().await
    }

    /// Matches the rules, writes their rows where the message is QoS 1, hands it to the broker, and does the same with what
    /// rules republish. With no matching rule the cost is one snapshot load. It waits for the store only where that has no
    /// room for the message: messages handed in one after the other reach each subscriber in this order.
    pub async fn hand_in(&self, message: Message, origin: Origin) -> Result<Accepted, Error> {
        self.hand_in_to(self.concerned(&message, &origin), message, origin).await
    }

    async fn hand_in_to(&self, concerned: Concerned, message: Message, origin: Origin) -> Result<Accepted, Error> {
        let mut accepted = Accepted::default();
        let mut next = Some((concerned, message, origin));
        let mut waiting = VecDeque::new();
        while let Some((Concerned { rules, is_for_subscribers }, message, origin)) = next {
            if !rules.is_empty() {
                let fired = self.fire(&rules, &message, &origin);
                if message.qos == Qos::AtMostOnce {
                    self.start_unstored(fired.rows);
                } else {
                    // Few messages come here: their future is not part of every connection's.
                    Box::pin(self.store_and_start(fired.rows)).await?;
                }
                waiting.extend(fired.republished);
            }
            if is_for_subscribers {
                let source = Source { client_id: origin.client_id.as_deref(), receipt: origin.receipt.as_ref() };
                let mut settling = self.inner.broker.publish_from(source, message).map_err(refused)?.settling;
                if settling.is_blocked() {
                    Box::pin(settling.settle()).await.map_err(refused)?;
                }
                if !settling.is_done() {
                    accepted.settling.push_back(settling);
                }
            }
            next = waiting.pop_front().map(|(message, origin)| (self.concerned(&message, &origin), message, origin));
        }
        Ok(accepted)
    }

    fn concerned(&self, message: &Message, origin: &Origin) -> Concerned {
        match BasicIngest::of(message.topic.as_str()) {
            Some(ingest) => {
                let rules = self.ingesting(ingest, origin).into_iter().collect();
                Concerned { rules, is_for_subscribers: false }
            }
            None => Concerned { rules: self.inner.rules.matching(&message.topic), is_for_subscribers: true },
        }
    }

    pub(crate) async fn accept_all(&self, messages: Vec<(Message, Origin)>) -> Result<(), Error> {
        for (message, origin) in messages {
            self.accept(message, origin).await?;
        }
        Ok(())
    }
}

/// In the words of iot-data.
pub(crate) fn refused(error: BrokerError) -> Error {
    match error.is_quota() {
        true => Error::new("ThrottlingException", error.to_string()),
        false => Error::internal(format!("the store refused: {error}")),
    }
}
