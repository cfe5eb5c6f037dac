//! Messages on their way to the device.

use std::collections::VecDeque;

use broker::Delivery;
use mqtt::session::NotDelivered;
use services::metrics::Dropped;

use super::live::Live;
use crate::log::told;
use crate::socket::OUT_PAUSES_DELIVERY_BYTES;

/// Messages taken from the inbox before the socket gets its turn.
const DELIVERIES_PER_TURN_MAX: usize = 256;
/// Places for them that an idle connection keeps.
const IDLE_PLACES_MAX: usize = 8;

impl Live<'_> {
    pub(super) fn deliver_arrived(&mut self) {
        self.has_given_way = false;
        if !self.has_arrivals {
            return;
        }
        let now_ms = self.line.uptime.now_ms();
        let mut delivered = 0;
        while delivered < DELIVERIES_PER_TURN_MAX && self.may_deliver() {
            if self.arrived.is_empty() {
                let bytes_max = OUT_PAUSES_DELIVERY_BYTES.saturating_sub(self.line.session.out().len());
                self.claim.take_arrived(&mut self.arrived, DELIVERIES_PER_TURN_MAX - delivered, bytes_max);
            }
            let Some(delivery) = self.arrived.pop_front() else {
                self.has_arrivals = false;
                break;
            };
            self.deliver(delivery, now_ms);
            delivered += 1;
        }
        if self.arrived.is_empty() && self.arrived.capacity() > IDLE_PLACES_MAX {
            self.arrived = VecDeque::new();
        }
    }

    /// What was taken and not written is the claim's again.
    pub(super) fn give_back_arrived(&mut self) {
        while let Some(delivery) = self.arrived.pop_back() {
            self.claim.put_back(delivery);
            self.has_arrivals = true;
        }
    }

    pub(super) fn may_deliver(&mut self) -> bool {
        let session = &mut self.line.session;
        session.out().len() < OUT_PAUSES_DELIVERY_BYTES && !session.window_is_full() && self.meter.may_deliver()
    }

    /// `iot:Receive` is judged at every delivery; what may not be received is skipped, or goes to another member of the
    /// shared subscription that it came by.
    fn deliver(&mut self, delivery: Delivery, now_ms: u64) {
        let message = &delivery.message;
        if !self.rights.may_receive(&message.topic) {
            self.count_dropped(Dropped::NotAuthorized);
            let topic = message.topic.as_str();
            told!(debug, self.peer, topic, "iot:Receive is not allowed: a message was skipped");
            return self.claim.hand_back(delivery);
        }
        match delivery.write_to(&mut self.line.session, now_ms) {
            Ok(packet_id) => {
                self.claim.sent(&delivery, packet_id);
                self.meter.delivered();
                self.traffic.sent(delivery.qos);
            }
            Err(why @ (NotDelivered::Expired | NotDelivered::TooLarge)) => {
                let is_expired = why == NotDelivered::Expired;
                self.count_dropped(if is_expired { Dropped::Expired } else { Dropped::TooLarge });
                told!(debug, self.peer, ?why, "a message was dropped");
                self.claim.settled(&delivery);
            }
            Err(why) => {
                told!(warn, self.peer, ?why, "a message could not be delivered");
                self.claim.put_back(delivery);
            }
        }
    }
}
