//! SIGTERM and SIGINT: nothing new is taken, what runs is finished or left for the next start, and the exit code is 0. A
//! second signal waits for nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant, SystemTime};

use domain::Timestamp;
use domain::sigv4::{Request, sign};
use fleet::Closing;
use landfall_tests::{DataDir, FieldDevice, Operator, Options, PATIENCE, Server};
use serde_json::{Value, json};

/// As long as the test says, and told at both ends.
const WAITS: &str = "exports.handler = async (event) => {
    console.log('begun', event.ms);
    await new Promise((resolve) => setTimeout(resolve, event.ms));
    return 'done';
};";

/// On the registration event; for longer than any shutdown waits.
const HANGS: &str = "exports.handler = async () => {
    console.log('begun');
    await new Promise((resolve) => setTimeout(resolve, 600000));
};";

/// Stated in docs/running.md.
const DRAIN: Duration = Duration::from_secs(10);

async fn with_function(server: &Server, name: &str, source: &str) {
    let operator = Operator::of(server);
    operator.create_role(name, &landfall_tests::actions_on_all(&[])).await;
    operator.create_function(name, name, source, &json!({ "Timeout": 900 })).await;
}

#[tokio::test]
async fn running_requests_are_answered_and_devices_closed_properly() {
    for signal in ["TERM", "INT"] {
        let server = Server::start();
        with_function(&server, "waits", WAITS).await;
        let operator = Operator::of(&server);
        let ca = operator.prepare_activation("active").await;
        let mut device = FieldDevice::new(&ca, "device").land(&server).await;
        let event = json!({ "ms": 1500 });
        let asked = async {
            let answer = operator.invoke("waits", &event).await;
            (answer.status, answer.text(), Instant::now())
        };
        let stopped = async {
            operator.wait_for_log("waits", "begun").await;
            server.signal(signal);
            let (how, _) = device.closed().await.expect("an orderly end");
            (how, Instant::now())
        };
        let ((status, text, answered_at), (how, closed_at)) = tokio::join!(asked, stopped);
        assert_eq!((status, text.as_str()), (200, "\"done\""), "{signal}");
        assert_eq!(how, Closing::CloseNotify, "{signal}");
        assert!(closed_at < answered_at, "{signal}: the device does not wait for the function");
        assert!(TcpStream::connect(server.api_addr()).is_err(), "{signal}: nothing new is taken");
        let (code, stderr) = server.wait_for_end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{signal}");
    }
}

/// A request whose body is still on its way is a running one.
#[tokio::test]
async fn a_request_that_is_being_sent_is_answered() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.api_addr()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let headers = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    let request = Request { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
    let head = signed_head(&server, "sts", &request);
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body.as_bytes()[..10]).expect("sent");
    // The server has the head when it answers another connection that came later.
    let health = server.ask("health", &[]).must_succeed();
    assert!(health.stdout.contains("\"ok\""), "{}", health.text());
    server.signal("TERM");
    server.wait_for_no_run_file();
    stream.write_all(&body.as_bytes()[10..]).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and then the end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("arn:aws:iam::123456789012:root"), "{answer}");
    assert_eq!(server.wait_for_end().0, Some(0));
}

/// All of it, the empty line included.
fn signed_head(server: &Server, service: &str, request: &Request<'_>) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let now = Timestamp::from_seconds(i64::try_from(now).expect("before the end of time"));
    let signed = sign(request, server.credentials(), server.region(), service, now);
    let Request { method, path, headers, body, .. } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in
        headers.iter().copied().chain(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

/// It counts among the API's connections, which are waited for: it must not hold the end up.
#[test]
fn a_websocket_of_the_api_port_is_told() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.api_addr()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let headers = [
        ("host", "localhost"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "mqtt"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = Request { method: "GET", path: "/mqtt", query: "", headers: &headers, body: b"" };
    let mut sent = signed_head(&server, "iotdevicegateway", &request).into_bytes();
    // One frame, masked with nothing: a CONNECT of 5.0 with a clean start.
    sent.extend_from_slice(b"\x82\x8f\0\0\0\0\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0");
    stream.write_all(&sent).expect("sent");
    let mut heard = Vec::new();
    let has_connack = |heard: &[u8]| {
        let body = heard.windows(4).position(|end| end == b"\r\n\r\n");
        body.is_some_and(|end| heard[end + 4..].starts_with(&[0x82]) && heard.len() > end + 10)
    };
    while !has_connack(&heard) {
        let mut more = [0; 1024];
        let count = stream.read(&mut more).expect("an answer");
        assert!(count > 0, "{}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&more[..count]);
    }
    let answer = String::from_utf8_lossy(&heard).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    server.signal("TERM");
    let mut last = Vec::new();
    stream.read_to_end(&mut last).expect("an orderly end");
    // DISCONNECT with 0x8b, server shutting down, and the Close of the WebSocket behind it.
    assert!(last.starts_with(&[0x82]) && last.contains(&0x8b), "{last:?}");
    assert!(last.ends_with(&[0x88, 2, 0x03, 0xe8]), "{last:?}");
    assert_eq!(server.wait_for_end(), (Some(0), String::new()));
}

async fn hanging(data: &DataDir) -> Server {
    let server = Server::start_on(data, &Options::default());
    let operator = Operator::of(&server);
    let ca = operator.register_ca("hangs").await;
    with_function(&server, "hangs", HANGS).await;
    let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{}'", ca.id());
    operator.create_rule("hangs", &sql, &operator.arn("lambda", "function:hangs")).await;
    operator.permit("hangs", "hangs").await;
    let device = FieldDevice::new(&ca, "device");
    device.must_be_dropped(device.connect(&server).await);
    operator.wait_for_log("hangs", "begun").await;
    server
}

fn begun(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.contains("begun")).count()
}

#[tokio::test]
async fn a_function_that_does_not_end_is_left_for_the_next_start() {
    let data = DataDir::new();
    let server = hanging(&data).await;
    let asked_at = Instant::now();
    let (code, _) = server.terminate();
    assert_eq!(code, Some(0));
    assert!(asked_at.elapsed() >= DRAIN, "it got its time: {:?}", asked_at.elapsed());

    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    let until = Instant::now() + PATIENCE;
    while begun(&operator.log_lines("hangs").await) < 2 {
        assert!(Instant::now() < until, "the row was not taken up again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_second_signal_waits_for_nothing() {
    let data = DataDir::new();
    let server = hanging(&data).await;
    let asked_at = Instant::now();
    server.signal("TERM");
    server.wait_for_no_run_file();
    server.signal("TERM");
    let (code, stderr) = server.wait_for_end();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("landfall: a second signal ended the server at once"), "{stderr}");
    assert!(asked_at.elapsed() < DRAIN, "{:?}", asked_at.elapsed());

    let server = Server::start_on(&data, &Options::default());
    let certificates = Operator::of(&server).must("iot", fleet::Method::GET, "/certificates", None).await;
    assert_eq!(certificates["certificates"].as_array().map(Vec::len), Some(1), "nothing acknowledged is lost");
    let health: Value = serde_json::from_str(&server.ask("health", &[]).must_succeed().stdout).expect("JSON");
    assert_eq!(health["status"], "ok");
}

/// `Type=notify` of systemd: it waits for the one, and gives patience with the other.
#[test]
fn a_service_manager_is_told() {
    let data = DataDir::new();
    let path = data.file("notify.socket");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let heard = || {
        let mut buffer = [0; 64];
        let count = manager.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let variables = vec![("NOTIFY_SOCKET".to_owned(), path.display().to_string())];
    let server = Server::start_on(&data, &Options { variables, ..Options::default() });
    assert_eq!(heard(), "READY=1");
    assert_eq!(server.terminate().0, Some(0));
    assert_eq!(heard(), "STOPPING=1");
}
