//! The kinds of stream on which a device speaks MQTT. What reads and writes them does not care which it is, and pays
//! for no indirection: a kind is a variant.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::closing::{close_socket, close_tls};
use crate::limits::Limits;

#[derive(Debug)]
pub(crate) enum DeviceStream {
    Tls(TlsStream<TcpStream>),
    /// Of the plain listener, which is on loopback only.
    Tcp(TcpStream),
}

impl DeviceStream {
    /// As the peer sent it, leaf first; empty where there is no TLS.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Tls(stream) => stream.get_ref().1.peer_certificates().unwrap_or_default(),
            Self::Tcp(_) => &[],
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// So that the peer sees an orderly end, whatever the kind.
    pub(crate) async fn close(self, limits: &Limits) {
        match self {
            Self::Tls(stream) => close_tls(stream, limits).await,
            Self::Tcp(stream) => close_socket(stream, limits).await,
        }
    }
}
