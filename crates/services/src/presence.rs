//! Lifecycle events of one connection: who is there, who went, who listens to what.
//!
//! They enter as any message does, so that rules and subscribers get them. Where neither listens, nothing is made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use broker::{Message, Qos};
use domain::Timestamp;
use domain::lifecycle_event::{Change, DisconnectReason, LifecycleEvent, has_events};
use mqtt::TopicName;
use mqtt::packet::Properties;

use crate::messages::Origin;
use crate::{Services, random};

/// After so long without a connection a client's version number starts again. ("approximately one hour")
const VERSION_KEPT_MS: i64 = 3_600_000;

/// Version numbers kept of clients that are not connected; beyond it all of these start again.
const OFFLINE_MAX: usize = 100_000;

/// A connection's part of the events. It is told when the connection ends, in whatever way.
#[derive(Debug)]
pub struct Presence {
    session_identifier: [u8; 16],
    version_number: u64,
}

/// Of each client how many connections it has had, in memory: after a restart they start again, as after an hour.
#[derive(Default)]
pub(crate) struct Versions(Mutex<HashMap<Box<str>, Version>>);

struct Version {
    next: u64,
    /// Two while one connection takes over from the other.
    connections: u32,
    offline_since: Timestamp,
}

impl Services {
    /// `None` for a client that has no events.
    pub fn presence(&self, origin: &Origin) -> Option<Presence> {
        let client_id = origin.client_id.as_deref().filter(|client_id| has_events(client_id))?;
        origin.principal.as_ref()?;
        let version_number = self.inner.versions.connect(client_id, self.now());
        Some(Presence { session_identifier: random::bytes(), version_number })
    }

    pub async fn announce_connected(
        &self,
        presence: Option<&Presence>,
        origin: &Origin,
        ip_address: IpAddr,
        thing_name: Option<&str>,
    ) {
        let Some(Presence { session_identifier, version_number }) = presence else { return };
        let change = Change::Connected { thing_name, ip_address, version_number: *version_number };
        self.announce(*session_identifier, origin, change).await;
    }

    pub async fn announce_disconnected(&self, presence: Option<Presence>, origin: &Origin, reason: DisconnectReason) {
        let Some(Presence { session_identifier, version_number }) = presence else { return };
        if let Some(client_id) = &origin.client_id {
            self.inner.versions.disconnect(client_id, self.now());
        }
        self.announce(session_identifier, origin, Change::Disconnected { reason, version_number }).await;
    }

    /// Of a connection that a policy did not let in; one that got no further has no version number.
    pub async fn announce_connect_failed(&self, origin: &Origin, ip_address: IpAddr) {
        self.announce(random::bytes(), origin, Change::ConnectFailed { ip_address }).await;
    }

    pub async fn announce_subscribed(&self, presence: Option<&Presence>, origin: &Origin, topics: &[String]) {
        if let (Some(presence), false) = (presence, topics.is_empty()) {
            self.announce(presence.session_identifier, origin, Change::Subscribed { topics }).await;
        }
    }

    pub async fn announce_unsubscribed(&self, presence: Option<&Presence>, origin: &Origin, topics: &[String]) {
        if let (Some(presence), false) = (presence, topics.is_empty()) {
            self.announce(presence.session_identifier, origin, Change::Unsubscribed { topics }).await;
        }
    }

    async fn announce(&self, session_identifier: [u8; 16], origin: &Origin, change: Change<'_>) {
        let Some(client_id) = origin.client_id.as_deref().filter(|client_id| has_events(client_id)) else { return };
        let Some(principal_identifier) = origin.principal.as_deref() else { return };
        let Ok(topic) = TopicName::parse(&change.topic(client_id)) else { return };
        if !self.inner.rules.any_matches(&topic) && !self.inner.broker.has_receivers(&topic) {
            return;
        }
        let session_identifier = random::uuid_of(session_identifier);
        let event = LifecycleEvent {
            client_id,
            timestamp: self.now(),
            session_identifier: &session_identifier,
            principal_identifier,
            change,
        };
        let message = Message {
            topic,
            payload: event.payload().into(),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
        };
        // Boxed: idle connections are to keep no room for it.
        if let Err(error) = Box::pin(self.accept(message, origin.clone())).await {
            tracing::warn!(
                connection = origin.connection,
                client_id,
                certificate_id = origin.certificate_id(),
                error = error.message,
                "a lifecycle event could not be published"
            );
        }
    }
}

impl Versions {
    fn connect(&self, client_id: &str, now: Timestamp) -> u64 {
        let mut versions = self.lock();
        if let Some(version) = versions.get_mut(client_id) {
            if version.is_over(now) {
                version.next = 0;
            }
            version.connections += 1;
            version.next += 1;
            return version.next - 1;
        }
        // Swept when the table has grown to a power of two: what it costs is spread over as many connections.
        if versions.len().is_power_of_two() {
            versions.retain(|_, version| !version.is_over(now));
            let offline = versions.values().filter(|version| version.connections == 0).count();
            if offline > OFFLINE_MAX {
                versions.retain(|_, version| version.connections > 0);
            }
        }
        versions.insert(client_id.into(), Version { next: 1, connections: 1, offline_since: now });
        0
    }

    fn disconnect(&self, client_id: &str, now: Timestamp) {
        if let Some(version) = self.lock().get_mut(client_id) {
            version.connections = version.connections.saturating_sub(1);
            version.offline_since = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Version>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Version {
    fn is_over(&self, now: Timestamp) -> bool {
        self.connections == 0 && now.millis().saturating_sub(self.offline_since.millis()) >= VERSION_KEPT_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_version_rises_and_is_forgotten_after_an_hour() {
        let versions = Versions::default();
        let hour = VERSION_KEPT_MS;
        assert_eq!(versions.connect("a", at(0)), 0);
        // Taken over: the older one goes after the newer one came.
        assert_eq!(versions.connect("a", at(2 * hour)), 1);
        versions.disconnect("a", at(2 * hour));
        assert_eq!(versions.connect("b", at(2 * hour)), 0);
        assert_eq!(versions.connect("a", at(4 * hour)), 2);
        versions.disconnect("a", at(4 * hour));
        versions.disconnect("a", at(4 * hour));
        assert_eq!(versions.connect("a", at(5 * hour - 1)), 3);
        versions.disconnect("a", at(5 * hour));
        assert_eq!(versions.connect("a", at(6 * hour)), 0);
    }

    #[test]
    fn clients_that_went_fill_no_memory() {
        let versions = Versions::default();
        versions.connect("stays", at(0));
        for number in 0..400_000 {
            let client_id = number.to_string();
            versions.connect(&client_id, at(1));
            versions.disconnect(&client_id, at(1));
        }
        assert!(versions.lock().len() <= 3 * OFFLINE_MAX, "{}", versions.lock().len());
        assert_eq!(versions.connect("stays", at(2)), 1);
    }
}
