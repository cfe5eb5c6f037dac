//! Another codec, rmqtt's, reads what this one writes and writes the same again.

use bytes::BytesMut;
use proptest::prelude::{ProptestConfig, proptest};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::any_packet::any_packet;
use crate::codec::{Decoder, encode};
use crate::packet::{Packet, Properties, Property, Version};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_other_codec_agrees_on_311(packet in any_packet(Version::V311)) {
        let mut ours = BytesMut::new();
        encode(&packet, Version::V311, &mut ours).expect("any packet is encodable");
        let mut peer = v3::Codec::new(0);
        let (theirs, _) = peer
            .decode(&mut ours.clone())
            .unwrap_or_else(|error| panic!("{packet:?}: {error:?}"))
            .expect("a whole packet");
        check_kind(&packet, &theirs);
        let mut again = BytesMut::new();
        peer.encode(theirs, &mut again).expect("what was decoded is encodable");
        assert_eq!(again, ours, "{packet:?}");
        let decoded = Decoder::for_client(Version::V311, 1 << 20).decode(&mut again);
        assert_eq!(decoded, Ok(Some(packet)));
    }

    #[test]
    fn the_other_codec_agrees_on_5(packet in any_packet(Version::V5)) {
        let mut ours = BytesMut::new();
        encode(&packet, Version::V5, &mut ours).expect("any packet is encodable");
        let mut peer = v5::Codec::new(0, 0);
        let (theirs, _) = peer
            .decode(&mut ours.clone())
            .unwrap_or_else(|error| panic!("{packet:?}: {error:?}"))
            .expect("a whole packet");
        let mut again = BytesMut::new();
        peer.encode(theirs, &mut again).expect("what was decoded is encodable");
        let decoded = Decoder::for_client(Version::V5, 1 << 20).decode(&mut again).expect("sound").expect("whole");
        assert_eq!(sorted(decoded), sorted(packet));
    }
}

/// The other codec has its own order of properties, and leaves out a payload format that is not said to be UTF-8.
fn sorted(mut packet: Packet) -> Packet {
    let sort = |properties: &Properties| -> Properties {
        let mut list: Vec<Property> =
            properties.iter().filter(|property| **property != Property::PayloadFormatIndicator(0)).cloned().collect();
        // Stable: user properties keep their order.
        list.sort_by_key(Property::id);
        list.into_iter().collect()
    };
    match &mut packet {
        Packet::Connect(connect) => {
            connect.properties = sort(&connect.properties);
            if let Some(will) = &mut connect.will {
                will.properties = sort(&will.properties);
            }
        }
        Packet::ConnAck(packet) => packet.properties = sort(&packet.properties),
        Packet::Publish(packet) => packet.properties = sort(&packet.properties),
        Packet::PubAck(packet) | Packet::PubRec(packet) | Packet::PubRel(packet) | Packet::PubComp(packet) => {
            packet.properties = sort(&packet.properties);
        }
        Packet::Subscribe(packet) => packet.properties = sort(&packet.properties),
        Packet::SubAck(packet) => packet.properties = sort(&packet.properties),
        Packet::Unsubscribe(packet) => packet.properties = sort(&packet.properties),
        Packet::UnsubAck(packet) => packet.properties = sort(&packet.properties),
        Packet::Disconnect(packet) => packet.properties = sort(&packet.properties),
        Packet::Auth(packet) => packet.properties = sort(&packet.properties),
        Packet::PingReq | Packet::PingResp => {}
    }
    packet
}

/// Equal bytes could still be read as another packet.
fn check_kind(ours: &Packet, theirs: &v3::Packet) {
    assert_eq!(ours.kind() as u8, theirs.packet_type() >> 4);
    if let (Packet::Publish(ours), v3::Packet::Publish(theirs)) = (ours, theirs) {
        assert_eq!(ours.topic.as_str(), &*theirs.topic);
        assert_eq!(ours.payload, theirs.payload);
        assert_eq!(ours.qos as u8, theirs.qos.value());
        assert_eq!(ours.packet_id.map(|id| id.value()), theirs.packet_id.map(|id| id.get()));
    }
}
