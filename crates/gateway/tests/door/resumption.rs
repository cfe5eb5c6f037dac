//! Devices that resume their TLS session, where that is allowed: judged like everybody else.

use std::sync::Arc;

use fleet::Device;
use gateway::{Limits, SessionResumption};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use services::iot::shapes::{DeleteCertificateRequest, DetachPolicyRequest, ListAttachedPoliciesRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::DEADLINE;
use crate::server::{ARN, Server, allow_all};

/// A device that keeps its tickets from one connection to the next.
struct Resuming {
    config: Arc<ClientConfig>,
    server_name: rustls_pki_types::ServerName<'static>,
}

/// What came of a connection that sent a CONNECT: how TLS began, and what was answered before the end or the CONNACK.
#[derive(Debug)]
struct Outcome {
    kind: Option<HandshakeKind>,
    answer: Vec<u8>,
}

impl Outcome {
    fn is_resumed(&self) -> bool {
        self.kind == Some(HandshakeKind::Resumed)
    }
}

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

impl Resuming {
    fn new(server: &Server, device: &Device, version: &'static rustls::SupportedProtocolVersion) -> Self {
        let versions = match version.version {
            rustls::ProtocolVersion::TLSv1_2 => fleet::TlsVersions::Tls12Only,
            _ => fleet::TlsVersions::Tls13Only,
        };
        let tls = server.tls(device).with_versions(versions);
        Self { config: Arc::new(tls.config().unwrap()), server_name: tls.server_name().clone() }
    }

    /// Up to the CONNACK, or the end. Whatever the server says in TLS is an answer without bytes.
    async fn connect(&self, server: &Server, client_id: &str) -> Outcome {
        let socket = TcpStream::connect(server.address).await.unwrap();
        let connector = TlsConnector::from(self.config.clone());
        let mut stream = connector.connect(self.server_name.clone(), socket).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        // The server may be gone already; what it said is there to be read.
        let _ = stream.write_all(&connect_packet(client_id)).await;
        let mut answer = Vec::new();
        let reading = async {
            while answer.len() < CONNACK.len() {
                match stream.read_buf(&mut answer).await {
                    Ok(count) if count > 0 => {}
                    _ => break,
                }
            }
        };
        timeout(DEADLINE, reading).await.expect("an answer, or the end");
        Outcome { kind, answer }
    }
}

/// As many as a device may send.
const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Of 3.1.1, with a clean session.
pub fn connect_packet(client_id: &str) -> Vec<u8> {
    let id = u8::try_from(client_id.len()).unwrap();
    let mut packet = vec![0x10, 12 + id, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, id];
    packet.extend_from_slice(client_id.as_bytes());
    packet
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

async fn server_with(session_resumption: SessionResumption) -> Server {
    Server::start_with(Limits { session_resumption, ..Limits::default() }).await
}

#[tokio::test]
async fn sessions_are_resumed_where_it_is_allowed_and_nowhere_else() {
    for (resumption, expected) in [(SessionResumption::Off, false), (SessionResumption::Tickets, true)] {
        let server = server_with(resumption).await;
        let device = server.device(&allow_all()).await;
        for version in VERSIONS {
            let resuming = Resuming::new(&server, &device, version);
            for round in 0..3 {
                let outcome = resuming.connect(&server, "device").await;
                assert_eq!(
                    outcome.is_resumed(),
                    expected && round > 0,
                    "{resumption:?}, {version:?}, {round}: {outcome:?}"
                );
                assert_eq!(outcome.answer, CONNACK, "{resumption:?}, {version:?}, {round}");
            }
        }
        server.stop().await;
    }
}

/// What happens to a device between two connections, and what the second one's record says.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Status(&'static str),
    Deleted,
    CaInactive,
    PoliciesDetached,
}

async fn happen(server: &Server, device: &Device, meanwhile: Meanwhile) {
    match meanwhile {
        Meanwhile::Status(status) => server.set_status(device, status).await,
        Meanwhile::CaInactive => server.set_ca_status("INACTIVE").await,
        Meanwhile::Deleted => {
            let input = DeleteCertificateRequest { certificate_id: device.id().to_string(), force_delete: Some(true) };
            server.services.iot().delete_certificate(&server.op(), input).await.unwrap();
        }
        Meanwhile::PoliciesDetached => {
            let target = format!("{ARN}:cert/{}", device.id());
            let input = ListAttachedPoliciesRequest { target: target.clone(), ..Default::default() };
            let attached = server.services.iot().list_attached_policies(&server.op(), input).await.unwrap();
            for policy in attached.policies.unwrap_or_default() {
                let input =
                    DetachPolicyRequest { policy_name: policy.policy_name.unwrap_or_default(), target: target.clone() };
                server.services.iot().detach_policy(&server.op(), input).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_come_in_any_more_may_not_resume() {
    use Meanwhile::{CaInactive, Deleted, PoliciesDetached, Status};

    for (before, meanwhile, reason) in [
        ("ACTIVE", vec![Status("INACTIVE")], "CERTIFICATE_INACTIVE"),
        ("ACTIVE", vec![Status("REVOKED")], "CERTIFICATE_REVOKED"),
        ("ACTIVE", vec![PoliciesDetached], "NO_POLICY"),
        ("ACTIVE", vec![PoliciesDetached, Status("INACTIVE"), Deleted, CaInactive], "ISSUER_INACTIVE"),
        // As without resumption: it is registered anew.
        ("ACTIVE", vec![PoliciesDetached, Status("INACTIVE"), Deleted], "REGISTERED_NOW"),
        // Its first connection got a ticket; its second is its second.
        ("PENDING_ACTIVATION", vec![], "PENDING_ACTIVATION"),
    ] {
        for version in VERSIONS {
            let context = format!("{before}, {meanwhile:?}, {version:?}");
            let server = server_with(SessionResumption::Tickets).await;
            let device = match before {
                "ACTIVE" => server.device(&allow_all()).await,
                _ => server.pending_device().await,
            };
            let resuming = Resuming::new(&server, &device, version);
            let first = resuming.connect(&server, "device").await;
            assert_eq!(first.answer == CONNACK, before == "ACTIVE", "{context}: {first:?}");
            for step in &meanwhile {
                happen(&server, &device, *step).await;
            }
            let second = resuming.connect(&server, "again").await;
            assert!(second.is_resumed() && second.answer.is_empty(), "{context}: {second:?}");
            let record = server.await_newest(&device, reason).await;
            assert!(record.tls_resumed && record.tls_version.is_some(), "{context}: {record:?}");
            assert!(!record.chain.is_empty(), "{context}: {record:?}");
            server.stop().await;
        }
    }
}

/// The CA of a registered device does not count, with a ticket or without one.
#[tokio::test]
async fn the_ca_of_a_registered_device_may_be_deactivated() {
    let server = server_with(SessionResumption::Tickets).await;
    let device = server.device(&allow_all()).await;
    for version in VERSIONS {
        let resuming = Resuming::new(&server, &device, version);
        assert_eq!(resuming.connect(&server, "device").await.answer, CONNACK);
        server.set_ca_status("INACTIVE").await;
        let outcome = resuming.connect(&server, "device").await;
        assert!(outcome.is_resumed(), "{outcome:?}");
        assert_eq!(outcome.answer, CONNACK);
        server.set_ca_status("ACTIVE").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_since_is_not_let_in() {
    for version in VERSIONS {
        let server = server_with(SessionResumption::Tickets).await;
        let device = server.device(&allow_all()).await;
        let resuming = Resuming::new(&server, &device, version);
        assert_eq!(resuming.connect(&server, "device").await.answer, CONNACK);
        server.advance_days(100 * 365);
        let outcome = resuming.connect(&server, "again").await;
        assert!(outcome.is_resumed() && outcome.answer.is_empty(), "{outcome:?}");
        let record = server.await_newest(&device, "CERTIFICATE_EXPIRED").await;
        assert!(record.tls_resumed, "{record:?}");
        server.stop().await;
    }
}

/// The library resumes a session under the name that it began with only; another name is a handshake of its own, judged
/// under that name.
#[tokio::test]
async fn a_ticket_is_good_for_the_server_name_it_was_given_under() {
    let server = server_with(SessionResumption::Tickets).await;
    let device = server.device(&allow_all()).await;
    let resuming = Resuming::new(&server, &device, &rustls::version::TLS13);
    assert_eq!(resuming.connect(&server, "device").await.answer, CONNACK);
    // The same tickets, and no name.
    let mut config = (*resuming.config).clone();
    config.enable_sni = false;
    let unnamed = Resuming { config: Arc::new(config), server_name: resuming.server_name.clone() };
    let outcome = unnamed.connect(&server, "device").await;
    assert!(!outcome.is_resumed(), "{outcome:?}");
    assert_eq!(outcome.answer, CONNACK);
    server.stop().await;
}

/// Sent with the device's leaf: certificates that nobody looks into.
#[derive(Debug)]
pub struct LongChain(Arc<CertifiedKey>);

impl ResolvesClientCert for LongChain {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl LongChain {
    pub fn of(device: &Device, other_bytes: usize) -> Self {
        let leaf = CertificateDer::from(device.der().to_vec());
        let others = (1..CHAIN_CERTIFICATES_MAX).map(|_| CertificateDer::from(vec![0; other_bytes]));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(device.key().pkcs8_der().to_vec()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Self(Arc::new(CertifiedKey::new(std::iter::once(leaf).chain(others).collect(), key)))
    }
}

/// A ticket with the largest chain in it would not fit in TLS.
#[tokio::test]
async fn a_long_chain_comes_in_without_a_ticket() {
    let server = server_with(SessionResumption::Tickets).await;
    let device = server.device(&allow_all()).await;
    for version in VERSIONS {
        let mut resuming = Resuming::new(&server, &device, version);
        // Nearly the 65,535 bytes that a handshake message may have.
        let mut config = (*resuming.config).clone();
        config.client_auth_cert_resolver = Arc::new(LongChain::of(&device, 7_150));
        resuming.config = Arc::new(config);
        for round in 0..2 {
            let outcome = resuming.connect(&server, "device").await;
            assert!(!outcome.is_resumed(), "{version:?}, {round}: {outcome:?}");
            assert_eq!(outcome.answer, CONNACK, "{version:?}, {round}");
        }
    }
    server.stop().await;
}
