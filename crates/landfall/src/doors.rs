//! Joins the two doors: the device door hands HTTP to the API's, and gets back what became a WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;

use api::{Api, Holder, Knock, MqttDoor, MqttDoors, Upgraded};
use gateway::{Gateway, HttpArrival, HttpHandler, Peer, UpgradedStream, WebSocketHolder};
use rustls_pki_types::CertificateDer;
use services::Via;
use services::iot_data::HttpsDevice;

/// WebSockets of the API's own port.
pub fn of_api_port(gateway: Gateway) -> MqttDoors {
    MqttDoors(Arc::new(move |source: SocketAddr, listener: SocketAddr| {
        let peer = gateway.peer(source, listener);
        mqtt_door(gateway.clone(), peer, None)
    }))
}

/// HTTP on the port where ALPN decides.
pub fn of_alpn_port(gateway: Gateway, api: Api) -> HttpHandler {
    HttpHandler(Arc::new(move |arrival, shutdown| {
        let HttpArrival { stream, certificate, peer } = arrival;
        let via = Via { source_ip: peer.source.ip(), is_tls: true };
        let device = certificate.map(|certificate| HttpsDevice {
            certificate: Arc::from(certificate),
            server_name: peer.server_name,
            domain_name: peer.sni.clone(),
            source_ip: peer.source.ip(),
        });
        let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
        let mqtt = mqtt_door(gateway.clone(), peer, leaf);
        Box::pin(api::serve_device(*stream, api.clone(), via, device, mqtt, shutdown))
    }))
}

fn mqtt_door(gateway: Gateway, peer: Peer, leaf: Option<CertificateDer<'static>>) -> MqttDoor {
    MqttDoor(Arc::new(move |knock, shutdown| {
        let (gateway, peer) = (gateway.clone(), peer.clone());
        match knock {
            Knock::Refused(refused) => {
                let chain: Vec<_> = leaf.iter().cloned().collect();
                Box::pin(async move { gateway.record_refused(&peer, &refused, &chain) })
            }
            Knock::Opened { stream, received, holder } => {
                let stream = match stream {
                    Upgraded::Tls(stream) => UpgradedStream::Tls(stream),
                    Upgraded::Tcp(stream) => UpgradedStream::Tcp(stream),
                };
                let holder = match holder {
                    Holder::Signer(signer) => WebSocketHolder::Signer(signer),
                    Holder::Device(device) => {
                        WebSocketHolder::Certificate(Box::new(Arc::unwrap_or_clone(device.certificate)))
                    }
                };
                Box::pin(async move { gateway.serve_websocket(stream, received, holder, peer, shutdown).await })
            }
        }
    }))
}
