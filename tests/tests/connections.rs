//! More connections than there are files or places for: who is there goes on, and it ends when they go.

use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use landfall_tests::{DataDir, FieldDevice, Operator, Options, PATIENCE, Server, start};
use serde_json::Value;

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
