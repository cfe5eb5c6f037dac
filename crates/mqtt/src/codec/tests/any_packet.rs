//! Strategies that make any packet of a version.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use crate::codec::VariableInteger;
use crate::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketId, PacketKind, Place, Properties, Property, Publish, Qos,
    ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeOptions, Subscription, UnsubAck, Unsubscribe, Version,
    Will,
};
use crate::topic::{TopicFilter, TopicName};

pub fn any_version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

pub fn any_packet(version: Version) -> impl Strategy<Value = Packet> {
    prop_oneof![
        connect(version).prop_map(|connect| Packet::Connect(Box::new(connect))),
        publish(version).prop_map(Packet::Publish),
        publish(version).prop_map(Packet::Publish),
        to_client(version),
        acks(version),
        subscriptions(version),
        others(version),
    ]
}

fn connect(version: Version) -> impl Strategy<Value = Connect> {
    let will = (topic_name(), data(), qos(), any::<bool>(), properties(version, Place::InWill))
        .prop_map(|(topic, payload, qos, retain, properties)| Will { topic, payload, qos, retain, properties });
    let credentials = option::of((text(), option::of(data())));
    (
        any::<bool>(),
        any::<u16>(),
        text(),
        option::of(will),
        credentials,
        properties(version, Place::In(PacketKind::Connect)),
    )
        .prop_map(move |(clean, keepalive_s, client_id, will, credentials, properties)| {
            let (username, password) = credentials.unzip();
            let password = password.flatten();
            // Only a clean session may do without an id [MQTT-3.1.3-7]; other codecs insist while they decode.
            let clean = clean || client_id.is_empty();
            Connect { version, clean, keepalive_s, client_id, will, username, password, properties }
        })
}

fn publish(version: Version) -> impl Strategy<Value = Publish> {
    let properties = properties(version, Place::In(PacketKind::Publish));
    (any::<bool>(), qos(), any::<bool>(), topic_name(), packet_id(), data(), properties).prop_map(
        |(dup, qos, retain, topic, packet_id, payload, properties)| Publish {
            dup: dup && qos != Qos::AtMostOnce,
            qos,
            retain,
            topic,
            packet_id: (qos != Qos::AtMostOnce).then_some(packet_id),
            payload,
            properties,
        },
    )
}

fn to_client(version: Version) -> impl Strategy<Value = Packet> {
    let connack = (any::<bool>(), code(version, PacketKind::ConnAck), properties_in(version, PacketKind::ConnAck))
        .prop_map(|(session_present, code, properties)| ConnAck { session_present, code, properties });
    let suback =
        (packet_id(), vec(code(version, PacketKind::SubAck), 0..9), properties_in(version, PacketKind::SubAck))
            .prop_map(|(packet_id, codes, properties)| SubAck { packet_id, codes, properties });
    let codes_max = if version == Version::V5 { 9 } else { 0 };
    let unsuback = (
        packet_id(),
        vec(code(version, PacketKind::UnsubAck), 0..=codes_max),
        properties_in(version, PacketKind::UnsubAck),
    )
        .prop_map(|(packet_id, codes, properties)| UnsubAck { packet_id, codes, properties });
    prop_oneof![connack.prop_map(Packet::ConnAck), suback.prop_map(Packet::SubAck), unsuback.prop_map(Packet::UnsubAck),]
}

fn acks(version: Version) -> impl Strategy<Value = Packet> {
    let ack =
        move |kind| {
            (packet_id(), code(version, kind), properties_in(version, kind))
                .prop_map(|(packet_id, code, properties)| Ack { packet_id, code, properties })
        };
    prop_oneof![
        ack(PacketKind::PubAck).prop_map(Packet::PubAck),
        ack(PacketKind::PubRec).prop_map(Packet::PubRec),
        ack(PacketKind::PubRel).prop_map(Packet::PubRel),
        ack(PacketKind::PubComp).prop_map(Packet::PubComp),
    ]
}

fn subscriptions(version: Version) -> impl Strategy<Value = Packet> {
    let subscription = (topic_filter(), subscribe_options(version)).prop_map(|(filter, mut options)| {
        options.no_local &= filter.share_group().is_none();
        Subscription { filter, options }
    });
    let subscribe = (packet_id(), vec(subscription, 1..9), properties_in(version, PacketKind::Subscribe))
        .prop_map(|(packet_id, subscriptions, properties)| Subscribe { packet_id, subscriptions, properties });
    let unsubscribe = (packet_id(), vec(topic_filter(), 1..9), properties_in(version, PacketKind::Unsubscribe))
        .prop_map(|(packet_id, filters, properties)| Unsubscribe { packet_id, filters, properties });
    prop_oneof![subscribe.prop_map(Packet::Subscribe), unsubscribe.prop_map(Packet::Unsubscribe)]
}

fn subscribe_options(version: Version) -> impl Strategy<Value = SubscribeOptions> {
    let retain_handling = prop_oneof![
        Just(RetainHandling::SendAtSubscribe),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::DoNotSend)
    ];
    (qos(), any::<bool>(), any::<bool>(), retain_handling).prop_map(
        move |(qos, no_local, retain_as_published, retain_handling)| match version {
            Version::V311 => SubscribeOptions::of_qos(qos),
            Version::V5 => SubscribeOptions { qos, no_local, retain_as_published, retain_handling },
        },
    )
}

fn others(version: Version) -> impl Strategy<Value = Packet> {
    let disconnect = (code(version, PacketKind::Disconnect), properties_in(version, PacketKind::Disconnect))
        .prop_map(|(code, properties)| Packet::Disconnect(Disconnect { code, properties }));
    let auth = (code(version, PacketKind::Auth), properties_in(version, PacketKind::Auth)).prop_map(
        move |(code, properties)| match version {
            Version::V311 => Packet::PingReq,
            Version::V5 => Packet::Auth(Auth { code, properties }),
        },
    );
    prop_oneof![Just(Packet::PingReq), Just(Packet::PingResp), disconnect, auth]
}

/// Those that the packet may carry, and that 3.1.1 has a form for.
fn code(version: Version, kind: PacketKind) -> impl Strategy<Value = ReasonCode> {
    let codes: Vec<ReasonCode> = match (version, kind) {
        (Version::V311, PacketKind::ConnAck) => (0..=5).filter_map(ReasonCode::from_connack_return_code).collect(),
        (Version::V311, PacketKind::SubAck) => [0, 1, 2, 0x80].into_iter().filter_map(ReasonCode::from_u8).collect(),
        (Version::V311, _) => vec![ReasonCode::Success],
        (Version::V5, _) => ReasonCode::ALL.iter().copied().filter(|code| code.belongs_in(kind)).collect(),
    };
    proptest::sample::select(codes)
}

fn properties_in(version: Version, kind: PacketKind) -> impl Strategy<Value = Properties> {
    properties(version, Place::In(kind))
}

fn properties(version: Version, place: Place) -> impl Strategy<Value = Properties> {
    let all = (vec(property(), 0..6), vec((text(), text()), 0..3));
    all.prop_map(move |(list, user)| {
        let mut properties = Properties::new();
        if version == Version::V311 {
            return properties;
        }
        for property in list {
            let is_new = !properties.iter().any(|present| present.id() == property.id());
            if is_new && property.belongs(place) {
                properties.push(property);
            }
        }
        user.into_iter().map(Property::UserProperty).for_each(|property| properties.push(property));
        properties
    })
}

/// All but the topic alias, which is not offered.
fn property() -> impl Strategy<Value = Property> {
    let integer = (1..=VariableInteger::MAX).prop_filter_map("in range", VariableInteger::new);
    prop_oneof![
        (0..=1u8).prop_map(Property::PayloadFormatIndicator),
        any::<u32>().prop_map(Property::MessageExpiryIntervalS),
        text().prop_map(Property::ContentType),
        topic_name().prop_map(|topic| Property::ResponseTopic(topic.as_str().to_owned())),
        data().prop_map(Property::CorrelationData),
        integer.prop_map(Property::SubscriptionIdentifier),
        any::<u32>().prop_map(Property::SessionExpiryIntervalS),
        any::<u16>().prop_map(Property::ServerKeepAliveS),
        text().prop_map(Property::AuthenticationMethod),
        text().prop_map(Property::ReasonString),
        (1..=u16::MAX).prop_map(Property::ReceiveMaximum),
        (0..=1u8).prop_map(Property::MaximumQos),
        (1..=u32::MAX).prop_map(Property::MaximumPacketSizeBytes),
        any::<u32>().prop_map(Property::WillDelayIntervalS),
    ]
}

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    any::<u16>().prop_filter_map("not zero", PacketId::new)
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[^\u{0}]{0,12}").expect("a pattern")
}

fn data() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 100..300)].prop_map(Bytes::from)
}

fn topic_name() -> impl Strategy<Value = TopicName> {
    let text = proptest::string::string_regex("[^\u{0}+#]{1,20}").expect("a pattern");
    text.prop_filter_map("a topic", |text| TopicName::parse(&text).ok())
}

fn topic_filter() -> impl Strategy<Value = TopicFilter> {
    let text = proptest::string::string_regex("(\\$share/g/)?(a|\\+|é)(/(b|\\+|)){0,3}(/#)?").expect("a pattern");
    text.prop_filter_map("a filter", |text| TopicFilter::parse(&text).ok())
}
