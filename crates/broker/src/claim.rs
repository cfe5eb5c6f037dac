//! A connection's hold on its client id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mqtt::packet::SubscribeOptions;
use mqtt::topic::MultiLevel;
use mqtt::{Qos, TopicFilter};
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::inbox::{Inbox, InboxLimits};
use crate::message::Delivery;
use crate::table::Seat;

/// Dropped: subscriptions go, the id is free. A newer claim of the same id is not touched by that.
#[derive(Debug)]
pub struct Claim {
    broker: Broker,
    seat: Arc<Seat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimOptions {
    pub inbox: InboxLimits,
    /// Whether a subscription to `sport/#` gets messages to `sport`.
    pub multi_level: MultiLevel,
}

impl Default for ClaimOptions {
    fn default() -> Self {
        ClaimOptions { inbox: InboxLimits::default(), multi_level: MultiLevel::WithParent }
    }
}

impl Claim {
    pub(crate) fn take(broker: Broker, client_id: &str, options: ClaimOptions) -> Self {
        let mut table = broker.table_mut();
        let seat = Arc::new(Seat {
            number: table.next_number(),
            client_id: client_id.into(),
            multi_level: options.multi_level,
            inbox: Inbox::new(options.inbox),
            is_taken_over: AtomicBool::new(false),
            taken_over: Notify::new(),
        });
        table.seat(seat.clone());
        drop(table);
        Claim { broker, seat }
    }

    pub fn client_id(&self) -> &str {
        &self.seat.client_id
    }

    /// Subscribes, or changes the QoS of a subscription; answers the granted QoS. After a takeover it has no effect.
    pub fn subscribe(&self, filter: TopicFilter, qos: Qos) -> Qos {
        self.subscribe_with(filter, SubscribeOptions::of_qos(qos))
    }

    /// The same with the other options of MQTT 5. Nothing is retained, so retain handling has no effect.
    pub fn subscribe_with(&self, filter: TopicFilter, options: SubscribeOptions) -> Qos {
        self.broker.table_mut().subscribe(&self.seat, filter, options);
        options.qos
    }

    /// Whether there was such a subscription. Messages that are in the inbox already stay there.
    pub fn unsubscribe(&self, filter: &TopicFilter) -> bool {
        self.broker.table_mut().unsubscribe(&self.seat, filter)
    }

    pub fn subscription_count(&self) -> usize {
        self.broker.table().subscription_count(&self.seat)
    }

    /// The next message for this connection. Safe to cancel, as in `select!`: nothing is taken before it returns.
    pub async fn next_delivery(&self) -> Delivery {
        self.seat.inbox.next().await
    }

    /// To write many messages at one wake-up.
    pub fn try_next_delivery(&self) -> Option<Delivery> {
        self.seat.inbox.try_next()
    }

    pub fn inbox_len(&self) -> usize {
        self.seat.inbox.len()
    }

    /// Messages that were lost because this connection was too slow.
    pub fn dropped(&self) -> u64 {
        self.seat.inbox.dropped()
    }

    /// Returns when a newer connection has taken the client id; at once if it has already.
    pub async fn taken_over(&self) {
        while !self.is_taken_over() {
            self.seat.taken_over.notified().await;
        }
    }

    pub fn is_taken_over(&self) -> bool {
        self.seat.is_taken_over.load(Ordering::Acquire)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.broker.table_mut().leave(&self.seat);
    }
}
