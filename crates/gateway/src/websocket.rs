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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
    use tokio::join;

    use super::*;

    /// As a client sends it: masked (RFC 6455 section 5.2).
    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![first];
        match u16::try_from(payload.len()) {
            Ok(bytes @ 0..126) => frame.push(0x80 | bytes.to_be_bytes()[1]),
            Ok(bytes) => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&bytes.to_be_bytes());
            }
            Err(_) => unreachable!("the tests make none so large"),
        }
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// Everything that is heard of `wire`, which comes in parts of up to `part_bytes`, and how it ends.
    fn heard(wire: &[u8], part_bytes: usize) -> (BytesMut, io::Result<usize>) {
        let (near, far) = duplex(part_bytes);
        let (mut answers, mut sending) = split(near);
        let send = async move {
            // The door may have heard enough.
            let _ = sending.write_all(wire).await;
            let _ = sending.shutdown().await;
        };
        let drain = async move {
            let mut scratch = Vec::new();
            let _ = answers.read_to_end(&mut scratch).await;
        };
        let hear = async move {
            let mut websocket = WebSocket::open(far, Bytes::new()).await;
            let mut input = BytesMut::new();
            loop {
                let before = input.len();
                let end = match poll_fn(|cx| websocket.poll_read(cx, &mut input)).await {
                    Ok(count) if count > 0 => {
                        assert_eq!(input.len(), before + count);
                        assert!(count <= MESSAGE_BYTES_MAX);
                        continue;
                    }
                    end => end,
                };
                assert_eq!(input.len(), before, "what is refused is not heard");
                return (input, end);
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async { join!(send, drain, hear).2 })
    }

    /// A message in pieces, each with the control frame that may stand behind it.
    fn message() -> impl Strategy<Value = Vec<(Vec<u8>, Option<(u8, Vec<u8>)>)>> {
        let piece = prop_oneof![4 => vec(any::<u8>(), 0..8), 1 => vec(any::<u8>(), 0..3000)];
        let control = (prop_oneof![Just(0x89), Just(0x8a)], vec(any::<u8>(), 0..126));
        vec((piece, proptest::option::of(control)), 1..5)
    }

    proptest! {
        /// [MQTT-6.0.0-2]
        #[test]
        fn bytes_are_heard_in_order_whatever_frames_they_come_in(
            messages in vec(message(), 0..5),
            mask in any::<[u8; 4]>(),
            part_bytes in 1..200_usize,
        ) {
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for message in &messages {
                for (index, (piece, control)) in message.iter().enumerate() {
                    let kind = if index == 0 { 0x2 } else { 0x0 };
                    let last = if index + 1 == message.len() { 0x80 } else { 0 };
                    wire.extend(frame(kind | last, piece, mask));
                    expected.extend_from_slice(piece);
                    if let Some((first, payload)) = control {
                        wire.extend(frame(*first, payload, mask));
                    }
                }
            }
            wire.extend(frame(0x88, &[], mask));
            let (input, end) = heard(&wire, part_bytes);
            assert_eq!(&input[..], &expected[..]);
            assert_eq!(end.ok(), Some(0), "closed as it should be");
        }

        /// Whatever comes, it ends, and nothing is heard that was not sent.
        #[test]
        fn any_bytes_end(
            parts in vec(prop_oneof![
                (any::<u8>(), vec(any::<u8>(), 0..200), any::<[u8; 4]>())
                    .prop_map(|(first, payload, mask)| frame(first, &payload, mask)),
                (proptest::sample::select(vec![0x00_u8, 0x02, 0x80, 0x82]), vec(any::<u8>(), 0..200), any::<[u8; 4]>())
                    .prop_map(|(first, payload, mask)| frame(first, &payload, mask)),
                vec(any::<u8>(), 0..20),
            ], 0..6),
            part_bytes in 1..200_usize,
        ) {
            let wire = parts.concat();
            let (input, _) = heard(&wire, part_bytes);
            assert!(input.len() <= wire.len());
        }
    }
}
