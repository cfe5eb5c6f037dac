//! The one way in for messages, from whatever source: a device, a will, iot-data, the outbox, republish, the console.

use std::collections::VecDeque;

use broker::{Message, Qos};
use domain::topic::BasicIngest;

pub use crate::republish::Lineage;
use crate::{Error, Services};

/// Where a message comes from, as a rule's functions see it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub client_id: Option<String>,
    pub principal: Option<String>,
    /// Of a republished message.
    pub lineage: Lineage,
}

impl Services {
    /// Matches the rules, writes their rows where the message is QoS 1, hands it to the broker, and does the same with what
    /// rules republish. When it answers `Ok`, the message may be acknowledged. With no matching rule the cost is one
    /// snapshot load.
    pub async fn accept(&self, message: Message, origin: Origin) -> Result<(), Error> {
        let mut next = Some((message, origin));
        let mut waiting = VecDeque::new();
        while let Some((message, origin)) = next {
            let ingest = BasicIngest::of(message.topic.as_str());
            let matching = match ingest {
                Some(ingest) => self.ingesting(ingest, &origin).into_iter().collect(),
                None => self.inner.rules.matching(&message.topic),
            };
            let is_for_subscribers = ingest.is_none();
            if !matching.is_empty() {
                let fired = self.fire(&matching, &message, &origin);
                if message.qos == Qos::AtMostOnce {
                    self.start_unstored(fired.rows);
                } else {
                    self.store_and_start(fired.rows).await?;
                }
                waiting.extend(fired.republished);
            }
            if is_for_subscribers {
                self.inner.broker.publish_from(origin.client_id.as_deref(), message);
            }
            next = waiting.pop_front();
        }
        Ok(())
    }

    pub(crate) async fn accept_all(&self, messages: Vec<(Message, Origin)>) -> Result<(), Error> {
        for (message, origin) in messages {
            self.accept(message, origin).await?;
        }
        Ok(())
    }
}
