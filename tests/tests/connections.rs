//! More connections than there are files or places for, and some that never come to a point: who is there goes on, and they
//! end.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use fleet::TlsConnection;
use landfall_tests::{DataDir, FieldDevice, Operator, Options, PATIENCE, Server, start};
use mqtt::packet::Connect;
use mqtt::{Packet, Version, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::sleep;

#[tokio::test]
async fn a_server_without_files_for_more_connections_says_so_and_recovers() {
    let options = Options {
        open_files_max: Some(200),
        // Longer than the test: nobody goes by himself.
        config: "[limits]\nhandshake_timeout_s = 600\n",
        ..Options::default()
    };
    let server = Server::start_on(&DataDir::new(), &options);
    let ca = Operator::of(&server).prepare_activation("files").await;
    let device = FieldDevice::new(&ca, "device");
    let mut connected = device.land(&server).await;
    // The system accepts them, and they wait for the server.
    let idle: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(server.mqtt_addr()).expect("a connection")).collect();
    server.wait_for_stderr("raise LimitNOFILE");
    connected.publish_at_least_once("JITR/test", &b"still here"[..]).await.expect("who is there goes on");
    drop(idle);
    server.wait_for_stderr("devices' connections are accepted again");
    device.connect_as(&server, "another").await.expect("a file is free").disconnect().await.expect("a proper end");
    connected.disconnect().await.expect("a proper end");
    let told = server.stderr().matches("raise LimitNOFILE").count();
    assert!(told < 10, "{told} lines in a few seconds");
}

/// Files that a process may have open, here.
fn open_files_max() -> usize {
    let finished = landfall_tests::finish(Command::new("sh").args(["-c", "ulimit -Hn"]), PATIENCE).must_succeed();
    finished.stdout.trim().parse().unwrap_or(usize::MAX)
}

fn device_connections(server: &Server) -> u64 {
    let page = server.ask("health", &[]).must_succeed().stdout;
    let page: Value = serde_json::from_str(&page).expect("JSON");
    page["devices"]["connections"].as_u64().expect("a number")
}

/// Opens and keeps so many connections from an address of its own, as a program of its own: each is a file. Says when.
const CROWD: &str = "
import resource, signal, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
crowd = [socket.create_connection((host, port), 30, ('127.0.0.9', 0)) for _ in range(count)]
print('there', flush=True)
turned_away = 0
for each in crowd:
    each.setblocking(False)
    try:
        turned_away += each.recv(1) == b''
    except BlockingIOError:
        pass
    except ConnectionResetError:
        turned_away += 1
print('turned away', turned_away, flush=True)
signal.pause()
";

/// Ten thousand are what one address may have; where a process may have fewer files, as many as there is room for.
#[tokio::test]
async fn ten_thousand_connections_of_one_address_leave_room_for_others() {
    const BEYOND: usize = 50;
    let places = 10_000.min(open_files_max().saturating_sub(500));
    let config = format!("[limits]\ndevice_connections_per_address = {places}\nhandshake_timeout_s = 600\n");
    let options = Options { config: config.leak(), ..Options::default() };
    let server = Server::start_on(&DataDir::new(), &options);
    let ca = Operator::of(&server).prepare_activation("crowd").await;
    let device = FieldDevice::new(&ca, "device");
    device.land(&server).await.disconnect().await.expect("a proper end");
    let mut command = Command::new("python3");
    let addr = server.mqtt_addr();
    command.args(["-c", CROWD, &addr.ip().to_string(), &addr.port().to_string(), &(places + BEYOND).to_string()]);
    let crowd = start(&mut command, &[]);
    crowd.wait_for_stdout("there", PATIENCE.saturating_mul(3));
    let record = server.wait_for_record(&["--source", "127.0.0.9"], "OVERLOADED");
    let sentence = record["sentence"].as_str().unwrap_or_default();
    assert!(sentence.contains(&format!("{places} connections are open from this address")), "{record}");
    assert!(device_connections(&server) >= u64::try_from(places).unwrap_or(u64::MAX));
    // Another address finds its place.
    device.connect(&server).await.expect("a place").disconnect().await.expect("a proper end");
    drop(crowd);
    let until = Instant::now() + PATIENCE;
    while device_connections(&server) > 0 {
        assert!(Instant::now() < until, "{} connections are left", device_connections(&server));
    }
}

/// Between two bytes of who is slow: often enough to look alive.
const BETWEEN_BYTES: Duration = Duration::from_millis(250);

/// By its address it is found among the records: it says nothing else of itself.
async fn connect_from(source: &str, server: SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(source.parse().expect("an address"), 0)).expect("all of 127/8 is ours");
    socket.connect(server).await.expect("a connection")
}

async fn says_nothing(server: SocketAddr, source: &str) {
    let mut stream = connect_from(source, server).await;
    assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)), "the end");
}

async fn slow_in_tls(server: SocketAddr, source: &str, bytes: &[u8]) {
    let mut stream = connect_from(source, server).await;
    for byte in bytes.iter().chain(std::iter::repeat(&0)) {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(BETWEEN_BYTES).await;
    }
}

/// After the handshake: `at_once`, then a byte at a time until the server has had enough.
async fn slow_in_mqtt(mut connection: TlsConnection, at_once: &[u8], slowly: &[u8]) {
    connection.send(at_once, "what is said at once").await.expect("sent");
    for byte in slowly.iter().chain(std::iter::repeat(&0)) {
        if connection.send(&[*byte], "a byte").await.is_err() {
            return;
        }
        sleep(BETWEEN_BYTES).await;
    }
}

fn connect_packet(client_id: &str) -> bytes::BytesMut {
    let mut bytes = bytes::BytesMut::new();
    let connect = Connect { keepalive_s: 30, ..Connect::new(client_id) };
    encode(&Packet::Connect(Box::new(connect)), Version::V311, &mut bytes).expect("encodable");
    bytes
}

/// In TLS, in CONNECT, in a later packet, or not at all any more: each has its time, however alive it looks, leaves its record,
/// and keeps nobody waiting.
#[tokio::test]
async fn who_is_slow_is_let_go_wherever_it_is_slow() {
    let config = "[limits]\nhandshake_timeout_s = 2\n";
    let server = Server::start_on(&DataDir::new(), &Options { config, ..Options::default() });
    let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
    let device = FieldDevice::active(&server, "calm", &statements).await;
    let unknown = FieldDevice::new(&Operator::of(&server).register_ca("slow").await, "slow-in-connect");
    let mut calm = device.connect(&server).await.expect("CONNACK");
    let addr = server.mqtt_addr();
    let open = async |device: &FieldDevice| {
        TlsConnection::open(addr, &device.tls(&server), PATIENCE.saturating_mul(3)).await.expect("a handshake")
    };
    let (connecting, publishing, mut silent) = (open(&unknown).await, open(&device).await, open(&device).await);
    silent.send(&connect_packet("half-open"), "CONNECT").await.expect("sent");
    // A PUBLISH that promises 128 KiB.
    let begun = [&connect_packet("slow-in-publish")[..], &[0x30, 0x80, 0x80, 0x08, 0, 1, b't']].concat();
    let half_open = async {
        let mut heard = bytes::BytesMut::new();
        while silent.receive(&mut heard, "the end").await.is_ok() {}
    };
    tokio::join!(
        says_nothing(addr, "127.0.1.1"),
        // A record that promises 16 KiB.
        slow_in_tls(addr, "127.0.1.2", &[22, 3, 1, 64, 0]),
        // A CONNECT that promises 128 KiB.
        slow_in_mqtt(connecting, &[], &[0x10, 0x80, 0x80, 0x08]),
        slow_in_mqtt(publishing, &begun, &[]),
        half_open,
        async {
            for _ in 0..40 {
                calm.ping().await.expect("PINGRESP");
                sleep(Duration::from_secs(1)).await;
            }
        }
    );
    let unknown = unknown.id();
    for (filter, reason) in [
        (["--source", "127.0.1.1"], "HANDSHAKE_TIMEOUT"),
        (["--source", "127.0.1.2"], "HANDSHAKE_TIMEOUT"),
        (["--certificate", &unknown], "CONNECT_TIMEOUT"),
        (["--client-id", "slow-in-publish"], "KEEP_ALIVE_TIMEOUT"),
        (["--client-id", "half-open"], "KEEP_ALIVE_TIMEOUT"),
    ] {
        server.wait_for_record(&filter, reason);
    }
    calm.ping().await.expect("PINGRESP");
    assert_eq!(device_connections(&server), 1);
}
