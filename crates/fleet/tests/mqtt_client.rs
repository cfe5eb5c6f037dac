//! The client against a scripted server: certificates of both versions over both TLS versions, and every way in which
//! a server can turn a device away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fleet::{
    Ca, CertificateVersion, ClientTls, Closing, Device, DeviceSpec, Error, KeyAlgorithm, MqttClient, TlsVersions,
};
use mqtt::packet::{Ack, ConnAck, Connect, Properties, Publish, ReasonCode, SubAck};
use mqtt::{Decoder, Packet, PacketId, Qos, TopicName, Version, encode};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const DEADLINE: Duration = Duration::from_secs(10);

/// Lets any certificate pass: what is tested here is the client.
#[derive(Debug)]
struct AnyCertificate;

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _issuers: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    root_pem: String,
}

impl Server {
    async fn new(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        config.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), root_pem: certificate.pem() }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn client_tls(&self, device: &Device, versions: TlsVersions) -> ClientTls {
        let tls = ClientTls::new(&self.root_pem, "localhost").unwrap();
        tls.with_device(device, &[]).unwrap().with_versions(versions).with_alpn("x-amzn-mqtt-ca")
    }

    async fn accept(&self) -> std::io::Result<Peer> {
        let (tcp, _) = self.listener.accept().await?;
        let stream = self.acceptor.accept(tcp).await?;
        Ok(Peer { stream, decoder: Decoder::for_server(1 << 16), input: BytesMut::new() })
    }
}

struct Peer {
    stream: TlsStream<TcpStream>,
    decoder: Decoder,
    input: BytesMut,
}

impl Peer {
    async fn read(&mut self) -> Packet {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.input).unwrap() {
                return packet;
            }
            assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0, "the client went away");
        }
    }

    async fn write(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        encode(&packet, Version::V311, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn connack(&mut self, code: ReasonCode) {
        assert!(matches!(self.read().await, Packet::Connect(_)));
        self.write(Packet::ConnAck(ConnAck { session_present: false, code, properties: Properties::new() })).await;
    }
}

fn device(version: CertificateVersion, algorithm: KeyAlgorithm) -> Device {
    let ca = Ca::new("Factory", algorithm).unwrap();
    ca.issue(&DeviceSpec { version, algorithm, ..DeviceSpec::new("device-1") }).unwrap()
}

async fn converse(server: &Server, device: &Device, versions: TlsVersions, version_name: &str) {
    let tls = server.client_tls(device, versions);
    let script = async {
        let mut peer = server.accept().await.unwrap();
        let shown = peer.stream.get_ref().1.peer_certificates().unwrap().to_vec();
        assert_eq!(shown, [CertificateDer::from(device.der().to_vec())]);
        assert_eq!(peer.stream.get_ref().1.server_name(), Some("localhost"));
        peer.connack(ReasonCode::Success).await;
        let Packet::Subscribe(subscribe) = peer.read().await else { panic!("no SUBSCRIBE") };
        let hello = TopicName::parse("a/hello").unwrap();
        peer.write(Packet::Publish(Publish::at_least_once(PacketId::FIRST, hello, "1"))).await;
        let codes = vec![ReasonCode::GrantedQos1];
        peer.write(Packet::SubAck(SubAck { packet_id: subscribe.packet_id, codes, properties: Properties::new() }))
            .await;
        assert!(matches!(peer.read().await, Packet::PubAck(_)));
        let Packet::Publish(publish) = peer.read().await else { panic!("no PUBLISH") };
        peer.write(Packet::PubAck(Ack::success(publish.packet_id.unwrap()))).await;
        assert!(matches!(peer.read().await, Packet::PingReq));
        peer.write(Packet::PingResp).await;
        assert!(matches!(peer.read().await, Packet::Disconnect(_)));
        assert_eq!(peer.stream.read_buf(&mut peer.input).await.unwrap(), 0);
    };
    let client = async {
        let mut client = MqttClient::connect(server.address(), &tls, Connect::new("d"), DEADLINE).await.unwrap();
        assert_eq!(client.connection().version(), Some(version_name));
        assert_eq!(client.connection().alpn(), Some(&b"x-amzn-mqtt-ca"[..]));
        assert_eq!(client.subscribe("a/#", Qos::AtLeastOnce).await.unwrap(), ReasonCode::GrantedQos1);
        assert_eq!(client.publish_at_least_once("b", "2").await.unwrap(), ReasonCode::Success);
        client.ping().await.unwrap();
        assert_eq!(client.messages_kept(), 1);
        assert_eq!(client.next_message().await.unwrap().topic.as_str(), "a/hello");
        client.disconnect().await.unwrap();
    };
    tokio::join!(script, client);
}

#[tokio::test]
async fn certificates_of_both_versions_over_both_tls_versions() {
    let server = Server::new(Arc::new(AnyCertificate)).await;
    for (version, algorithm) in [
        (CertificateVersion::V1, KeyAlgorithm::EcP256),
        (CertificateVersion::V1, KeyAlgorithm::Rsa2048),
        (CertificateVersion::V3, KeyAlgorithm::EcP256),
    ] {
        let device = device(version, algorithm);
        converse(&server, &device, TlsVersions::Tls12Only, "TLSv1.2").await;
        converse(&server, &device, TlsVersions::Tls13Only, "TLSv1.3").await;
    }
}

/// How the scripted server ends a connection after it has read CONNECT.
#[derive(Clone, Copy)]
enum Ending {
    Goodbye,
    Cut,
    Refuse,
    Silence,
}

async fn turned_away(ending: Ending, versions: TlsVersions) -> Error {
    let server = Server::new(Arc::new(AnyCertificate)).await;
    let tls = server.client_tls(&device(CertificateVersion::V1, KeyAlgorithm::EcP256), versions);
    let deadline = if matches!(ending, Ending::Silence) { Duration::from_millis(200) } else { DEADLINE };
    let script = async {
        let mut peer = server.accept().await.unwrap();
        match ending {
            Ending::Refuse => peer.connack(ReasonCode::NotAuthorized).await,
            _ => assert!(matches!(peer.read().await, Packet::Connect(_))),
        }
        if matches!(ending, Ending::Goodbye) {
            peer.stream.shutdown().await.unwrap();
        }
        peer
    };
    let client = async {
        match MqttClient::connect(server.address(), &tls, Connect::new("d"), deadline).await {
            Ok(_) => panic!("the client connected"),
            Err(error) => error,
        }
    };
    if matches!(ending, Ending::Cut) {
        let script = async { drop(script.await) };
        return tokio::join!(script, client).1;
    }
    tokio::join!(script, client).1
}

#[tokio::test]
async fn each_way_of_being_turned_away_is_told_apart() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let error = turned_away(Ending::Goodbye, versions).await;
        assert!(error.is_closed_without_connack(), "{error:?}");
        assert!(matches!(error, Error::Closed { how: Closing::CloseNotify, .. }), "{error:?}");

        let error = turned_away(Ending::Cut, versions).await;
        assert!(error.is_closed_without_connack(), "{error:?}");
        assert!(matches!(error, Error::Closed { how: Closing::EndOfStream | Closing::Reset, .. }), "{error:?}");

        let error = turned_away(Ending::Refuse, versions).await;
        assert!(matches!(error, Error::ConnectionRefused(ReasonCode::NotAuthorized)), "{error:?}");

        let error = turned_away(Ending::Silence, versions).await;
        assert!(matches!(error, Error::TimedOut { waiting_for: "CONNACK" }), "{error:?}");
    }
}

/// rustls' stock verifier refuses version 1 with certificate_unknown: the alert must arrive by its number, in TLS 1.3 too,
/// where the client has finished its handshake before.
#[tokio::test]
async fn a_refused_certificate_shows_as_its_alert() {
    let device = device(CertificateVersion::V1, KeyAlgorithm::EcP256);
    let ca = Ca::new("Factory", KeyAlgorithm::EcP256).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.certificate().der().to_vec())).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let server = Server::new(verifier).await;
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let tls = server.client_tls(&device, versions);
        let client = MqttClient::connect(server.address(), &tls, Connect::new("d"), DEADLINE);
        let (accepted, connected) = tokio::join!(server.accept(), client);
        assert!(accepted.is_err());
        let error = connected.err().expect("refused");
        assert_eq!(error.tls_alert(), Some(46), "{versions:?}: {error}");
    }
}

#[tokio::test]
async fn an_untrusted_server_is_refused() {
    let server = Server::new(Arc::new(AnyCertificate)).await;
    let stranger = Ca::new("Stranger", KeyAlgorithm::EcP256).unwrap();
    let tls = ClientTls::new(&stranger.certificate_pem(), "localhost").unwrap();
    let client = MqttClient::connect(server.address(), &tls, Connect::new("d"), DEADLINE);
    let (_, connected) = tokio::join!(server.accept(), client);
    let error = connected.err().expect("refused");
    assert!(matches!(error, Error::Tls { alert: None, .. }), "{error:?}");
}
