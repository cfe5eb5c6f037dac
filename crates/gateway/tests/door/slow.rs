//! Peers that are slow, silent, deaf or many: each ends within its time, leaves its record, and takes nobody's place.
//!
//! On a clock that jumps to the next timer when nothing is left to do.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleet::Device;
use gateway::Limits;
use rustls::ClientConnection;
use services::admission::AdmissionFilter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::DEADLINE;
use crate::bounds::connect_from;
use crate::resumption::connect_packet;
use crate::server::{Server, allow_all};

/// Between two bytes of who is slow: often enough to look alive.
const BETWEEN_BYTES: Duration = Duration::from_secs(1);
/// After the door's decision, until the peer sees the end of it.
const CLOSING_S: u64 = 4;

/// Sends `bytes` one by one, then nothing, until the door ends the connection; how long that took.
pub async fn dripped(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> Duration {
    tokio::time::pause();
    let from = Instant::now();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut bytes = bytes.iter();
    let mut next = from + BETWEEN_BYTES;
    let mut heard = [0; 4096];
    loop {
        tokio::select! {
            count = reading.read(&mut heard) => match count {
                Ok(count) if count > 0 => {}
                _ => break,
            },
            () = sleep_until(next), if bytes.len() > 0 => {
                next += BETWEEN_BYTES;
                let Some(byte) = bytes.next() else { continue };
                // The end is for the reader to see.
                let _ = writing.write_all(&[*byte]).await;
                let _ = writing.flush().await;
            }
        }
    }
    let took = from.elapsed();
    tokio::time::resume();
    took
}

pub fn check_took(name: &str, took: Duration, expected_s: u64) {
    assert!((expected_s.saturating_sub(1)..=expected_s + CLOSING_S).contains(&took.as_secs()), "{name}: {took:?}");
}

/// The client's side of a handshake by hand: its hello, and what it answers to the server's.
struct ByHand {
    client: ClientConnection,
}

impl ByHand {
    fn new(server: &Server, device: &Device) -> Self {
        let tls = server.tls(device);
        let config = Arc::new(tls.config().unwrap());
        Self { client: ClientConnection::new(config, tls.server_name().clone()).unwrap() }
    }

    fn said(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut said).unwrap();
        }
        said
    }

    /// Certificate, CertificateVerify and Finished of TLS 1.3.
    async fn answer(&mut self, socket: &mut TcpStream) -> Vec<u8> {
        while self.client.is_handshaking() {
            let mut bytes = Vec::new();
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "the server's answer");
            let mut bytes = &bytes[..];
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).unwrap();
                self.client.process_new_packets().unwrap();
            }
        }
        self.said()
    }
}

#[tokio::test]
async fn who_is_slow_in_the_handshake_has_its_time_and_no_more() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let hello = ByHand::new(&server, &device).said();
    let half = hello.get(..hello.len() / 2).unwrap();
    for (source, name, at_once, slowly) in [
        (11, "nothing", &[][..], &[][..]),
        (12, "half a hello", half, &[][..]),
        (13, "a hello byte by byte", &[][..], &hello[..]),
        (14, "a hello and then nothing", &hello[..], &[][..]),
        // A record that promises 16 KiB.
        (15, "a record byte by byte", &[22, 3, 1, 64, 0][..], &[0; 100][..]),
    ] {
        let mut socket = connect_from([127, 0, 1, source], server.address).await;
        socket.write_all(at_once).await.unwrap();
        check_took(name, dripped(socket, slowly).await, 10);
        check_recorded(&server, source, "HANDSHAKE_TIMEOUT").await;
    }
    let mut by_hand = ByHand::new(&server, &device);
    let mut socket = connect_from([127, 0, 1, 16], server.address).await;
    socket.write_all(&by_hand.said()).await.unwrap();
    let answer = by_hand.answer(&mut socket).await;
    assert!(answer.len() > 100, "a certificate and its proof");
    check_took("an answer byte by byte", dripped(socket, &answer).await, 10);
    check_recorded(&server, 16, "HANDSHAKE_TIMEOUT").await;
    server.await_no_connection().await;
    server.stop().await;
}

pub async fn check_recorded(server: &Server, source: u8, reason: &str) {
    let filter = AdmissionFilter { source: Some(format!("127.0.1.{source}")), ..AdmissionFilter::default() };
    server.await_record(&filter, reason).await;
}

async fn shaken(server: &Server, device: &Device, source: u8) -> TlsStream<TcpStream> {
    let tls = server.tls(device);
    let socket = connect_from([127, 0, 1, source], server.address).await;
    let connector = TlsConnector::from(Arc::new(tls.config().unwrap()));
    connector.connect(tls.server_name().clone(), socket).await.unwrap()
}

/// CONNECT and its CONNACK; the keep-alive is 60 s.
async fn connected<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, client_id: &str) -> S {
    stream.write_all(&connect_packet(client_id)).await.unwrap();
    stream.flush().await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    stream
}

/// What MQTT may be begun with and not ended; what has been said at once, and what follows slowly.
fn unfinished() -> [(&'static str, Vec<u8>, Vec<u8>); 4] {
    let connect = connect_packet("a-client-that-is-slow");
    [
        ("nothing", vec![], vec![]),
        ("CONNECT byte by byte", vec![], connect.clone()),
        ("a CONNECT without its last byte", connect[..connect.len() - 1].to_vec(), vec![]),
        // 128 KiB are promised.
        ("a CONNECT that is large", vec![0x10, 0x80, 0x80, 0x08], vec![0; 200]),
    ]
}

#[tokio::test]
async fn who_is_slow_with_connect_has_its_time_and_no_more() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    for (source, (name, at_once, slowly)) in (21..).zip(unfinished()) {
        let mut stream = shaken(&server, &device, source).await;
        stream.write_all(&at_once).await.unwrap();
        stream.flush().await.unwrap();
        check_took(name, dripped(stream, &slowly).await, 10);
        check_recorded(&server, source, "CONNECT_TIMEOUT").await;
    }
    for (source, (name, at_once, slowly)) in (31..).zip(unfinished()) {
        let mut socket = connect_from([127, 0, 1, source], server.plain_address).await;
        socket.write_all(&at_once).await.unwrap();
        check_took(name, dripped(socket, &slowly).await, 10);
        check_recorded(&server, source, "CONNECT_TIMEOUT").await;
    }
    server.await_no_connection().await;
    server.stop().await;
}

/// The keep-alive counts whole packets [MQTT-3.1.2-22]: bytes of one that never ends keep nobody alive.
#[tokio::test]
async fn a_packet_that_never_ends_ends_with_the_keep_alive() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    // A PUBLISH that promises 128 KiB.
    let begun = [0x30, 0x80, 0x80, 0x08, 0, 1, b't'];
    let mut stream = connected(shaken(&server, &device, 41).await, "slow").await;
    stream.write_all(&begun).await.unwrap();
    stream.flush().await.unwrap();
    check_took("TLS", dripped(stream, &[0; 200]).await, 90);
    check_recorded(&server, 41, "KEEP_ALIVE_TIMEOUT").await;
    let socket = connect_from([127, 0, 1, 42], server.plain_address).await;
    let mut socket = connected(socket, "slow").await;
    socket.write_all(&begun).await.unwrap();
    check_took("plain", dripped(socket, &[0; 200]).await, 90);
    check_recorded(&server, 42, "KEEP_ALIVE_TIMEOUT").await;
    server.await_no_connection().await;
    server.stop().await;
}

/// What the kernel holds both ways on loopback, and what the door holds; a door that went on reading would take more.
const TAKEN_BYTES_MAX: usize = 64 << 20;

/// How much a client that asks this and does not listen gets rid of.
pub async fn asked(mut stream: impl AsyncWrite + Unpin, pings: &[u8]) -> usize {
    tokio::time::pause();
    let mut taken = 0;
    while stream.write_all(pings).await.is_ok() {
        taken += pings.len();
        assert!(taken < TAKEN_BYTES_MAX, "the door goes on reading");
        if stream.flush().await.is_err() {
            break;
        }
    }
    tokio::time::resume();
    taken
}

/// It is not read any more, which holds it back; then it is as good as silent.
#[tokio::test]
async fn who_asks_and_never_listens_is_held_back_and_let_go() {
    let server = Server::start().await;
    let device = server.device(&allow_all()).await;
    let pings = [0xc0, 0].repeat(8 * 1024);
    let stream = connected(shaken(&server, &device, 51).await, "deaf").await;
    assert!(asked(stream, &pings).await > 0);
    check_recorded(&server, 51, "KEEP_ALIVE_TIMEOUT").await;
    let socket = connect_from([127, 0, 1, 52], server.plain_address).await;
    assert!(asked(connected(socket, "deaf").await, &pings).await > 0);
    check_recorded(&server, 52, "KEEP_ALIVE_TIMEOUT").await;
    server.await_no_connection().await;
    server.stop().await;
}

/// It says that it is there, and leaves what it subscribed to where it is: the system ends it.
#[tokio::test]
async fn who_pings_and_takes_nothing_is_let_go() {
    let limits = Limits { unacknowledged_timeout: Duration::from_secs(1), ..Limits::default() };
    let server = Server::start_with(limits).await;
    let device = server.device(&allow_all()).await;
    let mut deaf = connected(shaken(&server, &device, 53).await, "deaf").await;
    let subscribe = [0x82, 8, 0, 1, 0, 3, b'b', b'i', b'g', 0];
    deaf.write_all(&subscribe).await.unwrap();
    deaf.flush().await.unwrap();
    let mut suback = [0; 5];
    deaf.read_exact(&mut suback).await.unwrap();
    let mut sender = server.client(&device, "sender").await;
    let until = Instant::now() + DEADLINE;
    // Some 20 MB fill what lies between; then nothing moves any more.
    for _ in 0..200 {
        sender.publish_at_least_once("big", vec![7; 100_000]).await.unwrap();
    }
    while server.gateway.open_connections() > 1 {
        assert!(Instant::now() < until, "it is still there");
        let _ = deaf.write_all(&[0xc0, 0]).await;
        let _ = deaf.flush().await;
        tokio::task::yield_now().await;
    }
    sender.disconnect().await.unwrap();
    server.await_no_connection().await;
    server.stop().await;
}

fn storm<F: Future<Output = ()> + Send + 'static>(tasks: &mut JoinSet<()>, make: impl Fn() -> F) {
    for _ in 0..100 {
        tasks.spawn(make());
    }
}

#[tokio::test]
async fn a_storm_of_connections_that_come_and_go_leaves_nothing_behind() {
    let server = Arc::new(Server::start().await);
    let device = server.device(&allow_all()).await;
    let hello = ByHand::new(&server, &device).said();
    let mut tasks = JoinSet::new();
    let (address, plain) = (server.address, server.plain_address);
    storm(&mut tasks, move || async move { drop(connect_from([127, 0, 1, 61], address).await) });
    storm(&mut tasks, move || async move { drop(connect_from([127, 0, 1, 61], plain).await) });
    storm(&mut tasks, move || {
        let hello = hello.clone();
        async move {
            let mut socket = connect_from([127, 0, 1, 62], address).await;
            // It may have been turned away.
            let _ = socket.write_all(&hello).await;
        }
    });
    storm(&mut tasks, {
        let (server, device) = (server.clone(), device.clone());
        move || {
            let (server, device) = (server.clone(), device.clone());
            async move { drop(shaken(&server, &device, 63).await) }
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let client = server.client(&device, "calm").await;
    client.disconnect().await.unwrap();
    server.await_no_connection().await;
}
