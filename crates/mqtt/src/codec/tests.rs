//! Bytes to packets and back, as a table.

use bytes::BytesMut;

use super::{Decoder, encode};
use crate::packet::{Ack, Connect, Packet, PacketId, Publish, Version};
use crate::topic::TopicName;

fn check(version: Version, bytes: &[u8], packet: Packet) {
    let mut input = BytesMut::from(bytes);
    let mut decoder = Decoder::for_client(version, 1 << 20);
    assert_eq!(decoder.decode(&mut input), Ok(Some(packet.clone())));
    assert!(input.is_empty());
    let mut out = BytesMut::new();
    encode(&packet, version, &mut out).expect("encodable");
    assert_eq!(&out[..], bytes);
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

#[test]
fn packets_and_their_bytes() {
    let topic = TopicName::parse("a/b").expect("a topic");
    check(
        Version::V311,
        b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id",
        Packet::Connect(Box::new(Connect::new("id"))),
    );
    check(
        Version::V311,
        b"\x32\x0a\x00\x03a/b\x00\x07hey",
        Packet::Publish(Publish::at_least_once(id(7), topic, &b"hey"[..])),
    );
    check(Version::V311, b"\x40\x02\x12\x34", Packet::PubAck(Ack::success(id(0x1234))));
}
