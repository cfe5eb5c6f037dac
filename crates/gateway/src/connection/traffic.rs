//! What a connection counts for the metrics.

use mqtt::Closed;
use mqtt::packet::ReasonCode;
use services::metrics::{Dropped, Outcome, TrafficMetrics};

use super::Line;
use super::live::{Asked, Live};

impl Live<'_> {
    fn all(&self) -> &TrafficMetrics {
        &self.rights.services().metrics().traffic
    }

    /// Once a turn in which something has moved, so that no message on its way touches what other connections count.
    pub(super) fn add_up(&mut self) {
        let Line { socket, session, .. } = &mut *self.line;
        let (received_bytes, sent_bytes) = socket.take_moved_bytes();
        if received_bytes == 0 && sent_bytes == 0 && self.traffic.is_empty() {
            return;
        }
        (self.traffic.received_bytes, self.traffic.sent_bytes) = (received_bytes, sent_bytes);
        self.traffic.pings = session.take_pings();
        self.meter.count_turn(self.rights.services(), received_bytes + sent_bytes);
        self.unsent.set(session.out().len());
        self.rights.services().metrics().traffic.add_up(session.version(), &mut self.traffic);
    }

    pub(super) fn count_accepted(&mut self, asked: &Asked) {
        self.traffic.received(asked.qos);
        if asked.is_retained {
            self.all().publish_retained(Outcome::Success);
        }
    }

    pub(super) fn count_refused(&self, asked: &Asked, outcome: Outcome) {
        self.all().publish_refused(outcome);
        if asked.is_retained {
            self.all().publish_retained(outcome);
        }
    }

    pub(super) fn count_acknowledged_later(&self, asked: &Asked) {
        if let Some(since) = asked.since {
            self.all().acknowledged_later(since);
        }
    }

    /// What the session itself does not let through, and ends the connection for.
    pub(super) fn count_closed(&self, closed: &Closed) {
        if closed.refuses_publish() {
            self.all().publish_refused(Outcome::ClientError);
        } else if closed.refuses_subscribe() {
            self.all().subscribe(Outcome::ClientError);
        }
    }

    pub(super) fn count_subscribed(&self, codes: &[ReasonCode]) {
        codes.iter().for_each(|code| self.all().subscribe(Outcome::of_code(*code)));
    }

    pub(super) fn count_unsubscribed(&self, codes: &[ReasonCode]) {
        codes.iter().for_each(|code| self.all().unsubscribe(Outcome::of_code(*code)));
    }

    pub(super) fn count_dropped(&self, cause: Dropped) {
        self.all().dropped(cause);
    }
}
