//! So many a second: token buckets that are told the time. Which rates there are is in `quota`.

/// So many a second, and as many at once after a second of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_s: u32,
}

impl Rate {
    /// `None` for 0, which would let nothing pass, ever.
    pub const fn per_s(per_s: u32) -> Option<Self> {
        if per_s == 0 { None } else { Some(Self { per_s }) }
    }

    pub const fn value_per_s(self) -> u32 {
        self.per_s
    }
}

/// Full at first. Two words, so that every connection can have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// Thousandths of a token; more than a second's worth where it lent some.
    used_milli: u64,
    at_ms: u64,
}

impl TokenBucket {
    /// As many of `count` as the rate allows now; the others leave no trace.
    pub fn take(&mut self, rate: Rate, count: u64, now_ms: u64) -> u64 {
        self.refill(rate, now_ms);
        let left = full_milli(rate).saturating_sub(self.used_milli) / 1000;
        let taken = count.min(left);
        self.used_milli += taken * 1000;
        taken
    }

    /// All of `count`. Answers after how many milliseconds the rate has caught up; 0 where it allows them now.
    pub fn borrow(&mut self, rate: Rate, count: u64, now_ms: u64) -> u64 {
        self.refill(rate, now_ms);
        self.used_milli = self.used_milli.saturating_add(count.saturating_mul(1000));
        self.used_milli.saturating_sub(full_milli(rate)).div_ceil(u64::from(rate.per_s))
    }

    /// A clock that was set back gives nothing and takes nothing.
    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.at_ms = now_ms;
        self.used_milli = self.used_milli.saturating_sub(passed_ms.saturating_mul(u64::from(rate.per_s)));
    }
}

fn full_milli(rate: Rate) -> u64 {
    u64::from(rate.per_s) * 1000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn rate(per_s: u32) -> Rate {
        Rate::per_s(per_s).unwrap()
    }

    #[test]
    fn what_is_over_the_rate_is_not_taken() {
        let mut bucket = TokenBucket::default();
        for (now_ms, count, taken) in [
            (5000, 60, 60),
            (5000, 60, 40),
            (5000, 1, 0),
            (5009, 1, 0),
            (5010, 2, 1),
            (5500, 100, 49),
            (9000, 1000, 100),
            // Set back: no time has passed, then it goes on from there.
            (1000, 1, 0),
            (1010, 1, 1),
            (u64::MAX, u64::MAX, 100),
        ] {
            assert_eq!(bucket.take(rate(100), count, now_ms), taken, "{now_ms} {count}");
        }
        let mut once = TokenBucket::default();
        for (now_ms, taken) in [(0, 1), (999, 0), (1000, 1), (1001, 0), (5000, 1)] {
            assert_eq!(once.take(rate(1), 1, now_ms), taken, "{now_ms}");
        }
    }

    #[test]
    fn what_is_lent_is_waited_for() {
        let mut bucket = TokenBucket::default();
        for (now_ms, count, delay_ms) in
            [(0, 1000, 0), (0, 500, 500), (250, 0, 250), (500, 0, 0), (500, 1, 1), (2500, 1000, 0), (2500, 2000, 2000)]
        {
            assert_eq!(bucket.borrow(rate(1000), count, now_ms), delay_ms, "{now_ms} {count}");
        }
        assert!(bucket.borrow(rate(1), u64::MAX, 0) > 0);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_two_seconds_worth(
            per_s in 1u32..500,
            asked in proptest::collection::vec((0u64..400, 0u64..700), 1..60),
        ) {
            let mut bucket = TokenBucket::default();
            let (mut now_ms, mut taken): (u64, Vec<(u64, u64)>) = (0, Vec::new());
            for (count, pause_ms) in asked {
                now_ms += pause_ms;
                taken.push((now_ms, bucket.take(rate(per_s), count, now_ms)));
                let window: u64 = taken.iter().filter(|(at, _)| at + 1000 > now_ms).map(|(_, count)| count).sum();
                prop_assert!(window <= 2 * u64::from(per_s), "{window} in a second");
            }
        }
    }
}
