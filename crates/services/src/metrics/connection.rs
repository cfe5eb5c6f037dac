//! Connections at the device door: who came in, who did not and why, who is there.

use std::time::Duration;

use domain::admission::Refusal;
use mqtt::Version;
use store::Histogram;

use super::bounds::QUICK_US;
use super::exposition::{Exposition, Measure};
use super::outcome::{Outcome, Outcomes};
use super::tally::{Counter, Gauge, Present, Tally};

/// How far a connection had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Until TLS is done.
    Handshake,
    /// HTTP: a message by HTTPS, or what was to become a WebSocket.
    Request,
    /// Until CONNACK.
    Connect,
    Live,
}

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// MQTT over TLS, as AWS has it on 8883.
    Mqtt,
    /// The port where ALPN decides, as AWS has it on 443; HTTP and WebSocket on it are counted too.
    Alpn,
    PlainMqtt,
}

impl Listener {
    const ALL: [Self; 3] = [Self::Mqtt, Self::Alpn, Self::PlainMqtt];

    fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Alpn => "alpn",
            Self::PlainMqtt => "plain_mqtt",
        }
    }
}

/// What is counted of each listener.
#[derive(Debug, Default)]
struct AtListener {
    /// TCP accept to close.
    open: Gauge,
    accepted: Counter,
}

#[derive(Debug)]
pub struct ConnectionMetrics {
    listeners: [AtListener; Listener::ALL.len()],
    websockets: Counter,
    /// Have said hello and wait for their turn.
    pub handshakes_waiting: Gauge,
    pub handshakes_running: Gauge,
    /// ClientHello to the turn.
    pub handshake_wait: Histogram,
    /// The turn to the end of a handshake that succeeded.
    pub handshake_time: Histogram,
    connected: [Gauge; 2],
    connect_time: Histogram,
    connects: Outcomes,
    unauthenticated: Counter,
    refused: Tally<2>,
    ended: Tally<1>,
}

impl Default for ConnectionMetrics {
    fn default() -> Self {
        Self {
            listeners: Default::default(),
            websockets: Counter::default(),
            handshakes_waiting: Gauge::default(),
            handshakes_running: Gauge::default(),
            handshake_wait: Histogram::new(QUICK_US),
            handshake_time: Histogram::new(QUICK_US),
            connected: Default::default(),
            connect_time: Histogram::new(QUICK_US),
            connects: Outcomes::default(),
            unauthenticated: Counter::default(),
            refused: Tally::of([["accept", "OVERLOADED"]]),
            ended: Tally::of([["CLIENT_DISCONNECTED"], ["CONNECTION_LOST"]]),
        }
    }
}

impl ConnectionMetrics {
    /// From TCP accept to close.
    pub fn accepted(&self, listener: Listener) -> Option<Present> {
        let at = self.listeners.get(listener as usize)?;
        at.accepted.add(1);
        Some(at.open.enter())
    }

    /// At whatever port, after its HTTP request.
    pub fn websocket_opened(&self) {
        self.websockets.add(1);
    }

    /// A CONNACK that welcomes; `time` is that from the whole CONNECT.
    pub fn connected(&self, version: Version, time: Duration) -> Present {
        self.connects.add(Outcome::Success, 1);
        self.connect_time.observe_time(time);
        let [v311, v5] = &self.connected;
        match version {
            Version::V311 => v311.enter(),
            Version::V5 => v5.enter(),
        }
    }

    pub fn refused(&self, refusal: &Refusal, stage: Stage) {
        match stage {
            Stage::Handshake => {
                self.refused.add(["handshake", refusal.code()]);
                if Outcome::of_refusal(refusal) == Outcome::AuthError {
                    self.unauthenticated.add(1);
                }
            }
            Stage::Request => self.refused.add(["request", refusal.code()]),
            Stage::Connect => {
                self.refused.add(["connect", refusal.code()]);
                self.connects.add(Outcome::of_refusal(refusal), 1);
            }
            Stage::Live => self.ended.add([refusal.code()]),
        }
    }

    /// For want of a place, before a word was heard.
    pub fn turned_away(&self) {
        self.refused.add(["accept", "OVERLOADED"]);
    }

    /// With a DISCONNECT.
    pub fn client_disconnected(&self) {
        self.ended.add(["CLIENT_DISCONNECTED"]);
    }

    /// Without a word, whether before CONNACK or after.
    pub fn lost(&self) {
        self.ended.add(["CONNECTION_LOST"]);
    }

    pub(super) fn show(&self, page: &mut Exposition) {
        let mut connects = page.counter("aws_iot_connect_total", "CONNECT packets, by outcome (AWS: Connect.*).");
        self.connects.show(&mut connects, "MQTT", &Outcome::ALL);
        page.counter(
            "aws_iot_connection_total",
            "TLS handshakes refused for the certificate (AWS: Connection.AuthNError).",
        )
        .sample(&[("outcome", "AuthNError"), ("protocol", "MQTT")], self.unauthenticated.value());
        page.counter("landfall_websockets_opened_total", "WebSockets for MQTT, on whatever port.")
            .sample(&[], self.websockets.value());
        page.counter(
            "landfall_connections_refused_total",
            "Connections refused before CONNACK, by the admission record's reason.",
        )
        .tally(["stage", "reason"], &self.refused);
        page.counter("landfall_connections_ended_total", "Connections that ended, by reason.")
            .tally(["reason"], &self.ended);
        let at = |listener: Listener| self.listeners.get(listener as usize);
        let mut family =
            page.counter("landfall_connections_accepted_total", "Device connections accepted, by listener.");
        for listener in Listener::ALL {
            let count = at(listener).map_or(0, |at| at.accepted.value());
            family.sample(&[("listener", listener.as_str())], count);
        }
        let mut family =
            page.gauge("landfall_connections_open", "Device connections open, from TCP accept to close, by listener.");
        for listener in Listener::ALL {
            let count = at(listener).map_or(0, |at| at.open.value());
            family.sample(&[("listener", listener.as_str())], count);
        }
        let [v311, v5] = &self.connected;
        page.gauge("landfall_clients_connected", "MQTT clients connected, by protocol version.")
            .sample(&[("version", "3.1.1")], v311.value())
            .sample(&[("version", "5")], v5.value());
        page.gauge("landfall_handshakes_waiting", "TLS handshakes that wait for their turn.")
            .sample(&[], self.handshakes_waiting.value());
        page.gauge("landfall_handshakes_running", "TLS handshakes under way.")
            .sample(&[], self.handshakes_running.value());
        for (name, help, times) in [
            (
                "landfall_handshake_wait_seconds",
                "From ClientHello until a handshake had its turn.",
                &self.handshake_wait,
            ),
            ("landfall_handshake_seconds", "TLS handshakes that succeeded, from their turn on.", &self.handshake_time),
            ("landfall_connect_seconds", "From CONNECT to a CONNACK that welcomes.", &self.connect_time),
        ] {
            page.histogram(name, help).distribution(&[], &times.distribution(), Measure::Microseconds);
        }
    }
}
