//! The forms in which the broker writes things down. Messages and subscriptions are MQTT 5 packets behind a few fields of
//! ours, each form behind the number of its version.
//!
//! Keys: `broker/session/<number>`, `broker/subscription/<number>/<serial>`, `broker/outgoing/<number>/<packet id>`,
//! `broker/incoming/<number>/<packet id>`, `broker/will/<number>`, `broker/retained/<serial>`. A session's number is also
//! the one of its queue.

use bytes::{BufMut, Bytes, BytesMut};
use mqtt::codec::{Decoder, Outgoing, VariableInteger, encode, encode_at_most_once};
use mqtt::packet::{Packet, PacketId, Properties, Property, Qos, Subscribe, Subscription, Version};
use mqtt::topic::MultiLevel;
use mqtt::{TopicFilter, TopicName};
use store::Position;

pub(crate) const SESSIONS: &str = "broker/session/";
pub(crate) const SUBSCRIPTIONS: &str = "broker/subscription/";
pub(crate) const OUTGOING: &str = "broker/outgoing/";
pub(crate) const INCOMING: &str = "broker/incoming/";
pub(crate) const WILLS: &str = "broker/will/";
pub(crate) const RETAINED: &str = "broker/retained/";

const VERSION: u8 = 1;
const NO_WILL: u32 = u32::MAX;
/// Larger than any packet that was let in.
const PACKET_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub client_id: String,
    pub version: Version,
    pub expiry_s: u32,
    /// `None`: connected.
    pub disconnected_at_ms: Option<u64>,
    /// Of a will whose row lies beside it.
    pub will_delay_s: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionRow {
    pub subscription: Subscription,
    pub id: Option<VariableInteger>,
    pub multi_level: MultiLevel,
}

/// A message with QoS 1 or 2 that was sent under a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingRow {
    pub position: Position,
    pub qos: Qos,
    /// QoS 2: the client has it.
    pub is_released: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WillRow {
    pub client_id: String,
    pub principal: Option<String>,
    pub message: StoredMessage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetainedRow {
    pub stored_at_ms: u64,
    pub expires_at_ms: Option<u64>,
    pub message: StoredMessage,
}

/// With QoS and retain of its own, which its packet does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub topic: TopicName,
    pub payload: Bytes,
    pub properties: Properties,
    pub qos: Qos,
    pub retain: bool,
}

/// What a queued message is in one queue: the rest is in the body, which others share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub qos: Qos,
    pub retain: bool,
    pub queued_at_ms: u64,
    pub expires_at_ms: Option<u64>,
    pub ids: Vec<VariableInteger>,
    /// Of the shared subscription that it came by.
    pub group: Option<TopicFilter>,
    /// Sessions of the group that did not want it.
    pub refused_by: Vec<u64>,
}

pub(crate) fn numbered(prefix: &str, number: u64) -> Vec<u8> {
    format!("{prefix}{number:016x}").into_bytes()
}

pub(crate) fn below(prefix: &str, number: u64, part: u32) -> Vec<u8> {
    format!("{prefix}{number:016x}/{part:08x}").into_bytes()
}

/// The number, and what stands below it.
pub(crate) fn numbers_of(prefix: &str, key: &[u8]) -> Option<(u64, Option<u32>)> {
    let rest = std::str::from_utf8(key.get(prefix.len()..)?).ok()?;
    match rest.split_once('/') {
        None => Some((u64::from_str_radix(rest, 16).ok()?, None)),
        Some((number, part)) => {
            Some((u64::from_str_radix(number, 16).ok()?, Some(u32::from_str_radix(part, 16).ok()?)))
        }
    }
}

impl SessionRow {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(32 + self.client_id.len());
        out.put_u8(VERSION);
        out.put_u8(self.version.level());
        out.put_u32(self.expiry_s);
        out.put_u64(self.disconnected_at_ms.unwrap_or(0));
        // The longest delay is a second shorter on disk, after 136 years.
        out.put_u32(self.will_delay_s.map_or(NO_WILL, |delay_s| delay_s.min(NO_WILL - 1)));
        out.put_slice(self.client_id.as_bytes());
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let version = match fields.u8()? {
            level if level == Version::V311.level() => Version::V311,
            level if level == Version::V5.level() => Version::V5,
            _ => return None,
        };
        Some(SessionRow {
            version,
            expiry_s: fields.u32()?,
            disconnected_at_ms: Some(fields.u64()?).filter(|ms| *ms != 0),
            will_delay_s: Some(fields.u32()?).filter(|delay_s| *delay_s != NO_WILL),
            client_id: fields.rest_text()?,
        })
    }
}

impl SubscriptionRow {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.multi_level == MultiLevel::WithParent));
        let properties: Properties = self.id.map(Property::SubscriptionIdentifier).into_iter().collect();
        let subscribe =
            Subscribe { packet_id: PacketId::FIRST, subscriptions: vec![self.subscription.clone()], properties };
        // A filter that came in a packet fits one again.
        let _ = encode(&Packet::Subscribe(subscribe), Version::V5, &mut out);
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let multi_level = match fields.u8()? {
            0 => MultiLevel::BelowParent,
            _ => MultiLevel::WithParent,
        };
        let Packet::Subscribe(subscribe) = packet(fields.rest())? else { return None };
        let id = subscribe.properties.subscription_id();
        Some(SubscriptionRow { subscription: subscribe.subscriptions.into_iter().next()?, id, multi_level })
    }
}

impl OutgoingRow {
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(11);
        out.put_u8(VERSION);
        out.put_u8(self.qos as u8);
        out.put_u8(u8::from(self.is_released));
        out.put_u64(self.position.0);
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let (qos, is_released) = (qos_of(fields.u8()?)?, fields.u8()? != 0);
        Some(OutgoingRow { qos, is_released, position: Position(fields.u64()?) })
    }
}

/// There is nothing to say but that it is there.
pub(crate) fn incoming_row() -> Bytes {
    Bytes::from_static(&[VERSION])
}

impl WillRow {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.principal.is_some()));
        for text in [self.client_id.as_str(), self.principal.as_deref().unwrap_or_default()] {
            out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
            out.put_slice(text.as_bytes());
        }
        self.message.write(&mut out);
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let has_principal = fields.u8()? != 0;
        let (client_id, principal) = (fields.text()?, fields.text()?);
        let message = StoredMessage::read(&mut fields)?;
        Some(WillRow { client_id, principal: has_principal.then_some(principal), message })
    }
}

impl RetainedRow {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u64(self.stored_at_ms);
        out.put_u64(self.expires_at_ms.unwrap_or(0));
        self.message.write(&mut out);
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let (stored_at_ms, expires_at_ms) = (fields.u64()?, Some(fields.u64()?).filter(|ms| *ms != 0));
        Some(RetainedRow { stored_at_ms, expires_at_ms, message: StoredMessage::read(&mut fields)? })
    }
}

impl StoredMessage {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.qos as u8);
        out.put_u8(u8::from(self.retain));
        // What came in a packet fits one again.
        let _ = encode_at_most_once(&self.outgoing(), Version::V5, out);
    }

    fn outgoing(&self) -> Outgoing<'_> {
        let StoredMessage { topic, payload, properties, .. } = self;
        Outgoing { topic, payload, qos: Qos::AtMostOnce, retain: false, properties }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (qos, retain) = (qos_of(fields.u8()?)?, fields.u8()? != 0);
        let (topic, payload, properties) = read_body(fields.rest())?;
        Some(StoredMessage { topic, payload, properties, qos, retain })
    }
}

/// The body of a queued message: the PUBLISH with QoS 0, as `Published` has it.
pub(crate) fn read_body(stored: &[u8]) -> Option<(TopicName, Bytes, Properties)> {
    let Packet::Publish(publish) = packet(stored)? else { return None };
    Some((publish.topic, publish.payload, publish.properties))
}

impl Head {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(32);
        out.put_u8(VERSION);
        out.put_u8(self.qos as u8);
        out.put_u8(u8::from(self.retain));
        out.put_u64(self.queued_at_ms);
        out.put_u64(self.expires_at_ms.unwrap_or(0));
        out.put_u16(u16::try_from(self.ids.len()).unwrap_or(u16::MAX));
        for id in self.ids.iter().take(usize::from(u16::MAX)) {
            out.put_u32(u32::try_from(id.value()).unwrap_or(VariableInteger::MAX));
        }
        out.put_u16(u16::try_from(self.refused_by.len()).unwrap_or(u16::MAX));
        for number in self.refused_by.iter().take(usize::from(u16::MAX)) {
            out.put_u64(*number);
        }
        if let Some(group) = &self.group {
            out.put_slice(group.as_str().as_bytes());
        }
        out.freeze()
    }

    pub fn decode(stored: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(stored)?;
        let (qos, retain) = (qos_of(fields.u8()?)?, fields.u8()? != 0);
        let (queued_at_ms, expires_at_ms) = (fields.u64()?, Some(fields.u64()?).filter(|ms| *ms != 0));
        let count = fields.u16()?;
        let ids = (0..count).map(|_| VariableInteger::new(fields.u32()?)).collect::<Option<Vec<_>>>()?;
        let count = fields.u16()?;
        let refused_by = (0..count).map(|_| fields.u64()).collect::<Option<Vec<_>>>()?;
        let group = fields.rest_text()?;
        let group = if group.is_empty() { None } else { Some(TopicFilter::parse(&group).ok()?) };
        Some(Head { qos, retain, queued_at_ms, expires_at_ms, ids, group, refused_by })
    }
}

fn packet(stored: &[u8]) -> Option<Packet> {
    let mut input = BytesMut::from(stored);
    let packet = Decoder::for_client(Version::V5, PACKET_BYTES_MAX).decode(&mut input).ok()??;
    input.is_empty().then_some(packet)
}

fn qos_of(stored: u8) -> Option<Qos> {
    match stored {
        0 => Some(Qos::AtMostOnce),
        1 => Some(Qos::AtLeastOnce),
        2 => Some(Qos::ExactlyOnce),
        _ => None,
    }
}

/// Reads fields off the front, and never beyond the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of this version.
    fn of(stored: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(stored);
        (fields.u8()? == VERSION).then_some(fields)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn u8(&mut self) -> Option<u8> {
        self.chunk().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_be_bytes)
    }

    /// Behind its length.
    fn text(&mut self) -> Option<String> {
        let bytes = self.u32()?;
        let (text, rest) = self.0.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn rest_text(&mut self) -> Option<String> {
        String::from_utf8(self.rest().to_vec()).ok()
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mqtt::codec::VariableInteger;
    use mqtt::packet::{Properties, Property, Qos, SubscribeOptions, Subscription, Version};
    use mqtt::topic::MultiLevel;
    use mqtt::{TopicFilter, TopicName};
    use store::Position;

    use super::{
        Head, OUTGOING, OutgoingRow, RetainedRow, SESSIONS, SessionRow, StoredMessage, SubscriptionRow, WillRow, below,
        numbered, numbers_of,
    };

    fn message() -> StoredMessage {
        let property = Property::UserProperty(("a".to_owned(), "b".to_owned()));
        StoredMessage {
            topic: TopicName::parse("a/b").expect("a topic"),
            payload: Bytes::from_static(b"payload"),
            properties: [property].into_iter().collect(),
            qos: Qos::ExactlyOnce,
            retain: true,
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let session = SessionRow {
            client_id: "client".to_owned(),
            version: Version::V5,
            expiry_s: 7,
            disconnected_at_ms: Some(8),
            will_delay_s: Some(0),
        };
        assert_eq!(SessionRow::decode(&session.encode()), Some(session.clone()));
        let longest = SessionRow { will_delay_s: Some(u32::MAX), ..session.clone() };
        let kept = SessionRow::decode(&longest.encode()).expect("it can be read");
        assert_eq!(kept.will_delay_s, Some(u32::MAX - 1), "it is still a will");
        let connected = SessionRow { disconnected_at_ms: None, will_delay_s: None, ..session };
        assert_eq!(SessionRow::decode(&connected.encode()), Some(connected));
        for id in [None, VariableInteger::new(268_435_455)] {
            let subscription = Subscription {
                filter: TopicFilter::parse("$share/g/a/#").expect("a filter"),
                options: SubscribeOptions::of_qos(Qos::AtLeastOnce),
            };
            let row = SubscriptionRow { subscription, id, multi_level: MultiLevel::BelowParent };
            assert_eq!(SubscriptionRow::decode(&row.encode()), Some(row));
        }
        let row = OutgoingRow { position: Position(9), qos: Qos::ExactlyOnce, is_released: true };
        assert_eq!(OutgoingRow::decode(&row.encode()), Some(row));
        for principal in [None, Some(String::new()), Some("somebody".to_owned())] {
            let row = WillRow { client_id: "client".to_owned(), principal, message: message() };
            assert_eq!(WillRow::decode(&row.encode()), Some(row));
        }
        let row = RetainedRow { stored_at_ms: 5, expires_at_ms: Some(6), message: message() };
        assert_eq!(RetainedRow::decode(&row.encode()), Some(row));
        for group in [None, Some(TopicFilter::parse("$share/g/a").expect("a filter"))] {
            let head = Head {
                qos: Qos::AtLeastOnce,
                retain: true,
                queued_at_ms: 3,
                expires_at_ms: None,
                ids: VariableInteger::new(3).into_iter().collect(),
                group,
                refused_by: vec![7, u64::MAX],
            };
            assert_eq!(Head::decode(&head.encode()), Some(head));
        }
    }

    #[test]
    fn what_is_cut_short_or_of_another_version_is_not_read() {
        let row = WillRow { client_id: "client".to_owned(), principal: None, message: message() };
        let whole = row.encode();
        for length in 0..whole.len() {
            assert_eq!(WillRow::decode(&whole[..length]), None, "{length}");
        }
        let mut other = whole.to_vec();
        other[0] = 2;
        assert_eq!(WillRow::decode(&other), None);
        assert_eq!(Properties::new(), Properties::default());
    }

    #[test]
    fn keys_tell_their_numbers() {
        assert_eq!(numbers_of(SESSIONS, &numbered(SESSIONS, 17)), Some((17, None)));
        assert_eq!(numbers_of(OUTGOING, &below(OUTGOING, u64::MAX, 3)), Some((u64::MAX, Some(3))));
        assert_eq!(numbers_of(OUTGOING, b"broker/outgoing/x"), None);
    }
}
