//! Packets to bytes and bytes to packets, for both sides and both versions. Decoding is incremental and strict; it
//! buffers nothing itself and refuses a packet that is too large on sight of its length.

mod decode;
mod encode;
mod error;
mod header;
mod wire;

#[cfg(test)]
mod tests;

use bytes::BytesMut;

use crate::packet::{Packet, PacketKind, Version};
use crate::topic::TopicName;

pub use encode::{EncodeError, Outgoing, encode, encode_at_most_once, encode_publish};
pub use error::{DecodeError, PropertyFault};
pub use wire::VariableInteger;

pub(crate) use encode::encode_ack;
pub(crate) use wire::{Reader, Wire};

use header::{FixedHeader, Parsed};

/// Reads one peer's packets out of the bytes that arrived from it.
#[derive(Debug)]
pub struct Decoder {
    /// Unknown until CONNECT has been read.
    version: Option<Version>,
    packet_bytes_max: usize,
    /// Publishers keep to a topic: the last one is compared instead of being checked and copied again.
    topic_last: Option<TopicName>,
}

impl Decoder {
    /// The side that is connected to: the first packet must be CONNECT, and it decides the version.
    pub fn for_server(packet_bytes_max: usize) -> Self {
        Decoder { version: None, packet_bytes_max, topic_last: None }
    }

    /// The side that connects, and knows the version it asked for.
    pub fn for_client(version: Version, packet_bytes_max: usize) -> Self {
        Decoder { version: Some(version), packet_bytes_max, topic_last: None }
    }

    /// Takes the next whole packet off the front of `input`; `None` if there is none yet. After an error the
    /// stream has no meaning any more: the connection must end.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        if self.version.is_none()
            && let Some(first_byte) = input.first()
            && PacketKind::of_first_byte(*first_byte) != Some(PacketKind::Connect)
        {
            return Err(DecodeError::NotConnect { first_byte: *first_byte });
        }
        let header = match FixedHeader::parse(input)? {
            Parsed::Incomplete => return Ok(None),
            Parsed::Whole(header) => header,
        };
        let bytes = header.bytes + header.remaining_bytes;
        if bytes > self.packet_bytes_max {
            return Err(DecodeError::TooLarge { packet: header.kind, bytes, bytes_max: self.packet_bytes_max });
        }
        if input.len() < bytes {
            return Ok(None);
        }
        // Before CONNECT the version is not known, and CONNECT does not depend on it.
        let version = self.version.unwrap_or(Version::V311);
        let packet = decode::packet(&header, version, input, &mut self.topic_last)?;
        if let (Packet::Connect(connect), None) = (&packet, self.version) {
            self.version = Some(connect.version);
        }
        // 5.0 asks for the shortest form of the length [MQTT-1.5.5-1]; 3.1.1 is silent, and some devices pad it.
        if !header.is_shortest && self.version == Some(Version::V5) {
            return Err(DecodeError::RemainingLength);
        }
        Ok(Some(packet))
    }
}
