//! A broker on a data directory, and clients whose sessions are real ones without sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::{
    Broker, BrokerLimits, Claim, ClaimOptions, Delivery, Handed, KeptWill, Message, SessionRequest, Start, WallClock,
};
use bytes::Bytes;
use mqtt::packet::{Properties, Property, Version};
use mqtt::{Qos, TopicFilter, TopicName};
use store::Store;
use tempfile::TempDir;

pub struct World {
    pub broker: Broker,
    pub store: Store,
    pub limits: BrokerLimits,
    now_ms: Arc<AtomicU64>,
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(BrokerLimits::default())
    }

    pub fn with(limits: BrokerLimits) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self::open(dir, limits, Arc::new(AtomicU64::new(1_000_000)))
    }

    fn open(dir: TempDir, limits: BrokerLimits, now_ms: Arc<AtomicU64>) -> Self {
        let store = Store::open(dir.path()).expect("a store");
        let clock = WallClock::from_fn({
            let now_ms = now_ms.clone();
            move || now_ms.load(Ordering::Relaxed)
        });
        let broker = Broker::open(store.clone(), limits, clock).expect("a broker");
        World { broker, store, limits, now_ms, dir }
    }

    /// The same directory under a new server.
    pub async fn restart(self) -> Self {
        let World { broker, store, limits, now_ms, dir } = self;
        store.close().await;
        drop((broker, store));
        Self::open(dir, limits, now_ms)
    }

    pub fn store_bytes(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("records.redb")).expect("a file").len()
    }

    pub fn pass_s(&self, s: u64) {
        self.now_ms.fetch_add(s * 1000, Ordering::Relaxed);
    }

    pub async fn durable(&self, client_id: &str) -> Claim {
        self.claim(client_id, request(Start::Resume, 3600)).await
    }

    pub async fn claim(&self, client_id: &str, request: SessionRequest) -> Claim {
        self.broker.claim_with(client_id, ClaimOptions::default(), request).await.expect("a claim")
    }

    /// It is on disk, where somebody must get it later.
    pub async fn publish(&self, message: Message) -> usize {
        handed(self.broker.publish(message)).await
    }

    pub async fn say(&self, topic: &str, payload: &str, qos: Qos) -> usize {
        self.publish(message(topic, payload, qos)).await
    }
}

pub async fn handed(handed: Result<Handed, broker::BrokerError>) -> usize {
    handed.expect("it is taken").settled().await.expect("it is on disk")
}

pub fn request(start: Start, expiry_s: u32) -> SessionRequest {
    SessionRequest { version: Version::V5, start, expiry_s, will: None }
}

pub fn will(topic: &str, delay_s: u32) -> KeptWill {
    let principal = Some("principal".to_owned());
    KeptWill { message: message(topic, "will", Qos::AtLeastOnce), delay_s, principal }
}

pub fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a filter")
}

pub fn topic(text: &str) -> TopicName {
    TopicName::parse(text).expect("a topic")
}

pub fn message(text: &str, payload: &str, qos: Qos) -> Message {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    Message { topic: topic(text), payload, qos, retain: false, properties: Properties::new() }
}

pub fn retained(text: &str, payload: &str, qos: Qos) -> Message {
    Message { retain: true, ..message(text, payload, qos) }
}

pub fn expiring(message: Message, s: u32) -> Message {
    Message { properties: [Property::MessageExpiryIntervalS(s)].into_iter().collect(), ..message }
}

pub fn payload(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message.payload).into_owned()
}

/// What waits for the connection, each taken and settled as if it had been acknowledged.
pub fn drain(claim: &Claim) -> Vec<String> {
    let waiting = std::iter::from_fn(|| claim.try_next_delivery());
    waiting
        .map(|delivery| {
            claim.sent(&delivery, None);
            payload(&delivery)
        })
        .collect()
}
