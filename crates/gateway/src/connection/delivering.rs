//! Messages on their way to the device.

use broker::Delivery;
use mqtt::session::NotDelivered;
use services::metrics::Dropped;

use super::live::Live;
use crate::log::told;

/// Unsent bytes at which no more messages are taken from the inbox.
const OUT_PAUSES_DELIVERY_BYTES: usize = 64 * 1024;
/// Messages taken from the inbox before the socket gets its turn.
const DELIVERIES_PER_TURN_MAX: usize = 256;

impl Live<'_> {
    pub(super) fn deliver_waiting(&mut self) {
        for _ in 0..DELIVERIES_PER_TURN_MAX {
            if !self.may_deliver() {
                return;
            }
            let Some(delivery) = self.claim.try_next_delivery() else { return };
            self.deliver(delivery);
        }
    }

    pub(super) fn may_deliver(&mut self) -> bool {
        let session = &mut self.line.session;
        session.out().len() < OUT_PAUSES_DELIVERY_BYTES && !session.window_is_full() && self.meter.may_deliver()
    }

    /// `iot:Receive` is judged at every delivery; what may not be received is skipped, or goes to another member of the
    /// shared subscription that it came by.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let message = &delivery.message;
        if !self.rights.may_receive(&message.topic) {
            self.count_dropped(Dropped::NotAuthorized);
            let topic = message.topic.as_str();
            told!(debug, self.peer, topic, "iot:Receive is not allowed: a message was skipped");
            return self.claim.hand_back(delivery);
        }
        match delivery.write_to(&mut self.line.session, self.line.uptime.now_ms()) {
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
