//! The one way in for messages, from whatever source.

use broker::Message;

use crate::Services;

/// Where a message comes from, as a rule's functions see it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub client_id: Option<String>,
    pub principal: Option<String>,
}

impl Services {
    /// Matches the rules, writes their rows where the message is QoS 1 or an event, hands it to the broker. When it
    /// answers `Ok`, the message may be acknowledged.
    pub async fn accept(&self, _message: Message, _origin: Origin) -> Result<(), crate::Error> {
        todo!()
    }
}
