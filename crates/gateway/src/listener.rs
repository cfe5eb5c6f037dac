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
use services::metrics::{self, Stage};
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
use crate::tcp;
use crate::tls::{Accepted, AcceptedByAlpn, HandshakeEnded};

/// After a failed accept (no file descriptors left, as a rule), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two log lines about failed accepts.
const ACCEPT_TOLD_PAUSE: Duration = Duration::from_secs(10);
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
    pub stream: Box<TlsStream<TcpStream>>,
    /// Where it showed one, it holds the key, and admission let it come in.
    pub certificate: Option<Box<Certificate>>,
    pub peer: Peer,
}

impl fmt::Debug for HttpHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpHandler")
    }
}

impl Door {
    /// For the metrics.
    fn listener(&self) -> metrics::Listener {
        match self {
            Self::Mqtt => metrics::Listener::Mqtt,
            Self::Alpn(_) => metrics::Listener::Alpn,
            Self::PlainMqtt => metrics::Listener::PlainMqtt,
        }
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
    let mut failures = AcceptFailures::default();
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
        if accepted.is_ok() {
            failures.over();
        }
        match accepted {
            Ok((socket, source)) => match gateway.place(source.ip()) {
                Ok(place) => {
                    // Boxed: on its way it is an argument of one future after the other, and each keeps room for it.
                    let peer = Box::new(Peer::new(gateway.next_connection(), source, local));
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
            // The peer's own: it went while it waited.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
                tracing::debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                failures.failed(&error);
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
    peer: Box<Peer>,
    _place: Place,
    shutdown: watch::Receiver<bool>,
) {
    let _open = gateway.metrics().connections.accepted(door.listener());
    tcp::settle(&socket, peer.connection, gateway.limits());
    match door {
        Door::Mqtt => serve_tls(&gateway, None, socket, peer, shutdown).await,
        Door::Alpn(http) => serve_tls(&gateway, Some(&http), socket, peer, shutdown).await,
        Door::PlainMqtt => {
            let stream = DeviceStream::Tcp(socket);
            let arrival = Arrival::new(stream, Profile::Mqtt, Presented::Nothing);
            connection::serve(&gateway, Box::new(arrival), peer, shutdown).await;
        }
    }
}

/// What is spoken once TLS stands.
enum Arrived {
    Mqtt(Box<Arrival>),
    Http { stream: Box<TlsStream<TcpStream>>, certificate: Option<Box<Certificate>> },
}

/// With somebody who speaks HTTP, ALPN decides; without, it is MQTT.
async fn serve_tls(
    gateway: &Gateway,
    http: Option<&HttpHandler>,
    socket: TcpStream,
    mut peer: Box<Peer>,
    mut shutdown: watch::Receiver<bool>,
) {
    // Boxed, so that what only the handshake needs is not kept for the life of the connection.
    let handshake = Box::pin(async {
        let tls = gateway.tls();
        Ok::<_, Box<HandshakeEnded>>(match http {
            None => mqtt_arrived(tls.accept(socket, &mut peer).await.map_err(Box::new)?),
            Some(_) => match tls.accept_by_alpn(socket, &mut peer).await.map_err(Box::new)? {
                AcceptedByAlpn::Mqtt(accepted) => mqtt_arrived(accepted),
                AcceptedByAlpn::Http { stream, certificate } => {
                    Arrived::Http { stream, certificate: certificate.map(Box::new) }
                }
            },
        })
    });
    let arrived = tokio::select! {
        arrived = handshake => arrived,
        _ = shutdown.wait_for(|down| *down) => return,
    };
    match (arrived, http) {
        (Ok(Arrived::Mqtt(arrival)), _) => connection::serve(gateway, arrival, peer, shutdown).await,
        (Ok(Arrived::Http { stream, certificate }), Some(http)) => {
            (http.0)(HttpArrival { stream, certificate, peer: *peer }, shutdown).await;
        }
        // Without ALPN nothing arrives as HTTP.
        (Ok(Arrived::Http { .. }), None) => {}
        (Err(ended), _) => {
            gateway.metrics().connections.refused(&ended.refused.refusal, Stage::Handshake);
            gateway.record(&peer, &ended.refused, &ended.chain);
            Box::pin(ended.left.close(gateway.limits())).await;
        }
    }
}

fn mqtt_arrived(accepted: Accepted) -> Arrived {
    let presented = Presented::Certificate(Box::new(accepted.certificate));
    let stream = DeviceStream::Tls(accepted.stream);
    Arrived::Mqtt(Box::new(Arrival::new(stream, Profile::Aws, presented)))
}

/// Told with the remedy, and told when it is over; not for each of them, nor for each time that it comes and goes.
#[derive(Default)]
struct AcceptFailures {
    told: Option<Instant>,
    /// Since it was told last, and not over.
    count: u64,
    is_told: bool,
}

impl AcceptFailures {
    fn failed(&mut self, error: &io::Error) {
        self.count = self.count.saturating_add(1);
        if self.told.is_some_and(|at| at.elapsed() < ACCEPT_TOLD_PAUSE) {
            return;
        }
        tracing::warn!(
            %error,
            "devices' connections cannot be accepted and wait; if files are wanting, raise LimitNOFILE (ulimit -n) or lower limits.device_connections"
        );
        (self.told, self.is_told) = (Some(Instant::now()), true);
    }

    fn over(&mut self) {
        if self.is_told {
            tracing::warn!(failures = self.count, "devices' connections are accepted again");
            (self.count, self.is_told) = (0, false);
        }
    }
}

#[derive(Default)]
struct Overload {
    recorded: Option<Instant>,
    unrecorded: u64,
}

impl Overload {
    fn turn_away(&mut self, gateway: &Gateway, source: SocketAddr, local: SocketAddr, why: NoPlace) {
        gateway.metrics().connections.turned_away();
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
#[cfg(test)]
mod tests {
    use super::serve_socket;

    fn output_bytes<A, B, C, D, E, F, T>(_: fn(A, B, C, D, E, F) -> T) -> usize {
        std::mem::size_of::<T>()
    }

    /// What a connection's task keeps for as long as it lasts, TLS apart. A future holds room for everything that it may
    /// ever wait for: what is rare or happens once is boxed.
    #[test]
    fn ten_thousand_idle_tasks_are_small() {
        let bytes = output_bytes(serve_socket);
        assert!(bytes <= 3 * 1024, "{bytes} bytes");
    }
}
