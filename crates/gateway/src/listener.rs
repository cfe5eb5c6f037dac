//! The accept loop of one listener. Everything that takes time happens in a task per connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::admission::Refusal;
use domain::x509::Certificate;
use services::admission::Refused;
use services::places::{NoPlace, Place};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::server::TlsStream;

use crate::connection::{self, Arrival, Presented};
use crate::gateway::Gateway;
use crate::peer::Peer;
use crate::profile::Profile;
use crate::stream::DeviceStream;
use crate::tls::{Accepted, AcceptedByAlpn, HandshakeEnded};

/// After a failed accept (no file descriptors left, as a rule), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections turned away for want of a place leave one record in this time, and not one each: whoever floods the
/// server must not push everybody else's records out of the journal.
const OVERLOAD_RECORD_PAUSE: Duration = Duration::from_secs(1);

/// What a listener is for.
#[derive(Clone, Debug)]
pub enum Door {
    /// MQTT over TLS with the client's certificate, as AWS has it on 8883.
    Mqtt,
    /// ALPN decides, as AWS has it on 443: MQTT is served here, HTTP is handed on.
    Alpn(HttpHandler),
    /// MQTT without TLS, for programs on this machine: nobody is asked who they are. Loopback only.
    PlainMqtt,
}

/// Serves HTTP on a stream until its end, or until shutdown; `/mqtt` comes back by `Gateway::serve_websocket`.
#[derive(Clone)]
pub struct HttpHandler(pub Arc<HandleHttp>);

type HandleHttp = dyn Fn(HttpArrival, watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// A peer that wants to speak HTTP.
#[derive(Debug)]
pub struct HttpArrival {
    pub stream: TlsStream<TcpStream>,
    /// Where it showed one, it holds the key, and admission let it come in.
    pub certificate: Option<Certificate>,
    pub peer: Peer,
}

impl fmt::Debug for HttpHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpHandler")
    }
}

/// Serves devices until `shutdown` turns true (or its sender goes); then ends all connections and waits for them, for
/// a bounded time.
pub async fn serve(
    listener: TcpListener,
    door: Door,
    gateway: Gateway,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    if matches!(door, Door::PlainMqtt) && !local.ip().to_canonical().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "MQTT without TLS is served on loopback only"));
    }
    let mut connections = JoinSet::new();
    let mut overload = Overload::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
                continue;
            }
            _ = shutdown.wait_for(|down| *down) => break,
        };
        match accepted {
            Ok((socket, source)) => match gateway.place(source.ip()) {
                Ok(place) => {
                    let peer = Peer::new(gateway.next_connection(), source, local);
                    connections.spawn(serve_socket(
                        gateway.clone(),
                        door.clone(),
                        socket,
                        peer,
                        place,
                        shutdown.clone(),
                    ));
                }
                Err(why) => overload.turn_away(&gateway, source, local, why),
            },
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(gateway.limits().shutdown_timeout, all_ended).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn serve_socket(
    gateway: Gateway,
    door: Door,
    socket: TcpStream,
    peer: Peer,
    _place: Place,
    shutdown: watch::Receiver<bool>,
) {
    // Without it a CONNACK waits for the peer's delayed acknowledgement of the handshake, some 40 ms.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(connection = peer.connection, %error, "TCP_NODELAY could not be set");
    }
    match door {
        Door::Mqtt => serve_mqtt(&gateway, socket, peer, shutdown).await,
        Door::Alpn(http) => serve_by_alpn(&gateway, &http, socket, peer, shutdown).await,
        Door::PlainMqtt => {
            let stream = DeviceStream::Tcp(socket);
            let arrival = Arrival::new(stream, Profile::Mqtt, Presented::Nothing);
            connection::serve(&gateway, arrival, peer, shutdown).await;
        }
    }
}

async fn serve_mqtt(gateway: &Gateway, socket: TcpStream, mut peer: Peer, mut shutdown: watch::Receiver<bool>) {
    // Boxed, so that what only the handshake needs is not kept for the life of the connection.
    let handshake = Box::pin(gateway.tls().accept(socket, &mut peer));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        _ = shutdown.wait_for(|down| *down) => return,
    };
    match accepted {
        Ok(accepted) => serve_accepted(gateway, accepted, peer, shutdown).await,
        Err(ended) => close_ended(gateway, &peer, ended).await,
    }
}

async fn serve_by_alpn(
    gateway: &Gateway,
    http: &HttpHandler,
    socket: TcpStream,
    mut peer: Peer,
    mut shutdown: watch::Receiver<bool>,
) {
    let handshake = Box::pin(gateway.tls().accept_by_alpn(socket, &mut peer));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        _ = shutdown.wait_for(|down| *down) => return,
    };
    match accepted {
        Ok(AcceptedByAlpn::Mqtt(accepted)) => serve_accepted(gateway, accepted, peer, shutdown).await,
        Ok(AcceptedByAlpn::Http { stream, certificate }) => {
            (http.0)(HttpArrival { stream, certificate, peer }, shutdown).await;
        }
        Err(ended) => close_ended(gateway, &peer, ended).await,
    }
}

async fn serve_accepted(gateway: &Gateway, accepted: Accepted, peer: Peer, shutdown: watch::Receiver<bool>) {
    let presented = Presented::Certificate(Box::new(accepted.certificate));
    let arrival = Arrival::new(DeviceStream::Tls(Box::new(accepted.stream)), Profile::Aws, presented);
    connection::serve(gateway, arrival, peer, shutdown).await;
}

async fn close_ended(gateway: &Gateway, peer: &Peer, ended: HandshakeEnded) {
    gateway.record(peer, &ended.refused, &ended.chain);
    ended.left.close(gateway.limits()).await;
}

#[derive(Default)]
struct Overload {
    recorded: Option<Instant>,
    unrecorded: u64,
}

impl Overload {
    fn turn_away(&mut self, gateway: &Gateway, source: SocketAddr, local: SocketAddr, why: NoPlace) {
        if self.recorded.is_some_and(|at| at.elapsed() < OVERLOAD_RECORD_PAUSE) {
            self.unrecorded = self.unrecorded.saturating_add(1);
            return;
        }
        let limits = gateway.limits();
        let bound = match why {
            NoPlace::Full => format!("{} connections are open, the most allowed", limits.connections_max),
            NoPlace::AddressFull => {
                format!(
                    "{} connections are open from this address, the most allowed",
                    limits.connections_per_address_max
                )
            }
        };
        let others = match std::mem::take(&mut self.unrecorded) {
            0 => String::new(),
            count => format!(" ({count} more were turned away since the last record of this kind)"),
        };
        let refusal = Refusal::Overloaded(bound + &others);
        let peer = Peer::new(gateway.next_connection(), source, local);
        gateway.record(&peer, &Refused { refusal, ca: None, status: None }, &[]);
        self.recorded = Some(Instant::now());
    }
}
