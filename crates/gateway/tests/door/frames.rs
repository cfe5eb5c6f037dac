//! Peers that speak WebSocket badly, slowly or not at all, frame by frame. The HTTP upgrade is over.

use bytes::{Bytes, BytesMut};
use gateway::{UpgradedStream, WebSocketHolder};
use mqtt::{Packet, Version, encode};
use services::signed_connection::Signer;
use services::{Caller, Via};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::DEADLINE;
use crate::bounds::connect_from;
use crate::resumption::connect_packet;
use crate::server::Server;
use crate::slow::{asked, check_recorded, check_took, dripped};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const PING: u8 = 0x9;
/// The last frame of its message.
const LAST: u8 = 0x80;

/// The client's end of a WebSocket of the account's root, and the door's side of it.
pub struct Raw {
    pub socket: TcpStream,
    pub serving: JoinHandle<()>,
    shutdown: watch::Sender<bool>,
}

impl Raw {
    pub async fn open(server: &Server, source: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let (socket, accepted) = tokio::join!(connect_from([127, 0, 1, source], local), listener.accept());
        let (far, address) = accepted.unwrap();
        let caller = Caller::Root { access_key_id: "AKIAROOT".to_owned() };
        let via = Via { source_ip: address.ip(), is_tls: false };
        let (shutdown, down) = watch::channel(false);
        let serving = tokio::spawn({
            let (gateway, peer) = (server.gateway.clone(), server.gateway.peer(address, local));
            async move {
                let holder = WebSocketHolder::Signer(Signer { caller, via });
                gateway.serve_websocket(UpgradedStream::Tcp(far), Bytes::new(), holder, peer, down).await;
            }
        });
        Self { socket, serving, shutdown }
    }

    async fn connected(server: &Server, source: u8) -> Self {
        let mut raw = Self::open(server, source).await;
        raw.socket.write_all(&frame(LAST | BINARY, &connect_packet("framed"))).await.unwrap();
        let mut connack = [0; 6];
        raw.socket.read_exact(&mut connack).await.unwrap();
        assert_eq!(connack, [LAST | BINARY, 4, 0x20, 2, 0, 0]);
        raw
    }

    async fn ended(self) {
        timeout(DEADLINE, self.serving).await.unwrap().unwrap();
        drop(self.shutdown);
    }
}

/// As a client sends it: masked (RFC 6455 section 5.2).
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    let mask = [0x11, 0x22, 0x33, 0x44];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Up to the mask.
fn head(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut head = vec![first];
    match payload_bytes {
        0..126 => head.push(0x80 | u8::try_from(payload_bytes).unwrap()),
        126..65_536 => {
            head.push(0x80 | 126);
            head.extend_from_slice(&u16::try_from(payload_bytes).unwrap().to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&payload_bytes.to_be_bytes());
        }
    }
    head
}

/// `count` pieces of a message that has no end.
fn endless(count: usize, piece: &[u8]) -> Vec<u8> {
    let first = frame(BINARY, piece);
    first.into_iter().chain(frame(CONTINUATION, piece).repeat(count)).collect()
}

fn ping_req() -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&Packet::PingReq, Version::V311, &mut out).unwrap();
    frame(LAST | BINARY, &out)
}

/// The code of the server's Close, which is the last that it says.
async fn close_code(socket: &mut TcpStream) -> u16 {
    let mut said = Vec::new();
    // What it has not read may come back as a reset, after its Close.
    let _ = timeout(DEADLINE, socket.read_to_end(&mut said)).await.unwrap();
    let [.., first, bytes, high, low] = said[..] else { panic!("{said:?}") };
    assert_eq!([first, bytes], [0x88, 2], "{said:?}");
    u16::from_be_bytes([high, low])
}

#[tokio::test]
async fn frames_that_rfc_6455_forbids_end_it() {
    let server = Server::start().await;
    let ping = frame(LAST | PING, b"");
    for (source, (name, bytes, code)) in (61..).zip([
        ("reserved bits", frame(LAST | 0x40 | BINARY, b"x"), 1002),
        ("a reserved kind of frame", frame(LAST | 0x3, b"x"), 1002),
        ("a ping in pieces", frame(PING, b"x"), 1002),
        ("a ping that is too long", frame(LAST | PING, &[0; 126]), 1002),
        ("the rest of nothing", frame(LAST | CONTINUATION, b"x"), 1002),
        ("a message within another", [frame(BINARY, &[0xc0]), ping.clone(), frame(LAST | BINARY, &[0])].concat(), 1002),
        ("no mask", vec![LAST | BINARY, 2, 0xc0, 0], 1002),
        ("text", frame(LAST | TEXT, b"text"), 1003),
        ("text in pieces", [frame(TEXT, b"te"), frame(LAST | CONTINUATION, b"xt")].concat(), 1003),
        ("text that is none", frame(LAST | TEXT, &[0xff]), 1007),
        ("a frame of 256 KiB and a byte", head(LAST | BINARY, 256 * 1024 + 1), 1009),
        ("a frame without measure", head(LAST | BINARY, u64::MAX >> 1), 1009),
        ("256 KiB and more in small pieces", endless(257, &[0xc0; 1024]), 1009),
    ]) {
        let mut raw = Raw::connected(&server, source).await;
        // The door may close before it has taken everything.
        let _ = raw.socket.write_all(&bytes).await;
        // A head without what it promises is whole with its mask.
        let _ = raw.socket.write_all(&[0; 4]).await;
        assert_eq!(close_code(&mut raw.socket).await, code, "{name}");
        check_recorded(&server, source, "PROTOCOL_ERROR").await;
        raw.ended().await;
    }
    server.stop().await;
}

/// What goes on between the pieces of a message does not touch it.
#[tokio::test]
async fn pings_come_between_the_pieces_of_a_packet() {
    let server = Server::start().await;
    let mut raw = Raw::connected(&server, 81).await;
    let wire = [
        frame(BINARY, &[0xc0]),
        frame(LAST | PING, b"one"),
        frame(CONTINUATION, b""),
        frame(LAST | PING, b"two"),
        frame(LAST | CONTINUATION, &[0]),
    ];
    let mut said = Vec::new();
    // Each ping waits for its pong: who sends two at once may get one (RFC 6455 section 5.5.3).
    for part in wire {
        let is_ping = part.first() == Some(&(LAST | PING));
        raw.socket.write_all(&part).await.unwrap();
        if is_ping {
            let mut pong = [0; 5];
            raw.socket.read_exact(&mut pong).await.unwrap();
            said.push(pong);
        }
    }
    assert_eq!(said, [*b"\x8a\x03one", *b"\x8a\x03two"]);
    let mut answer = [0; 4];
    raw.socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [LAST | BINARY, 2, 0xd0, 0]);
    raw.socket.write_all(&frame(LAST | 0x8, &1000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(close_code(&mut raw.socket).await, 1000);
    raw.ended().await;
    server.stop().await;
}

/// Frames that are not MQTT's are no sign of life, and a message that never ends is none.
#[tokio::test]
async fn who_is_slow_within_frames_has_its_time_and_no_more() {
    let server = Server::start().await;
    let connect = connect_packet("a-client-that-is-slow");
    for (source, (name, at_once, slowly)) in (91..).zip([
        ("nothing", vec![], vec![]),
        ("a frame byte by byte", vec![], frame(LAST | BINARY, &connect)),
        ("a frame that is large", head(LAST | BINARY, 128 * 1024), vec![0; 200]),
        ("a CONNECT without its end", frame(LAST | BINARY, &connect[..connect.len() - 1]), vec![]),
        ("a message without an end", frame(BINARY, &connect), frame(CONTINUATION, b"").repeat(30)),
        ("pings", vec![], frame(LAST | PING, b"").repeat(30)),
        ("empty messages", vec![], frame(LAST | BINARY, b"").repeat(30)),
    ]) {
        let mut raw = Raw::open(&server, source).await;
        raw.socket.write_all(&at_once).await.unwrap();
        check_took(name, dripped(raw.socket, &slowly).await, 10);
        check_recorded(&server, source, "CONNECT_TIMEOUT").await;
        timeout(DEADLINE, raw.serving).await.unwrap().unwrap();
    }
    // The keep-alive is 60 s.
    for (source, (name, slowly)) in
        (111..).zip([("pings", frame(LAST | PING, b"").repeat(30)), ("a message without an end", endless(30, b""))])
    {
        let raw = Raw::connected(&server, source).await;
        check_took(name, dripped(raw.socket, &slowly).await, 90);
        check_recorded(&server, source, "KEEP_ALIVE_TIMEOUT").await;
        timeout(DEADLINE, raw.serving).await.unwrap().unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn who_asks_in_frames_and_never_listens_is_held_back_and_let_go() {
    let server = Server::start().await;
    let raw = Raw::connected(&server, 121).await;
    assert!(asked(raw.socket, &ping_req().repeat(1024)).await > 0);
    check_recorded(&server, 121, "KEEP_ALIVE_TIMEOUT").await;
    timeout(DEADLINE, raw.serving).await.unwrap().unwrap();
    server.stop().await;
}
