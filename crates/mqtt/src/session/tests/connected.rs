//! CONNECT and CONNACK of MQTT 5.0: what is asked for, granted, told and refused.

use bytes::Bytes;

use super::{FULL, LIMITS, Scene, check_closed, connect_5, topic};
use crate::codec::DecodeError;
use crate::packet::{
    ConnAck, Connect, Packet, PacketKind, Properties, Property, Publish, Qos, Reason, ReasonCode, Version, Will,
};
use crate::session::{Action, Closed, ConnectFault, EmptyClientId, Limits, SESSION_EXPIRY_NEVER_S, Welcome};

fn answer(limits: Limits, connect: Packet, welcome: Welcome) -> (Scene, ConnAck) {
    let mut scene = Scene::of(Version::V5, limits);
    assert!(matches!(scene.send(connect), Some(Action::Connect(_))));
    scene.session.accept_connect(welcome, 0);
    match scene.received().as_slice() {
        [Packet::ConnAck(connack)] => (scene, connack.clone()),
        received => panic!("{received:?}"),
    }
}

fn has(connack: &ConnAck, property: &Property) -> bool {
    connack.properties.iter().any(|present| present == property)
}

#[test]
fn connack_tells_what_is_served() {
    let (_, full) = answer(FULL, connect_5([]), Welcome::default());
    let expected = [
        Property::ReceiveMaximum(3),
        Property::RetainAvailable(1),
        Property::MaximumPacketSizeBytes(16 * 1024 * 1024),
        Property::TopicAliasMaximum(2),
        Property::WildcardSubscriptionAvailable(1),
        Property::SubscriptionIdentifierAvailable(1),
        Property::SharedSubscriptionAvailable(1),
    ];
    assert_eq!((full.session_present, full.code), (false, ReasonCode::Success));
    assert_eq!(full.properties, expected.into_iter().collect());

    let limits = Limits { retain: false, ..LIMITS };
    let further = [Property::UserProperty(("a".into(), "b".into()))].into_iter().collect();
    let welcome = Welcome { assigned_client_id: Some("made-up".to_owned()), properties: further, ..Welcome::default() };
    let asked = [Property::SessionExpiryIntervalS(4_000)];
    let connect =
        Connect { version: Version::V5, keepalive_s: 5, properties: asked.into_iter().collect(), ..Connect::new("") };
    let limits = Limits { empty_client_id: EmptyClientId::AssignedIn5, ..limits };
    let (_, bounded) = answer(limits, Packet::Connect(Box::new(connect)), welcome);
    let expected = [
        Property::SessionExpiryIntervalS(3_600),
        Property::ReceiveMaximum(3),
        Property::MaximumQos(1),
        Property::RetainAvailable(0),
        Property::MaximumPacketSizeBytes(200),
        Property::AssignedClientIdentifier("made-up".to_owned()),
        Property::TopicAliasMaximum(2),
        Property::WildcardSubscriptionAvailable(1),
        Property::SubscriptionIdentifierAvailable(0),
        Property::SharedSubscriptionAvailable(1),
        Property::ServerKeepAliveS(30),
        Property::UserProperty(("a".into(), "b".into())),
    ];
    assert_eq!(bounded.properties, expected.into_iter().collect());
}

#[test]
fn sessions_outlive_their_connections_as_asked_and_granted() {
    let check = |version, clean, asked: Option<u32>, limits: Limits, granted_s: u32, is_told: bool| {
        let properties: Properties = asked.map(Property::SessionExpiryIntervalS).into_iter().collect();
        let connect = Connect { version, clean, properties, ..Connect::new("id") };
        let mut scene = Scene::of(version, limits);
        assert!(matches!(scene.send(Packet::Connect(Box::new(connect))), Some(Action::Connect(_))));
        scene.session.accept_connect(Welcome::default(), 0);
        assert_eq!(scene.session.session_expiry_s(), granted_s);
        let received = scene.received();
        let Some(Packet::ConnAck(connack)) = received.first() else { panic!("{received:?}") };
        assert_eq!(has(connack, &Property::SessionExpiryIntervalS(granted_s)), is_told);
    };
    check(Version::V311, true, None, LIMITS, 0, false);
    check(Version::V311, false, None, LIMITS, 1_800, false);
    check(Version::V311, false, None, FULL, SESSION_EXPIRY_NEVER_S, false);
    check(Version::V5, true, None, LIMITS, 0, false);
    check(Version::V5, false, None, LIMITS, 0, false);
    check(Version::V5, true, Some(10), LIMITS, 10, false);
    check(Version::V5, false, Some(3_600), LIMITS, 3_600, false);
    check(Version::V5, false, Some(3_601), LIMITS, 3_600, true);
    check(Version::V5, false, Some(SESSION_EXPIRY_NEVER_S), LIMITS, 3_600, true);
    check(Version::V5, false, Some(SESSION_EXPIRY_NEVER_S), FULL, SESSION_EXPIRY_NEVER_S, false);
}

#[test]
fn keepalive_of_the_server_replaces_the_clients() {
    let check = |asked_s: u16, granted_s: u16, is_told: bool| {
        let connect = Connect { version: Version::V5, keepalive_s: asked_s, ..Connect::new("id") };
        let (scene, connack) = answer(LIMITS, Packet::Connect(Box::new(connect)), Welcome::default());
        assert_eq!(has(&connack, &Property::ServerKeepAliveS(granted_s)), is_told);
        assert_eq!(scene.session.next_deadline_ms(), Some(u64::from(granted_s) * 1_500));
    };
    check(0, 1_200, true);
    check(5, 30, true);
    check(30, 30, false);
    check(61, 61, false);
    check(2_000, 1_200, true);
}

#[test]
fn connects_that_are_refused_with_a_reason() {
    let check = |limits: Limits, connect: Connect, fault: ConnectFault, code: ReasonCode| {
        let mut scene = Scene::of(Version::V5, limits);
        let action = scene.send(Packet::Connect(Box::new(connect)));
        let received = scene.received();
        let [Packet::ConnAck(connack)] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!((connack.session_present, connack.code), (false, code));
        assert_eq!(connack.properties.reason_string(), Some(fault.to_string().as_str()));
        check_closed(&mut scene, action, Closed::RefusedConnect(fault));
    };
    let five = |client_id: &str| Connect { version: Version::V5, ..Connect::new(client_id) };
    let will = Will {
        topic: topic("w"),
        payload: Bytes::new(),
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::new(),
    };
    let with_will = |will: Will| Connect { will: Some(will), ..five("id") };
    let with = |property: Property| Connect { properties: [property].into_iter().collect(), ..five("id") };
    check(LIMITS, five(""), ConnectFault::ClientIdEmpty, ReasonCode::ClientIdentifierNotValid);
    let too_long = ConnectFault::ClientIdTooLong { bytes: 9, bytes_max: 8 };
    check(LIMITS, five("123456789"), too_long, ReasonCode::ClientIdentifierNotValid);
    let qos = Qos::ExactlyOnce;
    let fault = ConnectFault::WillQosNotServed { qos };
    check(LIMITS, with_will(Will { qos, ..will.clone() }), fault, ReasonCode::QosNotSupported);
    let retained = with_will(Will { retain: true, ..will.clone() });
    let no_retain = Limits { retain: false, ..LIMITS };
    check(no_retain, retained, ConnectFault::WillRetainNotServed, ReasonCode::RetainNotSupported);
    let large = Will { payload: Bytes::from_static(&[0; 101]), ..will };
    let fault = ConnectFault::WillTooLarge { bytes: 101, bytes_max: 100 };
    check(LIMITS, with_will(large), fault, ReasonCode::PacketTooLarge);
    check(
        FULL,
        with(Property::AuthenticationMethod("SCRAM-SHA-1".to_owned())),
        ConnectFault::AuthenticationMethodNotServed,
        ReasonCode::BadAuthenticationMethod,
    );
    check(
        FULL,
        with(Property::AuthenticationData(Bytes::from_static(b"x"))),
        ConnectFault::AuthenticationDataWithoutMethod,
        ReasonCode::ProtocolError,
    );
}

#[test]
fn clients_without_an_id_get_one_where_the_limits_say_so() {
    let check = |version, clean, rule: EmptyClientId, is_served: bool| {
        let mut scene = Scene::of(version, Limits { empty_client_id: rule, ..LIMITS });
        let connect = Connect { version, clean, ..Connect::new("") };
        let action = scene.send(Packet::Connect(Box::new(connect)));
        assert_eq!(matches!(action, Some(Action::Connect(_))), is_served, "{version} {clean} {rule:?}");
    };
    for clean in [true, false] {
        check(Version::V311, clean, EmptyClientId::Refused, false);
        check(Version::V5, clean, EmptyClientId::Refused, false);
        check(Version::V311, clean, EmptyClientId::AssignedIn5, false);
        check(Version::V5, clean, EmptyClientId::AssignedIn5, true);
        check(Version::V311, clean, EmptyClientId::Assigned, clean);
        check(Version::V5, clean, EmptyClientId::Assigned, true);
    }
}

#[test]
fn first_packets_of_5_that_cannot_be_read_are_answered() {
    let check = |bytes: &[u8], error: DecodeError, code: Option<ReasonCode>| {
        let mut scene = Scene::of(Version::V5, LIMITS);
        let action = scene.send_bytes(bytes);
        let received = scene.received();
        match (received.as_slice(), code) {
            ([], None) => {}
            ([Packet::ConnAck(connack)], Some(code)) => {
                assert_eq!((connack.session_present, connack.code), (false, code))
            }
            (received, code) => panic!("{received:?} instead of {code:?}"),
        }
        check_closed(&mut scene, action, Closed::MalformedConnect(error));
    };
    let malformed = Some(ReasonCode::MalformedPacket);
    let head = b"\x10\x0f\x00\x04MQTT\x05";
    let with = |rest: &[u8]| [&head[..], rest].concat();
    check(&with(b"\x03\x00\x3c\x00\x00\x02id"), DecodeError::ConnectReservedFlag, malformed);
    check(&with(b"\x0a\x00\x3c\x00\x00\x02id"), DecodeError::WillFlagsWithoutWill, malformed);
    let packet = PacketKind::Connect;
    check(&with(b"\x02\x00\x3c\x00\x00\x02i\xff"), DecodeError::NotUtf8 { packet }, malformed);
    check(&with(b"\x02\x00\x3c\x00\x00\x02i\x00"), DecodeError::Nul { packet }, malformed);
    check(&with(b"\x02\x00\x3c\x00\x00\x03id"), DecodeError::Truncated { packet }, malformed);
    // Receive maximum 0.
    let fault = DecodeError::Property { packet, id: 0x21, fault: crate::codec::PropertyFault::Value };
    let protocol_error = Some(ReasonCode::ProtocolError);
    check(b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x00\x00\x02id", fault, protocol_error);
    let level = DecodeError::ProtocolLevel { level: 6 };
    let unsupported = Some(ReasonCode::UnsupportedProtocolVersion);
    check(b"\x10\x0f\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x02id", level, unsupported);
    check(b"\x10\x0f\x00\x04MQTX\x05\x02\x00\x3c\x00\x00\x02id", DecodeError::ProtocolName, None);
    check(b"\xf0\x00", DecodeError::NotConnect { first_byte: 0xf0 }, None);
}

#[test]
fn small_packets_are_asked_for() {
    // What goes without saying is left out.
    let asked = [Property::MaximumPacketSizeBytes(28)];
    let further: Properties = [Property::UserProperty(("a".into(), "b".into()))].into_iter().collect();
    let welcome = Welcome { properties: further.clone(), ..Welcome::default() };
    let (_, connack) = answer(FULL, connect_5(asked), welcome);
    let expected = [
        Property::ReceiveMaximum(3),
        Property::MaximumPacketSizeBytes(16 * 1024 * 1024),
        Property::TopicAliasMaximum(2),
    ];
    assert_eq!(connack.properties, expected.into_iter().collect());
    // And if even that is too much, there is nothing to say.
    let mut scene = Scene::of(Version::V5, FULL);
    assert!(matches!(scene.send(connect_5([Property::MaximumPacketSizeBytes(8)])), Some(Action::Connect(_))));
    scene.session.accept_connect(Welcome::default(), 0);
    let action = scene.poll();
    assert_eq!(scene.received(), []);
    check_closed(&mut scene, action, Closed::RefusedConnect(ConnectFault::PacketMaxTooSmall));
}

#[test]
fn the_application_refuses_with_a_reason() {
    let check = |asked: Option<Property>, reason: Reason, code: ReasonCode, words: Option<&str>| {
        let mut scene = Scene::of(Version::V5, FULL);
        assert!(matches!(scene.send(connect_5(asked)), Some(Action::Connect(_))));
        scene.session.refuse_connect(reason);
        let received = scene.received();
        let [Packet::ConnAck(connack)] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!((connack.code, connack.properties.reason_string()), (code, words));
        assert!(scene.session.is_closed());
        assert!(scene.send(Packet::PingReq).is_none());
    };
    let reason = Reason::new(ReasonCode::NotAuthorized, "no policy allows it");
    check(None, reason.clone(), ReasonCode::NotAuthorized, Some("no policy allows it"));
    check(None, ReasonCode::ServerBusy.into(), ReasonCode::ServerBusy, None);
    // [MQTT-3.1.2-29] leaves CONNACK its words; the packet size does not.
    let none_wanted = Property::RequestProblemInformation(0);
    check(Some(none_wanted), reason.clone(), ReasonCode::NotAuthorized, Some("no policy allows it"));
    check(Some(Property::MaximumPacketSizeBytes(20)), reason, ReasonCode::NotAuthorized, None);
    // A code that CONNACK does not have.
    check(None, ReasonCode::KeepAliveTimeout.into(), ReasonCode::UnspecifiedError, None);
}

#[test]
fn what_follows_connect_waits_for_the_answer() {
    let mut scene = Scene::of(Version::V5, FULL);
    assert!(matches!(scene.send(connect_5([])), Some(Action::Connect(_))));
    assert!(scene.send(Packet::Publish(Publish::at_most_once(topic("t"), "x"))).is_none());
    assert!(scene.session.is_waiting_for_answers());
    scene.session.accept_connect(Welcome::default(), 0);
    assert!(matches!(scene.poll(), Some(Action::Publish { .. })));
}
