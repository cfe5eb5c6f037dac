//! The one way in for messages, from whatever source: a device, a will, iot-data, the outbox, republish, the console.

use broker::{Message, Qos};

use crate::{Error, Services};

/// Where a message comes from, as a rule's functions see it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub client_id: Option<String>,
    pub principal: Option<String>,
}

impl Services {
    /// Matches the rules, writes their rows where the message is QoS 1, hands it to the broker. When it answers `Ok`, the
    /// message may be acknowledged. With no matching rule the cost is one snapshot load.
    pub async fn accept(&self, message: Message, origin: Origin) -> Result<(), Error> {
        let matching = self.inner.rules.matching(&message.topic);
        if !matching.is_empty() {
            let rows = self.rows_of(&matching, &message, &origin);
            if message.qos == Qos::AtMostOnce {
                self.start_unstored(rows);
            } else {
                self.store_and_start(rows).await?;
            }
        }
        self.inner.broker.publish_from(origin.client_id.as_deref(), message);
        Ok(())
    }
}
