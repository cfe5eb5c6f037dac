//! One function per packet: its body to its value.

use bytes::{Buf, Bytes, BytesMut};

use super::Memory;
use super::error::DecodeError;
use super::header::FixedHeader;
use super::wire::Reader;
use crate::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketKind, Place, Properties, Property, Publish, Qos, ReasonCode,
    RetainHandling, SubAck, Subscribe, SubscribeOptions, Subscription, UnsubAck, Unsubscribe, Version, Will,
};
use crate::topic::{TopicError, TopicFilter, TopicName};

const PROTOCOL_NAME: &[u8] = b"MQTT";
/// The name that MQTT 3.1 had.
const PROTOCOL_NAME_31: &[u8] = b"MQIsdp";

/// `input` holds the whole packet. It is taken off, and the payload of a PUBLISH with it: not copied.
pub(super) fn packet(
    header: &FixedHeader,
    version: Version,
    input: &mut BytesMut,
    memory: &mut Memory,
) -> Result<Packet, DecodeError> {
    let mut body = header.body(input)?;
    let mut packet = match header.kind {
        PacketKind::Connect => Packet::Connect(Box::new(connect(&mut body, memory)?)),
        PacketKind::ConnAck => Packet::ConnAck(connack(&mut body, version)?),
        PacketKind::Publish => Packet::Publish(publish(&mut body, header.flags, version, memory)?),
        PacketKind::PubAck => Packet::PubAck(ack(&mut body, version)?),
        PacketKind::PubRec => Packet::PubRec(ack(&mut body, version)?),
        PacketKind::PubRel => Packet::PubRel(ack(&mut body, version)?),
        PacketKind::PubComp => Packet::PubComp(ack(&mut body, version)?),
        PacketKind::Subscribe => Packet::Subscribe(subscribe(&mut body, version)?),
        PacketKind::SubAck => Packet::SubAck(suback(&mut body, version)?),
        PacketKind::Unsubscribe => Packet::Unsubscribe(unsubscribe(&mut body, version)?),
        PacketKind::UnsubAck => Packet::UnsubAck(unsuback(&mut body, version)?),
        PacketKind::PingReq => Packet::PingReq,
        PacketKind::PingResp => Packet::PingResp,
        PacketKind::Disconnect => {
            let (code, properties) = code_and_properties(&mut body, version)?;
            Packet::Disconnect(Disconnect { code, properties })
        }
        PacketKind::Auth if version == Version::V311 => return Err(DecodeError::AuthIn311),
        PacketKind::Auth => {
            let (code, properties) = code_and_properties(&mut body, version)?;
            Packet::Auth(Auth { code, properties })
        }
    };
    let bytes = header.bytes + header.remaining_bytes;
    if let Packet::Publish(publish) = &mut packet {
        let payload_bytes = body.remaining();
        input.advance(bytes - payload_bytes);
        publish.payload = input.split_to(payload_bytes).freeze();
    } else {
        body.finish()?;
        input.advance(bytes);
    }
    Ok(packet)
}

fn connect(body: &mut Reader<'_>, memory: &mut Memory) -> Result<Connect, DecodeError> {
    let version = protocol_version(body)?;
    memory.version_asked = Some(version);
    let flags = ConnectFlags::parse(body.u8()?, version)?;
    let keepalive_s = body.u16()?;
    let properties = properties(body, version, Place::In(PacketKind::Connect))?;
    let client_id = body.text()?.to_owned();
    let will = match flags.will_qos {
        None => None,
        Some(qos) => {
            let properties = self::properties(body, version, Place::InWill)?;
            Some(Will {
                topic: topic_name(body.packet(), body.text()?)?,
                payload: Bytes::copy_from_slice(body.binary()?),
                qos,
                retain: flags.will_retain,
                properties,
            })
        }
    };
    let username = match flags.username {
        true => Some(body.text()?.to_owned()),
        false => None,
    };
    let password = match flags.password {
        true => Some(Bytes::copy_from_slice(body.binary()?)),
        false => None,
    };
    Ok(Connect { version, clean: flags.clean, keepalive_s, client_id, will, username, password, properties })
}

fn protocol_version(body: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = body.binary()?;
    if name != PROTOCOL_NAME && name != PROTOCOL_NAME_31 {
        return Err(DecodeError::ProtocolName);
    }
    let level = body.u8()?;
    match level {
        4 if name == PROTOCOL_NAME => Ok(Version::V311),
        5 if name == PROTOCOL_NAME => Ok(Version::V5),
        _ => Err(DecodeError::ProtocolLevel { level }),
    }
}

struct ConnectFlags {
    clean: bool,
    will_qos: Option<Qos>,
    will_retain: bool,
    username: bool,
    password: bool,
}

impl ConnectFlags {
    fn parse(flags: u8, version: Version) -> Result<Self, DecodeError> {
        // [MQTT-3.1.2-3]
        if flags & 0x01 != 0 {
            return Err(DecodeError::ConnectReservedFlag);
        }
        let has_will = flags & 0x04 != 0;
        // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
        if !has_will && flags & 0x38 != 0 {
            return Err(DecodeError::WillFlagsWithoutWill);
        }
        // [MQTT-3.1.2-14]
        let will_qos = Qos::from_bits(flags >> 3 & 0x03).ok_or(DecodeError::Qos3 { packet: PacketKind::Connect })?;
        let username = flags & 0x80 != 0;
        let password = flags & 0x40 != 0;
        // [MQTT-3.1.2-22]; 5.0 has lifted it.
        if version == Version::V311 && password && !username {
            return Err(DecodeError::PasswordWithoutUserName);
        }
        Ok(ConnectFlags {
            clean: flags & 0x02 != 0,
            will_qos: has_will.then_some(will_qos),
            will_retain: flags & 0x20 != 0,
            username,
            password,
        })
    }
}

/// All but the payload, which is what the body has left then.
fn publish(body: &mut Reader<'_>, flags: u8, version: Version, memory: &mut Memory) -> Result<Publish, DecodeError> {
    let packet = PacketKind::Publish;
    let qos = Qos::from_bits(flags >> 1 & 0x03).ok_or(DecodeError::Qos3 { packet })?;
    let dup = flags & 0x08 != 0;
    // [MQTT-3.3.1-2]
    if dup && qos == Qos::AtMostOnce {
        return Err(DecodeError::DupWithQos0);
    }
    let named = publish_topic(body, version, &mut memory.topic_last)?;
    let packet_id = match qos {
        Qos::AtMostOnce => None,
        _ => Some(body.packet_id()?),
    };
    let mut properties = properties(body, version, Place::In(packet))?;
    let alias = properties.topic_alias();
    let topic = match (named, alias) {
        (Some(topic), None) => topic,
        (Some(topic), Some(alias)) => {
            memory.aliases.set(alias, &topic)?;
            topic
        }
        (None, Some(alias)) => memory.aliases.topic(alias)?,
        (None, None) => return Err(DecodeError::TopicName { packet, fault: TopicError::Empty }),
    };
    if alias.is_some() {
        // It has a meaning on this connection only [MQTT-3.3.2-7].
        properties.retain(|property| !matches!(property, Property::TopicAlias(_)));
    }
    Ok(Publish { dup, qos, retain: flags & 0x01 != 0, topic, packet_id, payload: Bytes::new(), properties })
}

/// `None` where a topic alias has to stand for it, in 5.0.
fn publish_topic(
    body: &mut Reader<'_>,
    version: Version,
    topic_last: &mut Option<TopicName>,
) -> Result<Option<TopicName>, DecodeError> {
    let mut ahead = *body;
    let bytes = ahead.binary()?;
    if let Some(topic) = topic_last
        && topic.as_str().as_bytes() == bytes
    {
        *body = ahead;
        return Ok(Some(topic.clone()));
    }
    let text = body.text()?;
    if text.is_empty() && version == Version::V5 {
        return Ok(None);
    }
    let topic = topic_name(PacketKind::Publish, text)?;
    *topic_last = Some(topic.clone());
    Ok(Some(topic))
}

fn connack(body: &mut Reader<'_>, version: Version) -> Result<ConnAck, DecodeError> {
    let flags = body.u8()?;
    if flags > 1 {
        return Err(DecodeError::ConnAckFlags { flags });
    }
    let code = body.u8()?;
    let reason = match version {
        Version::V311 => ReasonCode::from_connack_return_code(code),
        Version::V5 => known_code(PacketKind::ConnAck, code),
    };
    Ok(ConnAck {
        session_present: flags == 1,
        code: reason.ok_or(DecodeError::Code { packet: PacketKind::ConnAck, code })?,
        properties: properties(body, version, Place::In(PacketKind::ConnAck))?,
    })
}

fn ack(body: &mut Reader<'_>, version: Version) -> Result<Ack, DecodeError> {
    let packet_id = body.packet_id()?;
    let (code, properties) = code_and_properties(body, version)?;
    Ok(Ack { packet_id, code, properties })
}

/// In 5.0 the code may be left out for success, and the properties if there are none (section 3.4.2.1).
fn code_and_properties(body: &mut Reader<'_>, version: Version) -> Result<(ReasonCode, Properties), DecodeError> {
    if version == Version::V311 || body.is_empty() {
        return Ok((ReasonCode::Success, Properties::new()));
    }
    let packet = body.packet();
    let code = body.u8()?;
    let reason = known_code(packet, code).ok_or(DecodeError::Code { packet, code })?;
    let properties = match body.is_empty() {
        true => Properties::new(),
        false => Properties::read(body, Place::In(packet))?,
    };
    Ok((reason, properties))
}

fn subscribe(body: &mut Reader<'_>, version: Version) -> Result<Subscribe, DecodeError> {
    let packet = PacketKind::Subscribe;
    let packet_id = body.packet_id()?;
    let properties = properties(body, version, Place::In(packet))?;
    let mut subscriptions = Vec::new();
    while !body.is_empty() {
        let filter = topic_filter(packet, body.text()?)?;
        let options = subscribe_options(body.u8()?, version)?;
        // A shared subscription with No Local is a protocol error [MQTT-3.8.3-4].
        if options.no_local && filter.share_group().is_some() {
            return Err(DecodeError::NoLocalShared);
        }
        subscriptions.push(Subscription { filter, options });
    }
    if subscriptions.is_empty() {
        return Err(DecodeError::NoFilters { packet });
    }
    Ok(Subscribe { packet_id, subscriptions, properties })
}

fn subscribe_options(options: u8, version: Version) -> Result<SubscribeOptions, DecodeError> {
    let qos = Qos::from_bits(options & 0x03).ok_or(DecodeError::Qos3 { packet: PacketKind::Subscribe })?;
    let reserved = match version {
        Version::V311 => 0xfc,
        Version::V5 => 0xc0,
    };
    if options & reserved != 0 {
        return Err(DecodeError::SubscribeOptions { options });
    }
    Ok(SubscribeOptions {
        qos,
        no_local: options & 0x04 != 0,
        retain_as_published: options & 0x08 != 0,
        retain_handling: RetainHandling::from_bits(options >> 4 & 0x03).ok_or(DecodeError::RetainHandling3)?,
    })
}

fn suback(body: &mut Reader<'_>, version: Version) -> Result<SubAck, DecodeError> {
    let packet = PacketKind::SubAck;
    let packet_id = body.packet_id()?;
    let properties = properties(body, version, Place::In(packet))?;
    let mut codes = Vec::new();
    while !body.is_empty() {
        let code = body.u8()?;
        let reason = match (version, code) {
            (Version::V311, 0..=2 | 0x80) => ReasonCode::from_u8(code),
            (Version::V311, _) => None,
            (Version::V5, _) => known_code(packet, code),
        };
        codes.push(reason.ok_or(DecodeError::Code { packet, code })?);
    }
    Ok(SubAck { packet_id, codes, properties })
}

fn unsubscribe(body: &mut Reader<'_>, version: Version) -> Result<Unsubscribe, DecodeError> {
    let packet = PacketKind::Unsubscribe;
    let packet_id = body.packet_id()?;
    let properties = properties(body, version, Place::In(packet))?;
    let mut filters = Vec::new();
    while !body.is_empty() {
        filters.push(topic_filter(packet, body.text()?)?);
    }
    if filters.is_empty() {
        return Err(DecodeError::NoFilters { packet });
    }
    Ok(Unsubscribe { packet_id, filters, properties })
}

fn unsuback(body: &mut Reader<'_>, version: Version) -> Result<UnsubAck, DecodeError> {
    let packet = PacketKind::UnsubAck;
    let packet_id = body.packet_id()?;
    let properties = properties(body, version, Place::In(packet))?;
    let mut codes = Vec::new();
    while version == Version::V5 && !body.is_empty() {
        let code = body.u8()?;
        codes.push(known_code(packet, code).ok_or(DecodeError::Code { packet, code })?);
    }
    Ok(UnsubAck { packet_id, codes, properties })
}

fn known_code(packet: PacketKind, code: u8) -> Option<ReasonCode> {
    ReasonCode::from_u8(code).filter(|reason| reason.belongs_in(packet))
}

fn properties(body: &mut Reader<'_>, version: Version, place: Place) -> Result<Properties, DecodeError> {
    match version {
        Version::V311 => Ok(Properties::new()),
        Version::V5 => Properties::read(body, place),
    }
}

fn topic_name(packet: PacketKind, text: &str) -> Result<TopicName, DecodeError> {
    TopicName::parse(text).map_err(|fault| DecodeError::TopicName { packet, fault })
}

fn topic_filter(packet: PacketKind, text: &str) -> Result<TopicFilter, DecodeError> {
    TopicFilter::parse(text).map_err(|fault| DecodeError::TopicFilter { packet, fault })
}
