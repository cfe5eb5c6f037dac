//! Topic aliases that a peer uses: numbers that stand for topics, for the length of one connection
//! (MQTT 5.0 section 3.3.2.3.4).

use super::error::DecodeError;
use crate::topic::TopicName;

#[derive(Debug, Default)]
pub(super) struct TopicAliases {
    max: u16,
    /// Alias 1 comes first. No longer than `max`, and only as long as the highest alias used.
    topics: Vec<Option<TopicName>>,
}

impl TopicAliases {
    pub fn offered(max: u16) -> Self {
        TopicAliases { max, topics: Vec::new() }
    }

    /// The alias stands for the topic from now on, whatever it stood for before.
    pub fn set(&mut self, alias: u16, topic: &TopicName) -> Result<(), DecodeError> {
        let index = self.index(alias)?;
        if index >= self.topics.len() {
            self.topics.resize(index + 1, None);
        }
        if let Some(place) = self.topics.get_mut(index) {
            *place = Some(topic.clone());
        }
        Ok(())
    }

    pub fn topic(&self, alias: u16) -> Result<TopicName, DecodeError> {
        let index = self.index(alias)?;
        self.topics.get(index).cloned().flatten().ok_or(DecodeError::UnknownTopicAlias { alias })
    }

    fn index(&self, alias: u16) -> Result<usize, DecodeError> {
        if alias == 0 || alias > self.max {
            return Err(DecodeError::TopicAlias { alias, alias_max: self.max });
        }
        Ok(usize::from(alias) - 1)
    }
}
