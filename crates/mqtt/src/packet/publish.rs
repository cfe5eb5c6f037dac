//! PUBLISH and its acknowledgements.

use bytes::Bytes;

use super::{PacketId, Properties, Qos, ReasonCode};
use crate::topic::TopicName;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    pub qos: Qos,
    pub retain: bool,
    pub topic: TopicName,
    /// Present exactly if the QoS is 1 or 2 [MQTT-2.3.1-5].
    pub packet_id: Option<PacketId>,
    /// When decoded, a part of the buffer that was read, not a copy.
    pub payload: Bytes,
    pub properties: Properties,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub packet_id: PacketId,
    pub code: ReasonCode,
    pub properties: Properties,
}

impl Publish {
    pub fn at_most_once(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Publish {
            dup: false,
            qos: Qos::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            payload: payload.into(),
            properties: Properties::new(),
        }
    }

    pub fn at_least_once(packet_id: PacketId, topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Publish { qos: Qos::AtLeastOnce, packet_id: Some(packet_id), ..Publish::at_most_once(topic, payload) }
    }
}

impl Ack {
    pub fn success(packet_id: PacketId) -> Self {
        Ack { packet_id, code: ReasonCode::Success, properties: Properties::new() }
    }
}
