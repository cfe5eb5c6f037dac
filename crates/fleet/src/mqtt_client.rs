//! A device's MQTT client over TLS. One packet exchange at a time, every wait with the connection's deadline;
//! messages that arrive meanwhile are acknowledged and kept for `next_message`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt::packet::{
    Ack, ConnAck, Connect, Disconnect, Properties, Publish, ReasonCode, Subscribe, SubscribeOptions, Subscription,
};
use mqtt::{Decoder, Packet, PacketId, Qos, TopicFilter, TopicName, Version, encode};
use tokio::time::Instant;

use crate::error::CONNACK;
use crate::{ClientTls, Closing, Error, TlsConnection};

/// AWS allows 128 KB of payload; the rest is for topic and properties.
const PACKET_BYTES_MAX: usize = 256 * 1024;
/// A server that sends more before anybody asks for messages is not one to be tested on.
const MESSAGES_KEPT_MAX: usize = 10_000;

pub struct MqttClient {
    connection: TlsConnection,
    decoder: Decoder,
    input: BytesMut,
    version: Version,
    packet_id_next: PacketId,
    messages: VecDeque<Publish>,
    connack: ConnAck,
}

impl MqttClient {
    /// TLS, CONNECT, CONNACK. `deadline` bounds this and every later wait.
    pub async fn connect(
        address: SocketAddr,
        tls: &ClientTls,
        connect: Connect,
        deadline: Duration,
    ) -> Result<Self, Error> {
        Self::connect_over(TlsConnection::open(address, tls, deadline).await?, connect).await
    }

    pub async fn connect_over(connection: TlsConnection, connect: Connect) -> Result<Self, Error> {
        let version = connect.version;
        let mut client = Self {
            connection,
            decoder: Decoder::for_client(version, PACKET_BYTES_MAX),
            input: BytesMut::new(),
            version,
            packet_id_next: PacketId::FIRST,
            messages: VecDeque::new(),
            connack: ConnAck { session_present: false, code: ReasonCode::Success, properties: Properties::new() },
        };
        // A server that refused the certificate under TLS 1.3 may have closed already; its alert is still there to be
        // read, and says more than the failed write does.
        let sent = client.send(&Packet::Connect(Box::new(connect)), CONNACK).await;
        let until = client.until();
        match (client.next_packet(CONNACK, until).await, sent) {
            (Ok(Packet::ConnAck(connack)), Ok(())) if connack.code == ReasonCode::Success => {
                client.connack = connack;
                Ok(client)
            }
            (Ok(Packet::ConnAck(connack)), _) => Err(Error::ConnectionRefused(connack.code)),
            (Ok(packet), _) => Err(unexpected(&packet, CONNACK)),
            (Err(Error::Closed { .. }), Err(sent)) => Err(sent),
            (Err(error), _) => Err(error),
        }
    }

    pub fn connack(&self) -> &ConnAck {
        &self.connack
    }

    /// For what the client itself does not offer: `TLSv1.3`, the local address, the end of the connection.
    pub fn connection(&self) -> &TlsConnection {
        &self.connection
    }

    pub async fn publish_at_most_once(&mut self, topic: &str, payload: impl Into<Bytes>) -> Result<(), Error> {
        let publish = Publish::at_most_once(topic_name(topic)?, payload);
        self.send(&Packet::Publish(publish), "PUBLISH").await
    }

    /// Returns when PUBACK is there; its code is success with MQTT 3.1.1.
    pub async fn publish_at_least_once(&mut self, topic: &str, payload: impl Into<Bytes>) -> Result<ReasonCode, Error> {
        const PUBACK: &str = "PUBACK";
        let packet_id = self.take_packet_id();
        let publish = Publish::at_least_once(packet_id, topic_name(topic)?, payload);
        self.send(&Packet::Publish(publish), PUBACK).await?;
        match self.answer(PUBACK).await? {
            Packet::PubAck(ack) if ack.packet_id == packet_id => Ok(ack.code),
            packet => Err(unexpected(&packet, PUBACK)),
        }
    }

    /// The code that SUBACK gives: granted QoS, or a failure from 0x80 on.
    pub async fn subscribe(&mut self, filter: &str, qos: Qos) -> Result<ReasonCode, Error> {
        self.subscribe_with(filter, SubscribeOptions::of_qos(qos)).await
    }

    /// The same with the other options of MQTT 5.
    pub async fn subscribe_with(&mut self, filter: &str, options: SubscribeOptions) -> Result<ReasonCode, Error> {
        const SUBACK: &str = "SUBACK";
        let filter = TopicFilter::parse(filter).map_err(|error| Error::Request(format!("{filter}: {error}")))?;
        let packet_id = self.take_packet_id();
        let subscriptions = vec![Subscription { filter, options }];
        let subscribe = Subscribe { packet_id, subscriptions, properties: Properties::new() };
        self.send(&Packet::Subscribe(subscribe), SUBACK).await?;
        match self.answer(SUBACK).await? {
            Packet::SubAck(suback) if suback.packet_id == packet_id => match suback.codes.as_slice() {
                [code] => Ok(*code),
                codes => Err(Error::Protocol(format!("SUBACK has {} codes for one filter", codes.len()))),
            },
            packet => Err(unexpected(&packet, SUBACK)),
        }
    }

    /// The next message in the order of arrival.
    pub async fn next_message(&mut self) -> Result<Publish, Error> {
        const PUBLISH: &str = "PUBLISH";
        if let Some(message) = self.messages.pop_front() {
            return Ok(message);
        }
        let until = self.until();
        match self.next_packet(PUBLISH, until).await? {
            Packet::Publish(publish) => {
                self.acknowledge(&publish).await?;
                Ok(publish)
            }
            packet => Err(unexpected(&packet, PUBLISH)),
        }
    }

    /// PINGREQ and its answer: everything that the server sent before is in `next_message` afterwards.
    pub async fn ping(&mut self) -> Result<(), Error> {
        const PINGRESP: &str = "PINGRESP";
        self.send(&Packet::PingReq, PINGRESP).await?;
        match self.answer(PINGRESP).await? {
            Packet::PingResp => Ok(()),
            packet => Err(unexpected(&packet, PINGRESP)),
        }
    }

    /// Messages that arrived and were not asked for yet.
    pub fn messages_kept(&self) -> usize {
        self.messages.len()
    }

    /// Waits until the server ends the connection. With MQTT 5 it says why first.
    pub async fn closed(&mut self) -> Result<(Closing, Option<ReasonCode>), Error> {
        const END: &str = "end of the connection";
        let mut code = None;
        loop {
            match self.answer(END).await {
                Ok(Packet::Disconnect(disconnect)) => code = Some(disconnect.code),
                Ok(packet) => return Err(unexpected(&packet, END)),
                Err(Error::Closed { how, .. }) => return Ok((how, code)),
                Err(error) => return Err(error),
            }
        }
    }

    /// DISCONNECT, and the end of the stream.
    pub async fn disconnect(mut self) -> Result<(), Error> {
        let disconnect = Disconnect { code: ReasonCode::Success, properties: Properties::new() };
        self.send(&Packet::Disconnect(disconnect), "DISCONNECT").await?;
        self.connection.close().await
    }

    /// Any packet, for tests of what a client must not send.
    pub async fn send(&mut self, packet: &Packet, waiting_for: &'static str) -> Result<(), Error> {
        let mut bytes = BytesMut::new();
        encode(packet, self.version, &mut bytes).map_err(|error| Error::Request(error.to_string()))?;
        self.connection.send(&bytes, waiting_for).await
    }

    /// The next packet that is not a message; messages are kept.
    async fn answer(&mut self, waiting_for: &'static str) -> Result<Packet, Error> {
        let until = self.until();
        loop {
            match self.next_packet(waiting_for, until).await? {
                Packet::Publish(publish) => {
                    self.acknowledge(&publish).await?;
                    if self.messages.len() == MESSAGES_KEPT_MAX {
                        return Err(Error::Protocol(format!("more than {MESSAGES_KEPT_MAX} messages came unread")));
                    }
                    self.messages.push_back(publish);
                }
                packet => return Ok(packet),
            }
        }
    }

    async fn acknowledge(&mut self, publish: &Publish) -> Result<(), Error> {
        match (publish.qos, publish.packet_id) {
            (Qos::AtMostOnce, _) => Ok(()),
            (Qos::AtLeastOnce, Some(packet_id)) => self.send(&Packet::PubAck(Ack::success(packet_id)), "PUBACK").await,
            _ => Err(Error::Protocol("a message with QoS 2 came; this client asks for QoS 0 and 1 only".to_owned())),
        }
    }

    async fn next_packet(&mut self, waiting_for: &'static str, until: Instant) -> Result<Packet, Error> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input)? {
                return Ok(packet);
            }
            self.connection.receive_until(&mut self.input, waiting_for, until).await?;
        }
    }

    fn until(&self) -> Instant {
        Instant::now() + self.connection.deadline()
    }

    /// One exchange runs at a time, so that an identifier is free again before it comes round.
    fn take_packet_id(&mut self) -> PacketId {
        let packet_id = self.packet_id_next;
        self.packet_id_next = packet_id.next();
        packet_id
    }
}

fn topic_name(topic: &str) -> Result<TopicName, Error> {
    TopicName::parse(topic).map_err(|error| Error::Request(format!("{topic}: {error}")))
}

fn unexpected(packet: &Packet, waiting_for: &str) -> Error {
    Error::Protocol(format!("{} came instead of {waiting_for}", packet.kind()))
}
