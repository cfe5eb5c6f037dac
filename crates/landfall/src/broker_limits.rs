//! The file's `[broker]`: what is kept for clients that are away, and for those who come later.

use broker::BrokerLimits;
use serde::Deserialize;

use crate::Sentence;

const MIB: u64 = 1 << 20;

const AGE_S_MAX: u64 = 36_525 * 24 * 3600;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerKeys {
    sessions: Option<u64>,
    subscriptions_per_session: Option<u64>,
    queued_messages_per_session: Option<u64>,
    queued_mib_per_session: Option<u64>,
    queued_age_s: Option<u64>,
    queued_messages: Option<u64>,
    queued_mib: Option<u64>,
    retained_messages: Option<u64>,
    retained_mib: Option<u64>,
}

/// Of a key: its name, what was given, the most that may be, and why no more.
type Key = (&'static str, Option<u64>, u64, &'static str);

impl BrokerKeys {
    pub fn limits(&self) -> Result<BrokerLimits, Sentence> {
        let defaults = BrokerLimits::default();
        let mut limits = defaults;
        let in_memory = "each is in memory as well";
        let is_disk = "a disk ends before";
        if let Some(sessions) = given(("sessions", self.sessions, 10_000_000, in_memory))? {
            limits.sessions_max = as_usize(sessions);
        }
        let key = ("subscriptions_per_session", self.subscriptions_per_session, 100_000, in_memory);
        if let Some(subscriptions) = given(key)? {
            limits.subscriptions_per_session_max = as_usize(subscriptions);
        }
        let key = ("queued_messages_per_session", self.queued_messages_per_session, 100_000_000, is_disk);
        limits.queue.messages_max = given(key)?.unwrap_or(defaults.queue.messages_max);
        let key = ("queued_mib_per_session", self.queued_mib_per_session, 1 << 20, is_disk);
        limits.queue.bytes_max = given(key)?.map_or(defaults.queue.bytes_max, |mib| mib * MIB);
        let key = ("queued_age_s", self.queued_age_s, AGE_S_MAX, "nobody waits for longer than a century");
        if let Some(age_s) = given(key)? {
            limits.queue.age_s_max = u32::try_from(age_s).unwrap_or(u32::MAX);
        }
        let key = ("queued_messages", self.queued_messages, 10_000_000_000, is_disk);
        limits.queued_messages_max = given(key)?.unwrap_or(defaults.queued_messages_max);
        let key = ("queued_mib", self.queued_mib, 16 << 20, is_disk);
        limits.queued_bytes_max = given(key)?.map_or(defaults.queued_bytes_max, |mib| mib * MIB);
        if let Some(messages) = given(("retained_messages", self.retained_messages, 10_000_000, in_memory))? {
            limits.retained_messages_max = as_usize(messages);
        }
        if let Some(mib) = given(("retained_mib", self.retained_mib, 64 << 10, in_memory))? {
            limits.retained_bytes_max = as_usize(mib * MIB);
        }
        Ok(limits)
    }
}

fn given((name, given, most, why): Key) -> Result<Option<u64>, Sentence> {
    match given {
        Some(0) => Err(format!("broker.{name} is 0, and nothing would be kept. Give 1 or more.").into()),
        Some(given) if given > most => Err(format!("broker.{name} is {given}, and {why}. Give {most} or less.").into()),
        given => Ok(given),
    }
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<BrokerLimits, String> {
        let keys: BrokerKeys = toml::from_str(text).expect("the keys are known");
        keys.limits().map_err(|Sentence(sentence)| sentence)
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        assert_eq!(of(""), Ok(BrokerLimits::default()));
        let mut expected = BrokerLimits { sessions_max: 7, queued_bytes_max: 3 << 20, ..BrokerLimits::default() };
        expected.queue.age_s_max = 60;
        assert_eq!(of("sessions = 7\nqueued_mib = 3\nqueued_age_s = 60"), Ok(expected));
    }

    /// The largest of each is taken, and one more is a mistake that names the key.
    #[test]
    fn each_key_has_its_range() {
        for (key, most) in [
            ("sessions", 10_000_000_u64),
            ("subscriptions_per_session", 100_000),
            ("queued_messages_per_session", 100_000_000),
            ("queued_mib_per_session", 1 << 20),
            ("queued_age_s", 3_155_760_000),
            ("queued_messages", 10_000_000_000),
            ("queued_mib", 16 << 20),
            ("retained_messages", 10_000_000),
            ("retained_mib", 64 << 10),
        ] {
            let limits = of(&format!("{key} = {most}")).expect(key);
            assert_ne!(limits, BrokerLimits::default(), "{key} does something");
            assert_ne!(limits, of(&format!("{key} = 1")).expect(key), "{key} counts");
            for (wrong, named) in [(0, "Give 1 or more".to_owned()), (most + 1, format!("Give {most} or less"))] {
                let sentence = of(&format!("{key} = {wrong}")).expect_err(key);
                assert!(
                    sentence.contains(&format!("broker.{key} is {wrong}")) && sentence.contains(&named),
                    "{sentence}"
                );
            }
        }
    }
}
