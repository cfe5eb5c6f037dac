//! What all connections of the device door share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broker::Broker;
use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use services::Services;
use services::admission::{Recorded, Refused};
use services::metrics::{Metrics, Stage};
use services::places::{NoPlace, Place, Places};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::{self, Arrival, Presented, WebSocketHolder};
use crate::limits::Limits;
use crate::peer::Peer;
use crate::profile::Profile;
use crate::server_identity::ServerIdentity;
use crate::stream::{DeviceStream, UpgradedStream};
use crate::tcp;
use crate::tls::TlsDoor;
use crate::verifier::LeafJudge;

/// Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    services: Services,
    broker: Broker,
    tls: TlsDoor,
    limits: Limits,
    places: Places,
    connections: AtomicU64,
}

impl Gateway {
    /// The TLS configuration is built here, once.
    pub fn new(
        services: Services,
        broker: Broker,
        identity: Arc<ServerIdentity>,
        limits: Limits,
    ) -> Result<Self, rustls::Error> {
        let judge = LeafJudge::new({
            let services = services.clone();
            move |leaf, server_name| services.judge_handshake(leaf, server_name)
        });
        let names = services.config().endpoint_names.clone();
        let tls = TlsDoor::new(judge, identity, names, &limits, services.metrics().clone())?;
        let places = Places::new(limits.connections_max, limits.connections_per_address_max);
        let inner = Inner { services, broker, tls, limits, places, connections: AtomicU64::new(1) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// MQTT on a WebSocket that the HTTP side has opened, to its end. `received` is what came behind the upgrade already.
    /// Whoever hands it over counts it among its own connections.
    pub async fn serve_websocket(
        &self,
        stream: UpgradedStream,
        received: Bytes,
        holder: WebSocketHolder,
        peer: Peer,
        shutdown: watch::Receiver<bool>,
    ) {
        self.metrics().connections.websocket_opened();
        // The API's port asks for nothing of the kind: its connections are not to last.
        tcp::settle(stream.socket(), peer.connection, self.limits());
        let presented = match holder {
            WebSocketHolder::Certificate(certificate) => Presented::Certificate(certificate),
            WebSocketHolder::Signer(signer) => Presented::Signer(signer),
        };
        let stream = DeviceStream::websocket(stream, received).await;
        let ends_at = Some(Instant::now() + self.inner.limits.websocket_age_max);
        let arrival = Arrival { ends_at, ..Arrival::new(stream, Profile::Aws, presented) };
        connection::serve(self, Box::new(arrival), Box::new(peer), shutdown).await;
    }

    /// Of a request on a stream that was handed on.
    pub fn record_refused(&self, peer: &Peer, refused: &Refused, chain: &[CertificateDer<'_>]) {
        self.metrics().connections.refused(&refused.refusal, Stage::Request);
        self.record(peer, refused, chain);
    }

    /// A connection that another listener accepted.
    pub fn peer(&self, source: SocketAddr, listener: SocketAddr) -> Peer {
        Peer::new(self.next_connection(), source, listener)
    }

    /// From TCP accept to close, on all listeners.
    pub fn open_connections(&self) -> usize {
        self.inner.places.taken()
    }

    pub(crate) fn services(&self) -> &Services {
        &self.inner.services
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.inner.services.metrics()
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.inner.broker
    }

    pub(crate) fn tls(&self) -> &TlsDoor {
        &self.inner.tls
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn place(&self, source: IpAddr) -> Result<Place, NoPlace> {
        self.inner.places.take(source)
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.inner.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// One log line and one admission record (or one more in the count of its like) for a connection that was refused, or that the peer did not end itself.
    pub(crate) fn record(&self, peer: &Peer, refused: &Refused, chain: &[CertificateDer<'_>]) {
        let record = peer.record(refused, chain, self.inner.services.now());
        let recorded = self.inner.services.record_admission(record.clone());
        if recorded == Recorded::Counted {
            tracing::debug!(
                connection = peer.connection,
                client_id = record.client_id,
                certificate_id = record.certificate_id.map(tracing::field::display),
                reason = record.reason,
                "refused like others before"
            );
            return;
        }
        tracing::info!(
            connection = peer.connection,
            source = %record.source,
            certificate_id = record.certificate_id.map(tracing::field::display),
            client_id = record.client_id,
            reason = record.reason,
            "{}",
            record.sentence
        );
    }
}
