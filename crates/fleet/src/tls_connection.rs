//! A TLS connection to the device door before any MQTT is spoken: tests send what they like over it, or nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use domain::x509::Certificate;
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{ClientTls, Closing, Error};

/// What a read takes at once, and a closed connection may still deliver.
const READ_BYTES: usize = 16 * 1024;

pub struct TlsConnection {
    stream: TlsStream<TcpStream>,
    deadline: Duration,
}

impl TlsConnection {
    /// Finished means: from the client's side. With TLS 1.3 the server may still refuse the client's certificate; the
    /// next read then reports the alert. `deadline` bounds this and every later wait.
    pub async fn open(address: SocketAddr, tls: &ClientTls, deadline: Duration) -> Result<Self, Error> {
        let connector = TlsConnector::from(Arc::new(tls.config()?));
        let name = tls.server_name().clone();
        let opening = async {
            let tcp = TcpStream::connect(address).await.map_err(|error| Error::Io { doing: "connect", error })?;
            tcp.set_nodelay(true).map_err(|error| Error::Io { doing: "connect", error })?;
            connector.connect(name, tcp).await.map_err(|error| Error::of_stream(error, "TLS handshake"))
        };
        match timeout(deadline, opening).await {
            Ok(stream) => Ok(Self { stream: stream?, deadline }),
            Err(_) => Err(Error::TimedOut { waiting_for: "TLS handshake" }),
        }
    }

    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// `TLSv1.2` or `TLSv1.3`.
    pub fn version(&self) -> Option<&'static str> {
        match self.stream.get_ref().1.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    /// What the server has shown of itself.
    pub fn server_certificate(&self) -> Option<Certificate> {
        let shown = self.stream.get_ref().1.peer_certificates()?.first()?;
        Certificate::from_der(shown).ok()
    }

    /// This side's address, as the server's records show it.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        self.stream.get_ref().0.local_addr().map_err(|error| Error::Io { doing: "connect", error })
    }

    pub async fn send(&mut self, bytes: &[u8], what: &'static str) -> Result<(), Error> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.deadline, sending).await {
            Ok(sent) => sent.map_err(|error| Error::of_stream(error, what)),
            Err(_) => Err(Error::TimedOut { waiting_for: what }),
        }
    }

    /// Appends what comes next. The end of the stream is an error that says how it ended.
    pub async fn receive(&mut self, out: &mut BytesMut, what: &'static str) -> Result<(), Error> {
        let until = Instant::now() + self.deadline;
        self.receive_until(out, what, until).await
    }

    pub(crate) async fn receive_until(
        &mut self,
        out: &mut BytesMut,
        what: &'static str,
        until: Instant,
    ) -> Result<(), Error> {
        out.reserve(READ_BYTES);
        match timeout_at(until, self.stream.read_buf(out)).await {
            Ok(Ok(0)) => Err(Error::Closed { waiting_for: what, how: Closing::CloseNotify }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::of_stream(error, what)),
            Err(_) => Err(Error::TimedOut { waiting_for: what }),
        }
    }

    /// Waits until the server ends the connection and says how; bytes that come before that are an error.
    pub async fn closed(&mut self) -> Result<Closing, Error> {
        let mut bytes = BytesMut::new();
        match self.receive(&mut bytes, "end of the connection").await {
            Ok(()) => Err(Error::Protocol(format!("{} bytes came instead of the end", bytes.len()))),
            Err(Error::Closed { how, .. }) => Ok(how),
            Err(error) => Err(error),
        }
    }

    /// Says goodbye at the TLS layer and ends this side's stream.
    pub async fn close(&mut self) -> Result<(), Error> {
        match timeout(self.deadline, self.stream.shutdown()).await {
            Ok(ended) => ended.map_err(|error| Error::of_stream(error, "close")),
            Err(_) => Err(Error::TimedOut { waiting_for: "close" }),
        }
    }
}
