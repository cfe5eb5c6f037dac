//! The kinds of stream on which a device speaks MQTT. What reads and writes them does not care which it is, and pays
//! for no indirection: a kind is a variant.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::closing::{close_socket, close_tls};
use crate::limits::Limits;
use crate::websocket::WebSocket;

/// Boxed where it is large: a stream moves on its way into the connection's loop.
#[derive(Debug)]
pub(crate) enum DeviceStream {
    Tls(Box<TlsStream<TcpStream>>),
    /// Of the plain listener, which is on loopback only.
    Tcp(TcpStream),
    WebSocketOverTls(Box<WebSocket<TlsStream<TcpStream>>>),
    /// Of an API port without TLS.
    WebSocketOverTcp(Box<WebSocket<TcpStream>>),
}

/// What lies under a WebSocket, after the HTTP upgrade.
#[derive(Debug)]
pub enum UpgradedStream {
    Tls(Box<TlsStream<TcpStream>>),
    Tcp(TcpStream),
}

impl DeviceStream {
    /// `received` is what the HTTP side has read beyond the upgrade.
    pub(crate) async fn websocket(stream: UpgradedStream, received: Bytes) -> Self {
        match stream {
            UpgradedStream::Tls(stream) => Self::WebSocketOverTls(Box::new(WebSocket::open(*stream, received).await)),
            UpgradedStream::Tcp(stream) => Self::WebSocketOverTcp(Box::new(WebSocket::open(stream, received).await)),
        }
    }

    /// As the peer sent it, leaf first; empty where there is no TLS.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        let tls = match self {
            Self::Tls(stream) => stream.as_ref(),
            Self::WebSocketOverTls(websocket) => websocket.get_ref(),
            Self::Tcp(_) | Self::WebSocketOverTcp(_) => return &[],
        };
        tls.get_ref().1.peer_certificates().unwrap_or_default()
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::WebSocketOverTls(websocket) => websocket.poll_read(cx, buffer),
            Self::WebSocketOverTcp(websocket) => websocket.poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::WebSocketOverTls(websocket) => websocket.poll_write(cx, bytes),
            Self::WebSocketOverTcp(websocket) => websocket.poll_write(cx, bytes),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::WebSocketOverTls(websocket) => websocket.poll_flush(cx),
            Self::WebSocketOverTcp(websocket) => websocket.poll_flush(cx),
        }
    }

    /// So that the peer sees an orderly end, whatever the kind.
    pub(crate) async fn close(self, limits: &Limits) {
        match self {
            Self::Tls(stream) => close_tls(*stream, limits).await,
            Self::Tcp(stream) => close_socket(stream, limits).await,
            Self::WebSocketOverTls(mut websocket) => {
                let _ = timeout(limits.drain_timeout, websocket.say_goodbye()).await;
                close_tls(websocket.into_inner(), limits).await;
            }
            Self::WebSocketOverTcp(mut websocket) => {
                let _ = timeout(limits.drain_timeout, websocket.say_goodbye()).await;
                close_socket(websocket.into_inner(), limits).await;
            }
        }
    }
}
