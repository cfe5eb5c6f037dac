//! The TLS side of the device door: its configuration, built once, and one handshake.
//!
//! TLS 1.2 and 1.3, client certificate required. Where sessions may be resumed, the library does not ask the verifier
//! again; the door does, or a certificate that was deactivated since would come back in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::admission::{Refusal, ServerName};
use domain::x509::Certificate;
use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, ClientHello};
use rustls::{CertificateError, HandshakeKind, InvalidMessage, ServerConfig, version};
use rustls_pki_types::CertificateDer;
use services::admission::Refused;
use services::metrics::Metrics;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::closing::{close_socket, close_tls};
use crate::handshakes::Handshakes;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::recent_leaves::RecentLeaves;
use crate::server_identity::ServerIdentity;
use crate::session_tickets::SessionTickets;
use crate::verifier::{DeviceVerifier, HandshakeRefused, LeafJudge, judge_chain};

/// What AWS devices offer on port 443; accepted on 8883 as well, where the port decides. A device that offers nothing
/// or something else is served without ALPN there.
const ALPN_MQTT_CA: &[u8] = b"x-amzn-mqtt-ca";

/// Accepts TLS on sockets that were accepted already.
#[derive(Debug)]
pub struct TlsDoor {
    /// One for each thing that the client may have sent as the server's name, in the order of `ServerName::ALL`.
    configs: [Configs; ServerName::ALL.len()],
    endpoint_names: Vec<String>,
    judge: Arc<LeafJudge>,
    leaves: Arc<RecentLeaves>,
    handshakes: Handshakes,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

#[derive(Clone, Debug)]
struct Configs {
    plain: Arc<ServerConfig>,
    mqtt_ca: Arc<ServerConfig>,
}

/// A peer that holds the key of a certificate that may come in.
#[derive(Debug)]
pub struct Accepted {
    pub stream: TlsStream<TcpStream>,
    pub certificate: Certificate,
}

/// A handshake that came to nothing.
#[derive(Debug)]
pub struct HandshakeEnded {
    pub refused: Refused,
    pub chain: Vec<CertificateDer<'static>>,
    pub left: Left,
}

/// What is left of the connection, and wants closing.
#[derive(Debug)]
pub enum Left {
    Nothing,
    /// With the alert on its way.
    Socket(TcpStream),
    /// Of a resumed session, whose device was refused when its handshake was over: too late for an alert of ours.
    Stream(Box<TlsStream<TcpStream>>),
}

impl TlsDoor {
    pub fn new(
        judge: LeafJudge,
        identity: Arc<ServerIdentity>,
        endpoint_names: Vec<String>,
        limits: &Limits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, rustls::Error> {
        let judge = Arc::new(judge);
        let leaves = Arc::new(RecentLeaves::default());
        let tickets = SessionTickets::new(limits.session_resumption)?;
        let [endpoint, other, absent] =
            ServerName::ALL.map(|name| Configs::new(judge.clone(), name, identity.clone(), leaves.clone(), &tickets));
        Ok(Self {
            configs: [endpoint?, other?, absent?],
            endpoint_names,
            judge,
            leaves,
            handshakes: Handshakes::new(limits.handshakes_max, limits.handshakes_per_address_max),
            timeout: limits.handshake_timeout,
            metrics,
        })
    }

    /// A turn among the handshakes is taken only once the ClientHello is there: who says nothing takes none.
    pub async fn accept(&self, socket: TcpStream, peer: &mut Peer) -> Result<Accepted, HandshakeEnded> {
        let mut hello = LazyConfigAcceptor::new(Acceptor::default(), socket);
        let start = match timeout(self.timeout, &mut hello).await {
            Err(_) => return Err(HandshakeEnded::new(Refusal::HandshakeTimeout, hello.take_io().into())),
            Ok(Err(error)) => return Err(HandshakeEnded::of_error(&error, hello.take_io().into())),
            Ok(Ok(start)) => start,
        };
        peer.learn_hello(&start.client_hello(), &self.endpoint_names);
        let config = self.config_for(&start.client_hello(), peer.server_name);
        let measured = &self.metrics.connections;
        let (waiting, hello_at) = (measured.handshakes_waiting.enter(), Instant::now());
        let Ok(Some(_turn)) = timeout(self.timeout, self.handshakes.turn(peer.source.ip())).await else {
            let refusal = Refusal::Overloaded("too many handshakes at once".to_owned());
            return Err(HandshakeEnded::new(refusal, Left::Socket(start.io)));
        };
        drop(waiting);
        let (_running, turn_at) = (measured.handshakes_running.enter(), Instant::now());
        measured.handshake_wait.observe_time(turn_at - hello_at);
        let stream =
            match timeout(self.timeout, self.handshakes.in_steps(start.into_stream(config).into_fallible())).await {
                Err(_) => return Err(HandshakeEnded::new(Refusal::HandshakeTimeout, Left::Nothing)),
                Ok(Err((error, socket))) => return Err(HandshakeEnded::of_error(&error, Left::Socket(socket))),
                Ok(Ok(stream)) => stream,
            };
        measured.handshake_time.observe_time(turn_at.elapsed());
        self.accepted(stream, peer)
    }

    fn accepted(&self, stream: TlsStream<TcpStream>, peer: &mut Peer) -> Result<Accepted, HandshakeEnded> {
        let session = stream.get_ref().1;
        peer.learn_version(session.protocol_version());
        peer.tls_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let chain = session.peer_certificates().unwrap_or_default();
        let Some((leaf, others)) = chain.split_first() else {
            // The verifier let nobody pass without one.
            return Err(HandshakeEnded::new(Refusal::NoClientCertificate, Left::Nothing));
        };
        if peer.tls_resumed {
            return match judge_chain(&self.judge, peer.server_name, leaf, others.len()) {
                Ok(certificate) => Ok(Accepted { stream, certificate }),
                Err(refused) => {
                    Err(HandshakeEnded { refused, chain: chain.to_vec(), left: Left::Stream(Box::new(stream)) })
                }
            };
        }
        match self.leaves.take(leaf).map_or_else(|| Certificate::from_der(leaf), Ok) {
            Ok(certificate) => Ok(Accepted { stream, certificate }),
            Err(error) => Err(HandshakeEnded::new(Refusal::MalformedCertificate(error.to_string()), Left::Nothing)),
        }
    }

    fn config_for(&self, hello: &ClientHello<'_>, name: ServerName) -> Arc<ServerConfig> {
        let [endpoint, other, absent] = &self.configs;
        let configs = match name {
            ServerName::Endpoint => endpoint,
            ServerName::Other => other,
            ServerName::Absent => absent,
        };
        let offers_mqtt_ca = hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN_MQTT_CA));
        if offers_mqtt_ca { configs.mqtt_ca.clone() } else { configs.plain.clone() }
    }
}

impl Configs {
    fn new(
        judge: Arc<LeafJudge>,
        name: ServerName,
        identity: Arc<ServerIdentity>,
        leaves: Arc<RecentLeaves>,
        tickets: &SessionTickets,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut plain = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_client_cert_verifier(Arc::new(DeviceVerifier::new(judge, name, algorithms, leaves)))
            .with_cert_resolver(identity);
        tickets.configure(&mut plain);
        let mut mqtt_ca = plain.clone();
        mqtt_ca.alpn_protocols = vec![ALPN_MQTT_CA.to_vec()];
        Ok(Self { plain: Arc::new(plain), mqtt_ca: Arc::new(mqtt_ca) })
    }
}

impl HandshakeEnded {
    fn new(refusal: Refusal, left: Left) -> Self {
        Self { refused: Refused { refusal, ca: None, status: None }, chain: Vec::new(), left }
    }

    fn of_error(error: &io::Error, left: Left) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls.and_then(HandshakeRefused::in_error) {
            Some(HandshakeRefused { refused, chain }) => Self { refused: refused.clone(), chain: chain.clone(), left },
            None => Self::new(tls.map_or_else(|| io_refusal(error), tls_refusal), left),
        }
    }
}

impl Left {
    pub async fn close(self, limits: &Limits) {
        match self {
            Self::Nothing => {}
            Self::Socket(socket) => close_socket(socket, limits).await,
            Self::Stream(stream) => close_tls(*stream, limits).await,
        }
    }
}

impl From<Option<TcpStream>> for Left {
    fn from(socket: Option<TcpStream>) -> Self {
        socket.map_or(Self::Nothing, Self::Socket)
    }
}

fn tls_refusal(error: &rustls::Error) -> Refusal {
    match error {
        rustls::Error::NoCertificatesPresented => Refusal::NoClientCertificate,
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => {
            Refusal::MalformedCertificate(error.to_string())
        }
        rustls::Error::InvalidCertificate(_) => Refusal::TlsFailed(format!(
            "the handshake was not signed with the key of the client's certificate ({error}); \
             give the client the private key that belongs to its certificate"
        )),
        rustls::Error::AlertReceived(alert) => Refusal::TlsFailed(format!(
            "the client ended the handshake with the alert {alert:?}; \
             most often it does not trust this server's root CA, or connects by a name the server's certificate lacks"
        )),
        rustls::Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => Refusal::TlsFailed(
            "a message of the handshake is larger than 65,535 bytes; send the device's certificate and at most its CA's".to_owned(),
        ),
        rustls::Error::InvalidMessage(_) => {
            Refusal::TlsFailed(format!("what the client sent is not TLS ({error}); connect with TLS 1.2 or 1.3"))
        }
        _ => Refusal::TlsFailed(error.to_string()),
    }
}

fn io_refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Refusal::TlsFailed("the client closed the connection during the handshake".to_owned())
        }
        _ => Refusal::TlsFailed(error.to_string()),
    }
}
