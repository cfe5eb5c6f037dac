//! How sessions of MQTT 5.0 end, what is said then, and what becomes of the will.

use bytes::Bytes;

use super::{FULL, LIMITS, Scene, check_closed, check_told, connect_5, topic};
use crate::codec::DecodeError;
use crate::packet::{
    Auth, Connect, Disconnect, Packet, PacketKind, Properties, Property, Qos, Reason, ReasonCode, Version, Will,
};
use crate::session::{Action, Closed, ProtocolError, SessionState};

fn disconnect(code: ReasonCode, expiry_s: Option<u32>) -> Packet {
    let properties = expiry_s.map(Property::SessionExpiryIntervalS).into_iter().collect();
    Packet::Disconnect(Disconnect { code, properties })
}

fn will(delay_s: Option<u32>) -> Will {
    Will {
        topic: topic("w"),
        payload: Bytes::from_static(b"gone"),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: delay_s.map(Property::WillDelayIntervalS).into_iter().collect(),
    }
}

#[test]
fn packets_that_have_no_place() {
    let check = |packet: Packet, error: ProtocolError| {
        let mut scene = Scene::five([]);
        let action = scene.send(packet);
        check_told(&mut scene, ReasonCode::ProtocolError);
        check_closed(&mut scene, action, Closed::ProtocolError(error));
    };
    check(connect_5([]), ProtocolError::SecondConnect);
    check(Packet::PingResp, ProtocolError::Unexpected { packet: PacketKind::PingResp });
    let auth = Auth { code: ReasonCode::ReAuthenticate, properties: Properties::new() };
    check(Packet::Auth(auth), ProtocolError::Unexpected { packet: PacketKind::Auth });
}

#[test]
fn malformed_packets_are_named() {
    let check = |bytes: &[u8], error: DecodeError, code: ReasonCode| {
        let mut scene = Scene::five_with(LIMITS, [], SessionState::new());
        let action = scene.send_bytes(bytes);
        check_told(&mut scene, code);
        check_closed(&mut scene, action, Closed::Malformed(error));
    };
    use ReasonCode::{MalformedPacket, PacketTooLarge, ProtocolError};
    let packet = PacketKind::Publish;
    let property = |packet, id, fault| DecodeError::Property { packet, id, fault };
    check(b"\x00\x00", DecodeError::ReservedType, MalformedPacket);
    check(b"\xc1\x00", DecodeError::Flags { packet: PacketKind::PingReq, flags: 1 }, MalformedPacket);
    check(b"\x36\x06\x00\x01t\x00\x01\x00", DecodeError::Qos3 { packet }, MalformedPacket);
    check(b"\x38\x04\x00\x01t\x00", DecodeError::DupWithQos0, MalformedPacket);
    let too_large = DecodeError::TooLarge { packet, bytes: 201, bytes_max: 200 };
    check(b"\x30\xc6\x01", too_large, PacketTooLarge);
    check(b"\x30\xff\xff\xff\xff", DecodeError::RemainingLength, MalformedPacket);
    use crate::codec::PropertyFault::{NotAllowed, Repeated, Unknown, Value};
    check(b"\x30\x06\x00\x01t\x02\x7f\x00", property(packet, 0x7f, Unknown), MalformedPacket);
    check(b"\x30\x06\x00\x01t\x02\x24\x01", property(packet, 0x24, NotAllowed), MalformedPacket);
    check(b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00", property(packet, 0x01, Repeated), ProtocolError);
    check(b"\x30\x06\x00\x01t\x02\x01\x02", property(packet, 0x01, Value), ProtocolError);
    let wildcard = DecodeError::TopicName { packet, fault: crate::topic::TopicError::Wildcard };
    check(b"\x30\x04\x00\x01#\x00", wildcard, MalformedPacket);
    let packet = PacketKind::Subscribe;
    check(b"\x82\x03\x00\x01\x00", DecodeError::NoFilters { packet }, ProtocolError);
    check(b"\x82\x07\x00\x01\x00\x00\x01a\x30", DecodeError::RetainHandling3, ProtocolError);
    check(b"\x82\x07\x00\x01\x00\x00\x01a\x40", DecodeError::SubscribeOptions { options: 0x40 }, MalformedPacket);
    check(b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x05", DecodeError::NoLocalShared, ProtocolError);
    check(b"\xa2\x03\x00\x01\x00", DecodeError::NoFilters { packet: PacketKind::Unsubscribe }, ProtocolError);
    let code = DecodeError::Code { packet: PacketKind::PubAck, code: 0x55 };
    check(b"\x40\x03\x00\x01\x55", code, MalformedPacket);
}

#[test]
fn the_server_says_why_it_goes() {
    let words = |scene: &mut Scene| match scene.received().as_slice() {
        [Packet::Disconnect(disconnect)] => (disconnect.code, disconnect.properties.reason_string().map(str::to_owned)),
        received => panic!("{received:?}"),
    };
    let mut scene = Scene::five([]);
    scene.session.close(ReasonCode::SessionTakenOver);
    assert_eq!(words(&mut scene), (ReasonCode::SessionTakenOver, Some("session taken over".to_owned())));
    assert!(scene.session.is_closed());
    let mut scene = Scene::five([]);
    scene.session.close(Reason::new(ReasonCode::AdministrativeAction, "revoked"));
    assert_eq!(words(&mut scene), (ReasonCode::AdministrativeAction, Some("revoked".to_owned())));
    // A code that DISCONNECT does not have.
    let mut scene = Scene::five([]);
    scene.session.close(ReasonCode::Banned);
    assert_eq!(words(&mut scene), (ReasonCode::UnspecifiedError, Some("unspecified error".to_owned())));
    // Before CONNACK, and in 3.1.1, there is nothing to say it with.
    let mut scene = Scene::of(Version::V5, FULL);
    assert!(matches!(scene.send(connect_5([])), Some(Action::Connect(_))));
    scene.session.close(ReasonCode::ServerShuttingDown);
    assert_eq!(scene.received(), []);
    let mut scene = Scene::connected();
    scene.session.close(ReasonCode::ServerShuttingDown);
    assert_eq!(scene.received(), []);
}

#[test]
fn silence_is_named() {
    let mut scene = Scene::five([]);
    let action = scene.session.handle_timer(90_000);
    check_told(&mut scene, ReasonCode::KeepAliveTimeout);
    check_closed(&mut scene, action, Closed::KeepAliveTimeout);
}

#[test]
fn disconnect_may_shorten_or_lengthen_a_session_but_not_begin_one() {
    let check = |asked: Option<u32>, at_the_end: u32, expected: Option<u32>| {
        let asked = asked.map(Property::SessionExpiryIntervalS);
        let mut scene = Scene::five_with(LIMITS, asked, SessionState::new());
        let action = scene.send(disconnect(ReasonCode::Success, Some(at_the_end)));
        match expected {
            Some(expiry_s) => {
                assert_eq!(scene.session.session_expiry_s(), expiry_s);
                check_closed(&mut scene, action, Closed::ByClient { code: ReasonCode::Success });
            }
            None => {
                check_told(&mut scene, ReasonCode::ProtocolError);
                check_closed(&mut scene, action, Closed::ProtocolError(ProtocolError::SessionExpiryRaised));
            }
        }
    };
    check(None, 0, Some(0));
    check(None, 1, None);
    check(Some(0), 1, None);
    check(Some(10), 0, Some(0));
    check(Some(10), 20, Some(20));
    check(Some(10), 4_000, Some(3_600));
}

#[test]
fn the_will_is_published_unless_the_client_says_goodbye() {
    let check = |version, expiry_s: Option<u32>, delay_s: Option<u32>, last: Option<Packet>, expected: Option<u32>| {
        let properties: Properties = expiry_s.map(Property::SessionExpiryIntervalS).into_iter().collect();
        let will = will(delay_s);
        let connect = Connect { version, properties, will: Some(will.clone()), ..Connect::new("id") };
        let mut scene = Scene::of(version, LIMITS);
        assert!(matches!(scene.send(Packet::Connect(Box::new(connect))), Some(Action::Connect(_))));
        scene.session.accept_connect(crate::session::Welcome::default(), 0);
        match last {
            Some(last) => assert!(matches!(scene.send(last), Some(Action::Closed(_)))),
            None => assert!(scene.session.handle_eof().is_some()),
        }
        assert_eq!(scene.session.will_delay_s(&will), expected, "{version} {expiry_s:?} {delay_s:?}");
    };
    let goodbye = || disconnect(ReasonCode::Success, None);
    check(Version::V311, None, None, None, Some(0));
    check(Version::V311, None, None, Some(goodbye()), None);
    check(Version::V5, None, None, None, Some(0));
    check(Version::V5, None, None, Some(goodbye()), None);
    check(Version::V5, None, None, Some(disconnect(ReasonCode::DisconnectWithWill, None)), Some(0));
    check(Version::V5, None, None, Some(disconnect(ReasonCode::UnspecifiedError, None)), Some(0));
    check(Version::V5, None, None, Some(Packet::PingResp), Some(0));
    // The delay ends with the session.
    check(Version::V5, None, Some(5), None, Some(0));
    check(Version::V5, Some(60), Some(5), None, Some(5));
    check(Version::V5, Some(60), Some(90), None, Some(60));
    check(Version::V5, Some(u32::MAX), Some(u32::MAX), None, Some(3_600));
    let shortened = disconnect(ReasonCode::DisconnectWithWill, Some(2));
    check(Version::V5, Some(60), Some(90), Some(shortened), Some(2));
}
