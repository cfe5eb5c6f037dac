//! TLS on a device's socket: many records per system call, both ways, and no buffer while nothing is on its way.
//!
//! The TLS library is driven by its interface without buffers. The other one keeps 4 KiB for each connection for as long
//! as that lasts, which is a quarter of all that an idle connection costs.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{fmt, io, mem};

use bytes::{BufMut as _, BytesMut};
use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Read from the socket at once: several TLS records.
const READ_BYTES: usize = 64 * 1024;
/// Read at once of a handshake.
const HANDSHAKE_READ_BYTES: usize = 4096;
/// Of a handshake's message in its records, until it is whole. The library lets a message have 65,535 bytes.
const HANDSHAKE_BYTES_MAX: usize = 72 * 1024;
/// What may wait for its end after the handshake: more than a TLS record, the largest of which has 18,437 bytes (RFC 5246
/// section 6.2.3).
const INCOMPLETE_BYTES_MAX: usize = 24 * 1024;
/// Plaintext that is encrypted before any of it is sent: one TLS record, and a peer that takes nothing fills no memory.
const WRITE_BYTES_MAX: usize = 16 * 1024;
/// Room for a record of so much plaintext.
const ENCRYPTED_BYTES: usize = WRITE_BYTES_MAX + 512;

thread_local! {
    /// One for each worker thread: a connection holds it only while it reads.
    static RECEIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; INCOMPLETE_BYTES_MAX + READ_BYTES].into());
    /// And this only while it writes.
    static ENCRYPTED: RefCell<Vec<u8>> = RefCell::new(vec![0; ENCRYPTED_BYTES]);
}

pub struct TlsStream {
    tcp: TcpStream,
    tls: UnbufferedServerConnection,
    /// Records whose end has not come yet.
    incomplete: Vec<u8>,
    /// What came behind the client's last word of the handshake, and was not read yet.
    early: BytesMut,
    /// Encrypted and not sent yet.
    unsent: Vec<u8>,
    /// The peer sends nothing more.
    has_ended: bool,
    has_said_goodbye: bool,
    /// The peer broke the protocol, and is told: nothing more is read or encrypted.
    is_broken: bool,
    /// Came behind something that was sound, and is told when that has been read.
    fault: Option<io::Error>,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl TlsStream {
    /// The server's side of a handshake, of which `received` has come already. The socket comes back from one that fails,
    /// with the alert on its way.
    pub(crate) async fn accept(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        received: Vec<u8>,
    ) -> Result<Box<Self>, (io::Error, TcpStream)> {
        let tls = match UnbufferedServerConnection::new(config) {
            Ok(tls) => tls,
            Err(error) => return Err((io::Error::other(error), tcp)),
        };
        let mut stream = Box::new(Self {
            tcp,
            tls,
            incomplete: Vec::new(),
            early: BytesMut::new(),
            unsent: Vec::new(),
            has_ended: false,
            has_said_goodbye: false,
            is_broken: false,
            fault: None,
        });
        match stream.shake_hands(received).await {
            Ok(()) => Ok(stream),
            Err(error) => Err((error, stream.tcp)),
        }
    }

    async fn shake_hands(&mut self, mut received: Vec<u8>) -> io::Result<()> {
        let mut early = BytesMut::new();
        loop {
            let (consumed, processed) = self.process(&mut received, &mut early);
            if let Err(error) = processed {
                // The alert, if the peer takes it.
                poll_fn(|cx| Poll::Ready(self.poll_send(cx).is_ready())).await;
                return Err(error);
            }
            received.drain(..consumed);
            poll_fn(|cx| self.poll_send(cx)).await?;
            if !self.tls.is_handshaking() {
                // What is kept has no more room than it needs.
                (self.incomplete, self.early) = (received.as_slice().to_vec(), early);
                return Ok(());
            }
            if received.len() >= HANDSHAKE_BYTES_MAX {
                return Err(too_large("a message of the handshake"));
            }
            receive(&mut self.tcp, &mut received).await?;
        }
    }

    /// What was agreed on.
    pub(crate) fn session(&self) -> &rustls::CommonState {
        &self.tls
    }

    /// As the peer sent it, leaf first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// For the end of the connection, after `poll_shutdown`.
    pub(crate) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Appends what has come to `input`: how many bytes; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Err(fault));
        }
        let before = input.len();
        if !self.early.is_empty() {
            input.extend_from_slice(&mem::take(&mut self.early));
        }
        while input.len() == before && !self.has_ended && !self.is_broken {
            ready!(RECEIVED.with_borrow_mut(|scratch| self.poll_records(cx, scratch, input)))?;
        }
        Poll::Ready(Ok(input.len() - before))
    }

    fn poll_records(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], input: &mut BytesMut) -> Poll<io::Result<()>> {
        let (start, held) = (input.len(), self.incomplete.len());
        let (beginning, room) = scratch.split_at_mut(held);
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            // Without close_notify; MQTT says itself where its packets end.
            self.has_ended = true;
            return Poll::Ready(Ok(()));
        }
        beginning.copy_from_slice(&self.incomplete);
        let records = scratch.get_mut(..held + count).unwrap_or_default();
        let (consumed, mut processed) = self.process(records, input);
        let rest = records.get(consumed..).unwrap_or_default();
        if processed.is_ok() && !self.has_ended && rest.len() > INCOMPLETE_BYTES_MAX {
            self.is_broken = true;
            processed = Err(too_large("a message of TLS"));
        }
        self.incomplete = if self.is_broken || self.has_ended { Vec::new() } else { rest.to_vec() };
        if !self.unsent.is_empty() {
            // What the peer does not take, and an error, comes with the next write.
            let _ = self.poll_send(cx);
        }
        if let Err(fault) = processed {
            if input.len() == start {
                return Poll::Ready(Err(fault));
            }
            self.fault = Some(fault);
        }
        Poll::Ready(Ok(()))
    }

    /// Decrypts all records that are whole: what they carry is appended to `input`, and what has to be answered to
    /// `unsent`. How much of them is done with; the rest has to be there again, with more behind it.
    fn process(&mut self, records: &mut [u8], input: &mut BytesMut) -> (usize, io::Result<()>) {
        let mut consumed = 0;
        loop {
            let rest = records.get_mut(consumed..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(rest);
            let mut is_over = false;
            let outcome = state.and_then(|state| {
                match state {
                    ConnectionState::ReadTraffic(mut traffic) => {
                        while let Some(record) = traffic.next_record() {
                            let record = record?;
                            input.extend_from_slice(record.payload);
                            discard += record.discard;
                        }
                    }
                    ConnectionState::EncodeTlsData(mut data) => encode(&mut data, &mut self.unsent)?,
                    ConnectionState::TransmitTlsData(data) => data.done(),
                    ConnectionState::PeerClosed => self.has_ended = true,
                    // It wants more; early data is never allowed.
                    _ => is_over = true,
                }
                Ok(())
            });
            consumed += discard;
            match outcome {
                Err(error) => {
                    self.is_broken = true;
                    self.encode_alert();
                    return (consumed, Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                Ok(()) if is_over => return (consumed, Ok(())),
                Ok(()) => {}
            }
        }
    }

    /// Whatever the library has to say is said before it looks at any record again, which it must not after an error.
    fn encode_alert(&mut self) {
        while self.tls.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut data)) = self.tls.process_tls_records(&mut []).state else {
                return;
            };
            if encode(&mut data, &mut self.unsent).is_err() {
                return;
            }
        }
    }

    /// Encrypts a part of `bytes`, and sends what it can. `Pending`: nothing of it was taken. What is written behind the
    /// alert that ends the connection goes nowhere.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What was encrypted before goes first, and has to be gone.
        ready!(self.poll_send(cx))?;
        if self.is_broken {
            return Poll::Ready(Ok(bytes.len()));
        }
        let bytes = bytes.get(..WRITE_BYTES_MAX).unwrap_or(bytes);
        ENCRYPTED.with_borrow_mut(|scratch| {
            let count = self.encrypt(scratch, |traffic, room| traffic.encrypt(bytes, room))?;
            self.send_or_keep(cx, scratch.get(..count).unwrap_or_default())
        })?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn encrypt(
        &mut self,
        scratch: &mut Vec<u8>,
        mut what: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        loop {
            // It looks at these again, and finds that they are not whole.
            let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incomplete);
            match state.map_err(io::Error::other)? {
                ConnectionState::EncodeTlsData(mut data) => {
                    encode(&mut data, &mut self.unsent).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.has_ended = true,
                ConnectionState::WriteTraffic(mut traffic) => match what(&mut traffic, scratch) {
                    Err(EncryptError::InsufficientSize(size)) if size.required_size > scratch.len() => {
                        scratch.resize(size.required_size, 0);
                    }
                    encrypted => return encrypted.map_err(io::Error::other),
                },
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// close_notify, then the end of our half.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye && !self.is_broken {
            self.has_said_goodbye = true;
            ENCRYPTED.with_borrow_mut(|scratch| {
                let count = self.encrypt(scratch, |traffic, room| traffic.queue_close_notify(room))?;
                self.unsent.extend_from_slice(scratch.get(..count).unwrap_or_default());
                Ok::<_, io::Error>(())
            })?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unsent.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut unsent = mem::take(&mut self.unsent);
        let sent = self.send_now(cx, &unsent)?;
        if sent == unsent.len() {
            return Poll::Ready(Ok(()));
        }
        unsent.drain(..sent);
        self.unsent = unsent;
        Poll::Pending
    }

    fn send_or_keep(&mut self, cx: &mut Context<'_>, records: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            let sent = self.send_now(cx, records)?;
            self.unsent.extend_from_slice(records.get(sent..).unwrap_or_default());
            return Ok(());
        }
        // The library had something to say, and that goes first.
        self.unsent.extend_from_slice(records);
        if let Poll::Ready(Err(error)) = self.poll_send(cx) { Err(error) } else { Ok(()) }
    }

    /// How much the socket took. If that is not all, the task is woken when it takes more.
    fn send_now(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.tcp).poll_write(cx, rest) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => sent += count,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(sent)
    }
}

fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, unsent: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let before = unsent.len();
    let mut room = 0;
    loop {
        unsent.resize(before + room, 0);
        match data.encode(unsent.get_mut(before..).unwrap_or_default()) {
            Ok(count) => {
                unsent.truncate(before + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => room = size.required_size,
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
    }
}

/// Appends what has come of a handshake. Its end is an error.
pub(crate) async fn receive(socket: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<()> {
    received.reserve(HANDSHAKE_READ_BYTES);
    match socket.read_buf(&mut received.limit(HANDSHAKE_READ_BYTES)).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn too_large(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is larger than is allowed"))
}
