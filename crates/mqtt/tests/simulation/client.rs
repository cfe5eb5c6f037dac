//! The client, written from the standard and apart from the session, so that both are not wrong in the same way.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use mqtt::packet::{Ack, Connect, Packet, Property, Publish};
use mqtt::{Decoder, PacketId, Qos, TopicName, Version, encode};

use crate::random::Random;

/// In 3.1.1, where the server does not say.
const WINDOW_311: usize = 8;
pub const TOPICS: usize = 3;

pub struct Client {
    version: Version,
    pub is_connected: bool,
    decoder: Decoder,
    input: BytesMut,
    /// Written and not yet on the link.
    pub out: BytesMut,
    window: usize,
    next_packet_id: u16,
    next_number: u32,
    sending: VecDeque<Sending>,
    /// What this connection has received and not acknowledged to the end, and how many that may be.
    open: BTreeSet<PacketId>,
    open_max: usize,
    /// QoS 2: received and not released; kept beyond the connection.
    unreleased: BTreeSet<PacketId>,
    /// Not sent yet, in the order in which they are due.
    acks: VecDeque<Packet>,
    /// Everything that was taken, by topic and QoS, in the order of arrival.
    pub taken: [[Vec<u32>; 3]; TOPICS],
    /// What the server refused.
    pub refused: BTreeSet<u32>,
}

struct Sending {
    packet_id: PacketId,
    number: u32,
    qos: Qos,
    is_released: bool,
}

pub fn topic(index: usize) -> TopicName {
    TopicName::parse(&format!("a/topic/{index}")).expect("a topic")
}

pub fn payload(number: u32) -> Bytes {
    Bytes::from(number.to_string())
}

pub fn number(payload: &[u8]) -> u32 {
    std::str::from_utf8(payload).expect("text").parse().expect("a number")
}

/// Numbers are dealt in turn, so the topic follows from them.
pub fn topic_index(number: u32) -> usize {
    usize::try_from(number).expect("small") % TOPICS
}

impl Client {
    pub fn new(version: Version) -> Self {
        Client {
            version,
            is_connected: false,
            decoder: Decoder::for_client(version, 1 << 16),
            input: BytesMut::new(),
            out: BytesMut::new(),
            window: 0,
            next_packet_id: 1,
            next_number: 0,
            sending: VecDeque::new(),
            open: BTreeSet::new(),
            open_max: usize::MAX,
            unreleased: BTreeSet::new(),
            acks: VecDeque::new(),
            taken: Default::default(),
            refused: BTreeSet::new(),
        }
    }

    /// The connection is gone, and with it what was not sent.
    pub fn cut(&mut self) {
        self.is_connected = false;
        self.input.clear();
        self.out.clear();
        self.acks.clear();
        self.open.clear();
    }

    pub fn connect(&mut self, random: &mut Random) {
        self.decoder = Decoder::for_client(self.version, 1 << 16);
        let mut connect = Connect { version: self.version, clean: false, ..Connect::new("client") };
        self.open_max = usize::MAX;
        if self.version == Version::V5 {
            let receive_max = u16::try_from(1 + random.below(5)).expect("small");
            self.open_max = usize::from(receive_max);
            let aliases = u16::try_from(random.below(TOPICS)).expect("small");
            self.decoder.offer_topic_aliases(aliases);
            let list = [
                Property::ReceiveMaximum(receive_max),
                Property::TopicAliasMaximum(aliases),
                Property::SessionExpiryIntervalS(u32::MAX),
            ];
            connect.properties = list.into_iter().collect();
        }
        self.write(&Packet::Connect(Box::new(connect)));
    }

    /// A new message, if the window has room for it. Answers what was published.
    pub fn publish(&mut self, random: &mut Random) -> Option<(u32, Qos)> {
        if !self.is_connected || self.sending.len() >= self.window {
            return None;
        }
        let qos = if random.one_in(2) { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
        let packet_id = self.free_packet_id();
        let number = self.next_number;
        self.next_number += 1;
        self.sending.push_back(Sending { packet_id, number, qos, is_released: false });
        self.write_publish(packet_id, number, qos, false);
        Some((number, qos))
    }

    pub fn send_ack(&mut self) {
        let Some(ack) = self.acks.pop_front() else {
            return;
        };
        if let Packet::PubAck(ack) | Packet::PubComp(ack) = &ack {
            self.open.remove(&ack.packet_id);
        }
        self.write(&ack);
    }

    pub fn has_acks(&self) -> bool {
        !self.acks.is_empty()
    }

    pub fn has_open_messages(&self) -> bool {
        !self.sending.is_empty() || !self.unreleased.is_empty()
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some(packet) = self.decoder.decode(&mut self.input).expect("the server writes sound packets") {
            self.handle(packet);
        }
    }

    fn handle(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(connack) => {
                assert!(!self.is_connected, "one CONNACK");
                assert!(!connack.code.is_failure());
                self.is_connected = true;
                self.window = connack.properties.receive_max().map_or(WINDOW_311, usize::from);
                self.resend();
            }
            _ if !self.is_connected => panic!("{packet:?} before CONNACK"),
            Packet::Publish(publish) => self.message(&publish),
            Packet::PubAck(ack) => self.acknowledged(&ack, Qos::AtLeastOnce),
            Packet::PubRec(ack) if ack.code.is_failure() => self.acknowledged(&ack, Qos::ExactlyOnce),
            Packet::PubRec(ack) => {
                if let Some(sending) = self.sending.iter_mut().find(|sending| sending.packet_id == ack.packet_id) {
                    assert_eq!(sending.qos, Qos::ExactlyOnce);
                    sending.is_released = true;
                }
                self.write(&Packet::PubRel(Ack::success(ack.packet_id)));
            }
            Packet::PubRel(ack) => {
                self.unreleased.remove(&ack.packet_id);
                self.acks.push_back(Packet::PubComp(Ack::success(ack.packet_id)));
            }
            Packet::PubComp(ack) => {
                self.sending.retain(|sending| sending.packet_id != ack.packet_id);
            }
            packet => panic!("{packet:?} was not asked for"),
        }
    }

    fn acknowledged(&mut self, ack: &Ack, qos: Qos) {
        let Some(index) = self.sending.iter().position(|sending| sending.packet_id == ack.packet_id) else {
            return;
        };
        let sending = self.sending.remove(index).expect("just found");
        assert_eq!(sending.qos, qos, "acknowledged as what it is");
        if ack.code.is_failure() {
            self.refused.insert(sending.number);
        }
    }

    fn message(&mut self, publish: &Publish) {
        let packet_id = publish.packet_id.expect("no QoS 0 here");
        let is_new_here = self.open.insert(packet_id);
        assert!(is_new_here, "{packet_id} stands for two messages on this connection");
        assert!(self.open.len() <= self.open_max, "{} messages in a window of {}", self.open.len(), self.open_max);
        let number = number(&publish.payload);
        assert_eq!(publish.topic, topic(topic_index(number)));
        if publish.qos == Qos::AtLeastOnce {
            self.taken[topic_index(number)][1].push(number);
            self.acks.push_back(Packet::PubAck(Ack::success(packet_id)));
            return;
        }
        if self.unreleased.insert(packet_id) {
            self.taken[topic_index(number)][2].push(number);
        } else {
            assert!(publish.dup, "{packet_id} is in use for a message with QoS 2");
        }
        self.acks.push_back(Packet::PubRec(Ack::success(packet_id)));
    }

    fn resend(&mut self) {
        let again: Vec<(PacketId, u32, Qos, bool)> = self
            .sending
            .iter()
            .map(|sending| (sending.packet_id, sending.number, sending.qos, sending.is_released))
            .collect();
        for (packet_id, number, qos, is_released) in again {
            match is_released {
                true => self.write(&Packet::PubRel(Ack::success(packet_id))),
                false => self.write_publish(packet_id, number, qos, true),
            }
        }
    }

    fn write_publish(&mut self, packet_id: PacketId, number: u32, qos: Qos, dup: bool) {
        let topic = topic(topic_index(number));
        self.write(&Packet::Publish(Publish { qos, dup, ..Publish::at_least_once(packet_id, topic, payload(number)) }));
    }

    fn write(&mut self, packet: &Packet) {
        encode(packet, self.version, &mut self.out).expect("encodable");
    }

    /// Few identifiers, so that they come round soon.
    fn free_packet_id(&mut self) -> PacketId {
        loop {
            let packet_id = PacketId::new(self.next_packet_id).expect("not zero");
            self.next_packet_id = self.next_packet_id % 12 + 1;
            if !self.sending.iter().any(|sending| sending.packet_id == packet_id) {
                return packet_id;
            }
        }
    }
}
