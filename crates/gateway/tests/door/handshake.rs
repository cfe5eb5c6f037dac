//! Who gets through the TLS handshake, in TLS 1.2 and 1.3, and what the others get and leave behind.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use domain::admission::{CaStatus, CandidateCa, CertificateMode, CertificateStatus, RegisteredLeaf, Verdict, judge};
use domain::x509::Certificate;
use domain::{CertificateId, Timestamp};
use fleet::{
    Ca, CertificateVersion, ClientTls, Device, DeviceSpec, Error, Flaw, Key, KeyAlgorithm, Sni, TlsConnection,
    TlsVersions, Window,
};
use gateway::{LeafJudge, Limits, Peer, TlsDoor, TlsStream, close_tls};
use services::admission::{AdmissionRecord, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::DEADLINE;
use crate::certificate::ServerCertificate;
use crate::resumption::LongChain;

const CERTIFICATE_UNKNOWN: u8 = 46;
const DECRYPT_ERROR: u8 = 51;
/// Of TLS 1.3; the library sends it in 1.2 too.
const CERTIFICATE_REQUIRED: u8 = 116;

pub static SERVER: LazyLock<ServerCertificate> = LazyLock::new(ServerCertificate::new);
static RSA_CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("rsa", KeyAlgorithm::Rsa2048).unwrap());
pub static EC_CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("ec", KeyAlgorithm::EcP256).unwrap());
static P384_CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("p384", KeyAlgorithm::EcP384).unwrap());
static RSA_KEY: LazyLock<Key> = LazyLock::new(|| Key::generate(KeyAlgorithm::Rsa2048).unwrap());

/// What is registered: CAs with their status and auto-registration, and leaves.
#[derive(Clone, Default)]
pub struct Registry {
    cas: Vec<(Certificate, CaStatus, bool)>,
    leaves: Vec<(CertificateId, CertificateStatus)>,
}

impl Registry {
    pub fn of(ca: &Ca) -> Self {
        Self::default().ca(ca.certificate(), CaStatus::Active, true)
    }

    fn fixture(name: &str) -> Self {
        Self::default().ca(&Certificate::from_pem(&fixture(name)).unwrap(), CaStatus::Active, true)
    }

    fn ca(mut self, ca: &Certificate, status: CaStatus, auto_registration: bool) -> Self {
        self.cas.push((ca.clone(), status, auto_registration));
        self
    }

    fn leaf(mut self, device: &Device, status: CertificateStatus) -> Self {
        self.leaves.push((device.id(), status));
        self
    }

    pub fn judge(self) -> LeafJudge {
        LeafJudge::new(move |leaf, server_name| {
            let status = self.leaves.iter().find(|(id, _)| *id == leaf.id()).map(|(_, status)| *status);
            let registered = status.map(|status| RegisteredLeaf { status, mode: CertificateMode::Default, ca: None });
            let issuers = self.cas.iter().filter(|(ca, ..)| ca.subject().der() == leaf.issuer().der());
            let issuers: Vec<CandidateCa<'_>> = issuers
                .map(|(certificate, status, auto_registration)| CandidateCa {
                    id: certificate.id(),
                    certificate,
                    status: *status,
                    auto_registration: *auto_registration,
                    mode: CertificateMode::Default,
                })
                .collect();
            match judge(leaf, registered.as_ref(), &issuers, server_name, now()) {
                Verdict::Refuse { refusal, ca } => Err(Refused { refusal, ca, status }),
                _ => Ok(()),
            }
        })
    }
}

/// The text of `tests/fixtures/<name>.pem`.
fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn fixture_device(certificate: &str) -> Device {
    Device::from_pem(&fixture(certificate), &fixture("device_key")).unwrap()
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn spec(version: CertificateVersion, algorithm: KeyAlgorithm) -> DeviceSpec {
    DeviceSpec { version, algorithm, ..DeviceSpec::new("device") }
}

pub fn client() -> ClientTls {
    ClientTls::new(&SERVER.root_pem, "localhost").unwrap()
}

/// One socket's handshake on the server's side. Its outcome: the peer, and the record if it was refused.
struct Knock {
    address: SocketAddr,
    outcome: tokio::task::JoinHandle<(Peer, Option<AdmissionRecord>)>,
}

async fn say_something(stream: &mut TlsStream) {
    poll_fn(|cx| stream.poll_write(cx, b"!")).await.unwrap();
    poll_fn(|cx| stream.poll_flush(cx)).await.unwrap();
}

async fn knock_on(registry: Registry, limits: Limits) -> Knock {
    let door = TlsDoor::new(registry.judge(), SERVER.identity.clone(), Vec::new(), &limits, Arc::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = tokio::spawn(async move {
        let (socket, source) = listener.accept().await.unwrap();
        let mut peer = Peer::new(1, source, address);
        match door.accept(socket, &mut peer).await {
            Ok(mut accepted) => {
                // A byte for the client, which with TLS 1.3 cannot know before that it was let in.
                say_something(&mut accepted.stream).await;
                close_tls(*accepted.stream, &limits).await;
                (peer, None)
            }
            Err(ended) => {
                let record = peer.record(&ended.refused, &ended.chain, now());
                ended.left.close(&limits).await;
                (peer, Some(record))
            }
        }
    });
    Knock { address, outcome }
}

/// What the client sees: a byte, or an error. It sends at once what a device would, as TLS 1.3 allows.
async fn client_outcome(address: SocketAddr, tls: &ClientTls) -> Result<Option<&'static str>, Error> {
    let mut connection = TlsConnection::open(address, tls, DEADLINE).await?;
    let version = connection.version();
    // The server may be gone already; what it said is there to be read.
    let _ = connection.send(&[0; 2000], "CONNECT").await;
    let mut bytes = BytesMut::new();
    connection.receive(&mut bytes, "the server's byte").await?;
    assert_eq!(&bytes[..], b"!");
    Ok(version)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    In,
    /// The alert and the record's reason.
    Out(u8, &'static str),
}

/// Both versions of TLS.
async fn check(name: &str, registry: Registry, tls: ClientTls, expected: Expected) {
    for (versions, version) in [(TlsVersions::Tls12Only, "TLSv1.2"), (TlsVersions::Tls13Only, "TLSv1.3")] {
        let tls = tls.clone().with_versions(versions);
        let knock = knock_on(registry.clone(), Limits::default()).await;
        let seen = client_outcome(knock.address, &tls).await;
        let (peer, record) = knock.outcome.await.unwrap();
        let context = format!("{name}, {version}: client {seen:?}, record {record:?}");
        assert_eq!(peer.sni.as_deref(), Some("localhost"), "{context}");
        match expected {
            Expected::In => {
                assert_eq!(seen.unwrap(), Some(version), "{context}");
                assert_eq!(peer.tls_version, Some(version), "{context}");
                assert!(record.is_none(), "{context}");
            }
            Expected::Out(alert, reason) => {
                assert_eq!(seen.unwrap_err().tls_alert(), Some(alert), "{context}");
                let record = record.unwrap();
                assert_eq!(record.reason, reason, "{context}");
                if alert == CERTIFICATE_UNKNOWN {
                    assert!(!record.chain.is_empty() && record.certificate_id.is_some(), "{context}");
                }
            }
        }
    }
}

#[tokio::test]
async fn accepted() {
    use CertificateVersion::{V1, V3};
    use KeyAlgorithm::{EcP256, EcP384, Rsa2048};

    let (rsa, ec, p384) = (&*RSA_CA, &*EC_CA, &*P384_CA);
    for (name, ca, version, algorithm) in [
        ("v1 RSA under RSA", rsa, V1, Rsa2048),
        ("v3 RSA under RSA", rsa, V3, Rsa2048),
        ("v1 EC under RSA", rsa, V1, EcP256),
        ("v1 EC under EC", ec, V1, EcP256),
        ("v3 EC under EC", ec, V3, EcP256),
        ("v1 P-256 under P-384", p384, V1, EcP256),
        ("v1 P-384 under P-384", p384, V1, EcP384),
        ("v1 RSA under EC", ec, V1, Rsa2048),
    ] {
        let device = match algorithm {
            Rsa2048 => ca.issue_for(&spec(version, algorithm), RSA_KEY.clone()),
            _ => ca.issue(&spec(version, algorithm)),
        };
        let device = device.unwrap();
        check(name, Registry::of(ca), client().with_device(&device, &[]).unwrap(), Expected::In).await;
        let both = client().with_device(&device, &[ca]).unwrap();
        check(&format!("{name}, chain sent"), Registry::of(ca), both, Expected::In).await;
    }
    for (name, ca) in [
        ("p256_under_p384_sha256", "p384_ca"),
        ("rsa_sha384", "rsa_ca"),
        ("rsa_sha512", "rsa_ca"),
        ("rsa_pss_salt32", "rsa_ca"),
    ] {
        let tls = client().with_device(&fixture_device(name), &[]).unwrap();
        check(name, Registry::fixture(ca), tls, Expected::In).await;
    }
}

#[tokio::test]
async fn a_registered_leaf_needs_no_ca_and_its_status_decides() {
    let device = Device::self_signed(&spec(CertificateVersion::V1, KeyAlgorithm::EcP256)).unwrap();
    for (status, expected) in [
        (CertificateStatus::Active, Expected::In),
        (CertificateStatus::PendingActivation, Expected::In),
        (CertificateStatus::Inactive, Expected::Out(CERTIFICATE_UNKNOWN, "CERTIFICATE_INACTIVE")),
        (CertificateStatus::Revoked, Expected::Out(CERTIFICATE_UNKNOWN, "CERTIFICATE_REVOKED")),
        (CertificateStatus::PendingTransfer, Expected::Out(CERTIFICATE_UNKNOWN, "PENDING_TRANSFER")),
    ] {
        let registry = Registry::default().leaf(&device, status);
        check(status.as_str(), registry, client().with_device(&device, &[]).unwrap(), expected).await;
    }
}

/// The certificate is refused: certificate_unknown, and the record has it.
async fn check_refused(name: &str, registry: Registry, device: &Device, chain: &[&Ca], reason: &'static str) {
    let tls = client().with_device(device, chain).unwrap();
    check(name, registry, tls, Expected::Out(CERTIFICATE_UNKNOWN, reason)).await;
}

#[tokio::test]
async fn refused_for_what_the_certificate_is() {
    let ca = &*EC_CA;
    let v3 = spec(CertificateVersion::V3, KeyAlgorithm::EcP256);
    let v1 = spec(CertificateVersion::V1, KeyAlgorithm::EcP256);
    for (name, spec, reason) in [
        ("expired", DeviceSpec { window: Window::expired(), ..v1.clone() }, "CERTIFICATE_EXPIRED"),
        ("not yet valid", DeviceSpec { window: Window::not_yet_valid(), ..v1.clone() }, "CERTIFICATE_NOT_YET_VALID"),
        ("tampered", DeviceSpec { flaw: Some(Flaw::TamperedSubject), ..v1.clone() }, "UNKNOWN_ISSUER"),
        ("trailing bytes", DeviceSpec { flaw: Some(Flaw::TrailingBytes), ..v1 }, "MALFORMED_CERTIFICATE"),
        (
            "critical extension",
            DeviceSpec { flaw: Some(Flaw::UnknownCriticalExtension), ..v3 },
            "MALFORMED_CERTIFICATE",
        ),
    ] {
        check_refused(name, Registry::of(ca), &ca.issue(&spec).unwrap(), &[ca], reason).await;
    }
    let salt = fixture_device("rsa_pss_salt222");
    check_refused("PSS salt 222", Registry::fixture("rsa_ca"), &salt, &[], "MALFORMED_CERTIFICATE").await;
    let sha1 = fixture_device("rsa_sha1");
    check_refused("SHA-1", Registry::fixture("rsa_ca"), &sha1, &[], "MALFORMED_CERTIFICATE").await;
}

#[tokio::test]
async fn refused_for_its_issuer() {
    let ca = &*EC_CA;
    let device = ca.issue(&spec(CertificateVersion::V1, KeyAlgorithm::EcP256)).unwrap();
    let same_name = Ca::new("ec", KeyAlgorithm::EcP256).unwrap();
    check_refused("same name, other key", Registry::of(&same_name), &device, &[ca], "UNKNOWN_ISSUER").await;
    check_refused("nothing registered", Registry::default(), &device, &[ca], "UNKNOWN_ISSUER").await;
    check_refused("leaf alone, unknown CA", Registry::of(&RSA_CA), &device, &[], "UNKNOWN_ISSUER").await;

    let by_device = device.as_ca().unwrap();
    let below = by_device.issue(&spec(CertificateVersion::V1, KeyAlgorithm::EcP256)).unwrap();
    check_refused("a device as issuer", Registry::of(ca), &below, &[&by_device, ca], "UNKNOWN_ISSUER").await;

    let intermediate = ca.intermediate("intermediate", KeyAlgorithm::EcP256).unwrap();
    let below = intermediate.issue(&spec(CertificateVersion::V3, KeyAlgorithm::EcP256)).unwrap();
    check_refused("root without intermediate", Registry::of(ca), &below, &[&intermediate, ca], "UNKNOWN_ISSUER").await;
    let tls = client().with_device(&below, &[]).unwrap();
    check("intermediate without its root", Registry::of(&intermediate), tls, Expected::In).await;

    let own = Device::self_signed(&spec(CertificateVersion::V1, KeyAlgorithm::EcP256)).unwrap();
    check_refused("self-signed", Registry::of(ca), &own, &[], "UNKNOWN_ISSUER").await;

    let inactive = Registry::default().ca(ca.certificate(), CaStatus::Inactive, true);
    check_refused("inactive CA", inactive, &device, &[ca], "ISSUER_INACTIVE").await;
    let off = Registry::default().ca(ca.certificate(), CaStatus::Active, false);
    check_refused("auto-registration off", off, &device, &[ca], "AUTO_REGISTRATION_OFF").await;
    let old = Ca::with_window("old", KeyAlgorithm::EcP256, Window::expired()).unwrap();
    let of_old = old.issue(&spec(CertificateVersion::V1, KeyAlgorithm::EcP256)).unwrap();
    check_refused("expired CA", Registry::of(&old), &of_old, &[], "ISSUER_EXPIRED").await;
}

#[tokio::test]
async fn refused_for_the_chain_that_was_sent() {
    let ca = &*EC_CA;
    let device = ca.issue(&spec(CertificateVersion::V3, KeyAlgorithm::EcP256)).unwrap();
    let nine = vec![ca; 9];
    check("ten", Registry::of(ca), client().with_device(&device, &nine).unwrap(), Expected::In).await;
    let ten = vec![ca; 10];
    check_refused("eleven", Registry::of(ca), &device, &ten, "MALFORMED_CERTIFICATE").await;
}

/// One message of a handshake has 65,535 bytes at most.
#[tokio::test]
async fn a_chain_of_the_largest_size_comes_in_and_one_beyond_is_not_kept() {
    let device = EC_CA.issue(&DeviceSpec::new("device")).unwrap();
    for (other_bytes, is_accepted) in [(7_150, true), (7_300, false), (70_000, false)] {
        for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
            let context = format!("{other_bytes}, {versions:?}");
            let tls = client().with_device(&device, &[]).unwrap().with_versions(versions);
            let mut config = tls.config().unwrap();
            config.client_auth_cert_resolver = Arc::new(LongChain::of(&device, other_bytes));
            let knock = knock_on(Registry::of(&EC_CA), Limits::default()).await;
            let socket = TcpStream::connect(knock.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let talk = async {
                let mut stream = connector.connect(tls.server_name().clone(), socket).await?;
                stream.read_u8().await
            };
            let seen = tokio::time::timeout(DEADLINE, talk).await.expect("an end");
            assert_eq!(seen.is_ok(), is_accepted, "{context}: {seen:?}");
            let (_, record) = knock.outcome.await.unwrap();
            assert_eq!(record.is_none(), is_accepted, "{context}: {record:?}");
            if let Some(record) = record {
                assert_eq!((record.reason.as_str(), record.chain.len()), ("TLS_FAILED", 0), "{context}");
                assert!(record.sentence.contains("larger than 65,535 bytes"), "{context}: {}", record.sentence);
            }
        }
    }
}

#[tokio::test]
async fn a_stolen_certificate_is_worth_nothing() {
    for (name, own, thief) in [
        ("RSA, other RSA key", KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa2048),
        ("RSA, EC key", KeyAlgorithm::Rsa2048, KeyAlgorithm::EcP256),
        ("EC, other EC key", KeyAlgorithm::EcP256, KeyAlgorithm::EcP256),
        ("EC, key on another curve", KeyAlgorithm::EcP256, KeyAlgorithm::EcP384),
    ] {
        for version in [CertificateVersion::V1, CertificateVersion::V3] {
            let stolen = RSA_CA.issue(&spec(version, own)).unwrap().with_key(Key::generate(thief).unwrap());
            let tls = client().with_device(&stolen, &[]).unwrap();
            check(name, Registry::of(&RSA_CA), tls, Expected::Out(DECRYPT_ERROR, "TLS_FAILED")).await;
        }
    }
}

#[tokio::test]
async fn a_certificate_is_demanded() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let knock = knock_on(Registry::of(&EC_CA), Limits::default()).await;
        let seen = client_outcome(knock.address, &client().with_versions(versions)).await;
        assert_eq!(seen.unwrap_err().tls_alert(), Some(CERTIFICATE_REQUIRED), "{versions:?}");
        let (_, record) = knock.outcome.await.unwrap();
        assert_eq!(record.unwrap().reason, "NO_CLIENT_CERTIFICATE");
    }
}

#[tokio::test]
async fn who_says_nothing_is_recorded_and_let_go() {
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let knock = knock_on(Registry::of(&EC_CA), limits).await;
    let mut silent = TcpStream::connect(knock.address).await.unwrap();
    let mut bytes = Vec::new();
    tokio::time::timeout(DEADLINE, silent.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes.is_empty(), "{bytes:?}");
    drop(silent);
    assert_eq!(knock.outcome.await.unwrap().1.unwrap().reason, "HANDSHAKE_TIMEOUT");
}

#[tokio::test]
async fn what_is_not_tls_is_recorded() {
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x10, 0x0c, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0], &[]] {
        let knock = knock_on(Registry::of(&EC_CA), Limits::default()).await;
        let mut socket = TcpStream::connect(knock.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
        let record = knock.outcome.await.unwrap().1.unwrap();
        assert_eq!(record.reason, "TLS_FAILED", "{bytes:?}: {record:?}");
    }
}

/// A handshake in records of some bytes each: it comes in, but no message is kept without end for it.
#[tokio::test]
async fn small_records_are_put_together() {
    let device = EC_CA.issue(&DeviceSpec::new("device")).unwrap();
    let tls = client().with_device(&device, &[]).unwrap();
    // Nearly the 65,535 bytes that a handshake message may have, and as much again for the records.
    let long = Arc::new(LongChain::of(&device, 7_150));
    for (chain, reason) in [(None, None), (Some(long), Some("TLS_FAILED"))] {
        let mut config = tls.config().unwrap();
        config.max_fragment_size = Some(32);
        if let Some(chain) = chain {
            config.client_auth_cert_resolver = chain;
        }
        let knock = knock_on(Registry::of(&EC_CA), Limits::default()).await;
        let socket = TcpStream::connect(knock.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        if let Ok(mut stream) = connector.connect(tls.server_name().clone(), socket).await {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        let record = knock.outcome.await.unwrap().1;
        assert_eq!(record.as_ref().map(|record| record.reason.as_str()), reason, "{record:?}");
    }
}

#[tokio::test]
async fn sni_and_alpn_are_learnt_and_neither_is_needed() {
    let device = EC_CA.issue(&DeviceSpec::new("device")).unwrap();
    let tls = client().with_device(&device, &[]).unwrap();
    for (tls, sni, alpn) in [
        (tls.clone(), Some("localhost"), None),
        (tls.clone().with_sni(Sni::Omit), None, None),
        (tls.clone().with_alpn("x-amzn-mqtt-ca"), Some("localhost"), Some("x-amzn-mqtt-ca")),
        (tls.with_alpn("something-else").with_alpn("mqtt"), Some("localhost"), Some("something-else,mqtt")),
    ] {
        let knock = knock_on(Registry::of(&EC_CA), Limits::default()).await;
        client_outcome(knock.address, &tls).await.unwrap();
        let (peer, record) = knock.outcome.await.unwrap();
        assert!(record.is_none());
        assert_eq!((peer.sni.as_deref(), peer.alpn.as_deref()), (sni, alpn));
    }
}

#[tokio::test]
async fn sessions_are_not_resumed() {
    let device = EC_CA.issue(&DeviceSpec::new("device")).unwrap();
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let tls = client().with_device(&device, &[]).unwrap().with_versions(versions);
        let config = Arc::new(tls.config().unwrap());
        let judge = Registry::of(&EC_CA).judge();
        let door =
            TlsDoor::new(judge, SERVER.identity.clone(), Vec::new(), &Limits::default(), Arc::default()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for round in 0..2 {
            let connect = async {
                let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                let mut stream = connector.connect(tls.server_name().clone(), socket).await.unwrap();
                // Tickets would come with the first bytes.
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                stream.get_ref().1.handshake_kind()
            };
            let accept = async {
                let (socket, source) = listener.accept().await.unwrap();
                let mut peer = Peer::new(round, source, listener.local_addr().unwrap());
                let mut accepted = door.accept(socket, &mut peer).await.unwrap();
                say_something(&mut accepted.stream).await;
                accepted
            };
            let (kind, _accepted) = tokio::join!(connect, accept);
            assert_ne!(kind, Some(rustls::HandshakeKind::Resumed), "{versions:?}, round {round}");
        }
    }
}
