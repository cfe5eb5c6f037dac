//! What a clean session has of its groups and has not acknowledged. It is theirs again when the session ends: "the Server
//! SHOULD send the Application Message to another Client that is subscribed to the same Shared Subscription" (5.0 section
//! 4.8.2). Messages with QoS 2 are never lent: they must not go to another once their delivery has begun.

use std::collections::VecDeque;

use mqtt::Qos;

use crate::message::Delivery;

/// No longer than what the client may have in flight.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    last: u64,
    /// In the order in which they were sent.
    open: VecDeque<Delivery>,
}

impl Loans {
    /// On its way to the client.
    pub fn mark(&mut self, delivery: &mut Delivery) {
        if delivery.qos == Qos::AtLeastOnce
            && let Some(rare) = &mut delivery.rare
            && rare.group.is_some()
        {
            self.last += 1;
            rare.loan = Some(self.last);
        }
    }

    /// Written to the client.
    pub fn lend(&mut self, delivery: &Delivery) {
        if delivery.loan().is_some() {
            self.open.push_back(delivery.clone());
        }
    }

    pub fn settle(&mut self, loan: u64) {
        if let Some(index) = self.open.iter().position(|delivery| delivery.loan() == Some(loan)) {
            self.open.remove(index);
        }
    }

    pub fn take_back(&mut self) -> VecDeque<Delivery> {
        std::mem::take(&mut self.open)
    }
}
