//! Who is connected and who subscribes to what: deliver, take over. It knows no TLS, HTTP, policy or AWS.

use bytes::Bytes;
use mqtt::{TopicFilter, TopicName};
use tokio::sync::{mpsc, watch};

/// A message on its way to subscribers; encoded once per fan-out by the receiving side's codec.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: TopicName,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Broker {}

/// A connection's hold on its client id. Dropped: subscriptions go, the id is free.
pub struct Claim {
    /// What subscriptions matched; bounded, overflow drops QoS 0 first and is counted.
    pub inbox: mpsc::Receiver<Delivery>,
    /// Turns true when a newer connection has taken the client id.
    pub taken_over: watch::Receiver<bool>,
}
#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: std::sync::Arc<Message>,
    pub qos: Qos,
}

impl Broker {
    pub fn new() -> Self {
        todo!()
    }
    pub fn claim(&self, _client_id: &str) -> Claim {
        todo!()
    }
    pub fn publish(&self, _message: Message) -> usize {
        todo!()
    }
}
impl Claim {
    /// The granted QoS.
    pub fn subscribe(&self, _filter: TopicFilter, _qos: Qos) -> Qos {
        todo!()
    }
    /// Whether there was such a subscription.
    pub fn unsubscribe(&self, _filter: &TopicFilter) -> bool {
        todo!()
    }
}
