//! What is counted: by one number, by what is there now, or by labels from closed sets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{Distribution, Histogram};

/// Only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        // A line of the processor's cache that others write as well is not touched for nothing.
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are now.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// One of those that a gauge counts, until it is dropped.
#[derive(Debug)]
pub struct Present(Arc<AtomicI64>);

/// A part of what a gauge shows, until it is dropped.
#[derive(Debug)]
pub struct Amount {
    all: Arc<AtomicI64>,
    own: i64,
}

impl Amount {
    pub fn set(&mut self, to: usize) {
        let to = i64::try_from(to).unwrap_or(i64::MAX);
        if to != self.own {
            self.all.fetch_add(to - self.own, Ordering::Relaxed);
            self.own = to;
        }
    }
}

impl Drop for Amount {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Gauge {
    pub fn amount(&self) -> Amount {
        Amount { all: self.0.clone(), own: 0 }
    }

    pub fn enter(&self) -> Present {
        self.0.fetch_add(1, Ordering::Relaxed);
        Present(self.0.clone())
    }

    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts by labels. Their values are words of this program, never what somebody sent, so that they are few; for what does
/// not happen per message.
#[derive(Debug)]
pub struct Tally<const N: usize>(Mutex<BTreeMap<[&'static str; N], u64>>);

impl<const N: usize> Tally<N> {
    /// Those that are known are shown from the start: a monitor does not see a first event that makes its own counter.
    pub fn of(known: impl IntoIterator<Item = [&'static str; N]>) -> Self {
        Self(Mutex::new(known.into_iter().map(|labels| (labels, 0)).collect()))
    }

    pub fn add(&self, labels: [&'static str; N]) {
        *self.locked().entry(labels).or_default() += 1;
    }

    pub fn counts(&self) -> Vec<([&'static str; N], u64)> {
        self.locked().iter().map(|(labels, count)| (*labels, *count)).collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<[&'static str; N], u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Times by one label, as a tally is by several.
#[derive(Debug)]
pub struct Times {
    bounds_us: &'static [u64],
    by_label: Mutex<BTreeMap<&'static str, Histogram>>,
}

impl Times {
    pub fn of(bounds_us: &'static [u64], known: impl IntoIterator<Item = &'static str>) -> Self {
        let fresh = |label| (label, Histogram::new(bounds_us));
        Self { bounds_us, by_label: Mutex::new(known.into_iter().map(fresh).collect()) }
    }

    pub fn observe(&self, label: &'static str, time: Duration) {
        let mut by_label = self.locked();
        by_label.entry(label).or_insert_with(|| Histogram::new(self.bounds_us)).observe_time(time);
    }

    pub fn distributions(&self) -> Vec<(&'static str, Distribution)> {
        self.locked().iter().map(|(label, histogram)| (*label, histogram.distribution())).collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<&'static str, Histogram>> {
        self.by_label.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_is_not_counted_any_more() {
        let gauge = Gauge::default();
        let first = gauge.enter();
        let second = gauge.enter();
        assert_eq!(gauge.value(), 2);
        drop(first);
        assert_eq!(gauge.value(), 1);
        drop(second);
        assert_eq!(gauge.value(), 0);
        let (mut one, mut other) = (gauge.amount(), gauge.amount());
        one.set(10);
        other.set(5);
        one.set(3);
        assert_eq!(gauge.value(), 8);
        drop(one);
        assert_eq!(gauge.value(), 5);
    }
}
