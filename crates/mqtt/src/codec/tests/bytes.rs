//! Every packet beside its bytes, in both directions.

use bytes::{Bytes, BytesMut};

use super::{filter, id, topic};
use crate::codec::{Decoder, EncodeError, VariableInteger, encode};
use crate::packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, Properties, Property, Publish, Qos, ReasonCode, RetainHandling,
    SubAck, Subscribe, SubscribeOptions, Subscription, UnsubAck, Unsubscribe, Version, Will,
};

fn check(version: Version, bytes: &[u8], packet: Packet) {
    let mut input = BytesMut::from(bytes);
    let mut decoder = Decoder::for_client(version, 1 << 20);
    assert_eq!(decoder.decode(&mut input), Ok(Some(packet.clone())), "decoding {bytes:02x?}");
    assert!(input.is_empty(), "all of {bytes:02x?} is one packet");
    let mut out = BytesMut::new();
    assert_eq!(encode(&packet, version, &mut out), Ok(()));
    assert_eq!(&out[..], bytes, "encoding {packet:?}");
}

fn check_311(bytes: &[u8], packet: Packet) {
    check(Version::V311, bytes, packet);
}

fn check_5(bytes: &[u8], packet: Packet) {
    check(Version::V5, bytes, packet);
}

fn properties(list: impl IntoIterator<Item = Property>) -> Properties {
    list.into_iter().collect()
}

fn user(name: &str, value: &str) -> Property {
    Property::UserProperty((name.to_owned(), value.to_owned()))
}

#[test]
fn connect_311() {
    check_311(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id", Packet::Connect(Box::new(Connect::new("id"))));
    check_311(
        b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00",
        Packet::Connect(Box::new(Connect { clean: false, keepalive_s: 0, ..Connect::new("") })),
    );
    check_311(
        b"\x10\x23\x00\x04MQTT\x04\xee\x01\x00\x00\x02id\x00\x03w/t\x00\x04gone\x00\x04user\x00\x02\x00\xff",
        Packet::Connect(Box::new(Connect {
            keepalive_s: 256,
            will: Some(Will {
                topic: topic("w/t"),
                payload: Bytes::from_static(b"gone"),
                qos: Qos::AtLeastOnce,
                retain: true,
                properties: Properties::new(),
            }),
            username: Some("user".to_owned()),
            password: Some(Bytes::from_static(b"\x00\xff")),
            ..Connect::new("id")
        })),
    );
}

#[test]
fn connack_311() {
    let codes = [
        (0, ReasonCode::Success),
        (1, ReasonCode::UnsupportedProtocolVersion),
        (2, ReasonCode::ClientIdentifierNotValid),
        (3, ReasonCode::ServerUnavailable),
        (4, ReasonCode::BadUserNameOrPassword),
        (5, ReasonCode::NotAuthorized),
    ];
    for (byte, code) in codes {
        let connack = ConnAck { session_present: false, code, properties: Properties::new() };
        check_311(&[0x20, 2, 0, byte], Packet::ConnAck(connack));
    }
    let present = ConnAck { session_present: true, code: ReasonCode::Success, properties: Properties::new() };
    check_311(b"\x20\x02\x01\x00", Packet::ConnAck(present));
}

#[test]
fn publish_311() {
    check_311(b"\x30\x06\x00\x01they", Packet::Publish(Publish::at_most_once(topic("t"), &b"hey"[..])));
    check_311(b"\x30\x03\x00\x01t", Packet::Publish(Publish::at_most_once(topic("t"), &b""[..])));
    check_311(b"\x32\x0a\x00\x03a/b\x00\x07hey", {
        Packet::Publish(Publish::at_least_once(id(7), topic("a/b"), &b"hey"[..]))
    });
    check_311(b"\x3d\x07\x00\x01t\xff\xff\x00\x80", {
        Packet::Publish(Publish {
            dup: true,
            qos: Qos::ExactlyOnce,
            retain: true,
            ..Publish::at_least_once(id(0xffff), topic("t"), &b"\x00\x80"[..])
        })
    });
    let long = vec![b'x'; 130];
    let mut bytes = b"\x30\x85\x01\x00\x01t".to_vec();
    bytes.extend_from_slice(&long);
    check_311(&bytes, Packet::Publish(Publish::at_most_once(topic("t"), long)));
}

#[test]
fn acknowledgements_and_pings() {
    for version in [Version::V311, Version::V5] {
        check(version, b"\x40\x02\x12\x34", Packet::PubAck(Ack::success(id(0x1234))));
        check(version, b"\x50\x02\x00\x01", Packet::PubRec(Ack::success(id(1))));
        check(version, b"\x62\x02\x00\x01", Packet::PubRel(Ack::success(id(1))));
        check(version, b"\x70\x02\x00\x01", Packet::PubComp(Ack::success(id(1))));
        check(version, b"\xc0\x00", Packet::PingReq);
        check(version, b"\xd0\x00", Packet::PingResp);
        let disconnect = Disconnect { code: ReasonCode::Success, properties: Properties::new() };
        check(version, b"\xe0\x00", Packet::Disconnect(disconnect));
    }
}

#[test]
fn subscriptions_311() {
    check_311(b"\x82\x0e\x00\x0a\x00\x03a/+\x01\x00\x03b/#\x02", {
        let mut subscribe = Subscribe::one(id(10), filter("a/+"), Qos::AtLeastOnce);
        let second = Subscribe::one(id(10), filter("b/#"), Qos::ExactlyOnce);
        subscribe.subscriptions.extend(second.subscriptions);
        Packet::Subscribe(subscribe)
    });
    let granted = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce].map(ReasonCode::granted);
    let codes = granted.into_iter().chain([ReasonCode::UnspecifiedError]).collect();
    let suback = SubAck { packet_id: id(10), codes, properties: Properties::new() };
    check_311(b"\x90\x06\x00\x0a\x00\x01\x02\x80", Packet::SubAck(suback));
    let filters = vec![filter("a/+"), filter("$share/g/b")];
    let unsubscribe = Unsubscribe { packet_id: id(11), filters, properties: Properties::new() };
    check_311(b"\xa2\x13\x00\x0b\x00\x03a/+\x00\x0a$share/g/b", Packet::Unsubscribe(unsubscribe));
    let unsuback = UnsubAck { packet_id: id(11), codes: Vec::new(), properties: Properties::new() };
    check_311(b"\xb0\x02\x00\x0b", Packet::UnsubAck(unsuback));
}

#[test]
fn connecting_5() {
    check_5(
        b"\x10\x21\x00\x04MQTT\x05\x04\x00\x0a\x08\x11\x00\x00\x00\x3c\x21\x00\x14\x00\x01c\
          \x05\x18\x00\x00\x00\x05\x00\x01w\x00\x00",
        Packet::Connect(Box::new(Connect {
            version: Version::V5,
            clean: false,
            keepalive_s: 10,
            will: Some(Will {
                topic: topic("w"),
                payload: Bytes::new(),
                qos: Qos::AtMostOnce,
                retain: false,
                properties: properties([Property::WillDelayIntervalS(5)]),
            }),
            properties: properties([Property::SessionExpiryIntervalS(60), Property::ReceiveMaximum(20)]),
            ..Connect::new("c")
        })),
    );
    check_5(
        b"\x20\x0d\x00\x87\x0a\x1f\x00\x02no\x13\x04\xb0\x24\x01",
        Packet::ConnAck(ConnAck {
            session_present: false,
            code: ReasonCode::NotAuthorized,
            properties: properties([
                Property::ReasonString("no".to_owned()),
                Property::ServerKeepAliveS(1200),
                Property::MaximumQos(1),
            ]),
        }),
    );
    check_5(
        b"\xe0\x01\x8e",
        Packet::Disconnect(Disconnect { code: ReasonCode::SessionTakenOver, properties: Properties::new() }),
    );
}

#[test]
fn messages_5() {
    let forwarded = [
        Property::PayloadFormatIndicator(1),
        Property::MessageExpiryIntervalS(2),
        Property::ContentType("x".to_owned()),
        Property::ResponseTopic("r".to_owned()),
        Property::CorrelationData(Bytes::from_static(b"\x00")),
        user("k", "v"),
        user("k", "v"),
    ];
    check_5(
        b"\x32\x29\x00\x01t\x00\x01\x21\x01\x01\x02\x00\x00\x00\x02\x03\x00\x01x\x08\x00\x01r\x09\x00\x01\x00\
          \x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01v..",
        Packet::Publish(Publish {
            properties: properties(forwarded),
            ..Publish::at_least_once(id(1), topic("t"), &b".."[..])
        }),
    );
    check_5(
        b"\x40\x03\x00\x01\x10",
        Packet::PubAck(Ack { code: ReasonCode::NoMatchingSubscribers, ..Ack::success(id(1)) }),
    );
    check_5(
        b"\x40\x0b\x00\x01\x87\x07\x26\x00\x01k\x00\x01v",
        Packet::PubAck(Ack {
            packet_id: id(1),
            code: ReasonCode::NotAuthorized,
            properties: properties([user("k", "v")]),
        }),
    );
    let auth = Auth {
        code: ReasonCode::ContinueAuthentication,
        properties: properties([Property::AuthenticationMethod("m".to_owned())]),
    };
    check_5(b"\xf0\x06\x18\x04\x15\x00\x01m", Packet::Auth(auth));
}

#[test]
fn subscriptions_5() {
    let options = SubscribeOptions {
        qos: Qos::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let identifier = VariableInteger::new(200).expect("in range");
    check_5(
        b"\x82\x0a\x00\x01\x03\x0b\xc8\x01\x00\x01a\x2d",
        Packet::Subscribe(Subscribe {
            packet_id: id(1),
            subscriptions: vec![Subscription { filter: filter("a"), options }],
            properties: properties([Property::SubscriptionIdentifier(identifier)]),
        }),
    );
    let codes = vec![ReasonCode::GrantedQos1, ReasonCode::TopicFilterInvalid];
    let suback = SubAck { packet_id: id(1), codes, properties: Properties::new() };
    check_5(b"\x90\x05\x00\x01\x00\x01\x8f", Packet::SubAck(suback));
    let codes = vec![ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    let unsuback = UnsubAck { packet_id: id(1), codes, properties: Properties::new() };
    check_5(b"\xb0\x05\x00\x01\x00\x00\x11", Packet::UnsubAck(unsuback));
}

#[test]
fn reason_codes_become_the_nearest_return_codes_of_311() {
    let table = [
        (ReasonCode::Banned, 5),
        (ReasonCode::NotAuthorized, 5),
        (ReasonCode::BadAuthenticationMethod, 4),
        (ReasonCode::QuotaExceeded, 3),
        (ReasonCode::UnspecifiedError, 3),
    ];
    for (code, byte) in table {
        let connack = Packet::ConnAck(ConnAck { session_present: false, code, properties: Properties::new() });
        let mut out = BytesMut::new();
        assert_eq!(encode(&connack, Version::V311, &mut out), Ok(()));
        assert_eq!(&out[..], [0x20, 2, 0, byte], "{code}");
    }
}

#[test]
fn what_has_no_form_on_the_wire_is_refused_and_writes_nothing() {
    let long = "x".repeat(65_536);
    let no_packet_id = Publish { packet_id: None, ..Publish::at_least_once(id(1), topic("t"), &b""[..]) };
    let long_property =
        Publish { properties: properties([user("k", &long)]), ..Publish::at_most_once(topic("t"), &b""[..]) };
    let auth = Auth { code: ReasonCode::Success, properties: Properties::new() };
    let table = [
        (Version::V311, Packet::Publish(no_packet_id), EncodeError::NoPacketId),
        (Version::V311, Packet::Connect(Box::new(Connect::new(long))), EncodeError::FieldTooLong),
        (Version::V5, Packet::Publish(long_property), EncodeError::FieldTooLong),
        (Version::V311, Packet::Auth(auth), EncodeError::NotInVersion),
    ];
    for (version, packet, error) in table {
        let mut out = BytesMut::new();
        assert_eq!(encode(&packet, version, &mut out), Err(error));
        assert!(out.is_empty());
    }
}
