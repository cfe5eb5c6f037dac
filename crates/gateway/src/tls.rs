//! The TLS side of the device door: its configuration, built once, and one handshake.
//!
//! TLS 1.2 and 1.3; on every port but the one where ALPN decides, the client certificate is required. Where sessions may be
//! resumed, the library does not ask the verifier again; the door does, or a certificate that was deactivated since would
//! come back in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::admission::{Refusal, ServerName};
use domain::x509::Certificate;
use rustls::crypto::aws_lc_rs;
use rustls::server::ClientHello;
use rustls::{CertificateError, CommonState, HandshakeKind, InvalidMessage, ServerConfig, version};
use rustls_pki_types::CertificateDer;
use services::admission::Refused;
use services::metrics::Metrics;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::server;

use crate::alpn::{self, Spoken};
use crate::client_hello::Greeting;
use crate::closing::{close_https, close_socket, close_tls};
use crate::handshakes::Handshakes;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::recent_leaves::RecentLeaves;
use crate::server_identity::ServerIdentity;
use crate::session_tickets::SessionTickets;
use crate::tls_stream::TlsStream;
use crate::verifier::{Demand, DeviceVerifier, HandshakeRefused, LeafJudge, judge_chain};

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
    /// No ALPN: the port decides.
    plain: Arc<ServerConfig>,
    mqtt_ca: Arc<ServerConfig>,
    http_ca: Arc<ServerConfig>,
    /// The client certificate is optional.
    https: Arc<ServerConfig>,
}

/// A peer that holds the key of a certificate that may come in.
#[derive(Debug)]
pub struct Accepted {
    pub stream: Box<TlsStream>,
    pub certificate: Certificate,
}

/// What came of a handshake on the port where ALPN decides.
#[derive(Debug)]
pub(crate) enum AcceptedByAlpn {
    Mqtt(Accepted),
    Http { stream: Box<server::TlsStream<TcpStream>>, certificate: Option<Certificate> },
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
    Stream(Shaken),
}

/// A stream whose handshake is over. It is large, and moves.
#[derive(Debug)]
pub enum Shaken {
    Mqtt(Box<TlsStream>),
    Https(Box<server::TlsStream<TcpStream>>),
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
        let stream = self.handshake(socket, peer, Configs::of_mqtt_port).await?;
        match self.accepted(stream, peer)? {
            AcceptedByAlpn::Mqtt(accepted) => Ok(accepted),
            AcceptedByAlpn::Http { stream, .. } => {
                let why = "HTTPS was spoken where only MQTT is".to_owned();
                Err(HandshakeEnded::new(Refusal::Internal(why), Left::Stream(Shaken::Https(stream))))
            }
        }
    }

    pub(crate) async fn accept_by_alpn(
        &self,
        socket: TcpStream,
        peer: &mut Peer,
    ) -> Result<AcceptedByAlpn, HandshakeEnded> {
        let stream = self.handshake(socket, peer, Configs::of_alpn_port).await?;
        self.accepted(stream, peer)
    }

    async fn handshake(
        &self,
        mut socket: TcpStream,
        peer: &mut Peer,
        choose: fn(&Configs, &ClientHello<'_>) -> (Arc<ServerConfig>, Result<Spoken, Refusal>),
    ) -> Result<Shaken, HandshakeEnded> {
        // Boxed, here and below: what is done with is not kept for as long as the whole takes.
        let greeting = match timeout(self.timeout, Box::pin(Greeting::read(&mut socket))).await {
            Err(_) => return Err(HandshakeEnded::new(Refusal::HandshakeTimeout, Left::Socket(socket))),
            Ok(Err(error)) => return Err(HandshakeEnded::of_error(&error, Left::Socket(socket))),
            Ok(Ok(greeting)) => greeting,
        };
        peer.learn_hello(&greeting.client_hello(), &self.endpoint_names);
        let (config, spoken) = choose(self.configs_for(peer.server_name), &greeting.client_hello());
        let measured = &self.metrics.connections;
        let (waiting, hello_at) = (measured.handshakes_waiting.enter(), Instant::now());
        let Ok(Some(_turn)) = timeout(self.timeout, self.handshakes.turn(peer.source.ip())).await else {
            let refusal = Refusal::Overloaded("too many handshakes at once".to_owned());
            return Err(HandshakeEnded::new(refusal, Left::Socket(socket)));
        };
        drop(waiting);
        let (_running, turn_at) = (measured.handshakes_running.enter(), Instant::now());
        measured.handshake_wait.observe_time(turn_at - hello_at);
        let is_https = matches!(spoken, Ok(Spoken::Https | Spoken::HttpsWithCertificate));
        let handshake = self.handshakes.in_steps(shake_hands(greeting, socket, config, is_https));
        let stream = match timeout(self.timeout, handshake).await {
            Err(_) => return Err(HandshakeEnded::new(Refusal::HandshakeTimeout, Left::Nothing)),
            Ok(Err((error, socket))) => {
                return Err(match spoken {
                    Ok(_) => HandshakeEnded::of_error(&error, Left::Socket(socket)),
                    Err(refusal) => HandshakeEnded::new(refusal, Left::Socket(socket)),
                });
            }
            Ok(Ok(stream)) => stream,
        };
        measured.handshake_time.observe_time(turn_at.elapsed());
        let session = stream.session();
        peer.learn_version(session.protocol_version());
        peer.tls_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        // The library let nobody pass who offered nothing that is served.
        spoken.map(|_| stream).map_err(|refusal| HandshakeEnded::new(refusal, Left::Nothing))
    }

    fn accepted(&self, stream: Shaken, peer: &Peer) -> Result<AcceptedByAlpn, HandshakeEnded> {
        match self.certificate(stream, peer)? {
            (Shaken::Mqtt(stream), Some(certificate)) => Ok(AcceptedByAlpn::Mqtt(Accepted { stream, certificate })),
            (Shaken::Https(stream), certificate) => Ok(AcceptedByAlpn::Http { stream, certificate }),
            // The verifier let nobody pass without one; a session that was begun without one cannot be resumed here either.
            (stream, None) => Err(HandshakeEnded::new(Refusal::NoClientCertificate, Left::Stream(stream))),
        }
    }

    /// The client's, where it showed one.
    fn certificate(&self, stream: Shaken, peer: &Peer) -> Result<(Shaken, Option<Certificate>), HandshakeEnded> {
        let chain = stream.session().peer_certificates().unwrap_or_default();
        let Some((leaf, others)) = chain.split_first() else {
            return Ok((stream, None));
        };
        if peer.tls_resumed {
            return match judge_chain(&self.judge, peer.server_name, leaf, others.len()) {
                Ok(certificate) => Ok((stream, Some(certificate))),
                Err(refused) => Err(HandshakeEnded { refused, chain: chain.to_vec(), left: Left::Stream(stream) }),
            };
        }
        match self.leaves.take(leaf).map_or_else(|| Certificate::from_der(leaf), Ok) {
            Ok(certificate) => Ok((stream, Some(certificate))),
            Err(error) => Err(HandshakeEnded::new(Refusal::MalformedCertificate(error.to_string()), Left::Nothing)),
        }
    }

    fn configs_for(&self, name: ServerName) -> &Configs {
        let [endpoint, other, absent] = &self.configs;
        match name {
            ServerName::Endpoint => endpoint,
            ServerName::Other => other,
            ServerName::Absent => absent,
        }
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
        let config = |demand: Demand, alpn: &[&[u8]]| {
            let verifier = DeviceVerifier::new(judge.clone(), demand, name, algorithms, leaves.clone());
            let mut config = ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
                .with_client_cert_verifier(Arc::new(verifier))
                .with_cert_resolver(identity.clone());
            tickets.configure(&mut config);
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        Ok(Self {
            plain: config(Demand::Required, &[])?,
            mqtt_ca: config(Demand::Required, &[alpn::MQTT_CA])?,
            http_ca: config(Demand::Required, &[alpn::HTTP_CA])?,
            https: config(Demand::Optional, &[alpn::HTTP_1_1])?,
        })
    }

    /// A device that offers nothing that AWS has a name for is served without ALPN: here the port decides.
    fn of_mqtt_port(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, Result<Spoken, Refusal>) {
        let offers_mqtt_ca = hello.alpn().is_some_and(|mut offered| offered.any(|name| name == alpn::MQTT_CA));
        let config = if offers_mqtt_ca { &self.mqtt_ca } else { &self.plain };
        (config.clone(), Ok(Spoken::MqttWithCertificate))
    }

    /// Who offers nothing that is served gets any configuration with ALPN: the library answers no_application_protocol.
    fn of_alpn_port(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, Result<Spoken, Refusal>) {
        let spoken = alpn::spoken(hello);
        let config = match &spoken {
            Ok(Spoken::MqttWithCertificate) | Err(_) => &self.mqtt_ca,
            Ok(Spoken::HttpsWithCertificate) => &self.http_ca,
            Ok(Spoken::Https) => &self.https,
        };
        (config.clone(), spoken)
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
            Self::Stream(Shaken::Mqtt(stream)) => close_tls(*stream, limits).await,
            Self::Stream(Shaken::Https(stream)) => close_https(*stream, limits).await,
        }
    }
}

impl Shaken {
    fn session(&self) -> &CommonState {
        match self {
            Self::Mqtt(stream) => stream.session(),
            Self::Https(stream) => stream.get_ref().1,
        }
    }
}

async fn shake_hands(
    greeting: Box<Greeting>,
    socket: TcpStream,
    config: Arc<ServerConfig>,
    is_https: bool,
) -> Result<Shaken, (io::Error, TcpStream)> {
    if is_https {
        Box::pin(greeting.accept_https(socket, config)).await.map(|stream| Shaken::Https(Box::new(stream)))
    } else {
        let received = greeting.into_received();
        Box::pin(TlsStream::accept(socket, config, received)).await.map(Shaken::Mqtt)
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
