//! MQTT packets and bytes. A connection counts by itself and adds up once per turn of its loop: the way of a message
//! through the server meets no counter that others write.

use std::mem::take;
use std::time::Instant;

use broker::Qos;
use mqtt::Version;
use store::Histogram;

use super::bounds::IMMEDIATE_US;
use super::exposition::{Exposition, Measure};
use super::outcome::{Outcome, Outcomes};
use super::tally::{Amount, Counter, Gauge};

const VERSIONS: [&str; 2] = ["3.1.1", "5"];
const QOS: [&str; 3] = ["0", "1", "2"];

/// Of all connections.
#[derive(Debug)]
pub struct TrafficMetrics {
    /// By version, then by QoS.
    received: [[Counter; 3]; 2],
    sent: [[Counter; 3]; 2],
    received_bytes: Counter,
    sent_bytes: Counter,
    pings: Counter,
    publishes_refused: Outcomes,
    retained: Outcomes,
    subscribes: Outcomes,
    unsubscribes: Outcomes,
    dropped: [Counter; Dropped::ALL.len()],
    /// From the read that brought a message with QoS 1 or 2 to its acknowledgement.
    acknowledge_time: Histogram,
    /// What clients do not take as fast as it comes.
    unsent_bytes: Gauge,
}

/// Of one connection since it added up last.
#[derive(Debug, Default)]
pub struct Turn {
    received: [u32; 3],
    sent: [u32; 3],
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub pings: u32,
    /// When the first message of this turn came that is to be acknowledged, and how many have been.
    acknowledging_since: Option<Instant>,
    acknowledged: u32,
}

/// What a connection has ready for a client that does not take it; it counts until it is dropped.
#[derive(Debug)]
pub struct Unsent(Amount);

/// Why a message that was for a client did not go out to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// `iot:Receive` is not allowed.
    NotAuthorized,
    Expired,
    /// Larger than the client accepts.
    TooLarge,
    Failed,
}

impl Dropped {
    const ALL: [Self; 4] = [Self::NotAuthorized, Self::Expired, Self::TooLarge, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::NotAuthorized => "not_authorized",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
        }
    }
}

impl Default for TrafficMetrics {
    fn default() -> Self {
        Self {
            received: Default::default(),
            sent: Default::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            pings: Counter::default(),
            publishes_refused: Outcomes::default(),
            retained: Outcomes::default(),
            subscribes: Outcomes::default(),
            unsubscribes: Outcomes::default(),
            dropped: Default::default(),
            acknowledge_time: Histogram::new(IMMEDIATE_US),
            unsent_bytes: Gauge::default(),
        }
    }
}

impl Unsent {
    /// What goes out with the next write is not worth counting.
    const WORTH_COUNTING_BYTES: usize = 16 * 1024;

    /// At the end of a turn of the connection's loop.
    pub fn set(&mut self, bytes: usize) {
        self.0.set(if bytes < Self::WORTH_COUNTING_BYTES { 0 } else { bytes });
    }
}

impl Turn {
    /// Whether no message was counted.
    pub fn is_empty(&self) -> bool {
        let Self { received, sent, acknowledged, .. } = self;
        *acknowledged == 0 && received.iter().chain(sent).all(|count| *count == 0)
    }

    /// A message with QoS 1 or 2 has come. Answers since when it waits for its acknowledgement.
    pub fn asked(&mut self) -> Instant {
        *self.acknowledging_since.get_or_insert_with(Instant::now)
    }

    /// In the turn in which it was asked for.
    pub fn acknowledged(&mut self) {
        self.acknowledged += 1;
    }

    pub fn received(&mut self, qos: Qos) {
        if let Some(count) = self.received.get_mut(usize::from(qos as u8)) {
            *count += 1;
        }
    }

    pub fn sent(&mut self, qos: Qos) {
        if let Some(count) = self.sent.get_mut(usize::from(qos as u8)) {
            *count += 1;
        }
    }
}

impl TrafficMetrics {
    /// Takes over what the connection has counted.
    pub fn add_up(&self, version: Version, turn: &mut Turn) {
        let Turn { received, sent, received_bytes, sent_bytes, pings, acknowledging_since, acknowledged } = take(turn);
        if let (Some(since), 1..) = (acknowledging_since, acknowledged) {
            self.acknowledge_time.observe_times(since.elapsed(), acknowledged.into());
        }
        let version = match version {
            Version::V311 => 0,
            Version::V5 => 1,
        };
        for (all, own) in [(&self.received, received), (&self.sent, sent)] {
            let of_version = all.get(version).into_iter().flatten();
            for (count, own) in of_version.zip(own) {
                count.add(own.into());
            }
        }
        self.received_bytes.add(received_bytes);
        self.sent_bytes.add(sent_bytes);
        self.pings.add(pings.into());
    }

    /// In a later turn: it had to be on disk first.
    pub fn acknowledged_later(&self, since: Instant) {
        self.acknowledge_time.observe_time(since.elapsed());
    }

    pub fn unsent(&self) -> Unsent {
        Unsent(self.unsent_bytes.amount())
    }

    pub fn publish_refused(&self, outcome: Outcome) {
        self.publishes_refused.add(outcome, 1);
    }

    pub fn publish_retained(&self, outcome: Outcome) {
        self.retained.add(outcome, 1);
    }

    /// Each filter of a SUBSCRIBE for itself.
    pub fn subscribe(&self, outcome: Outcome) {
        self.subscribes.add(outcome, 1);
    }

    pub fn unsubscribe(&self, outcome: Outcome) {
        self.unsubscribes.add(outcome, 1);
    }

    pub fn dropped(&self, cause: Dropped) {
        if let Some(counter) = self.dropped.get(cause as usize) {
            counter.add(1);
        }
    }

    /// `publishes_http` are those of iot-data, by outcome.
    pub(super) fn show(&self, page: &mut Exposition, publishes_http: &Outcomes, inboxes_full: u64) {
        let total = |counts: &[[Counter; 3]; 2]| counts.iter().flatten().map(Counter::value).sum::<u64>();
        let refused = [Outcome::AuthError, Outcome::ClientError, Outcome::ServerError, Outcome::Throttle];
        let mut publishes =
            page.counter("aws_iot_publish_in_total", "Publishes received, by outcome (AWS: PublishIn.*).");
        publishes.sample(&[("outcome", "Success"), ("protocol", "MQTT")], total(&self.received));
        self.publishes_refused.show(&mut publishes, "MQTT", &refused);
        publishes_http.show(&mut publishes, "HTTP", &Outcome::USUAL);
        let dropped = |cause: Dropped| self.dropped.get(cause as usize).map_or(0, Counter::value);
        page.counter("aws_iot_publish_out_total", "Publishes for connected clients, by outcome (AWS: PublishOut.*).")
            .sample(&[("outcome", "Success"), ("protocol", "MQTT")], total(&self.sent))
            .sample(&[("outcome", "AuthError"), ("protocol", "MQTT")], dropped(Dropped::NotAuthorized))
            .sample(&[("outcome", "ClientError"), ("protocol", "MQTT")], dropped(Dropped::TooLarge))
            .sample(&[("outcome", "Throttle"), ("protocol", "MQTT")], inboxes_full);
        let mut retained = page
            .counter("aws_iot_publish_retained_total", "Publishes with RETAIN, by outcome (AWS: PublishRetained.*).");
        let known = [Outcome::Success, Outcome::AuthError, Outcome::ServerError, Outcome::Throttle];
        self.retained.show(&mut retained, "MQTT", &known);
        let mut subscribes =
            page.counter("aws_iot_subscribe_total", "Filters of SUBSCRIBE packets, by outcome (AWS: Subscribe.*).");
        self.subscribes.show(&mut subscribes, "MQTT", &Outcome::USUAL);
        let mut unsubscribes = page
            .counter("aws_iot_unsubscribe_total", "Filters of UNSUBSCRIBE packets, by outcome (AWS: Unsubscribe.*).");
        let known = [Outcome::Success, Outcome::ClientError, Outcome::ServerError, Outcome::Throttle];
        self.unsubscribes.show(&mut unsubscribes, "MQTT", &known);
        page.counter("aws_iot_ping_total", "PINGREQ packets received (AWS: Ping.Success).")
            .sample(&[("outcome", "Success"), ("protocol", "MQTT")], self.pings.value());
        show_by_qos(page, "landfall_messages_received_total", "Publishes accepted from clients.", &self.received);
        show_by_qos(page, "landfall_messages_sent_total", "Publishes written to clients.", &self.sent);
        page.counter("landfall_mqtt_received_bytes_total", "Bytes of MQTT received, without TLS.")
            .sample(&[], self.received_bytes.value());
        page.counter("landfall_mqtt_sent_bytes_total", "Bytes of MQTT sent, without TLS.")
            .sample(&[], self.sent_bytes.value());
        page.gauge("landfall_unsent_bytes", "Bytes of MQTT for clients that do not take them as fast as they come.")
            .sample(&[], self.unsent_bytes.value());
        page.histogram(
            "landfall_acknowledge_seconds",
            "From the arrival of a message with QoS 1 or 2 to PUBACK or PUBREC.",
        )
        .distribution(&[], &self.acknowledge_time.distribution(), Measure::Microseconds);
        let mut family = page.counter(
            "landfall_messages_dropped_total",
            "Messages for connected clients that did not go out, by cause.",
        );
        for cause in Dropped::ALL {
            family.sample(&[("cause", cause.as_str())], dropped(cause));
        }
        family.sample(&[("cause", "inbox_full")], inboxes_full);
    }
}

fn show_by_qos(page: &mut Exposition, name: &'static str, help: &str, counts: &[[Counter; 3]; 2]) {
    let mut family = page.counter(name, help);
    for (version, by_qos) in VERSIONS.into_iter().zip(counts) {
        for (qos, count) in QOS.into_iter().zip(by_qos) {
            family.sample(&[("version", version), ("qos", qos)], count.value());
        }
    }
}
