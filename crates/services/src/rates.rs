//! AWS's rates: measured always, and reported; held to where the operator wishes it.
//!
//! What all connections share is here; each connection's own buckets are in the gateway, and count here.
//! (AWS IoT Core endpoints and quotas, "message broker and protocols")

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use domain::Timestamp;
use domain::quota::{AccountRates, CONNECTS_PER_CLIENT_ID};
use domain::rate::{Rate, TokenBucket};

use crate::Services;

/// Between two log lines about one kind of excess.
const LOG_EVERY_MS: i64 = 60_000;

/// What becomes of what is beyond a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    /// It is counted, and passes.
    #[default]
    Reported,
    Enforced,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub account: AccountRates,
    pub excess: Excess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKind {
    ConnectsOfClientId,
    Connects,
    PublishesInOfConnection,
    PublishesOutOfConnection,
    BytesOfConnection,
    PublishesIn,
    PublishesOut,
    Subscribes,
}

impl RateKind {
    pub const ALL: [Self; 8] = [
        Self::ConnectsOfClientId,
        Self::Connects,
        Self::PublishesInOfConnection,
        Self::PublishesOutOfConnection,
        Self::BytesOfConnection,
        Self::PublishesIn,
        Self::PublishesOut,
        Self::Subscribes,
    ];

    /// For counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectsOfClientId => "connects_of_client_id",
            Self::Connects => "connects",
            Self::PublishesInOfConnection => "publishes_in_of_connection",
            Self::PublishesOutOfConnection => "publishes_out_of_connection",
            Self::BytesOfConnection => "bytes_of_connection",
            Self::PublishesIn => "publishes_in",
            Self::PublishesOut => "publishes_out",
            Self::Subscribes => "subscribes",
        }
    }
}

/// Beyond a rate that is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateExceeded(pub RateKind);

impl RateExceeded {
    pub fn sentence(self) -> String {
        format!("AWS's rate of {} is exceeded, and limits.rates is \"enforce\"", self.0.as_str())
    }
}

pub struct Rates {
    limits: RateLimits,
    connects: Mutex<TokenBucket>,
    publishes_in: Mutex<TokenBucket>,
    publishes_out: Mutex<TokenBucket>,
    subscribes: Mutex<TokenBucket>,
    clients: Mutex<HashMap<Box<str>, TokenBucket>>,
    exceeded: [Exceeded; RateKind::ALL.len()],
}

#[derive(Default)]
struct Exceeded {
    count: AtomicU64,
    logged_at_ms: AtomicI64,
}

impl Services {
    pub fn rates(&self) -> &Rates {
        &self.inner.rates
    }
}

impl Rates {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self {
            limits,
            connects: Mutex::default(),
            publishes_in: Mutex::default(),
            publishes_out: Mutex::default(),
            subscribes: Mutex::default(),
            clients: Mutex::default(),
            exceeded: Default::default(),
        }
    }

    pub fn excess(&self) -> Excess {
        self.limits.excess
    }

    /// A CONNECT, before anything is looked at that costs more.
    pub fn connect(&self, client_id: &str, now: Timestamp) -> Result<(), RateExceeded> {
        let of_client = self.take_of_client(client_id, now);
        self.judge(RateKind::ConnectsOfClientId, of_client, 1, now)?;
        let taken = take(&self.connects, self.limits.account.connects, 1, now);
        self.judge(RateKind::Connects, taken, 1, now)
    }

    /// One filter of a SUBSCRIBE.
    pub fn subscribe(&self, now: Timestamp) -> Result<(), RateExceeded> {
        let taken = take(&self.subscribes, self.limits.account.subscribes, 1, now);
        self.judge(RateKind::Subscribes, taken, 1, now)
    }

    /// One message where it may be refused, or all of a turn where they are only counted.
    pub fn publish_in(&self, count: u64, now: Timestamp) -> Result<(), RateExceeded> {
        let taken = take(&self.publishes_in, self.limits.account.publishes_in, count, now);
        self.judge(RateKind::PublishesIn, taken, count, now)
    }

    /// Messages that went to a device. Answers for how many milliseconds it should get no more.
    pub fn publish_out(&self, count: u64, now: Timestamp) -> u64 {
        let mut bucket = self.publishes_out.lock().unwrap_or_else(PoisonError::into_inner);
        let delay_ms = bucket.borrow(self.limits.account.publishes_out, count, millis(now));
        drop(bucket);
        if delay_ms > 0 {
            self.report(RateKind::PublishesOut, count, now);
        }
        self.held_for_ms(delay_ms)
    }

    /// Of a delay, what is to be waited.
    pub fn held_for_ms(&self, delay_ms: u64) -> u64 {
        match self.limits.excess {
            Excess::Reported => 0,
            Excess::Enforced => delay_ms,
        }
    }

    /// Counts what was beyond a rate.
    pub fn report(&self, kind: RateKind, count: u64, now: Timestamp) {
        let Some(exceeded) = self.exceeded.get(kind as usize) else { return };
        let total = exceeded.count.fetch_add(count, Ordering::Relaxed) + count;
        let last = exceeded.logged_at_ms.load(Ordering::Relaxed);
        let is_due = now.millis().saturating_sub(last).unsigned_abs() >= LOG_EVERY_MS.unsigned_abs();
        let swap = |to| exceeded.logged_at_ms.compare_exchange(last, to, Ordering::Relaxed, Ordering::Relaxed);
        if is_due && swap(now.millis()).is_ok() {
            let rate = kind.as_str();
            match self.limits.excess {
                // Nothing came of it, and a new device that comes back at once is no reason to warn.
                Excess::Reported => tracing::info!(rate, total, "more than AWS's rate; it is not enforced"),
                Excess::Enforced => tracing::warn!(rate, total, "more than AWS's rate; it is enforced"),
            }
        }
    }

    /// Since the server started; for metrics.
    pub fn exceeded(&self, kind: RateKind) -> u64 {
        self.exceeded.get(kind as usize).map_or(0, |exceeded| exceeded.count.load(Ordering::Relaxed))
    }

    fn judge(&self, kind: RateKind, taken: u64, asked: u64, now: Timestamp) -> Result<(), RateExceeded> {
        if taken >= asked {
            return Ok(());
        }
        self.report(kind, asked - taken, now);
        match self.limits.excess {
            Excess::Reported => Ok(()),
            Excess::Enforced => Err(RateExceeded(kind)),
        }
    }

    /// Only clients of the last second are kept: whoever is not there has a full bucket.
    fn take_of_client(&self, client_id: &str, now: Timestamp) -> u64 {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = clients.get_mut(client_id) {
            return bucket.take(CONNECTS_PER_CLIENT_ID, 1, millis(now));
        }
        if clients.len().is_power_of_two() {
            let is_new = |bucket: &mut TokenBucket| bucket.borrow(CONNECTS_PER_CLIENT_ID, 1, millis(now)) > 0;
            clients.retain(|_, bucket| is_new(&mut bucket.clone()));
        }
        let mut bucket = TokenBucket::default();
        let taken = bucket.take(CONNECTS_PER_CLIENT_ID, 1, millis(now));
        clients.insert(client_id.into(), bucket);
        taken
    }
}

fn take(bucket: &Mutex<TokenBucket>, rate: Rate, count: u64, now: Timestamp) -> u64 {
    bucket.lock().unwrap_or_else(PoisonError::into_inner).take(rate, count, millis(now))
}

fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn rates(excess: Excess) -> Rates {
        let rate = |per_s| Rate::per_s(per_s).expect("not 0");
        let account =
            AccountRates { connects: rate(3), publishes_in: rate(5), publishes_out: rate(10), subscribes: rate(2) };
        Rates::new(RateLimits { account, excess })
    }

    /// What was beyond is counted alike; whether it passes is what differs.
    #[test]
    fn reported_or_enforced() {
        for excess in [Excess::Reported, Excess::Enforced] {
            let rates = rates(excess);
            let refused = |kind| match excess {
                Excess::Reported => Ok(()),
                Excess::Enforced => Err(RateExceeded(kind)),
            };
            for (client_id, expected) in [
                ("a", Ok(())),
                ("a", refused(RateKind::ConnectsOfClientId)),
                ("b", Ok(())),
                ("c", Ok(())),
                ("d", refused(RateKind::Connects)),
            ] {
                // Where it passes, the second of `a` takes one of the account's three.
                if excess == Excess::Reported && client_id == "c" {
                    continue;
                }
                assert_eq!(rates.connect(client_id, NOW), expected, "{client_id} {excess:?}");
            }
            for expected in [Ok(()), Ok(()), refused(RateKind::Subscribes)] {
                assert_eq!(rates.subscribe(NOW), expected, "{excess:?}");
            }
            assert_eq!(rates.publish_in(5, NOW), Ok(()));
            assert_eq!(rates.publish_in(2, NOW), refused(RateKind::PublishesIn));
            assert_eq!(rates.publish_out(10, NOW), 0);
            assert_eq!(rates.publish_out(5, NOW), if excess == Excess::Enforced { 500 } else { 0 });
            for (kind, count) in [
                (RateKind::ConnectsOfClientId, 1),
                (RateKind::Connects, 1),
                (RateKind::Subscribes, 1),
                (RateKind::PublishesIn, 2),
                (RateKind::PublishesOut, 5),
                (RateKind::BytesOfConnection, 0),
            ] {
                assert_eq!(rates.exceeded(kind), count, "{kind:?} {excess:?}");
            }
        }
    }

    #[test]
    fn clients_of_earlier_seconds_are_forgotten() {
        let rates = rates(Excess::Reported);
        for number in 0..10_000 {
            let now = Timestamp::from_millis(NOW.millis() + number);
            let _ = rates.connect(&number.to_string(), now);
        }
        let kept = rates.clients.lock().expect("no panic").len();
        assert!(kept <= 4096, "{kept}: a thousand come in a second");
        assert_eq!(rates.exceeded(RateKind::ConnectsOfClientId), 0);
    }

    #[test]
    fn kinds_have_their_own_places() {
        for (index, kind) in RateKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{}", kind.as_str());
        }
    }
}
