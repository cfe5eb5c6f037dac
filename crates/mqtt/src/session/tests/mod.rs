//! Scenarios in packets: what the client sends, what the application answers, what the client gets.

mod acknowledged;
mod connected;
mod delivered;
mod ended;
mod exactly_once;
mod published;
mod resumed;
mod v311;

use bytes::{Bytes, BytesMut};

use crate::codec::{Decoder, Outgoing, encode};
use crate::packet::{
    Ack, ConnAck, Connect, Disconnect, Packet, PacketId, Properties, Property, Publish, Qos, ReasonCode, Version,
};
use crate::session::{
    Action, Closed, Delivery, EmptyClientId, KeepAlive, Limits, NotDelivered, PublishToken, Session, SessionState,
    Welcome,
};
use crate::topic::{TopicFilter, TopicName};

const LIMITS: Limits = Limits {
    packet_bytes_max: 200,
    payload_bytes_max: 100,
    qos_max: Qos::AtLeastOnce,
    retain: true,
    subscription_ids: false,
    filters_per_subscribe_max: 2,
    client_id_bytes_max: 8,
    empty_client_id: EmptyClientId::Refused,
    keepalive: KeepAlive::Clamped { s_min: 30, s_max: 1200 },
    session_expiry_s_max: 3600,
    session_expiry_311_s: 1800,
    connect_timeout_ms: 5_000,
    receive_max: 3,
    in_flight_max: 2,
    topic_alias_max: 2,
    topic_alias_out_max: 2,
};

/// All that the standard has.
const FULL: Limits = Limits { in_flight_max: 3, receive_max: 3, topic_alias_max: 2, ..Limits::STANDARD };

/// A session with its client and its clock.
struct Scene {
    session: Session,
    input: BytesMut,
    version: Version,
    client: Decoder,
    now_ms: u64,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Scene::of(Version::V311, limits)
    }

    fn of(version: Version, limits: Limits) -> Self {
        Scene {
            session: Session::new(limits, 0),
            input: BytesMut::new(),
            version,
            client: Decoder::for_client(version, 1 << 20),
            now_ms: 0,
        }
    }

    fn connected() -> Self {
        Scene::connected_with(LIMITS)
    }

    fn connected_with(limits: Limits) -> Self {
        let mut scene = Scene::new(limits);
        assert!(matches!(scene.send(connect()), Some(Action::Connect(_))));
        scene.session.accept_connect(Welcome::default(), 0);
        assert_eq!(scene.received(), [connack(false, ReasonCode::Success)]);
        scene
    }

    /// MQTT 5.0 with all that the standard has, and what the client says in CONNECT.
    fn five(asked: impl IntoIterator<Item = Property>) -> Self {
        Scene::five_with(FULL, asked, SessionState::new())
    }

    fn five_with(limits: Limits, asked: impl IntoIterator<Item = Property>, state: SessionState) -> Self {
        let mut scene = Scene::of(Version::V5, limits);
        assert!(matches!(scene.send(connect_5(asked)), Some(Action::Connect(_))));
        let welcome = Welcome { resumed: Some(state), ..Welcome::default() };
        scene.session.accept_connect(welcome, 0);
        let connack = scene.client.decode(scene.session.out()).expect("sound");
        assert!(matches!(connack, Some(Packet::ConnAck(ConnAck { code: ReasonCode::Success, .. }))));
        scene
    }

    /// 3.1.1 and 5.0, with all that the standard has.
    fn both() -> [Self; 2] {
        [Scene::connected_with(FULL), Scene::five([])]
    }

    fn send(&mut self, packet: Packet) -> Option<Action> {
        let mut bytes = BytesMut::new();
        encode(&packet, self.version, &mut bytes).expect("encodable");
        self.send_bytes(&bytes)
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Option<Action> {
        self.input.extend_from_slice(bytes);
        self.poll()
    }

    fn poll(&mut self) -> Option<Action> {
        self.session.poll_action(&mut self.input, self.now_ms)
    }

    fn publish(&mut self, packet_id: u16) -> PublishToken {
        self.publish_as(publish(packet_id))
    }

    fn publish_as(&mut self, publish: Packet) -> PublishToken {
        match self.send(publish) {
            Some(Action::Publish { token, .. }) => token,
            other => panic!("not a publish: {other:?}"),
        }
    }

    fn received(&mut self) -> Vec<Packet> {
        let out = self.session.out();
        std::iter::from_fn(|| self.client.decode(out).expect("sound packets")).collect()
    }

    fn deliver(&mut self, text: &str, qos: Qos) -> Result<(), NotDelivered> {
        self.deliver_with(text, qos, |delivery| delivery)
    }

    fn deliver_with(
        &mut self,
        text: &str,
        qos: Qos,
        change: impl FnOnce(Delivery<'_>) -> Delivery<'_>,
    ) -> Result<(), NotDelivered> {
        let (topic, payload) = (topic("t"), Bytes::copy_from_slice(text.as_bytes()));
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &Properties::new() };
        self.session.deliver(&change(Delivery::plain(message)), self.now_ms).map(|_| ())
    }
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text).expect("a topic")
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a filter")
}

fn connect() -> Packet {
    Packet::Connect(Box::new(Connect { keepalive_s: 60, ..Connect::new("id") }))
}

fn connect_5(asked: impl IntoIterator<Item = Property>) -> Packet {
    let properties = asked.into_iter().collect();
    Packet::Connect(Box::new(Connect { version: Version::V5, keepalive_s: 60, properties, ..Connect::new("id") }))
}

fn connack(session_present: bool, code: ReasonCode) -> Packet {
    Packet::ConnAck(ConnAck { session_present, code, properties: Properties::new() })
}

fn publish(packet_id: u16) -> Packet {
    Packet::Publish(Publish::at_least_once(id(packet_id), topic("t"), &b"x"[..]))
}

fn puback(packet_id: u16) -> Packet {
    Packet::PubAck(Ack::success(id(packet_id)))
}

fn outgoing(packet_id: u16, text: &'static str) -> Publish {
    Publish::at_least_once(id(packet_id), topic("t"), text)
}

fn publish_2(packet_id: u16) -> Packet {
    Packet::Publish(Publish { qos: Qos::ExactlyOnce, ..Publish::at_least_once(id(packet_id), topic("t"), &b"x"[..]) })
}

fn ack(packet_id: u16, code: ReasonCode) -> Ack {
    Ack { packet_id: id(packet_id), code, properties: Properties::new() }
}

fn disconnect() -> Packet {
    Packet::Disconnect(Disconnect { code: ReasonCode::Success, properties: Properties::new() })
}

/// The session ends for this reason, and nothing is read after it.
fn check_closed(scene: &mut Scene, action: Option<Action>, expected: Closed) {
    match action {
        Some(Action::Closed(closed)) => assert_eq!(closed, expected),
        other => panic!("{other:?} instead of {expected:?}"),
    }
    assert!(!expected.to_string().is_empty());
    assert!(scene.session.is_closed());
    assert!(scene.send(Packet::PingReq).is_none());
    assert!(scene.session.handle_eof().is_none());
    assert_eq!(scene.session.next_deadline_ms(), None);
}

/// 5.0 is told the reason by DISCONNECT; 3.1.1 has no word for it.
fn check_told(scene: &mut Scene, code: ReasonCode) {
    let received = scene.received();
    match (scene.version, received.as_slice()) {
        (Version::V311, []) => {}
        (Version::V5, [Packet::Disconnect(disconnect)]) => assert_eq!(disconnect.code, code),
        (_, received) => panic!("{received:?} instead of {code}"),
    }
}
