//! One device's connection, from the end of the handshake to the close.
//!
//! Waits for CONNECT, asks for admission, claims the client id, then runs the loop. Whatever ends it comes out as an
//! `End`; the record is made and the socket closed here, in one place.

mod admission;
mod bell;
mod claiming;
mod delivering;
mod end;
mod facts;
mod goodbye;
mod interruption;
mod live;
mod meter;
mod rights;
mod traffic;
mod waiting;

use std::time::Duration;

use bytes::BytesMut;
use domain::CertificateId;
use domain::admission::Refusal;
use domain::x509::Certificate;
use mqtt::packet::{Connect, Will};
use mqtt::{Action, Session};
use services::metrics::{Present, Stage};
use services::signed_connection::Signer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::gateway::Gateway;
use crate::log::told;
use crate::peer::Peer;
use crate::profile::Profile;
use crate::socket::{DeviceSocket, Reading};
use crate::stream::DeviceStream;
use end::End;
use live::Live;

/// The session's clock: milliseconds since the connection began. Never goes back.
#[derive(Clone, Copy, Debug)]
struct Uptime(Instant);

impl Uptime {
    fn now_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When `ms` on this clock will be.
    fn at(self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }
}

/// A device at the door, before it has said a word of MQTT.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub stream: DeviceStream,
    pub profile: Profile,
    pub presented: Presented,
    /// The connection ends then, whatever it does.
    pub ends_at: Option<Instant>,
}

impl Arrival {
    pub(crate) fn new(stream: DeviceStream, profile: Profile, presented: Presented) -> Self {
        Self { stream, profile, presented, ends_at: None }
    }
}

/// Whose a WebSocket is: what the request that opened it proved.
#[derive(Debug)]
pub enum WebSocketHolder {
    Certificate(Box<Certificate>),
    Signer(Signer),
}

/// What it has shown of itself.
#[derive(Debug)]
pub(crate) enum Presented {
    /// It holds the key that belongs to it.
    Certificate(Box<Certificate>),
    /// It signed the request that opened the WebSocket.
    Signer(Signer),
    /// On the plain listener nobody is asked.
    Nothing,
}

impl Presented {
    fn certificate_id(&self) -> Option<CertificateId> {
        match self {
            Self::Certificate(certificate) => Some(certificate.id()),
            Self::Signer(_) | Self::Nothing => None,
        }
    }
}

/// A connection's moving parts.
struct Line {
    socket: DeviceSocket,
    profile: Profile,
    session: Session,
    /// What has arrived and is not a whole packet yet.
    input: BytesMut,
    uptime: Uptime,
}

pub(crate) async fn serve(
    gateway: &Gateway,
    arrival: Box<Arrival>,
    mut peer: Box<Peer>,
    mut shutdown: watch::Receiver<bool>,
) {
    let uptime = Uptime(Instant::now());
    let Arrival { stream, profile, presented, ends_at } = *arrival;
    peer.certificate_id = presented.certificate_id();
    let mut line = Line {
        socket: DeviceSocket::new(stream),
        profile,
        session: Session::new(profile.session_limits(gateway.limits()), uptime.now_ms()),
        input: BytesMut::new(),
        uptime,
    };
    // What happens once keeps no room in the future of a connection that lasts.
    let begun = Box::pin(begin(gateway, &mut line, presented, ends_at, &mut peer, &mut shutdown)).await;
    let (end, stage) = match begun {
        Ok(begun) => (live(begun).await, Stage::Live),
        Err(end) => (end, Stage::Connect),
    };
    let metrics = &gateway.metrics().connections;
    match &end {
        End::Refused(refused) => {
            metrics.refused(&refused.refusal, stage);
            gateway.record(&peer, refused, line.socket.chain());
        }
        End::ByClient => {
            metrics.client_disconnected();
            told!(debug, peer, "the client disconnected");
        }
        End::Lost(why) => {
            metrics.lost();
            told!(debug, peer, why, "the connection was lost");
        }
    }
    Box::pin(line.close(gateway)).await;
}

/// A connection that has its CONNACK.
struct Begun<'a> {
    live: Live<'a>,
    will: Option<Will>,
    /// Counts it while it is there.
    _connected: Present,
}

/// CONNECT, admission, the client id.
async fn begin<'a>(
    gateway: &Gateway,
    line: &'a mut Line,
    presented: Presented,
    ends_at: Option<Instant>,
    peer: &'a mut Peer,
    shutdown: &mut watch::Receiver<bool>,
) -> Result<Box<Begun<'a>>, End> {
    let mut connect = Box::pin(line.connect_packet(shutdown)).await?;
    let connect_at = Instant::now();
    let assigned_client_id = assign_client_id(&mut connect);
    peer.learn_client_id(&connect.client_id);
    let peer: &Peer = peer;
    let mut rights = Box::pin(admission::admit(gateway, line, peer, presented, &connect)).await?;
    rights.end_at(ends_at);
    told!(debug, peer, source = %peer.source, tls_version = peer.tls_version, "connected");
    let claim = Box::pin(claiming::claim(gateway, line, &rights, &connect, assigned_client_id)).await?;
    Ok(Box::new(Begun {
        live: Live::new(line, rights, claim, peer, shutdown),
        will: connect.will,
        _connected: gateway.metrics().connections.connected(connect.version, connect_at.elapsed()),
    }))
}

async fn live(mut begun: Box<Begun<'_>>) -> End {
    Box::pin(begun.live.announce_connected()).await;
    let end = begun.live.run().await;
    Box::pin(begun.end(&end)).await;
    end
}

impl Begun<'_> {
    async fn end(self: Box<Self>, end: &End) {
        let Self { live, will, _connected } = *self;
        let (services, origin) = (live.rights.services().clone(), live.origin());
        let presence = live.end(will).await;
        services.announce_disconnected(presence, &origin, end.disconnect_reason()).await;
    }
}

impl Line {
    async fn connect_packet(&mut self, shutdown: &mut watch::Receiver<bool>) -> Result<Box<Connect>, End> {
        loop {
            if let Some(action) = self.session.poll_action(&mut self.input, self.uptime.now_ms()) {
                return match action {
                    Action::Connect(connect) => Ok(connect),
                    Action::Closed(closed) => Err(End::of_closed(closed)),
                    // Before CONNECT the session lets nothing else pass.
                    other => Err(End::refused(Refusal::Internal(format!("{other:?} came before CONNECT")))),
                };
            }
            let deadline = self.session.next_deadline_ms().map(|ms| self.uptime.at(ms));
            tokio::select! {
                turn = self.socket.turn(&mut self.input, self.session.out(), Reading::On) => match turn {
                    Ok(turn) => End::of_turn(turn)?,
                    Err(error) => return Err(End::of_socket(&error)),
                },
                () = sleep_until_some(deadline) => {
                    if let Some(Action::Closed(closed)) = self.session.handle_timer(self.uptime.now_ms()) {
                        return Err(End::of_closed(closed));
                    }
                }
                _ = shutdown.wait_for(|down| *down) => return Err(End::refused(Refusal::ServerShutdown)),
            }
        }
    }

    /// Sends what the session still has to say (a CONNACK that refuses, a DISCONNECT), if the peer takes it.
    async fn close(mut self, gateway: &Gateway) {
        let limits = gateway.limits();
        let said = timeout(limits.drain_timeout, self.socket.finish(self.session.out())).await;
        if matches!(said, Ok(Ok(()))) {
            self.socket.into_stream().close(limits).await;
        }
    }
}

/// A client without one has asked for it, in 5.0; the session lets no other through.
fn assign_client_id(connect: &mut Connect) -> Option<String> {
    connect.client_id.is_empty().then(|| {
        connect.client_id = services::uuid();
        connect.client_id.clone()
    })
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
