//! The kinds of stream on which a device speaks MQTT. What reads and writes them does not care which it is, and pays
//! for no indirection: a kind is a variant.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server;

use crate::closing::{close_https, close_socket, close_tls};
use crate::limits::Limits;
use crate::tls_stream::TlsStream;
use crate::websocket::WebSocket;

/// Read at once where there is no TLS.
const READ_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) enum DeviceStream {
    /// Boxed: it is large, and moves on its way into the loop of the connection.
    Tls(Box<TlsStream>),
    /// Of the plain listener, which is on loopback only.
    Tcp(TcpStream),
    /// Boxed too.
    WebSocketOverTls(Box<WebSocket<server::TlsStream<TcpStream>>>),
    /// Of an API port without TLS.
    WebSocketOverTcp(Box<WebSocket<TcpStream>>),
}

/// What lies under a WebSocket, after the HTTP upgrade.
#[derive(Debug)]
pub enum UpgradedStream {
    Tls(Box<server::TlsStream<TcpStream>>),
    Tcp(TcpStream),
}

impl UpgradedStream {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Tls(stream) => stream.get_ref().0,
            Self::Tcp(stream) => stream,
        }
    }
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
        match self {
            Self::Tls(stream) => stream.chain(),
            Self::WebSocketOverTls(websocket) => {
                websocket.get_ref().get_ref().1.peer_certificates().unwrap_or_default()
            }
            Self::Tcp(_) | Self::WebSocketOverTcp(_) => &[],
        }
    }

    /// Appends what has come to `input`: how many bytes; 0 is the end. An idle connection keeps no buffer.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(stream) => stream.poll_read(cx, input),
            Self::Tcp(stream) => {
                let mut scratch = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
                let mut buffer = ReadBuf::uninit(&mut scratch);
                ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
                input.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Self::WebSocketOverTls(websocket) => websocket.poll_read(cx, input),
            Self::WebSocketOverTcp(websocket) => websocket.poll_read(cx, input),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(stream) => stream.poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::WebSocketOverTls(websocket) => websocket.poll_write(cx, bytes),
            Self::WebSocketOverTcp(websocket) => websocket.poll_write(cx, bytes),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => stream.poll_flush(cx),
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
                close_https(websocket.into_inner(), limits).await;
            }
            Self::WebSocketOverTcp(mut websocket) => {
                let _ = timeout(limits.drain_timeout, websocket.say_goodbye()).await;
                close_socket(websocket.into_inner(), limits).await;
            }
        }
    }
}
