//! Many MQTT clients in one thread: what a broker is measured with must cost less than the broker.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::Failure;
use crate::identities::ClientIdentity;
use crate::wire::{
    DISCONNECT, Moved, PACKET_CONNACK, PACKET_PUBACK, PACKET_PUBLISH, PACKET_SUBACK, Packets, Stamp, TlsSocket,
    message, packet_id_of_publish, puback,
};

const SCRATCH_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
/// Connections that are on their way while many are opened: below any server's backlog.
const OPENING_MAX: usize = 50;
/// Without any answer of the server, the measurement has failed.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);
/// What an idle client keeps of its buffer.
const IDLE_BYTES_MAX: usize = 4096;

/// Something that came from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    ConnAck,
    SubAck,
    PubAck,
    Message(Stamp),
    /// The connection has ended.
    End,
}

pub struct Generator {
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    /// Have something to be sent.
    dirty: Vec<usize>,
    scratch: Vec<u8>,
    clock: Clock,
}

/// For stamps.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    pub fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

struct Client {
    socket: TlsSocket,
    packets: Packets,
    /// What goes out with the next flush, as one TLS record where it fits.
    out: Vec<u8>,
    is_dirty: bool,
    is_connected: bool,
}

impl Generator {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            clients: Vec::new(),
            dirty: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            clock: Clock(Instant::now()),
        })
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Begins a connection; `CONNECT` goes out as soon as TLS stands. `Came::ConnAck` follows.
    pub fn open(&mut self, address: SocketAddr, identity: &ClientIdentity, connect: &[u8]) -> Result<usize, Failure> {
        let mut socket = TlsSocket::connect(address, identity.tls.clone(), identity.server_name.clone())?;
        socket.write(connect)?;
        let number = self.clients.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(socket.tcp(), Token(number), interest)?;
        self.clients.push(Some(Client {
            socket,
            packets: Packets::default(),
            out: Vec::new(),
            is_dirty: false,
            is_connected: false,
        }));
        Ok(number)
    }

    /// All of them, and each has its CONNACK.
    pub fn open_all<'a>(
        &mut self,
        address: SocketAddr,
        each: impl IntoIterator<Item = (&'a ClientIdentity, Vec<u8>)>,
    ) -> Result<Vec<usize>, Failure> {
        let (mut opened, mut answered) = (Vec::new(), 0);
        let mut each = each.into_iter().peekable();
        while each.peek().is_some() || answered < opened.len() {
            while opened.len() - answered < OPENING_MAX
                && let Some((identity, connect)) = each.next()
            {
                opened.push(self.open(address, identity, &connect)?);
            }
            self.turn_for("CONNACK", |_, came| answered += usize::from(came == Came::ConnAck))?;
        }
        Ok(opened)
    }

    /// With a SUBACK each.
    pub fn subscribe(&mut self, clients: &[usize], subscribe: &[u8]) -> Result<(), Failure> {
        for client in clients {
            self.send(*client, subscribe);
        }
        let mut answered = 0;
        while answered < clients.len() {
            self.turn_for("SUBACK", |_, came| answered += usize::from(came == Came::SubAck))?;
        }
        Ok(())
    }

    /// Goes out with the next turn.
    pub fn send(&mut self, client: usize, bytes: &[u8]) {
        self.send_with(client, |out| out.extend_from_slice(bytes));
    }

    pub fn send_with(&mut self, number: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Some(client)) = self.clients.get_mut(number) {
            write(&mut client.out);
            if !client.is_dirty {
                client.is_dirty = true;
                self.dirty.push(number);
            }
        }
    }

    /// DISCONNECT and close_notify, then the connection is forgotten.
    pub fn close(&mut self, number: usize) {
        if let Some(mut client) = self.clients.get_mut(number).and_then(Option::take) {
            client.out.extend_from_slice(&DISCONNECT);
            let _ = client.flush();
            client.socket.close_notify();
            let _ = client.socket.flush();
        }
    }

    pub fn close_all(&mut self, clients: &[usize]) {
        for client in clients {
            self.close(*client);
        }
    }

    /// Waits for something, `SILENCE_MAX` at most.
    pub fn turn_for(&mut self, what: &str, handle: impl FnMut(usize, Came)) -> Result<(), Failure> {
        let mut count = 0;
        let mut handle = handle;
        let until = Instant::now() + SILENCE_MAX;
        while count == 0 {
            self.turn(Some(Duration::from_secs(1)), |client, came| {
                count += 1;
                handle(client, came);
            })?;
            if Instant::now() > until {
                return Err(format!("no {what} came for {} s", SILENCE_MAX.as_secs()).into());
            }
        }
        Ok(())
    }

    /// Sends what there is to send, then handles what has come; waits for it up to `timeout`. A connection that ends is
    /// `Came::End`, not an error.
    pub fn turn(&mut self, timeout: Option<Duration>, mut handle: impl FnMut(usize, Came)) -> Result<(), Failure> {
        for number in self.dirty.drain(..) {
            if let Some(Some(client)) = self.clients.get_mut(number) {
                client.is_dirty = false;
                // That the connection has ended is seen when it is read.
                let _ = client.flush();
            }
        }
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let Token(number) = event.token();
            let Some(Some(client)) = self.clients.get_mut(number) else { continue };
            if !client.is_connected && event.is_writable() {
                client.is_connected = true;
                client.socket.set_nodelay();
            }
            let mut moved = Ok(Moved::Open);
            if event.is_readable() {
                moved = client.socket.read(&mut self.scratch, &mut client.packets.bytes);
                client.handle(|came| handle(number, came));
            }
            if moved.and_then(|moved| client.flush().map(|()| moved)).map_or(true, |moved| moved == Moved::Closed) {
                client.socket.close_notify();
                let _ = client.socket.flush();
                self.clients[number] = None;
                handle(number, Came::End);
            }
        }
        Ok(())
    }
}

impl Client {
    /// Messages with QoS 1 are acknowledged, all of one read in one write.
    fn handle(&mut self, mut handle: impl FnMut(Came)) {
        while let Some((first, body)) = self.packets.next() {
            match first >> 4 {
                PACKET_CONNACK => handle(Came::ConnAck),
                PACKET_SUBACK => handle(Came::SubAck),
                PACKET_PUBACK => handle(Came::PubAck),
                PACKET_PUBLISH => {
                    if let Some(packet_id) = packet_id_of_publish(first, body) {
                        self.out.extend_from_slice(&puback(packet_id));
                    }
                    if let Some(stamp) = message(first, body).and_then(Stamp::read) {
                        handle(Came::Message(stamp));
                    }
                }
                _ => {}
            }
        }
        self.packets.compact();
    }

    fn flush(&mut self) -> io::Result<()> {
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
