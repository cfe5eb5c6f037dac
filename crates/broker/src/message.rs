//! A message on its way: as it was published, as its receivers share it, and as one of them gets it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mqtt::codec::{Outgoing, VariableInteger, encode_at_most_once};
use mqtt::packet::{PacketId, Properties, Property};
use mqtt::session::NotDelivered;
use mqtt::{Delivery as Outbound, Qos, Session, TopicFilter, TopicName, Version};
use store::Position;

#[derive(Clone, Debug)]
pub struct Message {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
    /// Of MQTT 5: they go with the message, and receivers who speak 3.1.1 do not see them. A message expiry counts
    /// from when the message is published, whatever the receiver speaks.
    pub properties: Properties,
}

/// One message and what its receivers share of it.
#[derive(Debug)]
pub struct Published {
    message: Message,
    expires: Option<Instant>,
    /// The PUBLISH with QoS 0, encoded by the first of several receivers: one for each version.
    at_most_once: [OnceLock<Bytes>; 2],
}

/// A message in the inbox of one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: Arc<Published>,
    /// The lower of the message's and the subscription's.
    pub qos: Qos,
    /// Only for subscriptions that want it as it was published, and for retained messages that a new subscription gets:
    /// otherwise it tells a subscriber that the message is an old one (3.1.1 [MQTT-3.3.1-9], 5.0 [MQTT-3.3.1-12]).
    pub retain: bool,
    /// What few messages have.
    pub(crate) rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// Of the subscriptions that the message matches.
    pub ids: Vec<VariableInteger>,
    /// The shared subscription that it came by.
    pub group: Option<TopicFilter>,
    /// Sessions of the group that did not want it.
    pub refused_by: Vec<u64>,
    /// In the queue of the session.
    pub queued: Option<Queued>,
    /// It was in the queue when the server crashed, and may have been sent.
    pub is_doubtful: bool,
    /// Lent to a clean session: until it is acknowledged the group may want it back.
    pub loan: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub position: Position,
    /// The room that it takes.
    pub bytes: u64,
}

impl Published {
    pub(crate) fn new(mut message: Message) -> Self {
        let expiry_s = message.properties.message_expiry_s();
        if expiry_s.is_some() {
            // Each receiver is told what is left of it.
            message.properties.retain(|property| !matches!(property, Property::MessageExpiryIntervalS(_)));
        }
        let expires = expiry_s.and_then(|s| Instant::now().checked_add(Duration::from_secs(s.into())));
        Published { message, expires, at_most_once: Default::default() }
    }

    /// One that was written down, with what is left of its life.
    pub(crate) fn restored(message: Message, left_ms: Option<u64>) -> Self {
        let expires = left_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
        Published { message, expires, at_most_once: Default::default() }
    }

    fn outgoing(&self, qos: Qos, retain: bool) -> Outgoing<'_> {
        Outgoing {
            topic: &self.message.topic,
            payload: &self.message.payload,
            qos,
            retain,
            properties: &self.message.properties,
        }
    }

    pub(crate) fn encoded_at_most_once(&self, version: Version) -> Option<&Bytes> {
        let frame = self.frame(version);
        if let Some(frame) = frame.get() {
            return Some(frame);
        }
        let mut out = BytesMut::new();
        encode_at_most_once(&self.outgoing(Qos::AtMostOnce, false), version, &mut out).ok()?;
        Some(frame.get_or_init(|| out.freeze()))
    }

    fn frame(&self, version: Version) -> &OnceLock<Bytes> {
        let [v311, v5] = &self.at_most_once;
        match version {
            Version::V311 => v311,
            Version::V5 => v5,
        }
    }

    /// On a clock that shows `now_ms` now.
    pub fn expires_at_ms(&self, now_ms: u64) -> Option<u64> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        Some(now_ms.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= Instant::now())
    }

    pub(crate) fn bytes(&self) -> usize {
        let properties = &self.message.properties;
        let properties_bytes = if properties.is_empty() { 0 } else { properties.wire_bytes() };
        self.message.topic.as_str().len() + self.message.payload.len() + properties_bytes
    }
}

impl Delivery {
    /// Writes the message to the session's client, and says what is left of its life. With QoS 1 and 2 the packet
    /// identifier is answered. In a fan-out with QoS 0 the bytes are made once for all, unless the message expires.
    pub fn write_to(&self, session: &mut Session, now_ms: u64) -> Result<Option<PacketId>, NotDelivered> {
        let is_shared = Arc::strong_count(&self.message) > 1;
        let version = session.version();
        if self.qos == Qos::AtMostOnce
            && !self.retain
            && self.rare.is_none()
            && self.message.expires.is_none()
            && (is_shared || self.message.frame(version).get().is_some())
            && let Some(frame) = self.message.encoded_at_most_once(version)
        {
            return session.deliver_encoded(frame).map(|()| None);
        }
        let outbound = Outbound {
            message: self.message.outgoing(self.qos, self.retain),
            subscription_ids: self.rare.as_ref().map_or(&[], |rare| rare.ids.as_slice()),
            expires_at_ms: self.message.expires_at_ms(now_ms),
            tag: self.queued().map(|queued| queued.position.0).or_else(|| self.loan()),
            number: self.queued().map(|queued| queued.number()),
            dup: self.rare.as_ref().is_some_and(|rare| rare.is_doubtful),
        };
        session.deliver(&outbound, now_ms)
    }

    /// Whether it came by a shared subscription, whose other members may get it instead.
    pub fn is_of_group(&self) -> bool {
        self.group().is_some()
    }

    pub(crate) fn group(&self) -> Option<&TopicFilter> {
        self.rare.as_ref()?.group.as_ref()
    }

    pub(crate) fn queued(&self) -> Option<Queued> {
        self.rare.as_ref()?.queued
    }

    pub(crate) fn loan(&self) -> Option<u64> {
        self.rare.as_ref()?.loan
    }
}

impl Queued {
    /// After a crash the message is sent under the same identifier as before, though no row says so: it follows from this.
    pub fn number(self) -> u64 {
        self.position.0.saturating_sub(1)
    }
}

impl Rare {
    /// Nothing costs nothing.
    pub fn boxed(self) -> Option<Box<Self>> {
        let is_empty = self.ids.is_empty() && self.group.is_none() && self.queued.is_none();
        (!is_empty).then(|| Box::new(self))
    }
}

impl Deref for Published {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}
