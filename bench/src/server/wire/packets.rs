//! MQTT 3.1.1 frames, no more of them than a load generator needs.

use bytes::BytesMut;
use mqtt::packet::{Connect, Properties, Subscribe, Subscription};
use mqtt::{Packet, PacketId, Qos, TopicFilter, Version, encode};

use crate::Failure;

pub const PACKET_CONNECT: u8 = 1;
pub const PACKET_CONNACK: u8 = 2;
pub const PACKET_PUBLISH: u8 = 3;
pub const PACKET_PUBACK: u8 = 4;
pub const PACKET_SUBSCRIBE: u8 = 8;
pub const PACKET_SUBACK: u8 = 9;
pub const PACKET_DISCONNECT: u8 = 14;

pub const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// What the first bytes of each payload say, so that the receiver knows whose credit comes back, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub publisher: u32,
    pub sent_ns: u64,
}

impl Stamp {
    pub const BYTES: usize = 12;

    pub fn read(payload: &[u8]) -> Option<Self> {
        let (publisher, rest) = payload.split_first_chunk()?;
        let (sent_ns, _) = rest.split_first_chunk()?;
        Some(Self { publisher: u32::from_le_bytes(*publisher), sent_ns: u64::from_le_bytes(*sent_ns) })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.publisher.to_le_bytes());
        out.extend_from_slice(&self.sent_ns.to_le_bytes());
    }
}

/// What was received and not yet looked at.
#[derive(Default)]
pub struct Packets {
    pub bytes: Vec<u8>,
    read: usize,
}

impl Packets {
    /// The first byte and the body of the next whole packet.
    pub fn next(&mut self) -> Option<(u8, &[u8])> {
        let input = self.bytes.get(self.read..)?;
        let (first, rest) = input.split_first()?;
        let mut length = 0usize;
        let mut length_bytes = 0;
        loop {
            let byte = rest.get(length_bytes)?;
            length |= usize::from(byte & 0x7f) << (7 * length_bytes);
            length_bytes += 1;
            if byte & 0x80 == 0 || length_bytes == 4 {
                break;
            }
        }
        let body = rest.get(length_bytes..length_bytes + length)?;
        self.read += 1 + length_bytes + length;
        Some((*first, body))
    }

    /// Bytes of the last packet that `next` gave, header included.
    pub fn whole(&self, body_bytes: usize) -> &[u8] {
        let header_bytes = if body_bytes < 128 { 2 } else { 3 };
        &self.bytes[self.read - body_bytes - header_bytes..self.read]
    }

    /// Throws away what was looked at.
    pub fn compact(&mut self) {
        if self.read == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.read);
        }
        self.read = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > 4096 {
            self.bytes = Vec::new();
        }
    }
}

pub fn connect(client_id: &str, clean: bool) -> Result<Vec<u8>, Failure> {
    let connect = Connect { clean, keepalive_s: 1200, ..Connect::new(client_id) };
    encoded(&Packet::Connect(Box::new(connect)))
}

pub fn subscribe(filters: &[String], qos: Qos) -> Result<Vec<u8>, Failure> {
    let subscriptions = filters
        .iter()
        .map(|filter| {
            let filter = TopicFilter::parse(filter).map_err(|error| format!("{filter}: {error}"))?;
            Ok(Subscription { filter, options: mqtt::packet::SubscribeOptions::of_qos(qos) })
        })
        .collect::<Result<_, Failure>>()?;
    encoded(&Packet::Subscribe(Subscribe { packet_id: PacketId::FIRST, subscriptions, properties: Properties::new() }))
}

/// Appends a PUBLISH with a payload of `payload_bytes`, of which the stamp is the beginning. `packet_id` 0: QoS 0.
pub fn publish(topic: &str, packet_id: u16, stamp: Stamp, payload_bytes: usize, out: &mut Vec<u8>) {
    let id_bytes = if packet_id == 0 { 0 } else { 2 };
    let mut remaining = 2 + topic.len() + id_bytes + payload_bytes;
    out.push(if packet_id == 0 { 0x30 } else { 0x32 });
    loop {
        let low = (remaining % 128) as u8;
        remaining /= 128;
        out.push(if remaining == 0 { low } else { low | 0x80 });
        if remaining == 0 {
            break;
        }
    }
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    if packet_id != 0 {
        out.extend_from_slice(&packet_id.to_be_bytes());
    }
    stamp.write(out);
    out.resize(out.len() + payload_bytes - Stamp::BYTES, b'x');
}

pub fn puback(packet_id: [u8; 2]) -> [u8; 4] {
    [0x40, 2, packet_id[0], packet_id[1]]
}

/// To a SUBSCRIBE of the generator.
pub fn suback(body: &[u8]) -> [u8; 5] {
    [0x90, 3, body[0], body[1], body[body.len() - 1]]
}

/// Of a PUBLISH with QoS 1; `None` with QoS 0.
pub fn packet_id_of_publish(first: u8, body: &[u8]) -> Option<[u8; 2]> {
    if first & 0x06 == 0 {
        return None;
    }
    let topic_bytes = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    Some([*body.get(2 + topic_bytes)?, *body.get(3 + topic_bytes)?])
}

/// The payload of a PUBLISH.
pub fn message(first: u8, body: &[u8]) -> Option<&[u8]> {
    let topic_bytes = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    body.get(2 + topic_bytes + if first & 0x06 == 0 { 0 } else { 2 }..)
}

/// Of a CONNECT of the generator: it follows the ten bytes that are always the same.
pub fn client_id(body: &[u8]) -> Option<&str> {
    let length = usize::from(u16::from_be_bytes([*body.get(10)?, *body.get(11)?]));
    std::str::from_utf8(body.get(12..12 + length)?).ok()
}

fn encoded(packet: &Packet) -> Result<Vec<u8>, Failure> {
    let mut out = BytesMut::new();
    encode(packet, Version::V311, &mut out).map_err(|error| error.to_string())?;
    Ok(out.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_is_read() {
        let stamp = Stamp { publisher: 7, sent_ns: 42 };
        for (packet_id, payload_bytes) in [(0, 64), (9, 64), (9, 300)] {
            let mut packets = Packets::default();
            publish("a/b", packet_id, stamp, payload_bytes, &mut packets.bytes);
            let whole = packets.bytes.clone();
            packets.bytes.extend_from_slice(&puback([0, 1])[..3]);
            let (first, body) = packets.next().expect("a packet");
            let body = body.to_vec();
            assert_eq!(first >> 4, PACKET_PUBLISH);
            let id = packet_id_of_publish(first, &body);
            assert_eq!(id, (packet_id != 0).then(|| packet_id.to_be_bytes()));
            let payload = message(first, &body).expect("a payload");
            assert_eq!((payload.len(), Stamp::read(payload)), (payload_bytes, Some(stamp)));
            assert_eq!(packets.whole(body.len()), whole);
            assert!(packets.next().is_none(), "half a packet");
            packets.compact();
            assert_eq!(packets.bytes.len(), 3);
        }
    }

    #[test]
    fn the_client_identifier_is_found() {
        let bytes = connect("pub-3", true).expect("a packet");
        assert_eq!(client_id(&bytes[2..]), Some("pub-3"));
    }
}
