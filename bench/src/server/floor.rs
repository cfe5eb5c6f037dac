//! The floor: a server that moves the same bytes over the same TLS and does no other work. It believes its clients, knows
//! from their names who sends to whom, and copies each PUBLISH as it came.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Failure;
use crate::wire::{
    CONNACK, Moved, PACKET_CONNECT, PACKET_DISCONNECT, PACKET_PUBLISH, PACKET_SUBSCRIBE, Packets, TlsSocket, client_id,
    packet_id_of_publish, puback, suback,
};

/// What is read at once: several TLS records.
const SCRATCH_BYTES: usize = 64 * 1024;
/// What an idle client keeps of its buffer.
const IDLE_BYTES_MAX: usize = 4096;
const EVENTS_MAX: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

#[derive(Args, Clone)]
pub struct FloorServer {
    #[arg(long)]
    pub ca: PathBuf,
    #[arg(long)]
    pub certificate: PathBuf,
    #[arg(long)]
    pub key: PathBuf,
}

/// Who hears a publisher. Named by the client: `<route>-pub-<number>` sends, `<route>-sub-<number>` hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Route {
    /// All publishers to subscriber 0.
    In,
    /// Publisher 0 to all subscribers.
    Out,
    /// Each publisher to the subscriber of its number.
    Pair,
}

impl Route {
    pub fn client_id(self, role: &str, number: usize) -> String {
        let route = match self {
            Route::In => "in",
            Route::Out => "out",
            Route::Pair => "pair",
        };
        format!("{route}-{role}-{number}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Unknown,
    Publisher(Route, usize),
    Subscriber(Route, usize),
}

struct Client {
    socket: TlsSocket,
    packets: Packets,
    /// What goes out together: one TLS record for each turn, not one for each packet.
    out: Vec<u8>,
    role: Role,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    clients: HashMap<usize, Client>,
    next: usize,
    subscribers: HashMap<(Route, usize), usize>,
    dirty: Vec<usize>,
    scratch: Vec<u8>,
}

/// Prints its address and serves until it is killed.
pub fn serve(options: &FloorServer) -> Result<(), Failure> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    let mut floor = Floor {
        poll,
        listener,
        tls: Arc::new(tls(options)?),
        clients: HashMap::new(),
        next: 0,
        subscribers: HashMap::new(),
        dirty: Vec::new(),
        scratch: vec![0; SCRATCH_BYTES],
    };
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        floor.poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(number) => floor.handle(number, event.is_readable()),
            }
        }
        floor.flush();
    }
}

fn tls(options: &FloorServer) -> Result<ServerConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(&options.ca)? {
        roots.add(root?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .clear_root_hint_subjects()
        .build()?;
    let chain = CertificateDer::pem_file_iter(&options.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&options.key)?)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

impl Floor {
    fn accept(&mut self) -> Result<(), Failure> {
        while let Ok((mut tcp, _)) = self.listener.accept() {
            let _ = tcp.set_nodelay(true);
            let number = self.next;
            self.next += 1;
            self.poll.registry().register(&mut tcp, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            let socket = TlsSocket::accept(tcp, self.tls.clone())?;
            let client = Client { socket, packets: Packets::default(), out: Vec::new(), role: Role::Unknown };
            self.clients.insert(number, client);
        }
        Ok(())
    }

    fn handle(&mut self, number: usize, is_readable: bool) {
        let Some(mut client) = self.clients.remove(&number) else { return };
        let moved = match is_readable {
            true => client.socket.read(&mut self.scratch, &mut client.packets.bytes),
            false => Ok(Moved::Open),
        };
        let goes_on = self.packets(number, &mut client).is_some();
        let flushed = client.flush();
        if moved.is_ok_and(|moved| moved == Moved::Open) && goes_on && flushed.is_ok() {
            self.clients.insert(number, client);
        } else {
            client.socket.close_notify();
            let _ = client.socket.flush();
            if let Role::Subscriber(route, place) = client.role {
                self.subscribers.remove(&(route, place));
            }
        }
    }

    /// `None`: the client has said goodbye, or does not speak MQTT.
    fn packets(&mut self, number: usize, client: &mut Client) -> Option<()> {
        let Client { packets, role, out, .. } = client;
        while let Some((first, body)) = packets.next() {
            match first >> 4 {
                PACKET_CONNECT => {
                    *role = parse_role(client_id(body)?);
                    if let Role::Subscriber(route, place) = *role {
                        self.subscribers.insert((route, place), number);
                    }
                    out.extend_from_slice(&CONNACK);
                }
                PACKET_SUBSCRIBE => out.extend_from_slice(&suback(body)),
                PACKET_PUBLISH => {
                    if let Some(packet_id) = packet_id_of_publish(first, body) {
                        out.extend_from_slice(&puback(packet_id));
                    }
                    let body_bytes = body.len();
                    forward(*role, packets.whole(body_bytes), &self.subscribers, &mut self.clients, &mut self.dirty)?;
                }
                PACKET_DISCONNECT => return None,
                _ => {}
            }
        }
        packets.compact();
        Some(())
    }

    fn flush(&mut self) {
        for number in self.dirty.drain(..) {
            if let Some(client) = self.clients.get_mut(&number) {
                // What the peer does not take goes with the next event; that it is gone is seen when it is read.
                let _ = client.flush();
            }
        }
    }
}

impl Client {
    fn flush(&mut self) -> std::io::Result<()> {
        if !self.out.is_empty() {
            self.socket.write(&self.out)?;
            self.out.clear();
            if self.out.capacity() > IDLE_BYTES_MAX {
                self.out = Vec::new();
            }
        }
        self.socket.flush()
    }
}

fn forward(
    role: Role,
    packet: &[u8],
    subscribers: &HashMap<(Route, usize), usize>,
    clients: &mut HashMap<usize, Client>,
    dirty: &mut Vec<usize>,
) -> Option<()> {
    let mut to = |place: usize, route: Route| {
        let number = subscribers.get(&(route, place))?;
        let client = clients.get_mut(number)?;
        if client.out.is_empty() {
            dirty.push(*number);
        }
        client.out.extend_from_slice(packet);
        Some(())
    };
    match role {
        Role::Publisher(Route::In, _) => to(0, Route::In),
        Role::Publisher(Route::Pair, place) => to(place, Route::Pair),
        Role::Publisher(Route::Out, _) => {
            let mut place = 0;
            while to(place, Route::Out).is_some() {
                place += 1;
            }
            Some(())
        }
        _ => None,
    }
}

fn parse_role(client_id: &str) -> Role {
    let mut parts = client_id.split('-');
    let route = match parts.next() {
        Some("in") => Route::In,
        Some("out") => Route::Out,
        Some("pair") => Route::Pair,
        _ => return Role::Unknown,
    };
    match (parts.next(), parts.next().and_then(|number| number.parse().ok())) {
        (Some("pub"), Some(number)) => Role::Publisher(route, number),
        (Some("sub"), Some(number)) => Role::Subscriber(route, number),
        _ => Role::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_hears_whom() {
        assert_eq!(parse_role(&Route::Pair.client_id("sub", 3)), Role::Subscriber(Route::Pair, 3));
        assert_eq!(parse_role(&Route::In.client_id("pub", 0)), Role::Publisher(Route::In, 0));
        assert_eq!(parse_role("idle-3"), Role::Unknown);
    }
}
