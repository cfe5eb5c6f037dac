//! What goes to the client: packets in its version, and never one that is larger than it accepts [MQTT-3.1.2-24].

use bytes::BytesMut;

use super::aliases::{Alias, AliasesOut};
use crate::codec::{self, EncodeError, ForReceiver, Outgoing, PublishFlags};
use crate::packet::{Ack, Connect, Packet, PacketId, PacketKind, Properties, Property, Reason, Version};

/// What the client takes if it does not say: 5.0 section 3.1.2.11.3.
const RECEIVE_MAX_UNSAID: u16 = u16::MAX;

#[derive(Debug)]
pub(super) struct Writer {
    pub out: BytesMut,
    pub version: Version,
    bytes_max: usize,
    /// Reason strings are for those who have not asked to be spared them [MQTT-3.1.2-29].
    wants_reasons: bool,
    /// How many messages with QoS 1 and 2 the client lets be on their way to it.
    pub receive_max: u16,
    aliases: AliasesOut,
}

impl Writer {
    pub fn new() -> Self {
        Writer {
            out: BytesMut::new(),
            version: Version::V311,
            bytes_max: usize::MAX,
            wants_reasons: true,
            receive_max: RECEIVE_MAX_UNSAID,
            aliases: AliasesOut::new(0),
        }
    }

    /// Takes over what the client says about itself.
    pub fn learn(&mut self, connect: &Connect, topic_alias_out_max: u16) {
        self.version = connect.version;
        let asked = &connect.properties;
        self.bytes_max = asked.packet_bytes_max().map_or(usize::MAX, |bytes| bytes as usize);
        self.receive_max = asked.receive_max().unwrap_or(RECEIVE_MAX_UNSAID);
        self.wants_reasons = !asked.iter().any(|property| *property == Property::RequestProblemInformation(0));
        // [MQTT-3.1.2-27]: none unless the client says so.
        self.aliases = AliasesOut::new(asked.topic_alias_max().unwrap_or(0).min(topic_alias_out_max));
    }

    /// Whether it was written. Nothing else can be wrong with packets that the session builds.
    pub fn write(&mut self, packet: &Packet) -> bool {
        let before = self.out.len();
        let written = codec::encode(packet, self.version, &mut self.out);
        if written.is_err() || self.out.len() - before > self.bytes_max {
            self.out.truncate(before);
            return false;
        }
        true
    }

    /// With the reason's words, if `packet` with them is not too large; without, if it is [MQTT-3.4.2-2].
    pub fn write_with_reason(&mut self, reason: &Reason, packet: impl Fn(Properties) -> Packet) -> bool {
        let words = match (self.version, &reason.words) {
            (Version::V5, Some(words)) => Some(Property::ReasonString(words.clone())),
            _ => None,
        };
        (words.is_some() && self.write(&packet(words.into_iter().collect()))) || self.write(&packet(Properties::new()))
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub fn ack(&mut self, kind: PacketKind, packet_id: PacketId, reason: &Reason) {
        if let (Version::V5, true, Some(words)) = (self.version, self.wants_reasons, &reason.words) {
            let properties = [Property::ReasonString(words.clone())].into_iter().collect();
            if self.write_ack(kind, Ack { packet_id, code: reason.code, properties }) {
                return;
            }
        }
        self.write_ack(kind, Ack { packet_id, code: reason.code, properties: Properties::new() });
    }

    pub fn wants_reasons(&self) -> bool {
        self.wants_reasons
    }

    pub fn fits(&self, bytes: usize) -> bool {
        bytes <= self.bytes_max
    }

    /// A PUBLISH, with a topic alias where the client has offered some.
    pub fn publish(
        &mut self,
        message: &Outgoing<'_>,
        for_receiver: ForReceiver<'_>,
        flags: PublishFlags,
    ) -> Result<(), EncodeError> {
        let (alias, is_known) = match self.aliases.choose(message.topic) {
            Alias::None => return self.publish_as(message, &for_receiver, flags),
            Alias::Known(alias) => (alias, true),
            Alias::New(alias) => (alias, false),
        };
        let with_alias = ForReceiver { alias: Some((alias, is_known)), ..for_receiver };
        match self.publish_as(message, &with_alias, flags) {
            Ok(()) if !is_known => self.aliases.assign(alias, message.topic),
            Ok(()) => {}
            // Three bytes less may be what it takes.
            Err(_) => return self.publish_as(message, &for_receiver, flags),
        }
        Ok(())
    }

    fn publish_as(
        &mut self,
        message: &Outgoing<'_>,
        for_receiver: &ForReceiver<'_>,
        flags: PublishFlags,
    ) -> Result<(), EncodeError> {
        codec::encode_within(message, for_receiver, flags, self.version, self.bytes_max, &mut self.out)
    }

    fn write_ack(&mut self, kind: PacketKind, ack: Ack) -> bool {
        let before = self.out.len();
        let written = codec::encode_ack(kind, &ack, self.version, &mut self.out);
        if written.is_err() || self.out.len() - before > self.bytes_max {
            self.out.truncate(before);
            return false;
        }
        true
    }
}
