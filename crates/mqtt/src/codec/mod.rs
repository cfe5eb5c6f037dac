//! Packets to bytes and bytes to packets, for both sides and both versions. Decoding is incremental and strict; it
//! buffers nothing itself and refuses a packet that is too large on sight of its length.

mod alias;
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

pub(crate) use encode::{ForReceiver, PublishFlags, encode_ack, encode_within};
pub(crate) use wire::{Reader, Wire};

use alias::TopicAliases;
use header::{FixedHeader, Parsed};

/// Reads one peer's packets out of the bytes that arrived from it.
#[derive(Debug)]
pub struct Decoder {
    /// Unknown until CONNECT has been read.
    version: Option<Version>,
    packet_bytes_max: usize,
    memory: Memory,
}

/// What packets leave behind for those that follow.
#[derive(Debug, Default)]
struct Memory {
    /// What CONNECT asks for, known even if the rest of it cannot be read.
    version_asked: Option<Version>,
    /// Publishers keep to a topic: the last one is compared instead of being checked and copied again.
    topic_last: Option<TopicName>,
    aliases: TopicAliases,
}

impl Decoder {
    /// The side that is connected to: the first packet must be CONNECT, and it decides the version.
    pub fn for_server(packet_bytes_max: usize) -> Self {
        Decoder { version: None, packet_bytes_max, memory: Memory::default() }
    }

    /// The side that connects, and knows the version it asked for.
    pub fn for_client(version: Version, packet_bytes_max: usize) -> Self {
        Decoder { version: Some(version), packet_bytes_max, memory: Memory::default() }
    }

    /// How many topic aliases the peer may use from now on: what it was told as the topic alias maximum.
    pub fn offer_topic_aliases(&mut self, topic_alias_max: u16) {
        self.memory.aliases = TopicAliases::offered(topic_alias_max);
    }

    /// What CONNECT asked for, as far as it could be read.
    pub fn version_asked(&self) -> Option<Version> {
        self.memory.version_asked
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
        let packet = decode::packet(&header, version, input, &mut self.memory)?;
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
