//! Lifecycle events: what AWS tells about connections and subscriptions, on `$aws/events/presence/...` and
//! `$aws/events/subscriptions/...`. It owns topics, JSON texts and AWS's reasons for a disconnect.
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html>)

use std::net::IpAddr;

use serde::Serialize;

use crate::Timestamp;
use crate::admission::Refusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifecycleEvent<'a> {
    pub client_id: &'a str,
    pub timestamp: Timestamp,
    /// One for each connection.
    pub session_identifier: &'a str,
    /// Of a certificate its id.
    pub principal_identifier: &'a str,
    pub change: Change<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    Connected {
        /// Only where the certificate is attached exclusively to the thing.
        thing_name: Option<&'a str>,
        ip_address: IpAddr,
        version_number: u64,
    },
    /// With the version number of the connection that ended.
    Disconnected {
        reason: DisconnectReason,
        version_number: u64,
    },
    /// A policy did not let it in.
    ConnectFailed {
        ip_address: IpAddr,
    },
    Subscribed {
        topics: &'a [String],
    },
    Unsubscribed {
        topics: &'a [String],
    },
}

/// Why a connection ended, in AWS's words. Those that nothing here causes are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// DeleteConnection.
    ApiInitiatedDisconnect,
    AuthError,
    ClientInitiatedDisconnect,
    ClientError,
    ConnectionLost,
    DuplicateClientId,
    ForbiddenAccess,
    MqttKeepAliveTimeout,
    ServerError,
    ServerInitiatedDisconnect,
    Throttled,
    WebSocketTtlExpiration,
}

impl DisconnectReason {
    /// Of a connection that the server ended. AWS leaves open which of `AUTH_ERROR` and `FORBIDDEN_ACCESS` is said when; here
    /// the one is a packet that a policy denies, the other a connection that may not be there any more.
    pub fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NoPolicy { .. }
            | Refusal::PolicyDenies { .. }
            | Refusal::PolicyDoesNotAllow { .. }
            | Refusal::IamDoesNotAllow { .. }
            | Refusal::SignatureRefused(_) => Self::AuthError,
            Refusal::NoClientCertificate
            | Refusal::NotYetValid { .. }
            | Refusal::Expired { .. }
            | Refusal::UnknownIssuer { .. }
            | Refusal::IssuerInactive { .. }
            | Refusal::IssuerExpired { .. }
            | Refusal::AutoRegistrationOff { .. }
            | Refusal::ServerNameNeeded { .. }
            | Refusal::RegisteredNow { .. }
            | Refusal::PendingActivation { .. }
            | Refusal::Inactive { .. }
            | Refusal::Revoked { .. }
            | Refusal::NotActive { .. }
            | Refusal::PendingTransfer { .. }
            | Refusal::RightLost(_) => Self::ForbiddenAccess,
            Refusal::MalformedCertificate(_)
            | Refusal::TlsFailed(_)
            | Refusal::AlpnRefused(_)
            | Refusal::WebSocketRefused(_)
            | Refusal::MalformedConnect(_)
            | Refusal::ClientIdRefused(_)
            | Refusal::ProtocolError(_)
            | Refusal::PublishRefused(_) => Self::ClientError,
            Refusal::HandshakeTimeout | Refusal::ConnectTimeout => Self::ConnectionLost,
            Refusal::TakenOver => Self::DuplicateClientId,
            Refusal::Disconnected => Self::ApiInitiatedDisconnect,
            Refusal::WebSocketTooOld => Self::WebSocketTtlExpiration,
            Refusal::KeepAliveTimeout => Self::MqttKeepAliveTimeout,
            Refusal::ServerShutdown => Self::ServerInitiatedDisconnect,
            Refusal::Overloaded(_) | Refusal::ClientIdThrottled(_) => Self::Throttled,
            Refusal::Internal(_) => Self::ServerError,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiInitiatedDisconnect => "API_INITIATED_DISCONNECT",
            Self::AuthError => "AUTH_ERROR",
            Self::ClientInitiatedDisconnect => "CLIENT_INITIATED_DISCONNECT",
            Self::ClientError => "CLIENT_ERROR",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::DuplicateClientId => "DUPLICATE_CLIENTID",
            Self::ForbiddenAccess => "FORBIDDEN_ACCESS",
            Self::MqttKeepAliveTimeout => "MQTT_KEEP_ALIVE_TIMEOUT",
            Self::ServerError => "SERVER_ERROR",
            Self::ServerInitiatedDisconnect => "SERVER_INITIATED_DISCONNECT",
            Self::Throttled => "THROTTLED",
            Self::WebSocketTtlExpiration => "WEBSOCKET_TTL_EXPIRATION",
        }
    }
}

/// Whether there are events of this client: its id is a level of their topics.
pub fn has_events(client_id: &str) -> bool {
    !client_id.is_empty() && !client_id.contains(['+', '#'])
}

/// The members in the order of the guide's examples, which differs from event to event.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thing_name: Option<&'a str>,
    timestamp: i64,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_failure_reason: Option<&'static str>,
    session_identifier: &'a str,
    principal_identifier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_initiated_disconnect: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<&'a [String]>,
}

impl Change<'_> {
    /// For a client that has events.
    pub fn topic(&self, client_id: &str) -> String {
        let kind = match self {
            Self::Connected { .. } | Self::Disconnected { .. } | Self::ConnectFailed { .. } => "presence",
            Self::Subscribed { .. } | Self::Unsubscribed { .. } => "subscriptions",
        };
        format!("$aws/events/{kind}/{}/{client_id}", self.event_type())
    }

    const fn event_type(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Disconnected { .. } => "disconnected",
            Self::ConnectFailed { .. } => "connect_failed",
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
        }
    }
}

impl LifecycleEvent<'_> {
    pub fn payload(&self) -> String {
        let mut wire = Wire {
            client_id: self.client_id,
            timestamp: self.timestamp.millis(),
            event_type: self.change.event_type(),
            session_identifier: self.session_identifier,
            principal_identifier: self.principal_identifier,
            ..Wire::default()
        };
        match self.change {
            Change::Connected { thing_name, ip_address, version_number } => {
                wire.thing_name = thing_name;
                wire.ip_address = Some(ip_address.to_canonical());
                wire.version_number = Some(version_number);
            }
            Change::Disconnected { reason, version_number } => {
                wire.client_initiated_disconnect = Some(reason == DisconnectReason::ClientInitiatedDisconnect);
                wire.disconnect_reason = Some(reason.as_str());
                wire.version_number = Some(version_number);
            }
            Change::ConnectFailed { ip_address } => {
                wire.connect_failure_reason = Some("AUTHORIZATION_FAILED");
                wire.ip_address = Some(ip_address.to_canonical());
            }
            Change::Subscribed { topics } | Change::Unsubscribed { topics } => wire.topics = Some(topics),
        }
        serde_json::to_string(&wire).expect("strings and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_texts() {
        let topics = ["a/#".to_owned(), "b".to_owned()];
        let ip_address: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let start = r#"{"clientId":"c/1","timestamp":1573002230757,"eventType":"#;
        let ids = r#""sessionIdentifier":"s","principalIdentifier":"p""#;
        for (change, topic, rest) in [
            (
                Change::Connected { thing_name: None, ip_address, version_number: 7 },
                "$aws/events/presence/connected/c/1",
                format!(r#""connected",{ids},"ipAddress":"192.0.2.1","versionNumber":7}}"#),
            ),
            (
                Change::Disconnected { reason: DisconnectReason::ClientInitiatedDisconnect, version_number: 7 },
                "$aws/events/presence/disconnected/c/1",
                format!(
                    r#""disconnected",{ids},"clientInitiatedDisconnect":true,"disconnectReason":"CLIENT_INITIATED_DISCONNECT","versionNumber":7}}"#
                ),
            ),
            (
                Change::Disconnected { reason: DisconnectReason::ConnectionLost, version_number: 0 },
                "$aws/events/presence/disconnected/c/1",
                format!(
                    r#""disconnected",{ids},"clientInitiatedDisconnect":false,"disconnectReason":"CONNECTION_LOST","versionNumber":0}}"#
                ),
            ),
            (
                Change::ConnectFailed { ip_address },
                "$aws/events/presence/connect_failed/c/1",
                format!(
                    r#""connect_failed","connectFailureReason":"AUTHORIZATION_FAILED",{ids},"ipAddress":"192.0.2.1"}}"#
                ),
            ),
            (
                Change::Subscribed { topics: &topics },
                "$aws/events/subscriptions/subscribed/c/1",
                format!(r#""subscribed",{ids},"topics":["a/#","b"]}}"#),
            ),
            (
                Change::Unsubscribed { topics: &topics },
                "$aws/events/subscriptions/unsubscribed/c/1",
                format!(r#""unsubscribed",{ids},"topics":["a/#","b"]}}"#),
            ),
        ] {
            let event = LifecycleEvent {
                client_id: "c/1",
                timestamp: Timestamp::from_millis(1_573_002_230_757),
                session_identifier: "s",
                principal_identifier: "p",
                change,
            };
            assert_eq!(change.topic(event.client_id), topic);
            assert_eq!(event.payload(), format!("{start}{rest}"));
        }
        let change = Change::Connected { thing_name: Some("pump"), ip_address, version_number: 0 };
        let event = LifecycleEvent {
            client_id: "c",
            timestamp: Timestamp::from_millis(1),
            session_identifier: "s",
            principal_identifier: "p",
            change,
        };
        assert!(event.payload().starts_with(r#"{"clientId":"c","thingName":"pump","timestamp":1,"#), "{event:?}");
    }

    #[test]
    fn whose_events_there_are() {
        for (client_id, expected) in [("a", true), ("a/b", true), ("$", true), ("a+", false), ("#", false), ("", false)]
        {
            assert_eq!(has_events(client_id), expected, "{client_id}");
        }
    }

    #[test]
    fn reasons_of_ends() {
        for (refusal, expected) in [
            (Refusal::TakenOver, "DUPLICATE_CLIENTID"),
            (Refusal::Disconnected, "API_INITIATED_DISCONNECT"),
            (Refusal::KeepAliveTimeout, "MQTT_KEEP_ALIVE_TIMEOUT"),
            (Refusal::ProtocolError(String::new()), "CLIENT_ERROR"),
            (Refusal::PublishRefused(String::new()), "CLIENT_ERROR"),
            (Refusal::PolicyDoesNotAllow { action: String::new(), resource: String::new() }, "AUTH_ERROR"),
            (Refusal::RightLost(String::new()), "FORBIDDEN_ACCESS"),
            (Refusal::Overloaded(String::new()), "THROTTLED"),
            (Refusal::WebSocketTooOld, "WEBSOCKET_TTL_EXPIRATION"),
            (Refusal::ServerShutdown, "SERVER_INITIATED_DISCONNECT"),
            (Refusal::Internal(String::new()), "SERVER_ERROR"),
        ] {
            assert_eq!(DisconnectReason::of(&refusal).as_str(), expected, "{refusal:?}");
        }
    }
}
