//! AWS's rates: counted in any case, and held to where the operator wishes it.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use domain::quota::AccountRates;
use domain::rate::Rate;
use fleet::{Device, TlsConnection};
use gateway::Limits;
use mqtt::packet::{Connect, Publish, ReasonCode};
use mqtt::{Packet, PacketId, Qos, TopicName, Version, encode};
use services::rates::{Excess, RateKind, RateLimits};

use crate::DEADLINE;
use crate::server::{Server, allow_all};

/// More than any rate allows in the time that a test takes.
const MANY: u16 = 400;

async fn server(excess: Excess, account: AccountRates) -> (Server, Device) {
    let server = Server::start_at(Limits::default(), RateLimits { account, excess }).await;
    let device = server.device(&allow_all()).await;
    (server, device)
}

/// What is answered to many messages with QoS 1 that come at once.
async fn answers(server: &Server, device: &Device, version: Version) -> Vec<(PacketId, ReasonCode)> {
    let mut connection = TlsConnection::open(server.address, &server.tls(device), DEADLINE).await.unwrap();
    let mut bytes = BytesMut::new();
    let connect = Connect { version, ..Connect::new(services::uuid()) };
    encode(&Packet::Connect(Box::new(connect)), version, &mut bytes).unwrap();
    for id in 1..=MANY {
        let publish = Publish::at_least_once(PacketId::new(id).unwrap(), TopicName::parse("t").unwrap(), "x");
        encode(&Packet::Publish(publish), version, &mut bytes).unwrap();
    }
    encode(&Packet::PingReq, version, &mut bytes).unwrap();
    connection.send(&bytes, "everything").await.unwrap();
    let (mut decoder, mut input) = (mqtt::Decoder::for_client(version, 1 << 20), BytesMut::new());
    let mut answers = Vec::new();
    loop {
        match decoder.decode(&mut input).unwrap() {
            Some(Packet::PubAck(ack)) => answers.push((ack.packet_id, ack.code)),
            Some(Packet::PingResp) => return answers,
            Some(_) => {}
            None => connection.receive(&mut input, "answers").await.unwrap(),
        }
    }
}

#[tokio::test]
async fn what_is_over_a_rate_passes_and_is_counted() {
    let account = AccountRates { publishes_in: Rate::per_s(50).unwrap(), ..AccountRates::default() };
    let (server, device) = server(Excess::Reported, account).await;
    for version in [Version::V311, Version::V5] {
        let answers = answers(&server, &device, version).await;
        assert_eq!(answers.len(), usize::from(MANY), "{version:?}");
        assert!(answers.iter().all(|(_, code)| !code.is_failure()), "{version:?}: {answers:?}");
    }
    for kind in [RateKind::PublishesInOfConnection, RateKind::PublishesIn] {
        assert!(server.services.rates().exceeded(kind) > 0, "{kind:?}");
    }
    assert_eq!(server.services.rates().exceeded(RateKind::Subscribes), 0);
}

/// As AWS does: the connection stays, and 3.1.1 has no word for it.
#[tokio::test]
async fn messages_over_the_rate_are_discarded() {
    let of_account = AccountRates { publishes_in: Rate::per_s(50).unwrap(), ..AccountRates::default() };
    for (account, least) in [(AccountRates::default(), 100), (of_account, 50)] {
        for version in [Version::V311, Version::V5] {
            let (server, device) = server(Excess::Enforced, account).await;
            let answers = answers(&server, &device, version).await;
            let taken = answers.iter().filter(|(_, code)| !code.is_failure()).count();
            assert!((least..usize::from(MANY)).contains(&taken), "{version:?}: {taken}");
            assert!(answers.is_sorted_by_key(|(id, _)| *id), "{answers:?}");
            match version {
                Version::V311 => assert_eq!(answers.len(), taken),
                Version::V5 => {
                    assert_eq!(answers.len(), usize::from(MANY));
                    let is_known = |code: ReasonCode| !code.is_failure() || code == ReasonCode::QuotaExceeded;
                    assert!(answers.iter().all(|(_, code)| is_known(*code)), "{answers:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_id_connects_once_a_second() {
    let (server, device) = server(Excess::Enforced, AccountRates::default()).await;
    for version in [Version::V311, Version::V5] {
        let connect = Connect { version, ..Connect::new("hasty") };
        let until = Instant::now() + DEADLINE;
        // On a slow machine a second may pass in between.
        let refused = loop {
            assert!(Instant::now() < until, "nobody was refused");
            if let Err(refused) = server.connect(&device, connect.clone()).await {
                break refused;
            }
        };
        assert_eq!(refused.is_closed_without_connack(), version == Version::V311, "{refused:?}");
        assert_eq!(server.reason("hasty").as_deref(), Some("CLIENT_ID_THROTTLED"));
    }
    server.client(&device, "another").await;
}

#[tokio::test]
async fn subscriptions_over_the_rate_are_refused() {
    let account = AccountRates { subscribes: Rate::per_s(1).unwrap(), ..AccountRates::default() };
    let (server, device) = server(Excess::Enforced, account).await;
    let connect = Connect { version: Version::V5, ..Connect::new("c") };
    let mut client = server.connect(&device, connect).await.unwrap();
    let until = Instant::now() + DEADLINE;
    while client.subscribe("t", Qos::AtMostOnce).await.unwrap() != ReasonCode::QuotaExceeded {
        assert!(Instant::now() < until, "nothing was refused");
    }
    client.ping().await.unwrap();
}

/// Nothing is lost of what only has to wait.
#[tokio::test]
async fn bytes_over_the_rate_wait() {
    let (server, device) = server(Excess::Enforced, AccountRates::default()).await;
    let mut listener = server.client(&device, "listener").await;
    listener.subscribe("t", Qos::AtMostOnce).await.unwrap();
    let mut sender = server.client(&device, "sender").await;
    let payload = Bytes::from(vec![7; 100_000]);
    let from = Instant::now();
    // A megabyte: half of it passes at once.
    for _ in 0..10 {
        sender.publish_at_most_once("t", payload.clone()).await.unwrap();
    }
    for _ in 0..10 {
        assert_eq!(listener.next_message().await.unwrap().payload, payload);
    }
    assert!(from.elapsed().as_millis() >= 500, "{:?}", from.elapsed());
    assert!(server.services.rates().exceeded(RateKind::BytesOfConnection) > 0);
}
