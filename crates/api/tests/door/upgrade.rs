//! The opening of WebSockets: who gets to the device door, with what has come behind the request, and who does not; and
//! peers that take their time over a request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{Holder, Knock, MqttDoor, MqttDoors, Upgraded};
use domain::sigv4::Credentials;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::server::{Reply, Server, credentials};

/// What came to the device door, in words.
#[derive(Clone, Debug, Default)]
pub struct Knocks(Arc<Mutex<Vec<String>>>);

impl Knocks {
    /// In place of MQTT: what came behind the request is sent back.
    pub fn doors(&self) -> MqttDoors {
        let knocks = self.clone();
        MqttDoors(Arc::new(move |_, _| {
            let knocks = knocks.clone();
            MqttDoor(Arc::new(move |knock, _| {
                let knocks = knocks.clone();
                Box::pin(async move {
                    match knock {
                        Knock::Refused(refused) => knocks.add(refused.refusal.code()),
                        Knock::Opened { stream: Upgraded::Tcp(mut stream), received, holder: Holder::Signer(_) } => {
                            knocks.add("opened");
                            let mut heard = received.to_vec();
                            while heard.len() < BEHIND.len() {
                                let Ok(1..) = stream.read_buf(&mut heard).await else { break };
                            }
                            let _ = stream.write_all(&heard).await;
                        }
                        other => panic!("{other:?}"),
                    }
                })
            }))
        }))
    }

    fn add(&self, what: &str) {
        self.0.lock().expect("no panic before").push(what.to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic before"))
    }
}

/// Bytes of the WebSocket that are sent with the request.
const BEHIND: &str = "\u{2}frames";

const UPGRADE: [(&str, &str); 5] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "mqtt"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn wrong_key() -> Credentials {
    Credentials { secret_access_key: "wrong".into(), ..credentials() }
}

#[tokio::test]
async fn a_signed_request_changes_hands_with_what_came_behind_it() {
    let mut server = Server::start().await;
    let head = server.head(&credentials(), "iotdevicegateway", "GET /mqtt", &UPGRADE);
    let reply = server.raw(&format!("{head}\r\n{BEHIND}")).await;
    assert_eq!((reply.status, reply.body.as_str()), (101, BEHIND), "{reply:?}");
    assert_eq!(reply.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{reply:?}");
    assert_eq!(reply.header("sec-websocket-protocol"), Some("mqtt"), "{reply:?}");
    assert_eq!(server.knocks.take(), ["opened"]);
    server.stop().await;
}

#[tokio::test]
async fn others_are_refused_and_recorded() {
    let mut server = Server::start().await;
    let unsigned = UPGRADE.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let without = |left_out: &str| UPGRADE.into_iter().filter(|(name, _)| *name != left_out).collect::<Vec<_>>();
    let signed = |credentials: &Credentials, service: &str, headers: &[(&str, &str)], more: &str| {
        format!("{}{more}connection: close\r\n\r\n", server.head(credentials, service, "GET /mqtt", headers))
    };
    let good = |headers: &[(&str, &str)], more: &str| signed(&credentials(), "iotdevicegateway", headers, more);
    for (name, request, status, knock) in [
        (
            "no signature",
            format!("GET /mqtt HTTP/1.1\r\nhost: localhost\r\n{unsigned}\r\n"),
            403,
            Some("SIGNATURE_REFUSED"),
        ),
        ("a wrong key", signed(&wrong_key(), "iotdevicegateway", &UPGRADE, ""), 403, Some("SIGNATURE_REFUSED")),
        ("another service", signed(&credentials(), "iot", &UPGRADE, ""), 403, Some("SIGNATURE_REFUSED")),
        ("no Upgrade", good(&without("upgrade"), ""), 400, Some("WEBSOCKET_REFUSED")),
        ("no version", good(&without("sec-websocket-version"), ""), 426, Some("WEBSOCKET_REFUSED")),
        ("no subprotocol", good(&without("sec-websocket-protocol"), ""), 400, Some("WEBSOCKET_REFUSED")),
        ("no key", good(&without("sec-websocket-key"), ""), 400, Some("WEBSOCKET_REFUSED")),
        // What follows could be taken for a body by one and for frames by another.
        ("a body", good(&UPGRADE, "content-length: 6\r\n"), 400, Some("WEBSOCKET_REFUSED")),
        ("a body in chunks", good(&UPGRADE, "transfer-encoding: chunked\r\n"), 400, Some("WEBSOCKET_REFUSED")),
        // Another server's business: nothing is recorded of it here.
        (
            "another host",
            format!("GET /mqtt HTTP/1.1\r\nhost: evil.example\r\n{unsigned}connection: close\r\n\r\n"),
            421,
            None,
        ),
    ] {
        let reply = read_one(&server, &request).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        assert_eq!(server.knocks.take(), Vec::from_iter(knock), "{name}");
    }
    server.stop().await;
}

/// One answer, on a connection that the server may keep.
async fn read_one(server: &Server, request: &str) -> Reply {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request is taken");
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "{answer:?}");
    }
    Reply::parse(&answer)
}

/// Sends `slowly` a byte a second and then nothing, until the server closes; after how long that was, and what it said.
async fn dripped(mut stream: TcpStream, slowly: &str) -> (Duration, Vec<u8>) {
    tokio::time::pause();
    let from = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let mut bytes = slowly.bytes();
    let (mut next, mut heard) = (from, Vec::new());
    loop {
        tokio::select! {
            count = reading.read_buf(&mut heard) => if !matches!(count, Ok(1..)) { break },
            () = sleep_until(next), if bytes.len() > 0 => {
                next += Duration::from_secs(1);
                let Some(byte) = bytes.next() else { continue };
                // The end is for the reader to see.
                let _ = writing.write_all(&[byte]).await;
            }
        }
    }
    let took = from.elapsed();
    tokio::time::resume();
    (took, heard)
}

/// On a clock that jumps to the next timer when nothing is left to do.
#[tokio::test]
async fn who_is_slow_with_a_request_has_its_time_and_no_more() {
    let mut server = Server::start().await;
    let head = server.head(&credentials(), "iotdevicegateway", "GET /mqtt", &UPGRADE);
    let half = head[..head.len() / 2].to_owned();
    let asked = format!("{half}\r\n");
    for (name, at_once, slowly) in [
        ("nothing", "", ""),
        ("half a head", half.as_str(), ""),
        ("a head byte by byte", "", head.as_str()),
        ("headers without an end", asked.as_str(), "a: b\r\n".repeat(50).as_str()),
        ("an answer, and then nothing", "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\n\r\n", ""),
    ] {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        stream.write_all(at_once.as_bytes()).await.expect("it is taken");
        let (took, heard) = dripped(stream, slowly).await;
        assert!((29..=35).contains(&took.as_secs()), "{name}: {took:?}, {}", String::from_utf8_lossy(&heard));
    }
    assert_eq!(server.knocks.take(), Vec::<String>::new());
    server.stop().await;
}
