//! The stages of a device's first day, each with the time since its first CONNECT. What a stage needs to know of that
//! CONNECT is in the records, but for two: which invocation runs for which device, and who has not come back yet. These are
//! remembered here, within bounds, and not beyond a restart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{CertificateId, Timestamp};

use super::bounds::{SLOW_US, between};
use super::exposition::{Exposition, Measure};
use super::tally::Times;

/// Devices that are on their way in at once; more are not timed.
const REMEMBERED_MAX: usize = 50_000;
/// Who has not come further in this time is forgotten when the room is needed.
const REMEMBERED_MS: i64 = 3_600_000;

const REGISTERED: &str = "registered";
const DELIVERED: &str = "event_delivered";
const STARTED: &str = "function_started";
const ACTIVATED: &str = "activated";
const CONNECTED: &str = "connected";

#[derive(Debug)]
pub struct OnboardingMetrics {
    stages: Times,
    /// By the invocation's id: the first CONNECT of its device.
    events: Remembered<String>,
    landing: Remembered<CertificateId>,
}

impl Default for OnboardingMetrics {
    fn default() -> Self {
        Self {
            stages: Times::of(SLOW_US, [REGISTERED, DELIVERED, STARTED, ACTIVATED, CONNECTED]),
            events: Remembered::default(),
            landing: Remembered::default(),
        }
    }
}

impl OnboardingMetrics {
    pub(crate) fn registered(&self, certificate: CertificateId, first: Timestamp, now: Timestamp) {
        self.stages.observe(REGISTERED, between(first, now));
        self.landing.remember(certificate, first, now);
    }

    /// `invocation`: the first of those that the event caused.
    pub(crate) fn event_delivered(&self, first: Timestamp, now: Timestamp, invocation: Option<&str>) {
        self.stages.observe(DELIVERED, between(first, now));
        if let Some(id) = invocation {
            self.events.remember(id.to_owned(), first, now);
        }
    }

    pub(crate) fn function_started(&self, invocation: &str, now: Timestamp) {
        if let Some(first) = self.events.take(invocation) {
            self.stages.observe(STARTED, between(first, now));
        }
    }

    /// From PENDING_ACTIVATION.
    pub(crate) fn activated(&self, first: Timestamp, now: Timestamp) {
        self.stages.observe(ACTIVATED, between(first, now));
    }

    /// Any CONNECT that is welcome; the first of a certificate counts.
    pub(crate) fn connected(&self, certificate: CertificateId, now: Timestamp) {
        if let Some(first) = self.landing.take(&certificate) {
            self.stages.observe(CONNECTED, between(first, now));
        }
    }

    pub(super) fn show(&self, page: &mut Exposition) {
        let mut family = page.histogram(
            "landfall_onboarding_seconds",
            "Stages of just-in-time registration, each timed from the device's first CONNECT.",
        );
        for (stage, times) in self.stages.distributions() {
            family.distribution(&[("stage", stage)], &times, Measure::Microseconds);
        }
    }
}

#[derive(Debug)]
struct Remembered<K> {
    first: Mutex<HashMap<K, Timestamp>>,
    /// So that the CONNECT of a device that landed long ago takes no lock.
    count: AtomicUsize,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self { first: Mutex::default(), count: AtomicUsize::new(0) }
    }
}

impl<K: std::hash::Hash + Eq> Remembered<K> {
    fn remember(&self, key: K, at: Timestamp, now: Timestamp) {
        let mut first = self.locked();
        if first.len() >= REMEMBERED_MAX {
            first.retain(|_, at| now.since(*at) < REMEMBERED_MS);
        }
        if first.len() < REMEMBERED_MAX {
            first.insert(key, at);
        }
        self.count.store(first.len(), Ordering::Release);
    }

    fn take<Q: std::hash::Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Timestamp>
    where
        K: std::borrow::Borrow<Q>,
    {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut first = self.locked();
        let at = first.remove(key);
        self.count.store(first.len(), Ordering::Release);
        at
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<K, Timestamp>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lands_is_remembered_once_and_within_bounds() {
        let remembered = Remembered::<usize>::default();
        let at = Timestamp::from_seconds(1_000);
        for device in 0..REMEMBERED_MAX + 10 {
            remembered.remember(device, at, at);
        }
        assert_eq!(remembered.locked().len(), REMEMBERED_MAX);
        assert_eq!(remembered.take(&(REMEMBERED_MAX + 5)), None, "there was no room");
        assert_eq!(remembered.take(&7), Some(at));
        assert_eq!(remembered.take(&7), None);
        let later = at.plus_millis(REMEMBERED_MS);
        remembered.remember(7, later, later);
        remembered.remember(8, later, later);
        assert_eq!(remembered.locked().len(), 2, "who did not come in an hour is forgotten for those who come now");
    }
}
