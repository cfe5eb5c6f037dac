//! A connection without a socket: the server's session and claim as a gateway drives them, and a client that decides what
//! it reads and what it answers.

use broker::{Claim, ClaimOptions, SessionRequest, Source, Start, WillAtEnd};
use bytes::BytesMut;
use mqtt::packet::{Ack, Connect, Packet, PacketId, Property, Publish, Qos, Version};
use mqtt::session::NotDelivered;
use mqtt::{Action, Decoder, Limits, Session, Welcome, encode};

use crate::world::World;

pub struct Connection {
    pub claim: Claim,
    session: Session,
    input: BytesMut,
    decoder: Decoder,
    version: Version,
    expiry_s: u32,
}

impl Connection {
    pub async fn open(world: &World, client_id: &str, version: Version) -> Self {
        Self::open_for(world, client_id, version, 3600).await
    }

    pub async fn open_for(world: &World, client_id: &str, version: Version, expiry_s: u32) -> Self {
        let mut session = Session::new(Limits { in_flight_max: 4, ..Limits::STANDARD }, 0);
        let mut input = BytesMut::new();
        let properties = match version {
            Version::V311 => Default::default(),
            Version::V5 => [Property::SessionExpiryIntervalS(expiry_s)].into_iter().collect(),
        };
        let connect = Connect { version, clean: false, properties, ..Connect::new(client_id) };
        encode(&Packet::Connect(Box::new(connect)), version, &mut input).expect("encodable");
        assert!(matches!(session.poll_action(&mut input, 0), Some(Action::Connect(_))));
        let request = SessionRequest { version, start: Start::Resume, expiry_s, will: None };
        let options = ClaimOptions::default();
        let claim = world.broker.claim_with(client_id, options, request).await.expect("a claim");
        let resumed = claim.is_resumed().then(|| claim.state(0));
        session.accept_connect(Welcome { resumed, ..Welcome::default() }, 0);
        let decoder = Decoder::for_client(version, 1 << 20);
        Self { claim, session, input, decoder, version, expiry_s }
    }

    /// Of the client.
    pub fn send(&mut self, packet: &Packet) {
        encode(packet, self.version, &mut self.input).expect("encodable");
    }

    pub fn publish(&mut self, packet_id: u16, topic: &str, payload: &str, qos: Qos, dup: bool) {
        let packet_id = (qos != Qos::AtMostOnce).then(|| id(packet_id));
        let publish = Publish::at_most_once(crate::world::topic(topic), payload.to_owned());
        self.send(&Packet::Publish(Publish { packet_id, qos, dup, ..publish }));
    }

    /// One turn of the server; what the client gets by it.
    pub async fn turn(&mut self, world: &World) -> Vec<Packet> {
        while let Some(action) = self.session.poll_action(&mut self.input, 0) {
            self.act(world, action).await;
        }
        while !self.session.window_is_full() {
            let Some(delivery) = self.claim.try_next_delivery() else { break };
            match delivery.write_to(&mut self.session, 0) {
                Ok(packet_id) => self.claim.sent(&delivery, packet_id),
                Err(NotDelivered::Expired) => self.claim.settled(&delivery),
                Err(why) => panic!("{why:?}"),
            }
        }
        self.claim.save().await.expect("it is on disk");
        let decoder = &mut self.decoder;
        let out = self.session.out();
        let packets = std::iter::from_fn(|| decoder.decode(out).expect("sound"));
        packets.filter(|packet| !matches!(packet, Packet::ConnAck(_))).collect()
    }

    async fn act(&mut self, world: &World, action: Action) {
        match action {
            Action::Publish { publish, token } => {
                let receipt = match publish.qos {
                    Qos::ExactlyOnce => publish.packet_id.and_then(|packet_id| self.claim.receipt(packet_id)),
                    _ => None,
                };
                let source = Source { client_id: Some(self.claim.client_id()), receipt: receipt.as_ref() };
                let message = broker::Message {
                    topic: publish.topic,
                    payload: publish.payload,
                    qos: publish.qos,
                    retain: publish.retain,
                    properties: publish.properties.of_message(),
                };
                crate::world::handed(world.broker.publish_from(source, message)).await;
                self.session.publish_accepted(token);
            }
            Action::Release(packet_id) => {
                self.claim.released(packet_id);
                self.session.publish_released(packet_id);
            }
            Action::Acknowledged { tag, progress } => self.claim.acknowledged(tag, progress),
            Action::Completed(packet_id) => self.claim.completed(packet_id),
            action => panic!("{action:?}"),
        }
    }

    /// What the client answers to what it got.
    pub fn answer(&mut self, packet: &Packet) {
        match packet {
            Packet::Publish(Publish { packet_id: Some(packet_id), qos: Qos::AtLeastOnce, .. }) => {
                self.send(&Packet::PubAck(Ack::success(*packet_id)));
            }
            Packet::Publish(Publish { packet_id: Some(packet_id), .. }) => {
                self.send(&Packet::PubRec(Ack::success(*packet_id)));
            }
            Packet::PubRec(ack) => self.send(&Packet::PubRel(Ack::success(ack.packet_id))),
            Packet::PubRel(ack) => self.send(&Packet::PubComp(Ack::success(ack.packet_id))),
            _ => {}
        }
    }

    /// The connection breaks.
    pub fn drop(self) {
        self.claim.end(self.expiry_s, WillAtEnd::Discarded);
    }
}

pub fn id(packet_id: u16) -> PacketId {
    PacketId::new(packet_id).expect("not 0")
}
