//! Another codec, rmqtt's, reads what this one writes and writes the same bytes again.

use bytes::BytesMut;
use proptest::prelude::{ProptestConfig, proptest};
use rmqtt_codec::v3;
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::any_packet::any_packet;
use crate::codec::{Decoder, encode};
use crate::packet::{Packet, Version};

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
