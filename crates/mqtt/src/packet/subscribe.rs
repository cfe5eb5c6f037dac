//! SUBSCRIBE, UNSUBSCRIBE and their acknowledgements.

use super::{PacketId, Properties, Qos, ReasonCode};
use crate::topic::TopicFilter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub packet_id: PacketId,
    /// Never empty when decoded [MQTT-3.8.3-3].
    pub subscriptions: Vec<Subscription>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub filter: TopicFilter,
    pub options: SubscribeOptions,
}

/// 3.1.1 has the QoS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    pub qos: Qos,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainHandling {
    SendAtSubscribe = 0,
    SendIfNew = 1,
    DoNotSend = 2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    pub packet_id: PacketId,
    /// One per subscription asked for, in their order [MQTT-3.8.4-5].
    pub codes: Vec<ReasonCode>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    pub packet_id: PacketId,
    /// Never empty when decoded [MQTT-3.10.3-2].
    pub filters: Vec<TopicFilter>,
    pub properties: Properties,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    pub packet_id: PacketId,
    /// One per filter in 5.0, empty in 3.1.1.
    pub codes: Vec<ReasonCode>,
    pub properties: Properties,
}

impl Subscribe {
    pub fn one(packet_id: PacketId, filter: TopicFilter, qos: Qos) -> Self {
        Subscribe {
            packet_id,
            subscriptions: vec![Subscription { filter, options: SubscribeOptions::of_qos(qos) }],
            properties: Properties::new(),
        }
    }
}

impl SubscribeOptions {
    pub fn of_qos(qos: Qos) -> Self {
        SubscribeOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        }
    }
}

impl RetainHandling {
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(RetainHandling::SendAtSubscribe),
            1 => Some(RetainHandling::SendIfNew),
            2 => Some(RetainHandling::DoNotSend),
            _ => None,
        }
    }
}
