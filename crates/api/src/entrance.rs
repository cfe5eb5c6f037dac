//! How a request came in: by the API's own port, or on a stream of the devices' port that speaks HTTP; and where the
//! WebSockets of `/mqtt` go, which are the device door's.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use services::Via;
use services::admission::Refused;
use services::iot_data::HttpsDevice;
use services::signed_connection::Signer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

/// Of one connection.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub via: Via,
    pub kind: Kind,
    pub mqtt: MqttDoor,
}

#[derive(Clone)]
pub(crate) enum Kind {
    /// Everything is served.
    Api,
    /// The data plane alone, as on AWS's data endpoint; the certificate is the peer's, where it showed one.
    Devices(Option<HttpsDevice>),
}

/// Where `/mqtt` leads to. What comes of the future is the rest of the connection's life.
#[derive(Clone)]
pub struct MqttDoor(pub Arc<Knocked>);

type Knocked = dyn Fn(Knock, watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

#[derive(Debug)]
pub enum Knock {
    /// The request was good; the stream speaks WebSocket from here on.
    Opened { stream: Upgraded, received: Bytes, holder: Holder },
    /// Somebody was not let in, or an HTTPS request of a device was refused: for the records.
    Refused(Refused),
}

/// What lies under the WebSocket.
#[derive(Debug)]
pub enum Upgraded {
    Tls(Box<TlsStream<TcpStream>>),
    Tcp(TcpStream),
}

/// Who has proven to be there.
#[derive(Clone, Debug)]
pub enum Holder {
    Signer(Signer),
    Device(HttpsDevice),
}

/// A door for each connection of the API's own port.
#[derive(Clone)]
pub struct MqttDoors(pub Arc<dyn Fn(SocketAddr, SocketAddr) -> MqttDoor + Send + Sync>);

impl fmt::Debug for MqttDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MqttDoor")
    }
}

impl fmt::Debug for MqttDoors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MqttDoors")
    }
}
