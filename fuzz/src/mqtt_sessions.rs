//! One client's session as its server drives it: any bytes, any answers, any order, any time.

use bytes::{Bytes, BytesMut};
use mqtt::codec::Outgoing;
use mqtt::packet::{Properties, ReasonCode};
use mqtt::session::PublishToken;
use mqtt::{Action, Decoder, Delivery, Limits, Packet, PacketId, Qos, Session, TopicName, Welcome};

/// Small, so that every bound is met soon.
const LIMITS: Limits = Limits {
    packet_bytes_max: 2048,
    payload_bytes_max: 1024,
    filters_per_subscribe_max: 4,
    client_id_bytes_max: 64,
    receive_max: 3,
    topic_alias_max: 2,
    in_flight_max: 3,
    ..Limits::STANDARD
};

/// A step is a byte that says what happens and one that says how much; bytes of the client follow theirs.
pub fn mqtt_sessions(data: &[u8]) {
    let mut driver = Driver::new();
    let mut rest = data;
    while let [what, how_much, tail @ ..] = rest {
        rest = match what % 8 {
            0..=2 => {
                let (sent, tail) = tail.split_at(tail.len().min(usize::from(*how_much)));
                driver.input.extend_from_slice(sent);
                tail
            }
            _ => {
                driver.step(what % 8, *how_much);
                tail
            }
        };
        driver.poll();
    }
    driver.finish();
}

struct Driver {
    session: Session,
    input: BytesMut,
    now_ms: u64,
    /// What the application has been asked and has not answered.
    publishes: Vec<(Option<PacketId>, PublishToken)>,
    deciding: bool,
    closed: bool,
    /// Everything the session has written.
    written: BytesMut,
    /// Packet identifiers of publishes in their order, with QoS 1 and with QoS 2, and how many of them are answered.
    owed: [Vec<PacketId>; 2],
    answered: usize,
}

impl Driver {
    fn new() -> Self {
        Self {
            session: Session::new(LIMITS, 0),
            input: BytesMut::new(),
            now_ms: 0,
            publishes: Vec::new(),
            deciding: false,
            closed: false,
            written: BytesMut::new(),
            owed: [Vec::new(), Vec::new()],
            answered: 0,
        }
    }

    fn step(&mut self, what: u8, how_much: u8) {
        match what {
            3 => {
                self.now_ms += u64::from(how_much) * 1000;
                let action = self.session.handle_timer(self.now_ms);
                self.act(action);
            }
            4 if how_much == 0 => self.session.refuse_connect(ReasonCode::NotAuthorized),
            4 if self.deciding => {
                self.session.accept_connect(Welcome::default(), self.now_ms);
                self.deciding = false;
            }
            5 if !self.publishes.is_empty() => {
                let (packet_id, token) = self.publishes.remove(usize::from(how_much) % self.publishes.len());
                if self.session.is_connected() {
                    self.answered += usize::from(packet_id.is_some());
                }
                match how_much % 4 {
                    3 => self.session.publish_refused(token, ReasonCode::NotAuthorized),
                    2 => self.session.publish_unheard(token),
                    _ => self.session.publish_accepted(token),
                }
            }
            6 => self.deliver(how_much),
            7 if how_much == 255 => {
                let action = self.session.handle_eof();
                self.act(action);
            }
            7 if how_much == 254 => {
                self.session.close(ReasonCode::ServerShuttingDown);
                self.closed = true;
            }
            _ => {}
        }
    }

    fn deliver(&mut self, how_much: u8) {
        let (topic, payload) =
            (TopicName::parse("a/long/topic").expect("a topic"), Bytes::from(vec![b'x'; how_much.into()]));
        let qos = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(how_much % 3)];
        let (was_full, before) = (self.session.window_is_full(), self.session.out().len());
        let message = Outgoing { topic: &topic, payload: &payload, qos, retain: false, properties: &Properties::new() };
        let delivery = Delivery {
            expires_at_ms: (how_much > 200).then_some(self.now_ms + 1),
            tag: (how_much > 100).then_some(1),
            ..Delivery::plain(message)
        };
        let delivered = self.session.deliver(&delivery, self.now_ms).is_ok();
        assert_eq!(delivered, self.session.out().len() > before, "written exactly if taken");
        assert!(!delivered || self.session.is_connected());
        assert!(!(delivered && qos != Qos::AtMostOnce && was_full), "the window holds");
    }

    fn poll(&mut self) {
        while let Some(action) = self.session.poll_action(&mut self.input, self.now_ms) {
            assert!(!self.closed, "nothing comes after the end");
            self.act(Some(action));
        }
        let owed = self.owed.iter().map(Vec::len).sum::<usize>();
        assert!(self.publishes.len() + owed < 1 << 16);
        assert!(owed - self.answered <= usize::from(LIMITS.receive_max) || self.closed);
        let out = self.session.out().split();
        self.written.extend_from_slice(&out);
    }

    fn act(&mut self, action: Option<Action>) {
        match action {
            None => {}
            Some(Action::Connect(_)) => self.deciding = true,
            Some(Action::Publish { publish, token }) => {
                assert!(publish.payload.len() <= LIMITS.payload_bytes_max);
                assert!(publish.qos <= LIMITS.qos_max);
                match publish.qos {
                    Qos::AtMostOnce => {}
                    Qos::AtLeastOnce => self.owed[0].extend(publish.packet_id),
                    Qos::ExactlyOnce => self.owed[1].extend(publish.packet_id),
                }
                self.publishes.push((publish.packet_id, token));
            }
            Some(Action::Subscribe(subscribe)) => {
                assert!(subscribe.subscriptions.len() <= LIMITS.filters_per_subscribe_max);
                let codes = vec![ReasonCode::Success; subscribe.subscriptions.len()];
                self.session.subscribe_answered(subscribe.packet_id, codes);
            }
            Some(Action::Unsubscribe(unsubscribe)) => {
                let codes = vec![ReasonCode::Success; unsubscribe.filters.len()];
                self.session.unsubscribe_answered(unsubscribe.packet_id, codes);
            }
            Some(Action::Release(packet_id)) => self.session.publish_released(packet_id),
            Some(Action::Acknowledged { .. } | Action::Completed(_)) => {}
            Some(Action::Closed(_)) => {
                assert!(!self.closed, "it ends once");
                self.closed = true;
                assert!(self.session.is_closed());
            }
        }
    }

    /// What was written must be packets of a server, one whole one after another, and the acknowledgements in order.
    fn finish(mut self) {
        let out = self.session.out().split();
        self.written.extend_from_slice(&out);
        let mut decoder = Decoder::for_client(self.session.version(), LIMITS.packet_bytes_max);
        decoder.offer_topic_aliases(LIMITS.topic_alias_out_max);
        let (mut acknowledged, mut received, mut is_first) = (Vec::new(), Vec::new(), true);
        while let Some(packet) = decoder.decode(&mut self.written).expect("the server writes whole packets") {
            assert_eq!(is_first, matches!(packet, Packet::ConnAck(_)), "CONNACK comes first and once: {packet:?}");
            is_first = false;
            match packet {
                Packet::PubAck(ack) if ack.code != ReasonCode::PacketIdentifierInUse => {
                    acknowledged.push(ack.packet_id);
                }
                Packet::PubRec(ack) if ack.code != ReasonCode::PacketIdentifierInUse => received.push(ack.packet_id),
                _ => {}
            }
        }
        assert!(self.written.is_empty(), "no torn packet");
        let [at_least_once, exactly_once] = &self.owed;
        assert!(at_least_once.starts_with(&acknowledged), "acknowledged {acknowledged:?} of {at_least_once:?}");
        // A message that comes again is answered again, so PUBRECs may be more than messages.
        assert!(received.iter().all(|packet_id| exactly_once.contains(packet_id)), "{received:?} of {exactly_once:?}");
    }
}
