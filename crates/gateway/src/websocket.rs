//! MQTT over WebSocket, as a stream of bytes: packets are where they are, whatever frames they come in [MQTT-6.0.0-2].
//!
//! Framing, masking, fragments, pings and the closing handshake (RFC 6455) are the library's. Ours are the bounds, and
//! that only binary messages carry MQTT [MQTT-6.0.0-1].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// A message is held whole before its bytes are given on. A client may put many packets into one; AWS's largest is
/// 128 KiB and a little.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Kept by an idle connection as well.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Of MQTT in one frame on the way out.
const FRAME_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct WebSocket<S> {
    frames: WebSocketStream<S>,
    fault: Option<CloseCode>,
}

/// What the peer did to the WebSocket, not to TCP or TLS: it goes into the record.
#[derive(Debug)]
pub(crate) struct WebSocketFault(String);

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// After the HTTP upgrade. `received` is what came behind it already.
    pub(crate) async fn open(stream: S, received: Bytes) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // Every message is written at once: it is a batch of packets already.
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let frames = WebSocketStream::from_partially_read(stream, received.into(), Role::Server, Some(config)).await;
        Self { frames, fault: None }
    }

    pub(crate) fn get_ref(&self) -> &S {
        self.frames.get_ref()
    }

    /// Appends the next message that has something in it to `input`: how many bytes; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Poll::Ready(Ok(0)),
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => {
                    input.extend_from_slice(&bytes);
                    return Poll::Ready(Ok(bytes.len()));
                }
                Some(Ok(Message::Text(_))) => {
                    self.fault = Some(CloseCode::Unsupported);
                    let text = "MQTT came in a text frame, and only binary ones carry it [MQTT-6.0.0-1]".to_owned();
                    return Poll::Ready(Err(fault(text)));
                }
                // The library has answered what wants an answer.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.failed(error))),
            }
        }
    }

    /// A frame of its own each time.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut frames = Pin::new(&mut self.frames);
        if let Err(error) = ready!(frames.as_mut().poll_ready(cx)) {
            return Poll::Ready(Err(self.failed(error)));
        }
        let part = bytes.get(..bytes.len().min(FRAME_BYTES_MAX)).unwrap_or(bytes);
        match frames.start_send(Message::Binary(Bytes::copy_from_slice(part))) {
            Ok(()) => Poll::Ready(Ok(part.len())),
            Err(error) => Poll::Ready(Err(self.failed(error))),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.frames).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.failed(error)))
    }

    /// The closing handshake: our Close, and the peer's. The caller has the deadline, and closes the stream.
    pub(crate) async fn say_goodbye(&mut self) {
        let code = self.fault.unwrap_or(CloseCode::Normal);
        // Whoever has closed already needs none.
        let _ = self.frames.close(Some(CloseFrame { code, reason: "".into() })).await;
        while let Some(Ok(_)) = self.frames.next().await {}
    }

    pub(crate) fn into_inner(self) -> S {
        self.frames.into_inner()
    }

    fn failed(&mut self, error: Error) -> io::Error {
        let code = match &error {
            Error::Capacity(_) => CloseCode::Size,
            Error::Protocol(_) => CloseCode::Protocol,
            Error::Utf8(_) => CloseCode::Invalid,
            _ => return into_io(error),
        };
        // A peer that went without the closing handshake has broken nothing that anybody must mend.
        if let Error::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) =
            &error
        {
            return io::ErrorKind::UnexpectedEof.into();
        }
        self.fault = Some(code);
        fault(format!("the WebSocket is not as RFC 6455 has it: {error}"))
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::UnexpectedEof.into(),
        other => io::Error::other(other.to_string()),
    }
}

fn fault(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, WebSocketFault(text))
}

impl WebSocketFault {
    pub(crate) fn in_error(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for WebSocketFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WebSocketFault {}
