//! The bytes of a connection, either side's, in either version: what is decoded, wherever the network cuts it, and
//! whether each packet survives being written again.

use bytes::BytesMut;
use mqtt::{DecodeError, Decoder, Packet, Version, encode};

const PACKET_BYTES_MAX: usize = 64 * 1024;

/// The first byte chooses the side and the version, the second the places where the stream is cut.
pub fn mqtt_packets(data: &[u8]) {
    let [side, cut, stream @ ..] = data else { return };
    let decoder = || match side % 3 {
        0 => Decoder::for_server(PACKET_BYTES_MAX),
        1 => Decoder::for_client(Version::V311, PACKET_BYTES_MAX),
        _ => Decoder::for_client(Version::V5, PACKET_BYTES_MAX),
    };
    let whole = decoded(decoder(), [stream]);
    let pieces = decoded(decoder(), stream.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, pieces, "cut into pieces of {cut} bytes");

    let mut version = if side % 3 == 2 { Version::V5 } else { Version::V311 };
    let mut is_open = side % 3 == 0;
    for packet in &whole.packets {
        // The first CONNECT decides; a client knows its version and hears of no other.
        if let (Packet::Connect(connect), true) = (packet, std::mem::take(&mut is_open)) {
            version = connect.version;
        }
        check_round_trip(packet, version);
    }
    if let Some(error) = whole.error {
        assert!(error.to_string().len() < 512, "{error}");
    }
}

#[derive(Debug, PartialEq)]
struct Decoded {
    packets: Vec<Packet>,
    error: Option<DecodeError>,
    left: usize,
}

fn decoded<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut input = BytesMut::new();
    let mut decoded = Decoded { packets: Vec::new(), error: None, left: 0 };
    for piece in pieces {
        input.extend_from_slice(piece);
        // After an error the stream has no meaning.
        while decoded.error.is_none() {
            match decoder.decode(&mut input) {
                Ok(Some(packet)) => decoded.packets.push(packet),
                Ok(None) => break,
                Err(error) => decoded.error = Some(error),
            }
        }
    }
    decoded.left = if decoded.error.is_none() { input.len() } else { 0 };
    decoded
}

/// The first writing may differ from what came (a padded length, a code that could be left out), the second may not.
fn check_round_trip(packet: &Packet, version: Version) {
    let mut first = BytesMut::new();
    encode(packet, version, &mut first).expect("what was decoded has a form on the wire");
    let mut input = first.clone();
    // It was read within a bound that its shortest form keeps.
    let again = Decoder::for_client(version, PACKET_BYTES_MAX).decode(&mut input);
    assert_eq!(again, Ok(Some(packet.clone())), "{packet:?} in {version}");
    assert!(input.is_empty());
}
