//! The ClientHello: read before it is known by which configuration the handshake goes on.

use std::io;
use std::mem::swap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, ClientHello};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls_stream::receive;

pub(crate) struct Greeting {
    accepted: Accepted,
    /// What was read for it, and maybe more.
    received: Vec<u8>,
}

impl Greeting {
    /// The library bounds its size.
    pub(crate) async fn read(socket: &mut TcpStream) -> io::Result<Box<Self>> {
        let mut acceptor = Acceptor::default();
        let mut received = Vec::new();
        loop {
            let before = received.len();
            receive(socket, &mut received).await?;
            let mut fresh = received.get(before..).unwrap_or_default();
            while !fresh.is_empty() {
                acceptor.read_tls(&mut fresh)?;
            }
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(Box::new(Self { accepted, received })),
                Ok(None) => {}
                Err((error, alert)) => return Err(refuse(socket, error, alert).await),
            }
        }
    }

    pub(crate) fn client_hello(&self) -> ClientHello<'_> {
        self.accepted.client_hello()
    }

    /// For a handshake that reads it again.
    pub(crate) fn into_received(self) -> Vec<u8> {
        self.received
    }

    /// The rest of the handshake, for a stream that speaks HTTP.
    pub(crate) async fn accept_https(
        self,
        mut socket: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<TlsStream<TcpStream>, (io::Error, TcpStream)> {
        match self.accepted.into_connection(config.clone()) {
            Ok(mut greeted) => {
                let acceptor = TlsAcceptor::from(config);
                acceptor.accept_with(socket, |fresh| swap(fresh, &mut greeted)).into_fallible().await
            }
            Err((error, alert)) => Err((refuse(&mut socket, error, alert).await, socket)),
        }
    }
}

/// Sends the alert, if the peer takes it.
async fn refuse(socket: &mut TcpStream, error: rustls::Error, mut alert: AcceptedAlert) -> io::Error {
    let mut bytes = Vec::new();
    if alert.write_all(&mut bytes).is_ok() {
        let _ = socket.write_all(&bytes).await;
    }
    io::Error::new(io::ErrorKind::InvalidData, error)
}
