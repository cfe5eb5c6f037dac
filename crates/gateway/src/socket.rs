//! A device's socket as the loop sees it: write what there is, read what has come, both in one turn.

use std::future::poll_fn;
use std::io;
use std::mem::take;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustls_pki_types::CertificateDer;

use crate::stream::DeviceStream;

/// Read in one turn: many packets per wake-up, but no client keeps the loop to itself.
const TURN_BYTES_MAX: usize = 64 * 1024;
/// Unsent bytes at which no more messages are taken from the inbox.
pub(crate) const OUT_PAUSES_DELIVERY_BYTES: usize = 64 * 1024;
/// Unsent bytes at which nothing more is read: a client that only asks and never listens fills no memory.
pub(crate) const OUT_PAUSES_READING_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct DeviceSocket {
    stream: DeviceStream,
    unflushed: bool,
    /// Of MQTT, since they were taken last.
    received_bytes: u64,
    sent_bytes: u64,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was read or written.
    Moved,
    /// The peer sends nothing more.
    Eof,
}

/// Whether a turn reads. Not while the peer does not take what it is sent, or the application thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    On,
    Paused,
}

impl DeviceSocket {
    pub(crate) fn new(stream: DeviceStream) -> Self {
        Self { stream, unflushed: false, received_bytes: 0, sent_bytes: 0 }
    }

    /// As sent, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.stream.chain()
    }

    pub(crate) fn into_stream(self) -> DeviceStream {
        self.stream
    }

    /// Received and sent since it was asked last.
    pub(crate) fn take_moved_bytes(&mut self) -> (u64, u64) {
        (take(&mut self.received_bytes), take(&mut self.sent_bytes))
    }

    /// Takes off `out` what it wrote, appends to `input` what it read. Cancel safe: what moved is in the buffers.
    pub(crate) async fn turn(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
        reading: Reading,
    ) -> io::Result<Turn> {
        poll_fn(|cx| self.poll_turn(cx, input, out, reading)).await
    }

    /// Writes all of `out`.
    pub(crate) async fn finish(&mut self, out: &mut BytesMut) -> io::Result<()> {
        poll_fn(|cx| {
            self.poll_write_out(cx, out)?;
            if out.is_empty() && !self.unflushed { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Ready when something was read, or so much was sent that there is room again for what had to wait for it. What was
    /// sent otherwise is nothing that anybody waits for.
    pub(crate) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        out: &mut BytesMut,
        reading: Reading,
    ) -> Poll<io::Result<Turn>> {
        // A peer that says its last word and is gone makes an error of our next write, or of the next read. What it said
        // is there to be read all the same; the error comes again when there is nothing more.
        let was_full = out.len() >= OUT_PAUSES_DELIVERY_BYTES;
        let (mut moved, mut broken) = match self.poll_write_out(cx, out) {
            Ok(moved) => (moved && was_full, None),
            Err(error) => (false, Some(error)),
        };
        let mut turn_bytes = 0;
        while reading == Reading::On && turn_bytes < TURN_BYTES_MAX {
            match self.stream.poll_read(cx, input) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => {
                    broken = Some(error);
                    break;
                }
                Poll::Ready(Ok(0)) if moved => break,
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Turn::Eof)),
                Poll::Ready(Ok(bytes)) => {
                    turn_bytes += bytes;
                    self.received_bytes += bytes as u64;
                    moved = true;
                }
            }
        }
        match broken {
            Some(error) if turn_bytes == 0 => Poll::Ready(Err(error)),
            _ if moved => Poll::Ready(Ok(Turn::Moved)),
            _ => Poll::Pending,
        }
    }

    /// Whether anything was written.
    fn poll_write_out(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> io::Result<bool> {
        let mut moved = false;
        while !out.is_empty() {
            match self.stream.poll_write(cx, out)? {
                Poll::Pending => break,
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    out.advance(count);
                    self.sent_bytes += count as u64;
                    self.unflushed = true;
                    moved = true;
                }
            }
        }
        if self.unflushed && self.stream.poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(moved)
    }
}
