//! What happens on the CONNECT packet, and before one has come.

use std::time::Duration;

use fleet::{Closing, Device, Error, TlsConnection, TlsVersions};
use gateway::Limits;
use mqtt::packet::{Connect, ReasonCode, Will};
use mqtt::{Qos, TopicName, Version};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::DEADLINE;
use crate::server::{ARN, Server, allow_all, document, statement};

/// As AWS closes a connection: no CONNACK, a goodbye at the TLS layer, no reset.
async fn check_closed_without_connack(server: &Server, device: &Device, connect: Connect, reason: &str) {
    let client_id = connect.client_id.clone();
    let error = server.connect(device, connect).await.err().unwrap();
    assert!(
        matches!(error, Error::Closed { waiting_for: "CONNACK", how: Closing::CloseNotify }),
        "{client_id}: {error:?}"
    );
    assert_eq!(server.reason(&client_id).as_deref(), Some(reason), "{client_id}");
}

#[tokio::test]
async fn a_first_connection_registers_and_closes() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let server = Server::start().await;
        let device = server.unknown_device();
        let mut silent =
            TlsConnection::open(server.address, &server.tls(&device).with_versions(versions), DEADLINE).await.unwrap();
        let version = silent.version();
        silent.close().await.unwrap();

        let tls = server.tls(&device).with_versions(versions);
        let first = fleet::MqttClient::connect(server.address, &tls, Connect::new("one"), DEADLINE).await;
        assert!(first.err().unwrap().is_closed_without_connack());
        let record = server.last_record("one").unwrap();
        // And not PENDING_ACTIVATION: the handshake alone has registered nothing.
        assert_eq!(record.reason, "REGISTERED_NOW");
        assert_eq!(record.certificate_status.as_deref(), Some("PENDING_ACTIVATION"));
        assert_eq!(record.tls_version.as_deref(), version);
        assert_eq!(record.certificate_id, Some(device.id()));
        assert_eq!(record.ca_certificate_id, Some(server.ca.id()));
        assert_eq!((record.sni.as_deref(), record.chain.len()), (Some("localhost"), 2));

        check_closed_without_connack(&server, &device, Connect::new("two"), "PENDING_ACTIVATION").await;
        server.set_status(&device, "ACTIVE").await;
        check_closed_without_connack(&server, &device, Connect::new("three"), "NO_POLICY").await;
        server.attach(&device, &allow_all()).await;
        let client = server.client(&device, "four").await;
        assert!(!client.connack().session_present);
        client.disconnect().await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn the_policy_decides_on_connect() {
    let server = Server::start().await;
    let will = |topic: &str| Will {
        topic: TopicName::parse(topic).unwrap(),
        payload: "gone".into(),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: Default::default(),
    };
    let device = server
        .device(&document(&[
            statement("Allow", "iot:Connect", &format!("{ARN}:client/good-*")),
            statement("Deny", "iot:Connect", &format!("{ARN}:client/good-but-*")),
            statement("Allow", "iot:Publish", &format!("{ARN}:topic/will")),
        ]))
        .await;
    let with_will = |client_id: &str, topic: &str| Connect { will: Some(will(topic)), ..Connect::new(client_id) };
    check_closed_without_connack(&server, &device, Connect::new("bad"), "POLICY_DOES_NOT_ALLOW").await;
    check_closed_without_connack(&server, &device, Connect::new("good-but-denied"), "POLICY_DENIES").await;
    assert!(server.last_record("good-but-denied").unwrap().policy_statement.unwrap().ends_with(":1"));
    check_closed_without_connack(&server, &device, with_will("good-1", "elsewhere"), "POLICY_DOES_NOT_ALLOW").await;
    check_closed_without_connack(&server, &device, with_will("good-2", "$aws/x"), "MALFORMED_CONNECT").await;
    server.connect(&device, with_will("good-3", "will")).await.unwrap().disconnect().await.unwrap();
    let persistent = Connect { clean: false, ..Connect::new("good-4") };
    assert!(!server.connect(&device, persistent).await.unwrap().connack().session_present);
}

#[tokio::test]
async fn what_connect_must_not_ask_for() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let too_long = "x".repeat(129);
    for (connect, code, reason) in [
        (Connect::new(""), ReasonCode::ClientIdentifierNotValid, "CLIENT_ID_REFUSED"),
        (Connect::new(too_long), ReasonCode::ClientIdentifierNotValid, "CLIENT_ID_REFUSED"),
        (Connect::new("$aws"), ReasonCode::ClientIdentifierNotValid, "CLIENT_ID_REFUSED"),
        (
            Connect { version: Version::V5, ..Connect::new("$aws") },
            ReasonCode::ClientIdentifierNotValid,
            "CLIENT_ID_REFUSED",
        ),
    ] {
        let error = server.connect(&device, connect).await.err().unwrap();
        assert!(matches!(error, Error::ConnectionRefused(given) if given == code), "{reason}: {error:?}");
        let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
        assert_eq!(record.reason, reason, "{record:?}");
    }
    server.client(&device, &"x".repeat(128)).await;
}

#[tokio::test]
async fn what_is_no_connect() {
    let server = Server::start().await;
    let device = server.unknown_device();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        // PINGREQ.
        &[0xc0, 0],
        // CONNECT with a protocol name that does not exist.
        &[0x10, 0x0e, 0, 4, b'M', b'Q', b'X', b'X', 4, 2, 0, 60, 0, 2, b'i', b'd'],
        // CONNECT of more than a hundred megabytes.
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
    ] {
        let mut connection = TlsConnection::open(server.address, &server.tls(&device), DEADLINE).await.unwrap();
        connection.send(bytes, "bytes").await.unwrap();
        assert_eq!(connection.closed().await.unwrap(), Closing::CloseNotify, "{bytes:?}");
        let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
        assert_eq!(record.reason, "MALFORMED_CONNECT", "{bytes:?}: {record:?}");
    }
    // None of these has registered it.
    let _ = server.connect(&device, Connect::new("now")).await;
    assert_eq!(server.reason("now").as_deref(), Some("REGISTERED_NOW"));
}

#[tokio::test]
async fn who_never_says_connect_is_let_go() {
    let limits = Limits { connect_timeout: Duration::from_millis(50), ..Limits::default() };
    let server = Server::start_with(limits).await;
    let device = server.unknown_device();
    for bytes in [&[][..], &[0x10, 0x0e, 0, 4, b'M']] {
        let mut connection = TlsConnection::open(server.address, &server.tls(&device), DEADLINE).await.unwrap();
        connection.send(bytes, "half a CONNECT").await.unwrap();
        assert_eq!(connection.closed().await.unwrap(), Closing::CloseNotify, "{bytes:?}");
        let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
        assert_eq!(record.reason, "CONNECT_TIMEOUT");
        assert_eq!(record.certificate_id, Some(device.id()));
    }
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, second.read_to_end(&mut bytes)).await.unwrap();
    let record = server.services.admission_records(&Default::default(), 1).pop().unwrap();
    assert_eq!(record.reason, "OVERLOADED");
    assert_eq!(server.gateway.open_connections(), 1);
    drop(first);
    server.stop().await;
}
