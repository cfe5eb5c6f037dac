//! Retained messages: one per topic, in memory as on disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mqtt::packet::Properties;
use mqtt::{Qos, TopicFilter, TopicName};
use store::{Expect, Write};

use crate::error::BrokerError;
use crate::limits::{BrokerLimits, RETAINED_MESSAGE_BYTES_MAX};
use crate::message::{Message, Published};
use crate::stored::{RETAINED, RetainedRow, StoredMessage, numbered};

/// As whoever looks at it from outside sees it.
#[derive(Clone, Debug)]
pub struct Retained {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub properties: Properties,
    pub stored_at_ms: u64,
    /// On the wall clock.
    pub expires_at_ms: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct RetainedMessages {
    by_topic: BTreeMap<TopicName, Kept>,
    bytes: usize,
    serial_next: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub message: Arc<Published>,
    /// Of its row.
    serial: u64,
    stored_at_ms: u64,
    expires_at_ms: Option<u64>,
}

impl RetainedMessages {
    /// Whether there is room for it.
    pub fn check(&self, message: &Published, limits: &BrokerLimits) -> Result<(), BrokerError> {
        let bytes = message.bytes();
        if bytes > RETAINED_MESSAGE_BYTES_MAX {
            return Err(BrokerError::RetainedTooLarge { bytes, bytes_max: RETAINED_MESSAGE_BYTES_MAX });
        }
        let replaced = self.by_topic.get(&message.topic);
        let messages = self.by_topic.len() + usize::from(replaced.is_none());
        let bytes = self.bytes + bytes - replaced.map_or(0, |kept| kept.message.bytes());
        let (messages_max, bytes_max) = (limits.retained_messages_max, limits.retained_bytes_max);
        if messages > messages_max || bytes > bytes_max {
            return Err(BrokerError::RetainedFull { messages_max, bytes_max });
        }
        Ok(())
    }

    /// An empty message removes what was there [MQTT-3.3.1-6]. The serial of the row that has to be written.
    pub fn set(&mut self, message: &Arc<Published>, now_ms: u64) -> Option<u64> {
        let topic = &message.topic;
        if message.payload.is_empty() {
            return self.remove(topic);
        }
        let serial = match self.by_topic.get(topic) {
            Some(before) => before.serial,
            None => {
                self.serial_next += 1;
                self.serial_next
            }
        };
        let expires_at_ms = message.expires_at_ms(now_ms);
        let kept = Kept { message: message.clone(), serial, stored_at_ms: now_ms, expires_at_ms };
        self.insert(kept);
        Some(serial)
    }

    /// What the row of the topic has to be now, whoever has changed it since.
    pub fn write(&self, topic: &TopicName, serial: u64) -> Write {
        let kept = self.by_topic.get(topic).filter(|kept| kept.serial == serial);
        Write { key: numbered(RETAINED, serial), value: kept.map(Kept::row), expect: Expect::Anything }
    }

    fn insert(&mut self, kept: Kept) {
        self.bytes += kept.message.bytes();
        if let Some(before) = self.by_topic.insert(kept.message.topic.clone(), kept) {
            self.bytes -= before.message.bytes();
        }
    }

    fn remove(&mut self, topic: &TopicName) -> Option<u64> {
        let before = self.by_topic.remove(topic)?;
        self.bytes -= before.message.bytes();
        Some(before.serial)
    }

    /// What stands in the store, put back.
    pub fn restore(&mut self, serial: u64, row: RetainedRow, now_ms: u64) {
        self.serial_next = self.serial_next.max(serial);
        let StoredMessage { topic, payload, properties, qos, retain } = row.message;
        let left_ms = row.expires_at_ms.map(|at_ms| at_ms.saturating_sub(now_ms));
        let message = Published::restored(Message { topic, payload, qos, retain, properties }, left_ms);
        let (stored_at_ms, expires_at_ms) = (row.stored_at_ms, row.expires_at_ms);
        self.insert(Kept { message: Arc::new(message), serial, stored_at_ms, expires_at_ms });
    }

    /// What a new subscription gets, in the order of the topics.
    pub fn matching(&self, filter: &TopicFilter, matches: impl Fn(&str) -> bool) -> Vec<Arc<Published>> {
        if !filter.has_wildcard() {
            let kept = TopicName::parse(filter.pattern()).ok().and_then(|topic| self.by_topic.get(&topic));
            return kept
                .into_iter()
                .filter(|kept| !kept.message.is_expired())
                .map(|kept| kept.message.clone())
                .collect();
        }
        let literal = filter.pattern().split(['+', '#']).next().unwrap_or_default();
        // `sport/#` may match `sport`, which stands before `sport/`.
        let literal = literal.strip_suffix('/').unwrap_or(literal);
        let from = TopicName::parse(literal).map_or(Bound::Unbounded, Bound::Included);
        let range = self.by_topic.range((from, Bound::Unbounded));
        let near = range.take_while(|(topic, _)| topic.as_str().starts_with(literal));
        near.filter(|(topic, kept)| matches(topic.as_str()) && !kept.message.is_expired())
            .map(|(_, kept)| kept.message.clone())
            .collect()
    }

    pub fn get(&self, topic: &TopicName) -> Option<Retained> {
        self.by_topic.get(topic).filter(|kept| !kept.message.is_expired()).map(Kept::seen)
    }

    /// Those behind `after`, in the order of their topics.
    pub fn page(&self, after: Option<&TopicName>, limit: usize) -> Vec<Retained> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let range = self.by_topic.range((from, Bound::Unbounded));
        range.filter(|(_, kept)| !kept.message.is_expired()).take(limit).map(|(_, kept)| kept.seen()).collect()
    }

    pub fn len(&self) -> usize {
        self.by_topic.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes out what has expired.
    pub fn sweep(&mut self) -> Vec<Write> {
        let expired = self.by_topic.iter().filter(|(_, kept)| kept.message.is_expired());
        let topics: Vec<TopicName> = expired.map(|(topic, _)| topic.clone()).collect();
        let serials: Vec<u64> = topics.iter().filter_map(|topic| self.remove(topic)).collect();
        let gone = |serial| Write { key: numbered(RETAINED, serial), value: None, expect: Expect::Anything };
        serials.into_iter().map(gone).collect()
    }
}

impl Kept {
    fn row(&self) -> Bytes {
        let Message { topic, payload, qos, properties, .. } = &**self.message;
        let message = StoredMessage {
            topic: topic.clone(),
            payload: payload.clone(),
            properties: properties.clone(),
            qos: *qos,
            retain: true,
        };
        RetainedRow { stored_at_ms: self.stored_at_ms, expires_at_ms: self.expires_at_ms, message }.encode()
    }

    fn seen(&self) -> Retained {
        let Message { topic, payload, qos, properties, .. } = &**self.message;
        Retained {
            topic: topic.clone(),
            payload: payload.clone(),
            qos: *qos,
            properties: properties.clone(),
            stored_at_ms: self.stored_at_ms,
            expires_at_ms: self.expires_at_ms,
        }
    }
}
