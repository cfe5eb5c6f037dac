//! Closing so that the peer sees an orderly end and not a reset.
//!
//! A socket that is closed with unread bytes in it answers with a reset, which throws away what was on its way to the
//! peer: an alert, a close_notify. So our half is closed first, and what the peer still sends is read and thrown away,
//! for a bounded time and a bounded amount.

use std::future::poll_fn;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server;

use crate::limits::Limits;
use crate::tls_stream::TlsStream;

const READ_BYTES: usize = 4096;

/// After a handshake that failed: the alert is written already.
pub async fn close_socket(mut socket: TcpStream, limits: &Limits) {
    let until = Instant::now() + limits.drain_timeout;
    if let Ok(Ok(())) = timeout_at(until, socket.shutdown()).await {
        drain(&mut socket, limits.drain_bytes_max, until).await;
    }
}

/// close_notify, half-close, drain.
pub async fn close_tls(mut stream: TlsStream, limits: &Limits) {
    let until = Instant::now() + limits.drain_timeout;
    if let Ok(Ok(())) = timeout_at(until, poll_fn(|cx| stream.poll_shutdown(cx))).await {
        drain(stream.tcp_mut(), limits.drain_bytes_max, until).await;
    }
}

/// The same where HTTP was spoken.
pub(crate) async fn close_https(mut stream: server::TlsStream<TcpStream>, limits: &Limits) {
    let until = Instant::now() + limits.drain_timeout;
    if let Ok(Ok(())) = timeout_at(until, stream.shutdown()).await {
        drain(stream.get_mut().0, limits.drain_bytes_max, until).await;
    }
}

async fn drain(socket: &mut TcpStream, bytes_max: usize, until: Instant) {
    let mut left = bytes_max;
    let mut scratch = [0; READ_BYTES];
    while left > 0 {
        match timeout_at(until, socket.read(&mut scratch)).await {
            Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count),
            _ => return,
        }
    }
}
