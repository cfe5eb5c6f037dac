//! A connection's share of AWS's rates: its own buckets, and what of it counts for the account.
//!
//! Where rates are only reported, a turn is counted as a whole and nothing is looked at message by message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use domain::quota::{BYTES_PER_CONNECTION, PUBLISHES_PER_CONNECTION};
use domain::rate::TokenBucket;
use services::Services;
use services::rates::{Excess, RateExceeded, RateKind};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::profile::Profile;

#[derive(Debug)]
pub(super) struct Meter {
    profile: Profile,
    publishes_in: TokenBucket,
    publishes_out: TokenBucket,
    bytes: TokenBucket,
    /// Of this turn.
    received: u32,
    sent: u32,
    reading_again: Option<Instant>,
    delivering_again: Option<Instant>,
    /// Of a connection that is held back.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Meter {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            profile,
            publishes_in: TokenBucket::default(),
            publishes_out: TokenBucket::default(),
            bytes: TokenBucket::default(),
            received: 0,
            sent: 0,
            reading_again: None,
            delivering_again: None,
            timer: None,
        }
    }

    /// Whether rates are held to.
    pub(super) fn is_strict(&self, services: &Services) -> bool {
        self.profile.has_rates() && services.rates().excess() == Excess::Enforced
    }

    /// Before a message of the device is looked at. `Err`: it is to be discarded.
    pub(super) fn publish(&mut self, services: &Services) -> Result<(), RateExceeded> {
        let rates = services.rates();
        if !self.is_strict(services) {
            self.received = self.received.saturating_add(1);
            return Ok(());
        }
        let now = services.now();
        let now_ms = u64::try_from(now.millis()).unwrap_or(0);
        if self.publishes_in.take(PUBLISHES_PER_CONNECTION, 1, now_ms) == 0 {
            rates.report(RateKind::PublishesInOfConnection, 1, now);
            return Err(RateExceeded(RateKind::PublishesInOfConnection));
        }
        rates.publish_in(1, now)
    }

    pub(super) fn delivered(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }

    /// At the end of a turn in which so many bytes came and went.
    pub(super) fn count_turn(&mut self, services: &Services, moved_bytes: u64) {
        if moved_bytes == 0 || !self.profile.has_rates() {
            return;
        }
        let (rates, now) = (services.rates(), services.now());
        let now_ms = u64::try_from(now.millis()).unwrap_or(0);
        let received = u64::from(std::mem::take(&mut self.received));
        let sent = u64::from(std::mem::take(&mut self.sent));
        if received > 0 {
            let taken = self.publishes_in.take(PUBLISHES_PER_CONNECTION, received, now_ms);
            if taken < received {
                rates.report(RateKind::PublishesInOfConnection, received - taken, now);
            }
            // Only reported, where they were not judged one by one.
            let _ = rates.publish_in(received, now);
        }
        if sent > 0 {
            let own_ms = self.publishes_out.borrow(PUBLISHES_PER_CONNECTION, sent, now_ms);
            if own_ms > 0 {
                rates.report(RateKind::PublishesOutOfConnection, sent, now);
            }
            let delay_ms = rates.publish_out(sent, now).max(rates.held_for_ms(own_ms));
            self.delivering_again = in_ms(delay_ms);
        }
        let delay_ms = self.bytes.borrow(BYTES_PER_CONNECTION, moved_bytes, now_ms);
        if delay_ms > 0 {
            rates.report(RateKind::BytesOfConnection, moved_bytes, now);
        }
        if let Some(again) = in_ms(rates.held_for_ms(delay_ms)) {
            self.reading_again = Some(again);
            self.delivering_again = self.delivering_again.max(Some(again));
        }
    }

    pub(super) fn may_read(&self) -> bool {
        self.reading_again.is_none()
    }

    pub(super) fn may_deliver(&self) -> bool {
        self.delivering_again.is_none()
    }

    /// Ready once more may be read or delivered than now; never where nothing is held back.
    pub(super) fn poll_released(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = match (self.reading_again, self.delivering_again) {
            (Some(reading), Some(delivering)) => reading.min(delivering),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return Poll::Pending,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        self.reading_again = self.reading_again.filter(|at| *at > next);
        self.delivering_again = self.delivering_again.filter(|at| *at > next);
        Poll::Ready(())
    }
}

fn in_ms(delay_ms: u64) -> Option<Instant> {
    (delay_ms > 0).then(|| Instant::now() + Duration::from_millis(delay_ms))
}
