//! How measured values are distributed, as counts between fixed bounds. Here because this is the lowest crate that
//! measures anything; those above measure with it as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Observing it takes no lock and no memory.
#[derive(Debug)]
pub struct Histogram {
    /// Rising, inclusive; what is above the last is counted as well.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub bounds: &'static [u64],
    /// One for each bound, and one for what is above them all. Not cumulative.
    pub counts: Vec<u64>,
    pub sum: u64,
}

impl Histogram {
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub fn observe(&self, value: u64) {
        self.observe_many(value, 1);
    }

    /// So many times the same.
    pub fn observe_many(&self, value: u64, times: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(times, Ordering::Relaxed);
            self.sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
        }
    }

    /// In microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(micros(time));
    }

    /// In microseconds.
    pub fn observe_times(&self, time: Duration, times: u64) {
        self.observe_many(micros(time), times);
    }

    pub fn distribution(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl Distribution {
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_counts_what_is_no_larger() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(value);
        }
        histogram.observe_times(Duration::from_micros(15), 2);
        let distribution = histogram.distribution();
        assert_eq!(distribution, Distribution { bounds: &[10, 20], counts: vec![2, 4, 2], sum: 1_092 });
        assert_eq!(distribution.count(), 8);
    }
}
