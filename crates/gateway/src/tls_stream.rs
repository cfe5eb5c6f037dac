//! TLS on a device's socket after the handshake: many records per system call, both ways, and no buffer of its own.
//!
//! What the TLS library's adapter for tokio reads, it reads in pieces of 4 KiB, and copies once more than is needed.

use std::cell::RefCell;
use std::io::{self, BufRead as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::ServerConnection;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server;

/// Read from the socket at once: several TLS records.
const READ_BYTES: usize = 64 * 1024;
/// Plaintext that is encrypted before any of it is sent: one TLS record, and a peer that takes nothing fills no memory.
const WRITE_BYTES_MAX: usize = 16 * 1024;

thread_local! {
    /// One for each worker thread: a connection holds it only while it reads.
    static CIPHERTEXT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

#[derive(Debug)]
pub(crate) struct TlsStream {
    tcp: TcpStream,
    tls: ServerConnection,
    /// Came behind something that was sound, and is told when that has been read.
    fault: Option<io::Error>,
}

impl From<server::TlsStream<TcpStream>> for TlsStream {
    fn from(stream: server::TlsStream<TcpStream>) -> Self {
        let (tcp, tls) = stream.into_inner();
        Self { tcp, tls, fault: None }
    }
}

impl TlsStream {
    /// As the peer sent it, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// For the end of the connection, after `poll_shutdown`.
    pub(crate) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Appends what has come to `input`: how many bytes; 0 is the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Err(fault));
        }
        let before = input.len();
        let mut has_ended = false;
        // What came with the last flight of the handshake.
        self.take_plaintext(input, &mut has_ended)?;
        while input.len() == before && !has_ended {
            ready!(CIPHERTEXT.with_borrow_mut(|scratch| self.poll_records(cx, scratch, input, &mut has_ended)))?;
        }
        Poll::Ready(Ok(input.len() - before))
    }

    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        input: &mut BytesMut,
        has_ended: &mut bool,
    ) -> Poll<io::Result<()>> {
        let start = input.len();
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
        let mut records = buffer.filled();
        if records.is_empty() {
            // Without close_notify; MQTT says itself where its packets end.
            *has_ended = true;
        }
        while !records.is_empty() && !*has_ended {
            self.tls.read_tls(&mut records)?;
            let processed = self.tls.process_new_packets();
            self.take_plaintext(input, has_ended)?;
            if let Err(error) = processed {
                // The alert, if the peer takes it.
                let _ = self.poll_send(cx);
                let fault = io::Error::new(io::ErrorKind::InvalidData, error);
                if input.len() == start {
                    return Poll::Ready(Err(fault));
                }
                self.fault = Some(fault);
                break;
            }
        }
        if self.tls.wants_write() {
            // A key update is answered. What the peer does not take, and an error, comes with the next write.
            let _ = self.poll_send(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn take_plaintext(&mut self, input: &mut BytesMut, has_ended: &mut bool) -> io::Result<()> {
        let mut reader = self.tls.reader();
        loop {
            match reader.fill_buf() {
                // close_notify
                Ok([]) => {
                    *has_ended = true;
                    return Ok(());
                }
                Ok(plaintext) => {
                    let bytes = plaintext.len();
                    input.extend_from_slice(plaintext);
                    reader.consume(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Encrypts a part of `bytes`, and sends what it can. `Pending`: nothing of it was taken.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What was encrypted before goes first, and has to be gone.
        if self.tls.wants_write() {
            ready!(self.poll_send(cx))?;
        }
        let taken = self.tls.writer().write(bytes.get(..WRITE_BYTES_MAX).unwrap_or(bytes))?;
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// close_notify, then the end of our half.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is sent once, however often it is asked for.
        self.tls.send_close_notify();
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = Wire { tcp: &mut self.tcp, cx };
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut wire) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The socket as the TLS library writes to it.
struct Wire<'a, 'b> {
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
}

impl Wire<'_, '_> {
    fn ready<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
        match poll {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl io::Write for Wire<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::ready(Pin::new(&mut *self.tcp).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Self::ready(Pin::new(&mut *self.tcp).poll_write_vectored(self.cx, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
