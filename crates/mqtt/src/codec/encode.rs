//! One function per packet: its value to bytes, appended to a buffer that may hold other packets already.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{VariableInteger, Wire, write_binary};
use crate::packet::{
    Ack, ConnAck, Connect, Packet, PacketId, PacketKind, Properties, Publish, Qos, ReasonCode, SubAck, Subscribe,
    UnsubAck, Unsubscribe, Version, Will,
};
use crate::topic::TopicName;

/// For a receiver that has set no maximum packet size.
const NO_LIMIT: usize = usize::MAX;

/// A value that has no form on the wire. Nothing has been written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// More than 268,435,455 bytes, or than the receiver accepts.
    PacketTooLarge,
    /// A string or binary field of more than 65,535 bytes.
    FieldTooLong,
    /// QoS 1 or 2 needs a packet identifier.
    NoPacketId,
    /// AUTH exists in 5.0 only.
    NotInVersion,
}

/// Appends the packet to `out`. `version` is that of the connection; CONNECT carries its own.
pub fn encode(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => encode_connect(connect, out),
        Packet::ConnAck(connack) => encode_connack(connack, version, out),
        Packet::Publish(publish) => encode_publish(publish, version, out),
        Packet::PubAck(ack) => encode_ack(PacketKind::PubAck, ack, version, out),
        Packet::PubRec(ack) => encode_ack(PacketKind::PubRec, ack, version, out),
        Packet::PubRel(ack) => encode_ack(PacketKind::PubRel, ack, version, out),
        Packet::PubComp(ack) => encode_ack(PacketKind::PubComp, ack, version, out),
        Packet::Subscribe(subscribe) => encode_subscribe(subscribe, version, out),
        Packet::SubAck(suback) => encode_suback(suback, version, out),
        Packet::Unsubscribe(unsubscribe) => encode_unsubscribe(unsubscribe, version, out),
        Packet::UnsubAck(unsuback) => encode_unsuback(unsuback, version, out),
        Packet::PingReq => start(PacketKind::PingReq, 0, 0, out),
        Packet::PingResp => start(PacketKind::PingResp, 0, 0, out),
        Packet::Disconnect(disconnect) => {
            encode_code(PacketKind::Disconnect, None, disconnect.code, &disconnect.properties, version, out)
        }
        Packet::Auth(_) if version == Version::V311 => Err(EncodeError::NotInVersion),
        Packet::Auth(auth) => encode_code(PacketKind::Auth, None, auth.code, &auth.properties, version, out),
    }
}

/// Appends a PUBLISH.
pub fn encode_publish(publish: &Publish, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let flags =
        PublishFlags { dup: publish.dup, qos: publish.qos, retain: publish.retain, packet_id: publish.packet_id };
    let message = Outgoing {
        topic: &publish.topic,
        payload: &publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        properties: &publish.properties,
    };
    encode_within(&message, &ForReceiver::default(), flags, version, NO_LIMIT, out)
}

/// A message on its way out, borrowed: PUBLISH is most of what is ever written, and costs no count of references.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub topic: &'a TopicName,
    pub payload: &'a Bytes,
    pub qos: Qos,
    pub retain: bool,
    /// Those that all receivers get as they were published.
    pub properties: &'a Properties,
}

/// What is different for each receiver of a message, in 5.0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ForReceiver<'a> {
    pub expiry_s: Option<u32>,
    pub subscription_ids: &'a [VariableInteger],
    /// With `true`, the alias alone goes out: the receiver knows the topic.
    pub alias: Option<(u16, bool)>,
}

/// Appends a message as a PUBLISH with QoS 0: the same bytes for every receiver of one version, so that a fan-out
/// encodes them once.
pub fn encode_at_most_once(message: &Outgoing<'_>, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let flags = PublishFlags { dup: false, qos: Qos::AtMostOnce, retain: message.retain, packet_id: None };
    encode_within(message, &ForReceiver::default(), flags, version, NO_LIMIT, out)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishFlags {
    pub dup: bool,
    pub qos: Qos,
    pub retain: bool,
    pub packet_id: Option<PacketId>,
}

/// Appends a PUBLISH, or nothing if it would be larger than `bytes_max`.
pub(crate) fn encode_within(
    message: &Outgoing<'_>,
    for_receiver: &ForReceiver<'_>,
    flags: PublishFlags,
    version: Version,
    bytes_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let packet_id = match (flags.qos, flags.packet_id) {
        (Qos::AtMostOnce, _) => None,
        (_, Some(packet_id)) => Some(packet_id),
        (_, None) => return Err(EncodeError::NoPacketId),
    };
    let topic = match (version, for_receiver.alias) {
        (Version::V5, Some((_, true))) => &[],
        _ => message.topic.as_str().as_bytes(),
    };
    let list_bytes = publish_list_bytes(message.properties, for_receiver, version)?;
    let length_bytes = match version {
        Version::V311 => 0,
        Version::V5 => VariableInteger::saturating(list_bytes).wire_bytes(),
    };
    let bytes = 2 + topic.len() + packet_id.map_or(0, |_| 2) + length_bytes + list_bytes + message.payload.len();
    let bits = u8::from(flags.dup) << 3 | (flags.qos as u8) << 1 | u8::from(flags.retain);
    start_within(PacketKind::Publish, bits, bytes, bytes_max, out)?;
    write_binary(topic, out);
    if let Some(packet_id) = packet_id {
        out.put_u16(packet_id.value());
    }
    if version == Version::V5 {
        VariableInteger::saturating(list_bytes).write(out);
        for_receiver.write(out);
        message.properties.write_list(out);
    }
    out.extend_from_slice(message.payload);
    Ok(())
}

fn publish_list_bytes(
    shared: &Properties,
    for_receiver: &ForReceiver<'_>,
    version: Version,
) -> Result<usize, EncodeError> {
    match version {
        Version::V311 => Ok(0),
        Version::V5 if shared.has_field_too_long() => Err(EncodeError::FieldTooLong),
        Version::V5 => Ok(shared.list_bytes() + for_receiver.bytes()),
    }
}

impl ForReceiver<'_> {
    fn bytes(&self) -> usize {
        let ids: usize = self.subscription_ids.iter().map(|id| 1 + id.wire_bytes()).sum();
        self.expiry_s.map_or(0, |_| 5) + self.alias.map_or(0, |_| 3) + ids
    }

    fn write(&self, out: &mut BytesMut) {
        if let Some(expiry_s) = self.expiry_s {
            out.put_u8(0x02);
            out.put_u32(expiry_s);
        }
        for id in self.subscription_ids {
            out.put_u8(0x0b);
            id.write(out);
        }
        if let Some((alias, _)) = self.alias {
            out.put_u8(0x23);
            out.put_u16(alias);
        }
    }
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP.
pub(crate) fn encode_ack(kind: PacketKind, ack: &Ack, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    encode_code(kind, Some(ack.packet_id), ack.code, &ack.properties, version, out)
}

fn encode_connect(connect: &Connect, out: &mut BytesMut) -> Result<(), EncodeError> {
    let version = connect.version;
    let mut bytes = 10 + properties_bytes(&connect.properties, version)?;
    bytes += text_bytes(&connect.client_id)?;
    let mut flags = u8::from(connect.clean) << 1;
    if let Some(will) = &connect.will {
        flags |= 0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
        bytes += properties_bytes(&will.properties, version)?
            + text_bytes(will.topic.as_str())?
            + binary_bytes(&will.payload)?;
    }
    if let Some(username) = &connect.username {
        flags |= 0x80;
        bytes += text_bytes(username)?;
    }
    if let Some(password) = &connect.password {
        flags |= 0x40;
        bytes += binary_bytes(password)?;
    }
    start(PacketKind::Connect, 0, bytes, out)?;
    write_binary(b"MQTT", out);
    out.put_u8(version.level());
    out.put_u8(flags);
    out.put_u16(connect.keepalive_s);
    write_properties(&connect.properties, version, out);
    write_binary(connect.client_id.as_bytes(), out);
    if let Some(will) = &connect.will {
        write_will(will, version, out);
    }
    if let Some(username) = &connect.username {
        write_binary(username.as_bytes(), out);
    }
    if let Some(password) = &connect.password {
        write_binary(password, out);
    }
    Ok(())
}

fn write_will(will: &Will, version: Version, out: &mut BytesMut) {
    write_properties(&will.properties, version, out);
    write_binary(will.topic.as_str().as_bytes(), out);
    write_binary(&will.payload, out);
}

fn encode_connack(connack: &ConnAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let bytes = 2 + properties_bytes(&connack.properties, version)?;
    start(PacketKind::ConnAck, 0, bytes, out)?;
    out.put_u8(u8::from(connack.session_present));
    out.put_u8(match version {
        Version::V311 => connack.code.to_connack_return_code(),
        Version::V5 => connack.code.to_u8(),
    });
    write_properties(&connack.properties, version, out);
    Ok(())
}

fn encode_subscribe(subscribe: &Subscribe, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let filter_bytes: usize =
        subscribe.subscriptions.iter().map(|subscription| 3 + subscription.filter.as_str().len()).sum();
    let bytes = 2 + properties_bytes(&subscribe.properties, version)? + filter_bytes;
    start(PacketKind::Subscribe, 0b0010, bytes, out)?;
    out.put_u16(subscribe.packet_id.value());
    write_properties(&subscribe.properties, version, out);
    for subscription in &subscribe.subscriptions {
        write_binary(subscription.filter.as_str().as_bytes(), out);
        let options = subscription.options;
        out.put_u8(match version {
            Version::V311 => options.qos as u8,
            Version::V5 => {
                options.qos as u8
                    | u8::from(options.no_local) << 2
                    | u8::from(options.retain_as_published) << 3
                    | (options.retain_handling as u8) << 4
            }
        });
    }
    Ok(())
}

fn encode_suback(suback: &SubAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let bytes = 2 + properties_bytes(&suback.properties, version)? + suback.codes.len();
    start(PacketKind::SubAck, 0, bytes, out)?;
    out.put_u16(suback.packet_id.value());
    write_properties(&suback.properties, version, out);
    for code in &suback.codes {
        out.put_u8(match version {
            Version::V311 => code.to_suback_return_code(),
            Version::V5 => code.to_u8(),
        });
    }
    Ok(())
}

fn encode_unsubscribe(unsubscribe: &Unsubscribe, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let filter_bytes: usize = unsubscribe.filters.iter().map(|filter| 2 + filter.as_str().len()).sum();
    let bytes = 2 + properties_bytes(&unsubscribe.properties, version)? + filter_bytes;
    start(PacketKind::Unsubscribe, 0b0010, bytes, out)?;
    out.put_u16(unsubscribe.packet_id.value());
    write_properties(&unsubscribe.properties, version, out);
    for filter in &unsubscribe.filters {
        write_binary(filter.as_str().as_bytes(), out);
    }
    Ok(())
}

fn encode_unsuback(unsuback: &UnsubAck, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    // 3.1.1 has no code in UNSUBACK.
    let codes: &[ReasonCode] = match version {
        Version::V311 => &[],
        Version::V5 => &unsuback.codes,
    };
    let bytes = 2 + properties_bytes(&unsuback.properties, version)? + codes.len();
    start(PacketKind::UnsubAck, 0, bytes, out)?;
    out.put_u16(unsuback.packet_id.value());
    write_properties(&unsuback.properties, version, out);
    for code in codes {
        out.put_u8(code.to_u8());
    }
    Ok(())
}

/// Packets that end in a reason code and properties, both left out where 5.0 allows it.
fn encode_code(
    kind: PacketKind,
    packet_id: Option<PacketId>,
    code: ReasonCode,
    properties: &Properties,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let has_properties = version == Version::V5 && !properties.is_empty();
    let has_code = has_properties || (version == Version::V5 && code != ReasonCode::Success);
    let mut bytes = packet_id.map_or(0, |_| 2) + usize::from(has_code);
    if has_properties {
        bytes += properties_bytes(properties, version)?;
    }
    start(kind, kind.fixed_flags(), bytes, out)?;
    if let Some(packet_id) = packet_id {
        out.put_u16(packet_id.value());
    }
    if has_code {
        out.put_u8(code.to_u8());
    }
    if has_properties {
        write_properties(properties, version, out);
    }
    Ok(())
}

/// Writes the fixed header and makes room for the rest.
fn start(kind: PacketKind, flags: u8, remaining_bytes: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    start_within(kind, flags, remaining_bytes, NO_LIMIT, out)
}

fn start_within(
    kind: PacketKind,
    flags: u8,
    remaining_bytes: usize,
    bytes_max: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let length =
        u32::try_from(remaining_bytes).ok().and_then(VariableInteger::new).ok_or(EncodeError::PacketTooLarge)?;
    if 1 + length.wire_bytes() + remaining_bytes > bytes_max {
        return Err(EncodeError::PacketTooLarge);
    }
    out.reserve(1 + length.wire_bytes() + remaining_bytes);
    out.put_u8((kind as u8) << 4 | flags);
    length.write(out);
    Ok(())
}

fn properties_bytes(properties: &Properties, version: Version) -> Result<usize, EncodeError> {
    match version {
        Version::V311 => Ok(0),
        Version::V5 if properties.has_field_too_long() => Err(EncodeError::FieldTooLong),
        Version::V5 => Ok(properties.wire_bytes()),
    }
}

fn write_properties(properties: &Properties, version: Version, out: &mut BytesMut) {
    match version {
        Version::V311 => {}
        Version::V5 => properties.write(out),
    }
}

fn text_bytes(text: &str) -> Result<usize, EncodeError> {
    field_bytes(text.len())
}

fn binary_bytes(data: &Bytes) -> Result<usize, EncodeError> {
    field_bytes(data.len())
}

fn field_bytes(bytes: usize) -> Result<usize, EncodeError> {
    if bytes > usize::from(u16::MAX) {
        return Err(EncodeError::FieldTooLong);
    }
    Ok(2 + bytes)
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::PacketTooLarge => {
                "the packet would be larger than 268435455 bytes, or than its receiver accepts"
            }
            EncodeError::FieldTooLong => "a field of the packet is longer than 65535 bytes",
            EncodeError::NoPacketId => "a PUBLISH with QoS 1 or 2 has no packet identifier",
            EncodeError::NotInVersion => "AUTH does not exist in MQTT 3.1.1",
        })
    }
}

impl std::error::Error for EncodeError {}
