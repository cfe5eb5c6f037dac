//! Records of TLS by somebody who has the keys to make them: a device with a certificate that is let in, and bad manners.
//!
//! What came before the bad manners is read, and then the connection ends: without a panic, and in bounded time.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::BytesMut;
use fleet::{DeviceSpec, TlsVersions};
use gateway::{Limits, Peer, TlsDoor, TlsStream, close_tls};
use proptest::prelude::*;
use rustls::ConnectionTrafficSecrets;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream as ClientStream;

use crate::DEADLINE;
use crate::handshake::{EC_CA, Registry, SERVER, client};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// KeyUpdate that asks for no answer. (RFC 8446 section 4.6.3)
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// The client's side after the handshake, in TLS 1.3 with AES-256-GCM.
struct Forger {
    tcp: TcpStream,
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Forger {
    fn record(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        let mut sealed = [content, &[content_type]].concat();
        let sealed_bytes = sealed.len() + AES_256_GCM.tag_len();
        let header = [&[APPLICATION_DATA, 3, 3][..], &(sealed_bytes as u16).to_be_bytes()].concat();
        let mut nonce = self.iv;
        for (byte, of_sequence) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of_sequence;
        }
        self.sequence += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut sealed).unwrap();
        [header, sealed].concat()
    }

    /// An error of the socket is the server's end.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.tcp.write_all(bytes).await;
    }

    /// Until the server closes its half; then ours is closed too.
    async fn received(mut self) -> usize {
        let mut received = Vec::new();
        let _ = timeout(DEADLINE, self.tcp.read_to_end(&mut received)).await.expect("the server does not close");
        received.len()
    }
}

/// What the server read, and whether it ended in an error.
type Heard = (Vec<u8>, bool);

/// Reads to the end, and says a byte after whatever it reads and whenever it is asked to.
async fn serve(mut stream: TlsStream, mut asked: mpsc::Receiver<()>) -> Heard {
    let mut input = BytesMut::new();
    let mut has_failed = false;
    loop {
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = stream.poll_read(cx, &mut input) {
                return Poll::Ready(Some(read));
            }
            if let Poll::Ready(Some(())) = asked.poll_recv(cx) { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
        match read {
            Some(Ok(0)) => break,
            Some(Ok(_)) | None => {}
            Some(Err(_)) => {
                has_failed = true;
                break;
            }
        }
        // The peer may be gone.
        let _ = poll_fn(|cx| stream.poll_write(cx, b"!")).await;
    }
    close_tls(stream, &Limits::default()).await;
    (input.to_vec(), has_failed)
}

async fn connected() -> (ClientStream<TcpStream>, JoinHandle<Heard>, mpsc::Sender<()>) {
    let device = EC_CA.issue(&DeviceSpec::new("device")).unwrap();
    let tls = client().with_device(&device, &[]).unwrap().with_versions(TlsVersions::Tls13Only);
    let mut config = tls.config().unwrap();
    config.enable_secret_extraction = true;
    let judge = Registry::of(&EC_CA).judge();
    let door = TlsDoor::new(judge, SERVER.identity.clone(), Vec::new(), &Limits::default(), Arc::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = async {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(tls.server_name().clone(), socket).await.unwrap()
    };
    let accept = async {
        let (socket, source) = listener.accept().await.unwrap();
        let mut peer = Peer::new(1, source, listener.local_addr().unwrap());
        door.accept(socket, &mut peer).await.unwrap()
    };
    let (stream, accepted) = tokio::join!(connect, accept);
    let (ask, asked) = mpsc::channel(1);
    (stream, tokio::spawn(serve(*accepted.stream, asked)), ask)
}

async fn shaken() -> (Forger, JoinHandle<Heard>, mpsc::Sender<()>) {
    let (stream, serving, ask) = connected().await;
    let (tcp, connection) = stream.into_inner();
    let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another cipher suite") };
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    let iv = iv.as_ref().try_into().unwrap();
    (Forger { tcp, key, iv, sequence }, serving, ask)
}

async fn heard(serving: JoinHandle<Heard>) -> Heard {
    timeout(DEADLINE, serving).await.expect("the server goes on").expect("the server panicked")
}

#[tokio::test]
async fn forged_records_are_records() {
    let (mut forger, serving, _ask) = shaken().await;
    let hello = forger.record(APPLICATION_DATA, b"hello");
    // One byte at a time: nothing is whole for long.
    for byte in hello {
        forger.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let close_notify = forger.record(ALERT, &[1, 0]);
    let ignored = forger.record(APPLICATION_DATA, b"behind the end");
    forger.send(&[close_notify, ignored].concat()).await;
    assert_eq!(heard(serving).await, (b"hello".to_vec(), false));
}

/// The client renews its keys and asks the server to do the same. (RFC 8446 section 4.6.3)
#[tokio::test]
async fn keys_are_renewed() {
    let (mut stream, serving, _ask) = connected().await;
    let mut expected = Vec::new();
    for round in 0..5 {
        stream.get_mut().1.refresh_traffic_keys().unwrap();
        stream.write_all(&[round]).await.unwrap();
        stream.flush().await.unwrap();
        expected.push(round);
        let mut answer = [0];
        timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
        assert_eq!(answer, *b"!");
    }
    stream.shutdown().await.unwrap();
    assert_eq!(heard(serving).await, (expected, false));
}

/// The server writes while half a message of TLS itself is there.
#[tokio::test]
async fn half_a_message_and_then_nonsense() {
    for split in 1..KEY_UPDATE.len() {
        let (mut forger, serving, ask) = shaken().await;
        let (first, second) = KEY_UPDATE.split_at(split);
        let beginning = [forger.record(APPLICATION_DATA, b"before"), forger.record(HANDSHAKE, first)].concat();
        forger.send(&beginning).await;
        for _ in 0..3 {
            ask.send(()).await.unwrap();
        }
        let rest = forger.record(HANDSHAKE, second);
        forger.send(&rest).await;
        ask.send(()).await.unwrap();
        // By keys that are no longer those.
        let nonsense = forger.record(APPLICATION_DATA, b"behind");
        forger.send(&nonsense).await;
        assert!(forger.received().await > 0, "no alert");
        assert_eq!(heard(serving).await, (b"before".to_vec(), true), "{split}");
    }
}

/// A message of TLS that never becomes whole: it is not waited for without end.
#[tokio::test]
async fn a_message_without_end() {
    let (mut forger, serving, _ask) = shaken().await;
    let mut content = vec![0; 8 * 1024];
    content[..4].copy_from_slice(&[KEY_UPDATE[0], 0, 0xff, 0xff]);
    for _ in 0..8 {
        let record = forger.record(HANDSHAKE, &content);
        forger.send(&record).await;
        content.fill(0);
    }
    forger.received().await;
    assert_eq!(heard(serving).await, (Vec::new(), true));
}

fn records() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let content_type =
        prop_oneof![4 => Just(APPLICATION_DATA), 1 => Just(HANDSHAKE), 1 => Just(ALERT), 1 => any::<u8>()];
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (0..KEY_UPDATE.len()).prop_map(|length| KEY_UPDATE[..length].to_vec()),
    ];
    proptest::collection::vec((content_type, content), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_records(records in records(), pieces in proptest::collection::vec(1_usize..200, 1..40), tail: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut forger, serving, ask) = shaken().await;
            let sound = records.iter().take_while(|(content_type, _)| *content_type == APPLICATION_DATA);
            let expected: Vec<u8> = sound.flat_map(|(_, content)| content.clone()).collect();
            let mut bytes: Vec<u8> =
                records.iter().flat_map(|(content_type, content)| forger.record(*content_type, content)).collect();
            bytes.extend(tail);
            let mut rest = bytes.as_slice();
            for piece in pieces.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                forger.send(now).await;
                let _ = ask.try_send(());
                tokio::task::yield_now().await;
                rest = later;
            }
            let _ = forger.tcp.shutdown().await;
            forger.received().await;
            let (heard, _) = heard(serving).await;
            assert!(heard.starts_with(&expected), "{heard:?} begins with {expected:?}");
        });
    }
}
