//! TLS on a socket that never blocks.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;

pub struct TlsSocket {
    tcp: TcpStream,
    tls: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Open,
    /// The peer has closed.
    Closed,
}

impl TlsSocket {
    pub fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::new(TcpStream::connect(address)?, Connection::Client(tls)))
    }

    pub fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::new(tcp, Connection::Server(tls)))
    }

    fn new(tcp: TcpStream, mut tls: Connection) -> Self {
        // Windows bound what waits.
        tls.set_buffer_limit(None);
        Self { tcp, tls }
    }

    pub fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Once connected; before, the kernel refuses it.
    pub fn set_nodelay(&self) {
        let _ = self.tcp.set_nodelay(true);
    }

    /// Encrypts; `flush` sends. Before the end of the handshake it is kept until then.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(bytes)
    }

    /// Says goodbye at the TLS layer, with the next `flush`.
    pub fn close_notify(&mut self) {
        self.tls.send_close_notify();
    }

    /// As much as the kernel takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if would_wait(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there, appends what it means to `plain`.
    pub fn read(&mut self, scratch: &mut [u8], plain: &mut Vec<u8>) -> io::Result<Moved> {
        loop {
            let count = match self.tcp.read(scratch) {
                Ok(0) => return Ok(Moved::Closed),
                Ok(count) => count,
                Err(error) if would_wait(&error) => return Ok(Moved::Open),
                Err(error) => return Err(error),
            };
            let mut cipher = scratch.get(..count).unwrap_or_default();
            while !cipher.is_empty() {
                self.tls.read_tls(&mut cipher)?;
                let state = self.tls.process_new_packets().map_err(io::Error::other);
                let state = match state {
                    Ok(state) => state,
                    Err(error) => {
                        // The alert.
                        let _ = self.flush();
                        return Err(error);
                    }
                };
                let mut left = state.plaintext_bytes_to_read();
                let mut reader = self.tls.reader();
                while left > 0 {
                    let chunk = reader.fill_buf()?;
                    let count = chunk.len();
                    plain.extend_from_slice(chunk);
                    reader.consume(count);
                    left = left.saturating_sub(count);
                }
                if state.peer_has_closed() {
                    return Ok(Moved::Closed);
                }
            }
            // A short read has emptied the socket (epoll(7)).
            if count < scratch.len() {
                return Ok(Moved::Open);
            }
        }
    }
}

fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}
