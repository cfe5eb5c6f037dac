//! Bytes that must be refused, and how, one row each.

use bytes::BytesMut;

use crate::codec::{DecodeError, Decoder, PropertyFault};
use crate::packet::{PacketKind, Version};
use crate::topic::TopicError;

const PACKET_BYTES_MAX: usize = 64;

fn check(mut decoder: Decoder, bytes: &[u8], error: DecodeError) {
    let mut input = BytesMut::from(bytes);
    assert_eq!(decoder.decode(&mut input), Err(error.clone()), "{bytes:02x?}");
    assert!(!error.to_string().is_empty());
}

fn check_first(bytes: &[u8], error: DecodeError) {
    check(Decoder::for_server(PACKET_BYTES_MAX), bytes, error);
}

fn check_later(version: Version, bytes: &[u8], error: DecodeError) {
    check(Decoder::for_client(version, PACKET_BYTES_MAX), bytes, error);
}

fn check_311(bytes: &[u8], error: DecodeError) {
    check_later(Version::V311, bytes, error);
}

fn check_5(bytes: &[u8], error: DecodeError) {
    check_later(Version::V5, bytes, error);
}

#[test]
fn connects() {
    let packet = PacketKind::Connect;
    check_first(b"GET / HTTP/1.1\r\n", DecodeError::NotConnect { first_byte: b'G' });
    check_first(b"\x30", DecodeError::NotConnect { first_byte: 0x30 });
    check_first(b"\x00\x00", DecodeError::NotConnect { first_byte: 0 });
    check_first(b"\x11\x00", DecodeError::Flags { packet, flags: 1 });
    check_first(b"\x10\x00", DecodeError::Truncated { packet });
    check_first(b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x00\x00\x00", DecodeError::ProtocolName);
    check_first(b"\x10\x0c\x00\x04mqtt\x04\x02\x00\x00\x00\x00", DecodeError::ProtocolName);
    check_first(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00", DecodeError::ProtocolLevel { level: 3 });
    check_first(b"\x10\x0e\x00\x06MQIsdp\x04\x02\x00\x00\x00\x00", DecodeError::ProtocolLevel { level: 4 });
    check_first(b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00", DecodeError::ProtocolLevel { level: 6 });
    check_first(b"\x10\x0c\x00\x04MQTT\x84\x02\x00\x00\x00\x00", DecodeError::ProtocolLevel { level: 0x84 });
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", DecodeError::ConnectReservedFlag);
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x0a\x00\x00\x00\x00", DecodeError::WillFlagsWithoutWill);
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x22\x00\x00\x00\x00", DecodeError::WillFlagsWithoutWill);
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x1e\x00\x00\x00\x00", DecodeError::Qos3 { packet });
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x42\x00\x00\x00\x00", DecodeError::PasswordWithoutUserName);
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x01", DecodeError::Truncated { packet });
    check_first(b"\x10\x0c\x00\x04MQTT\x04\x82\x00\x00\x00\x00", DecodeError::Truncated { packet });
    check_first(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x00!", DecodeError::TrailingBytes { packet, bytes: 1 });
    check_first(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\xff", DecodeError::NotUtf8 { packet });
    check_first(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03\xed\xa0\x80", DecodeError::NotUtf8 { packet });
    check_first(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x00", DecodeError::Nul { packet });
    check_first(
        b"\x10\x12\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01+\x00\x00",
        DecodeError::TopicName { packet, fault: TopicError::Wildcard },
    );
}

#[test]
fn lengths() {
    let too_large = |bytes| DecodeError::TooLarge { packet: PacketKind::Connect, bytes, bytes_max: PACKET_BYTES_MAX };
    // Refused as soon as the length is known, before the body has come.
    check_first(b"\x10\x3f", too_large(65));
    check_first(b"\x10\xff\xff\xff\x7f", too_large(5 + 268_435_455));
    check_first(b"\x10\xff\xff\xff\xff", DecodeError::RemainingLength);
    check_311(b"\x30\x80\x80\x80\x80\x01", DecodeError::RemainingLength);
    check_5(b"\xc0\x80\x00", DecodeError::RemainingLength);
    let mut decoder = Decoder::for_client(Version::V311, PACKET_BYTES_MAX);
    let mut padded = BytesMut::from(&b"\xc0\x80\x00"[..]);
    assert!(matches!(decoder.decode(&mut padded), Ok(Some(_))), "3.1.1 does not ask for the shortest form");
}

#[test]
fn flags() {
    check_311(b"\x00\x00", DecodeError::ReservedType);
    let fixed = [
        (PacketKind::ConnAck, 0x21, 1),
        (PacketKind::PubAck, 0x42, 2),
        (PacketKind::PubRel, 0x60, 0),
        (PacketKind::Subscribe, 0x80, 0),
        (PacketKind::Subscribe, 0x83, 3),
        (PacketKind::Unsubscribe, 0xa0, 0),
        (PacketKind::PingReq, 0xc8, 8),
        (PacketKind::Disconnect, 0xe1, 1),
        (PacketKind::Auth, 0xff, 15),
    ];
    for (packet, first_byte, flags) in fixed {
        check_311(&[first_byte, 0], DecodeError::Flags { packet, flags });
    }
    check_311(b"\xf0\x00", DecodeError::AuthIn311);
}

#[test]
fn publishes() {
    let packet = PacketKind::Publish;
    check_311(b"\x36\x05\x00\x01t\x00\x01", DecodeError::Qos3 { packet });
    check_311(b"\x38\x03\x00\x01t", DecodeError::DupWithQos0);
    check_311(b"\x32\x05\x00\x01t\x00\x00", DecodeError::PacketIdZero { packet });
    check_311(b"\x32\x03\x00\x01t", DecodeError::Truncated { packet });
    check_311(b"\x30\x03\x00\x02t", DecodeError::Truncated { packet });
    check_311(b"\x30\x00", DecodeError::Truncated { packet });
    check_311(b"\x30\x02\x00\x00", DecodeError::TopicName { packet, fault: TopicError::Empty });
    check_311(b"\x30\x05\x00\x03a/+", DecodeError::TopicName { packet, fault: TopicError::Wildcard });
    check_311(b"\x30\x03\x00\x01#", DecodeError::TopicName { packet, fault: TopicError::Wildcard });
    check_311(b"\x30\x03\x00\x01\x00", DecodeError::Nul { packet });
    check_311(b"\x30\x03\x00\x01\xc3", DecodeError::NotUtf8 { packet });
    check_5(b"\x30\x03\x00\x00\x00", DecodeError::TopicName { packet, fault: TopicError::Empty });
    check_5(b"\x30\x07\x00\x01t\x03\x23\x00\x01", DecodeError::TopicAlias { alias: 1, alias_max: 0 });
    check_5(b"\x30\x04\x00\x01t\x01", DecodeError::Truncated { packet });
}

#[test]
fn acknowledgements() {
    let packet = PacketKind::PubAck;
    check_311(b"\x40\x02\x00\x00", DecodeError::PacketIdZero { packet });
    check_311(b"\x40\x01\x00", DecodeError::Truncated { packet });
    check_311(b"\x40\x03\x00\x01\x00", DecodeError::TrailingBytes { packet, bytes: 1 });
    check_5(b"\x40\x03\x00\x01\x8e", DecodeError::Code { packet, code: 0x8e });
    check_5(b"\x40\x05\x00\x01\x00\x00\x00", DecodeError::TrailingBytes { packet, bytes: 1 });
    let packet = PacketKind::ConnAck;
    check_311(b"\x20\x02\x02\x00", DecodeError::ConnAckFlags { flags: 2 });
    check_311(b"\x20\x02\x00\x06", DecodeError::Code { packet, code: 6 });
    let packet = PacketKind::SubAck;
    check_311(b"\x90\x03\x00\x01\x03", DecodeError::Code { packet, code: 3 });
    check_311(b"\x90\x03\x00\x01\x87", DecodeError::Code { packet, code: 0x87 });
    let packet = PacketKind::PingReq;
    check_311(b"\xc0\x01\x00", DecodeError::TrailingBytes { packet, bytes: 1 });
}

#[test]
fn subscriptions() {
    let packet = PacketKind::Subscribe;
    check_311(b"\x82\x02\x00\x01", DecodeError::NoFilters { packet });
    check_311(b"\x82\x06\x00\x00\x00\x01a\x00", DecodeError::PacketIdZero { packet });
    check_311(b"\x82\x06\x00\x01\x00\x01a\x03", DecodeError::Qos3 { packet });
    check_311(b"\x82\x06\x00\x01\x00\x01a\x04", DecodeError::SubscribeOptions { options: 4 });
    check_311(b"\x82\x05\x00\x01\x00\x01a", DecodeError::Truncated { packet });
    check_311(
        b"\x82\x07\x00\x01\x00\x02a#\x00",
        DecodeError::TopicFilter { packet, fault: TopicError::MisplacedWildcard },
    );
    check_311(b"\x82\x05\x00\x01\x00\x00\x00", DecodeError::TopicFilter { packet, fault: TopicError::Empty });
    check_5(b"\x82\x07\x00\x01\x00\x00\x01a\x30", DecodeError::RetainHandling3);
    check_5(b"\x82\x07\x00\x01\x00\x00\x01a\x40", DecodeError::SubscribeOptions { options: 0x40 });
    check_5(b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x05", DecodeError::NoLocalShared);
    let packet = PacketKind::Unsubscribe;
    check_311(b"\xa2\x02\x00\x01", DecodeError::NoFilters { packet });
    check_311(b"\xa2\x05\x00\x00\x00\x01a", DecodeError::PacketIdZero { packet });
}

#[test]
fn properties() {
    let fault = |packet, id, fault| DecodeError::Property { packet, id, fault };
    let packet = PacketKind::Publish;
    check_5(b"\x30\x06\x00\x01t\x02\x7f\x00", fault(packet, 0x7f, PropertyFault::Unknown));
    check_5(b"\x30\x06\x00\x01t\x02\x01\x02", fault(packet, 0x01, PropertyFault::Value));
    check_5(b"\x30\x06\x00\x01t\x02\x24\x01", fault(packet, 0x24, PropertyFault::NotAllowed));
    check_5(b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00", fault(packet, 0x01, PropertyFault::Repeated));
    check_5(b"\x30\x08\x00\x01t\x04\x08\x00\x01+", fault(packet, 0x08, PropertyFault::Value));
    check_5(b"\x30\x06\x00\x01t\x02\x0b\x00", fault(packet, 0x0b, PropertyFault::Value));
    check_5(b"\x30\x05\x00\x01t\x02\x01", DecodeError::Truncated { packet });
    check_5(b"\x30\x06\x00\x01t\x80\x00\x00", DecodeError::VariableInteger { packet });
    let packet = PacketKind::Connect;
    check_first(
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00",
        fault(packet, 0x21, PropertyFault::Value),
    );
}
