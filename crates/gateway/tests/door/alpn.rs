//! The port where ALPN decides: who is taken for what, and that no ticket of one port opens another.

use std::net::SocketAddr;
use std::sync::Arc;

use fleet::{ClientTls, TlsVersions};
use gateway::{HttpArrival, HttpHandler, Limits, SessionResumption};
use rustls::{ClientConfig, HandshakeKind};
use services::admission::AdmissionFilter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::DEADLINE;
use crate::bounds::connect_from;
use crate::resumption::connect_packet;
use crate::server::{Server, allow_all};

const NOBODY: &[u8] = b"nobody";
const CONNACK: &[u8] = &[0x20, 2, 0, 0];

/// In place of HTTP: the id of the certificate, or that there is none.
pub fn says_who_came() -> HttpHandler {
    HttpHandler(Arc::new(|arrival, _shutdown| {
        Box::pin(async move {
            let HttpArrival { mut stream, certificate, .. } = arrival;
            let who = certificate.map_or(NOBODY.to_vec(), |certificate| certificate.id().to_string().into_bytes());
            let _ = stream.write_all(&who).await;
            let _ = stream.shutdown().await;
        })
    }))
}

/// How TLS began, and all that was answered to a CONNECT, or to its first 4 bytes where it is welcomed.
async fn asked(config: &Arc<ClientConfig>, source: u8, address: SocketAddr) -> (Option<HandshakeKind>, Vec<u8>) {
    let socket = connect_from([127, 0, 1, source], address).await;
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(config.clone()).connect(name, socket).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind();
    // The server may be gone already; what it said is there to be read.
    let _ = stream.write_all(&connect_packet("by-alpn")).await;
    let mut answer = Vec::new();
    let reading = async { while answer != CONNACK && matches!(stream.read_buf(&mut answer).await, Ok(1..)) {} };
    timeout(DEADLINE, reading).await.expect("an answer, or the end");
    (kind, answer)
}

fn config(tls: ClientTls, versions: TlsVersions, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut config = tls.with_versions(versions).config().unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

#[tokio::test]
async fn alpn_says_what_is_spoken_and_a_certificate_who_speaks() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let id = device.id().to_string().into_bytes();
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        for (alpn, expected) in [
            (&["x-amzn-mqtt-ca"][..], CONNACK),
            (&["http/1.1", "x-amzn-mqtt-ca"], CONNACK),
            (&["x-amzn-http-ca"], &id),
            (&["h2", "http/1.1"], &id),
            (&[], &id),
        ] {
            let config = config(server.tls(&device), versions, alpn);
            let (_, answer) = asked(&config, 1, server.alpn_address).await;
            assert_eq!(answer, expected, "{versions:?} {alpn:?}");
        }
        for alpn in [&["http/1.1"][..], &[]] {
            let config = config(server.tls_of_nobody(), versions, alpn);
            assert_eq!(asked(&config, 1, server.alpn_address).await.1, NOBODY, "{versions:?} {alpn:?}");
        }
    }
    server.stop().await;
}

/// The library resumes what it has a ticket for, whatever certificate that port wants.
#[tokio::test]
async fn a_ticket_without_a_certificate_opens_no_port_that_wants_one() {
    let limits = Limits { session_resumption: SessionResumption::Tickets, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let resumed = Some(HandshakeKind::Resumed);
    for (source, versions) in [(2, TlsVersions::Tls12Only), (3, TlsVersions::Tls13Only)] {
        let nobody = config(server.tls_of_nobody(), versions, &[]);
        assert_eq!(asked(&nobody, source, server.alpn_address).await.1, NOBODY);
        assert_eq!(asked(&nobody, source, server.alpn_address).await, (resumed, NOBODY.to_vec()), "{versions:?}");
        let (kind, answer) = asked(&nobody, source, server.address).await;
        assert_eq!((kind, &answer[..]), (resumed, &b""[..]), "{versions:?}");
        let filter = AdmissionFilter { source: Some(format!("127.0.1.{source}")), ..AdmissionFilter::default() };
        let record = server.await_record(&filter, "NO_CLIENT_CERTIFICATE").await;
        assert!(record.tls_resumed, "{record:?}");
    }
    server.stop().await;
}

/// A ticket that was given for a certificate stands for it on the other port, where it is judged again.
#[tokio::test]
async fn a_ticket_with_a_certificate_is_judged_wherever_it_is_shown() {
    let limits = Limits { session_resumption: SessionResumption::Tickets, ..Limits::default() };
    let server = Server::start_with(limits).await;
    let device = server.device(&allow_all()).await;
    let config = config(server.tls(&device), TlsVersions::Tls13Only, &[]);
    assert_eq!(asked(&config, 4, server.address).await.1, CONNACK);
    let (kind, answer) = asked(&config, 4, server.alpn_address).await;
    assert_eq!((kind, answer), (Some(HandshakeKind::Resumed), device.id().to_string().into_bytes()));
    server.set_status(&device, "REVOKED").await;
    let (kind, answer) = asked(&config, 4, server.alpn_address).await;
    assert_eq!((kind, &answer[..]), (Some(HandshakeKind::Resumed), &b""[..]));
    server.await_newest(&device, "CERTIFICATE_REVOKED").await;
    server.stop().await;
}
