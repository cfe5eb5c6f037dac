//! Properties (MQTT 5.0 section 2.2.2.2): a list in the order of the wire, empty in 3.1.1.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::PacketKind;
use crate::codec::{DecodeError, PropertyFault, Reader, VariableInteger, Wire};

/// Empty costs no allocation, a clone only a count of references: a message's properties are shared by all its
/// receivers. What a packet may carry, and how often, is checked when it is decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(
    /// Never empty.
    Option<Arc<Vec<Property>>>,
);

/// Where a list of properties stands: a will has its own list inside CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    In(PacketKind),
    InWill,
}

macro_rules! property_table {
    ($($id:literal $variant:ident($ty:ty) $words:literal [$($kind:ident)*] $will:literal)*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Property { $($variant($ty),)* }

        impl Property {
            /// The identifier on the wire.
            pub fn id(&self) -> u8 {
                match self { $(Property::$variant(_) => $id,)* }
            }

            pub fn words(&self) -> &'static str {
                match self { $(Property::$variant(_) => $words,)* }
            }

            fn read(id: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match id {
                    $($id => Ok(Property::$variant(<$ty as Wire>::read(reader)?)),)*
                    _ => Err(reader.property_error(id, PropertyFault::Unknown)),
                }
            }

            fn write(&self, out: &mut BytesMut) {
                match self { $(Property::$variant(value) => value.write(out),)* }
            }

            fn value_bytes(&self) -> usize {
                match self { $(Property::$variant(value) => value.wire_bytes(),)* }
            }

            /// Table 2-4 of the standard.
            pub(crate) fn belongs(&self, place: Place) -> bool {
                match self {
                    $(Property::$variant(_) => match place {
                        Place::In(kind) => [$(PacketKind::$kind),*].contains(&kind),
                        Place::InWill => $will,
                    },)*
                }
            }
        }
    };
}

property_table! {
    0x01 PayloadFormatIndicator(u8) "payload format indicator" [Publish] true
    0x02 MessageExpiryIntervalS(u32) "message expiry interval" [Publish] true
    0x03 ContentType(String) "content type" [Publish] true
    0x08 ResponseTopic(String) "response topic" [Publish] true
    0x09 CorrelationData(Bytes) "correlation data" [Publish] true
    0x0b SubscriptionIdentifier(VariableInteger) "subscription identifier" [Publish Subscribe] false
    0x11 SessionExpiryIntervalS(u32) "session expiry interval" [Connect ConnAck Disconnect] false
    0x12 AssignedClientIdentifier(String) "assigned client identifier" [ConnAck] false
    0x13 ServerKeepAliveS(u16) "server keep alive" [ConnAck] false
    0x15 AuthenticationMethod(String) "authentication method" [Connect ConnAck Auth] false
    0x16 AuthenticationData(Bytes) "authentication data" [Connect ConnAck Auth] false
    0x17 RequestProblemInformation(u8) "request problem information" [Connect] false
    0x18 WillDelayIntervalS(u32) "will delay interval" [] true
    0x19 RequestResponseInformation(u8) "request response information" [Connect] false
    0x1a ResponseInformation(String) "response information" [ConnAck] false
    0x1c ServerReference(String) "server reference" [ConnAck Disconnect] false
    0x1f ReasonString(String) "reason string"
        [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth] false
    0x21 ReceiveMaximum(u16) "receive maximum" [Connect ConnAck] false
    0x22 TopicAliasMaximum(u16) "topic alias maximum" [Connect ConnAck] false
    0x23 TopicAlias(u16) "topic alias" [Publish] false
    0x24 MaximumQos(u8) "maximum QoS" [ConnAck] false
    0x25 RetainAvailable(u8) "retain available" [ConnAck] false
    0x26 UserProperty((String, String)) "user property"
        [Connect ConnAck Publish PubAck PubRec PubRel PubComp Subscribe SubAck Unsubscribe UnsubAck
         Disconnect Auth] true
    0x27 MaximumPacketSizeBytes(u32) "maximum packet size" [Connect ConnAck] false
    0x28 WildcardSubscriptionAvailable(u8) "wildcard subscription available" [ConnAck] false
    0x29 SubscriptionIdentifierAvailable(u8) "subscription identifier available" [ConnAck] false
    0x2a SharedSubscriptionAvailable(u8) "shared subscription available" [ConnAck] false
}

impl Properties {
    pub const fn new() -> Self {
        Properties(None)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn push(&mut self, property: Property) {
        match &mut self.0 {
            Some(list) => Arc::make_mut(list).push(property),
            None => self.0 = Some(Arc::new(vec![property])),
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Property> {
        self.0.as_ref().map_or(&[][..], |list| list.as_slice()).iter()
    }

    /// The first one that `pick` takes to.
    pub fn find<'a, T>(&'a self, pick: impl FnMut(&'a Property) -> Option<T>) -> Option<T> {
        self.iter().find_map(pick)
    }

    pub fn retain(&mut self, keep: impl Fn(&Property) -> bool) {
        // Shared lists are copied only if something goes.
        if self.iter().all(&keep) {
            return;
        }
        *self = self.iter().filter(|property| keep(property)).cloned().collect();
    }

    pub fn session_expiry_s(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::SessionExpiryIntervalS(s) => Some(*s),
            _ => None,
        })
    }

    pub fn message_expiry_s(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::MessageExpiryIntervalS(s) => Some(*s),
            _ => None,
        })
    }

    pub fn will_delay_s(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::WillDelayIntervalS(s) => Some(*s),
            _ => None,
        })
    }

    pub fn receive_max(&self) -> Option<u16> {
        self.find(|property| match property {
            Property::ReceiveMaximum(max) => Some(*max),
            _ => None,
        })
    }

    pub fn packet_bytes_max(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::MaximumPacketSizeBytes(bytes) => Some(*bytes),
            _ => None,
        })
    }

    pub fn topic_alias_max(&self) -> Option<u16> {
        self.find(|property| match property {
            Property::TopicAliasMaximum(max) => Some(*max),
            _ => None,
        })
    }

    pub fn topic_alias(&self) -> Option<u16> {
        self.find(|property| match property {
            Property::TopicAlias(alias) => Some(*alias),
            _ => None,
        })
    }

    /// The one of SUBSCRIBE, or the first of PUBLISH.
    pub fn subscription_id(&self) -> Option<VariableInteger> {
        self.find(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(*id),
            _ => None,
        })
    }

    pub fn reason_string(&self) -> Option<&str> {
        self.find(|property| match property {
            Property::ReasonString(words) => Some(words.as_str()),
            _ => None,
        })
    }

    /// Those that belong to the message and go with it to its receivers. The others are for one connection: a topic
    /// alias, a will's delay. (Sections 3.3.2.3 and 3.1.3.2)
    pub fn of_message(mut self) -> Self {
        self.retain(|property| {
            matches!(
                property,
                Property::PayloadFormatIndicator(_)
                    | Property::MessageExpiryIntervalS(_)
                    | Property::ContentType(_)
                    | Property::ResponseTopic(_)
                    | Property::CorrelationData(_)
                    | Property::UserProperty(_)
            )
        });
        self
    }

    pub(crate) fn read(reader: &mut Reader<'_>, place: Place) -> Result<Self, DecodeError> {
        let length = VariableInteger::read(reader)?.value();
        let mut list = reader.part(length)?;
        let mut properties = Vec::new();
        // Identifiers are below 64, so one word remembers which have been seen.
        let mut seen = 0u64;
        while !list.is_empty() {
            let id = list.u8()?;
            let property = Property::read(id, &mut list)?;
            let fault = if !property.belongs(place) {
                Some(PropertyFault::NotAllowed)
            } else if !property.value_is_valid() {
                Some(PropertyFault::Value)
            } else if seen & (1 << id) != 0 && !property.may_repeat(place) {
                Some(PropertyFault::Repeated)
            } else {
                None
            };
            if let Some(fault) = fault {
                return Err(list.property_error(id, fault));
            }
            seen |= 1 << id;
            properties.push(property);
        }
        Ok(Properties::from_vec(properties))
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        VariableInteger::saturating(self.list_bytes()).write(out);
        self.write_list(out);
    }

    /// Without the length in front.
    pub(crate) fn write_list(&self, out: &mut BytesMut) {
        for property in self.iter() {
            out.extend_from_slice(&[property.id()]);
            property.write(out);
        }
    }

    /// With the length in front.
    pub fn wire_bytes(&self) -> usize {
        let list_bytes = self.list_bytes();
        VariableInteger::saturating(list_bytes).wire_bytes() + list_bytes
    }

    pub(crate) fn has_field_too_long(&self) -> bool {
        let bytes_max = usize::from(u16::MAX);
        self.iter().any(|property| match property {
            Property::UserProperty((name, value)) => name.len() > bytes_max || value.len() > bytes_max,
            // Any other property has at most one field, with two bytes of length in front.
            property => property.value_bytes() > 2 + bytes_max,
        })
    }

    pub(crate) fn list_bytes(&self) -> usize {
        self.iter().map(|property| 1 + property.value_bytes()).sum()
    }

    fn from_vec(list: Vec<Property>) -> Self {
        Properties((!list.is_empty()).then(|| Arc::new(list)))
    }
}

impl Property {
    fn may_repeat(&self, place: Place) -> bool {
        match self {
            Property::UserProperty(_) => true,
            // One per matching subscription when the server sends it (section 3.3.2.3.8).
            Property::SubscriptionIdentifier(_) => place == Place::In(PacketKind::Publish),
            _ => false,
        }
    }

    fn value_is_valid(&self) -> bool {
        match self {
            Property::PayloadFormatIndicator(flag)
            | Property::RequestProblemInformation(flag)
            | Property::RequestResponseInformation(flag)
            | Property::MaximumQos(flag)
            | Property::RetainAvailable(flag)
            | Property::WildcardSubscriptionAvailable(flag)
            | Property::SubscriptionIdentifierAvailable(flag)
            | Property::SharedSubscriptionAvailable(flag) => *flag <= 1,
            Property::ReceiveMaximum(value) | Property::TopicAlias(value) => *value != 0,
            Property::MaximumPacketSizeBytes(value) => *value != 0,
            Property::SubscriptionIdentifier(value) => value.value() != 0,
            // No wildcards [MQTT-3.3.2-14].
            Property::ResponseTopic(topic) => !topic.contains(['+', '#']),
            _ => true,
        }
    }
}

impl FromIterator<Property> for Properties {
    fn from_iter<I: IntoIterator<Item = Property>>(properties: I) -> Self {
        Properties::from_vec(properties.into_iter().collect())
    }
}
