//! MQTT over WebSocket, from the frames on: the HTTP upgrade is over.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::x509::Certificate;
use fleet::Device;
use futures_util::{SinkExt as _, StreamExt as _};
use gateway::{Limits, UpgradedStream, WebSocketHolder};
use mqtt::packet::{Connect, ReasonCode};
use mqtt::{Decoder, Packet, Version, encode};
use services::signed_connection::Signer;
use services::{Caller, Via};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::DEADLINE;
use crate::server::{Server, allow_all};

/// Somebody on a WebSocket, and the door's side of it.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    input: BytesMut,
    serving: JoinHandle<()>,
    shutdown: watch::Sender<bool>,
}

impl Client {
    /// The account's root. `role` is whose frames the client sends: a client's are masked.
    async fn open(server: &Server, role: Role) -> Self {
        let caller = Caller::Root { access_key_id: "AKIAROOT".to_owned() };
        let via = Via { source_ip: IpAddr::from([127, 0, 0, 1]), is_tls: false };
        Self::open_as(server, WebSocketHolder::Signer(Signer { caller, via }), role).await
    }

    pub async fn open_for(server: &Server, holder: WebSocketHolder) -> Self {
        Self::open_as(server, holder, Role::Client).await
    }

    async fn open_as(server: &Server, holder: WebSocketHolder, role: Role) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let (near, accepted) = tokio::join!(TcpStream::connect(local), listener.accept());
        let (far, source) = accepted.unwrap();
        let (shutdown, down) = watch::channel(false);
        let serving = tokio::spawn({
            let (gateway, peer) = (server.gateway.clone(), server.gateway.peer(source, local));
            async move {
                gateway.serve_websocket(UpgradedStream::Tcp(far), Bytes::new(), holder, peer, down).await;
            }
        });
        let socket = WebSocketStream::from_raw_socket(near.unwrap(), role, None).await;
        Self { socket, input: BytesMut::new(), serving, shutdown }
    }

    async fn connected(server: &Server, client_id: &str) -> Self {
        let mut client = Self::open(server, Role::Client).await;
        client.say(connect(client_id)).await;
        let answer = client.hear().await;
        assert!(matches!(&answer, Packet::ConnAck(ack) if ack.code == ReasonCode::Success), "{answer:?}");
        client
    }

    pub async fn say(&mut self, bytes: Bytes) {
        self.socket.send(Message::Binary(bytes)).await.unwrap();
    }

    pub async fn hear(&mut self) -> Packet {
        let mut decoder = Decoder::for_client(Version::V5, 1 << 20);
        loop {
            if let Some(packet) = decoder.decode(&mut self.input).unwrap() {
                return packet;
            }
            match timeout(DEADLINE, self.socket.next()).await.unwrap().unwrap().unwrap() {
                Message::Binary(bytes) => self.input.extend_from_slice(&bytes),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn ping(&mut self) {
        self.say(encoded(&[Packet::PingReq])).await;
        assert!(matches!(self.hear().await, Packet::PingResp));
    }

    /// The code of the server's Close, and the end of the connection behind it.
    async fn closed(mut self) -> CloseCode {
        let code = loop {
            match timeout(DEADLINE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => break frame.code,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        while let Some(Ok(_)) = timeout(DEADLINE, self.socket.next()).await.unwrap() {}
        timeout(DEADLINE, self.serving).await.unwrap().unwrap();
        code
    }
}

fn of_certificate(device: &Device) -> WebSocketHolder {
    WebSocketHolder::Certificate(Box::new(Certificate::from_der(device.der()).unwrap()))
}

fn encoded(packets: &[Packet]) -> Bytes {
    let mut out = BytesMut::new();
    for packet in packets {
        encode(packet, Version::V5, &mut out).unwrap();
    }
    out.freeze()
}

pub fn connect(client_id: &str) -> Bytes {
    encoded(&[Packet::Connect(Box::new(Connect { version: Version::V5, ..Connect::new(client_id) }))])
}

/// [MQTT-6.0.0-2]
#[tokio::test]
async fn packets_are_not_bound_to_frames() {
    let server = Server::start().await;
    let mut client = Client::open(&server, Role::Client).await;
    for byte in connect("piecemeal") {
        client.say(Bytes::copy_from_slice(&[byte])).await;
    }
    client.say(Bytes::new()).await;
    assert!(matches!(client.hear().await, Packet::ConnAck(_)));
    client.say(encoded(&[Packet::PingReq, Packet::PingReq, Packet::PingReq])).await;
    for _ in 0..3 {
        assert!(matches!(client.hear().await, Packet::PingResp));
    }
    client.socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.unwrap();
    let pong = timeout(DEADLINE, client.socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"are you there")));
    client.socket.close(None).await.unwrap();
    timeout(DEADLINE, client.serving).await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn frames_that_are_not_as_they_must_be_end_it() {
    let server = Server::start().await;
    let mut texts = Client::connected(&server, "texts").await;
    texts.socket.send(Message::Text("no MQTT".into())).await.unwrap();
    assert_eq!(texts.closed().await, CloseCode::Unsupported);
    let mut large = Client::connected(&server, "large").await;
    large.say(Bytes::from(vec![0; 256 * 1024 + 1])).await;
    assert_eq!(large.closed().await, CloseCode::Size);
    for client_id in ["texts", "large"] {
        server.await_reason(client_id, "PROTOCOL_ERROR").await;
        let sentence = server.last_record(client_id).unwrap().sentence;
        assert!(sentence.contains("frame") || sentence.contains("RFC 6455"), "{sentence}");
    }
    // Frames of a client are masked (RFC 6455 section 5.1).
    let mut bare = Client::open(&server, Role::Server).await;
    bare.say(connect("bare")).await;
    timeout(DEADLINE, bare.serving).await.unwrap().unwrap();
    assert!(server.last_record("bare").is_none(), "it never was a packet");
    server.stop().await;
}

#[tokio::test]
async fn a_websocket_ends_when_its_time_is_over() {
    let limits = Limits { websocket_age_max: Duration::from_millis(300), ..Limits::default() };
    let server = Server::start_with(limits).await;
    let mut client = Client::connected(&server, "old").await;
    // It is busy all the while.
    let code = loop {
        client.say(encoded(&[Packet::PingReq])).await;
        match client.hear().await {
            Packet::PingResp => {}
            Packet::Disconnect(disconnect) => break disconnect.code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, ReasonCode::MaximumConnectTime);
    server.await_reason("old", "WEBSOCKET_TOO_OLD").await;
    server.stop().await;
}

/// As on a port of its own: registered by CONNECT, judged by the certificate's policies, ended with its right.
#[tokio::test]
async fn a_certificate_is_what_it_is_without_a_websocket() {
    let server = Server::start().await;
    let device = server.unknown_device();
    let mut first = Client::open_for(&server, of_certificate(&device)).await;
    first.say(connect("lands")).await;
    // No CONNACK before the Close.
    assert_eq!(first.closed().await, CloseCode::Normal);
    server.await_reason("lands", "REGISTERED_NOW").await;
    server.set_status(&device, "ACTIVE").await;
    server.attach(&device, &allow_all()).await;
    let mut second = Client::open_for(&server, of_certificate(&device)).await;
    second.say(connect("lands")).await;
    assert!(matches!(second.hear().await, Packet::ConnAck(ack) if ack.code == ReasonCode::Success));
    server.set_status(&device, "INACTIVE").await;
    assert!(matches!(second.hear().await, Packet::Disconnect(end) if end.code == ReasonCode::NotAuthorized));
    assert_eq!(second.closed().await, CloseCode::Normal);
    server.await_reason("lands", "RIGHT_LOST").await;
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_is_told_and_closes() {
    let server = Server::start().await;
    let mut client = Client::connected(&server, "stays").await;
    client.shutdown.send_replace(true);
    let answer = client.hear().await;
    assert!(matches!(&answer, Packet::Disconnect(end) if end.code == ReasonCode::ServerShuttingDown), "{answer:?}");
    assert_eq!(client.closed().await, CloseCode::Normal);
    server.stop().await;
}
