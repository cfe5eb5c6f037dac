//! A message on its way: as it was published, as its receivers share it, and as one of them gets it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use mqtt::codec::{Outgoing, encode_at_most_once};
use mqtt::packet::Properties;
use mqtt::session::NotDelivered;
use mqtt::{Delivery as Outbound, Qos, Session, TopicName, Version};

#[derive(Clone, Debug)]
pub struct Message {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
    /// Of MQTT 5: they go with the message, and receivers who speak 3.1.1 do not see them.
    pub properties: Properties,
}

/// One message and what its receivers share of it.
#[derive(Debug)]
pub struct Published {
    message: Message,
    /// The PUBLISH with QoS 0 of 3.1.1, encoded by the first of several receivers.
    at_most_once: OnceLock<Bytes>,
}

/// A message in the inbox of one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: Arc<Published>,
    /// The lower of the message's and the subscription's.
    pub qos: Qos,
}

impl Published {
    pub(crate) fn new(message: Message) -> Self {
        Published { message, at_most_once: OnceLock::new() }
    }

    /// Without the retain flag: it tells a subscriber that the message is an old one, and these are not
    /// [MQTT-3.3.1-9].
    fn outgoing(&self, qos: Qos) -> Outgoing<'_> {
        Outgoing {
            topic: &self.message.topic,
            payload: &self.message.payload,
            qos,
            retain: false,
            properties: &self.message.properties,
        }
    }

    fn encoded_at_most_once(&self) -> Option<&Bytes> {
        if let Some(frame) = self.at_most_once.get() {
            return Some(frame);
        }
        let mut out = BytesMut::new();
        encode_at_most_once(&self.outgoing(Qos::AtMostOnce), Version::V311, &mut out).ok()?;
        Some(self.at_most_once.get_or_init(|| out.freeze()))
    }
}

impl Delivery {
    /// Writes the message to the session's client. In a fan-out with QoS 0 the bytes are made once for all.
    pub fn write_to(&self, session: &mut Session, now_ms: u64) -> Result<(), NotDelivered> {
        let is_shared = Arc::strong_count(&self.message) > 1;
        if self.qos == Qos::AtMostOnce
            && session.version() == Version::V311
            && (is_shared || self.message.at_most_once.get().is_some())
            && let Some(frame) = self.message.encoded_at_most_once()
        {
            return session.deliver_encoded(frame);
        }
        session.deliver(&Outbound::plain(self.message.outgoing(self.qos)), now_ms).map(|_| ())
    }
}

impl Deref for Published {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}
