//! Topic aliases towards the client: which topics get one of the few numbers that the client offers.

use crate::topic::TopicName;

/// An alias costs three bytes, so shorter topics gain nothing by it.
const TOPIC_BYTES_MIN: usize = 4;
/// How many misses a topic in use withstands: with more topics than aliases, the numbers must not be handed on at
/// each message.
const CREDIT_MAX: u8 = 8;

#[derive(Debug)]
pub(super) struct AliasesOut {
    max: u16,
    /// Alias 1 comes first.
    slots: Vec<Slot>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    topic: TopicName,
    credit: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    None,
    /// The client knows the topic by it.
    Known(u16),
    /// To be given to the topic, by `assign`, if the packet that says so is written.
    New(u16),
}

impl AliasesOut {
    pub fn new(max: u16) -> Self {
        AliasesOut { max, slots: Vec::new(), hand: 0 }
    }

    pub fn choose(&mut self, topic: &TopicName) -> Alias {
        if self.max == 0 || topic.as_str().len() < TOPIC_BYTES_MIN {
            return Alias::None;
        }
        for (alias, slot) in (1..).zip(&mut self.slots) {
            if slot.topic == *topic {
                slot.credit = slot.credit.saturating_add(1).min(CREDIT_MAX);
                return Alias::Known(alias);
            }
        }
        if self.slots.len() < usize::from(self.max) {
            // No longer than `max`, so it fits.
            return u16::try_from(self.slots.len() + 1).map_or(Alias::None, Alias::New);
        }
        self.hand = (self.hand + 1) % self.slots.len();
        match (self.slots.get_mut(self.hand), u16::try_from(self.hand + 1)) {
            (Some(slot), Ok(alias)) if slot.credit == 0 => Alias::New(alias),
            (Some(slot), _) => {
                slot.credit -= 1;
                Alias::None
            }
            _ => Alias::None,
        }
    }

    pub fn assign(&mut self, alias: u16, topic: &TopicName) {
        let slot = Slot { topic: topic.clone(), credit: 1 };
        match self.slots.get_mut(usize::from(alias).saturating_sub(1)) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Alias, AliasesOut, CREDIT_MAX};
    use crate::topic::TopicName;

    fn send(aliases: &mut AliasesOut, topic: &str) -> Alias {
        let topic = TopicName::parse(topic).expect("a topic");
        let alias = aliases.choose(&topic);
        if let Alias::New(alias) = alias {
            aliases.assign(alias, &topic);
        }
        alias
    }

    #[test]
    fn topics_in_use_keep_their_numbers_and_give_way_when_they_fall_silent() {
        let mut aliases = AliasesOut::new(2);
        assert_eq!(send(&mut aliases, "one/a"), Alias::New(1));
        assert_eq!(send(&mut aliases, "two/a"), Alias::New(2));
        assert_eq!(send(&mut aliases, "abc"), Alias::None, "too short to gain");
        for _ in 0..20 {
            assert_eq!(send(&mut aliases, "one/a"), Alias::Known(1));
        }
        assert_eq!(send(&mut aliases, "three"), Alias::None);
        let mut sent = 0;
        while send(&mut aliases, "three") != Alias::New(1) {
            sent += 1;
            assert!(sent <= 4 * u16::from(CREDIT_MAX), "a silent topic keeps its number for ever");
            if aliases.slots.iter().any(|slot| slot.topic.as_str() == "three") {
                break;
            }
        }
        assert!(matches!(send(&mut aliases, "three"), Alias::Known(_)));
    }

    #[test]
    fn none_are_used_that_were_not_offered() {
        let mut aliases = AliasesOut::new(0);
        assert_eq!(send(&mut aliases, "a/long/topic"), Alias::None);
    }
}
