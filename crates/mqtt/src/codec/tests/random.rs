//! Any packet comes back as it went; any bytes, in any pieces, give the same result and no panic.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;

use super::any_packet::{any_packet, any_version};
use crate::codec::{DecodeError, Decoder, encode};
use crate::packet::{Packet, Version};

const PACKET_BYTES_MAX: usize = 1 << 20;

/// Everything that comes out of bytes that arrive in the given pieces, up to the first error.
fn decode_all(version: Option<Version>, pieces: &[&[u8]]) -> (Vec<Packet>, Option<DecodeError>, usize) {
    let mut decoder = match version {
        Some(version) => Decoder::for_client(version, PACKET_BYTES_MAX),
        None => Decoder::for_server(PACKET_BYTES_MAX),
    };
    let (mut input, mut packets) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error), 0),
            }
        }
    }
    (packets, None, input.len())
}

fn split<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// Sound streams with a few bytes changed: they reach deeper than noise does.
fn damaged_stream() -> impl Strategy<Value = (Version, Vec<u8>)> {
    let stream =
        any_version().prop_flat_map(|version| (proptest::prelude::Just(version), vec(any_packet(version), 1..4)));
    (stream, vec((any::<Index>(), any::<u8>()), 0..4)).prop_map(|((version, packets), changes)| {
        let mut out = BytesMut::new();
        for packet in &packets {
            encode(packet, version, &mut out).expect("any packet is encodable");
        }
        let mut bytes = out.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        (version, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn packets_come_back(
        (version, packets) in any_version().prop_flat_map(|version| {
            (proptest::prelude::Just(version), vec(any_packet(version), 1..5))
        }),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut out = BytesMut::new();
        for packet in &packets {
            encode(packet, version, &mut out).expect("any packet is encodable");
        }
        let (decoded, error, left) = decode_all(Some(version), &split(&out, &cuts));
        assert_eq!((decoded, error, left), (packets, None, 0));
    }

    #[test]
    fn pieces_do_not_matter((version, bytes) in damaged_stream(), cuts in vec(any::<Index>(), 0..6)) {
        for version in [Some(version), None] {
            let whole = decode_all(version, &[&bytes]);
            assert_eq!(decode_all(version, &split(&bytes, &cuts)), whole);
            let singly: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode_all(version, &singly), whole);
        }
    }

    #[test]
    fn noise_is_survived(
        bytes in prop_oneof![vec(any::<u8>(), 0..80), vec(0x10..0x13u8, 0..80)],
        version in any_version(),
    ) {
        decode_all(None, &[&bytes]);
        decode_all(Some(version), &[&bytes]);
    }
}
