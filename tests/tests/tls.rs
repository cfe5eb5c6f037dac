//! TLS on the API port: who trusts the server's root is served, whoever speaks plain HTTP is told, and no address holds
//! the port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use landfall_tests::{DataDir, Options, PATIENCE, Server, finish};

/// 127.0.0.2 is loopback as well: the flag asks for what another address has of itself.
fn https() -> Server {
    Server::start_on(&DataDir::new(), &Options { api_addr: "127.0.0.2:0", ..Options::with(&["--api-tls"]) })
}

#[test]
fn the_aws_cli_and_our_own_verbs_work_over_tls() {
    let server = https();
    assert_eq!(server.api_url(), format!("https://{}", server.api_addr()));
    let endpoint = server.aws().json(&["iot", "describe-endpoint", "--endpoint-type", "iot:Data-ATS"]);
    assert_eq!(endpoint["endpointAddress"], "localhost");
    let sum = server
        .aws()
        .python("import boto3, json\nprint(json.dumps(boto3.client('sts').get_caller_identity()['Account']))");
    assert_eq!(sum, "123456789012");
    let explained = server.ask("explain", &[]).must_succeed();
    assert!(explained.stdout.contains("No refused or ended connection"), "{}", explained.text());

    let distrusting = server.aws().with_ca_bundle(None).run(&["iot", "describe-endpoint"]);
    assert!(distrusting.stderr.contains("CERTIFICATE_VERIFY_FAILED"), "{}", distrusting.text());
}

/// As a person's shell does it, with nothing but what `landfall env` prints.
#[test]
fn env_points_a_shell_at_it() {
    let server = https();
    let script = "eval \"$($LANDFALL env --data-dir \"$DATA\")\" && command aws sts get-caller-identity --query Account --output text";
    let mut command = Command::new("sh");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .args(["-c", script])
        .env_clear()
        .env("PATH", format!("{}:{path}", server.aws().program_dir().display()))
        .env("HOME", server.data_path())
        .env("LANDFALL", Server::program().get_program())
        .env("DATA", server.data_path());
    let finished = finish(&mut command, PATIENCE.saturating_mul(2)).must_succeed();
    assert_eq!(finished.stdout.trim(), "123456789012");
}

fn raw(server: &Server, text: &str) -> String {
    let mut stream = TcpStream::connect(server.api_addr()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn plain_http_is_told_what_to_do() {
    let answer = raw(&https(), "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("use https://"), "{answer}");
}

/// Without TLS nothing of this changes.
#[test]
fn loopback_has_plain_http() {
    let server = Server::start();
    assert!(server.api_url().starts_with("http://127.0.0.1:"));
    let answer = raw(&server, "GET /_landfall/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Another address is served while one holds all that it may have, and says nothing.
#[test]
fn an_address_that_says_nothing_does_not_hold_the_port() {
    let options = Options {
        api_addr: "0.0.0.0:0",
        config: "[limits]\napi_connections = 20\napi_connections_per_address = 10\nhandshake_timeout_s = 2\n",
        ..Options::default()
    };
    let server = Server::start_on(&DataDir::new(), &options);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], server.api_addr().port()));
    let idle: Vec<TcpStream> = (0..30).map(|_| TcpStream::connect(local).expect("accepted by the system")).collect();
    // The CLI comes from another address: Linux takes the whole of 127/8 for its own.
    let curl = |source: &str| {
        let script = "import http.client, ssl, sys\n\
            c = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), timeout=30, source_address=(sys.argv[2], 0), \
            context=ssl.create_default_context(cafile=sys.argv[3]))\n\
            c.request('GET', '/_landfall/health')\n\
            print(c.getresponse().status)";
        let port = local.port().to_string();
        let mut command = Command::new("python3");
        command.args(["-c", script, &port, source]).arg(server.root_ca());
        finish(&mut command, PATIENCE)
    };
    assert_eq!(curl("127.0.0.9").must_succeed().stdout.trim(), "200");
    assert!(!curl("127.0.0.1").is_success(), "ten of thirty hold what their address may have");
    assert!(server.stderr().contains("limits.api_connections_per_address"), "{}", server.stderr());
    // Those who say nothing go after the handshake's time, and nobody has to close anything.
    let until = Instant::now() + PATIENCE;
    while !curl("127.0.0.1").is_success() {
        assert!(Instant::now() < until, "the address never gets its places back");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(idle);
}
