//! `landfall doctor`: what it finds, with a running server and without one, and its exit code.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fleet::{Ca, CaRegistration, Error, Key, KeyAlgorithm, Window};
use landfall_tests::{ACTIVATE, DataDir, Finished, Operator, Options, PATIENCE, Server, finish};
use serde_json::Value;

const FREE_PORTS: [&str; 4] = ["--api-addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0"];

fn doctor(data: &Path, arguments: &[&str]) -> Finished {
    finish(Server::program().arg("doctor").arg("--data-dir").arg(data).args(arguments), PATIENCE)
}

/// Each finding's verdict and subject, and somewhere in its text these words; the exit code goes with them.
#[track_caller]
fn check(finished: &Finished, expected: &[(&str, &str, &str)]) {
    let lines: Vec<&str> = finished.stdout.lines().collect();
    for (verdict, what, text) in expected {
        let fits = |line: &&str| {
            let mut words = line.split_whitespace();
            words.next() == Some(verdict) && line.contains(what) && line.contains(text)
        };
        assert!(lines.iter().any(fits), "no {verdict} {what} {text:?} in\n{}", finished.text());
    }
    let is_wrong = lines.iter().any(|line| line.starts_with("WRONG"));
    assert_eq!(finished.code, Some(i32::from(is_wrong)), "{}", finished.text());
    assert_eq!(is_wrong, expected.iter().any(|(verdict, ..)| *verdict == "WRONG"), "{}", finished.text());
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_good_server_is_found_good() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(Operator::of(&server).prepare_activation("good"));
    let doors = [server.api_url(), server.mqtt_addr().to_string()];
    let port = doors[1].rsplit(':').next().expect("a port");
    check(
        &doctor(&server.data_path(), &[]),
        &[
            ("ok", "config", "us-east-1"),
            ("ok", "clock", "Z"),
            ("ok", "files", "owner"),
            ("ok", "server", "says ok"),
            ("ok", "API", &doors[0]),
            ("ok", "devices", port),
            ("ok", "certificate", "valid until"),
            ("ok", "store", "holds it"),
            ("ok", "CA", "CN=good"),
            ("ok", "function", "good"),
        ],
    );
}

#[test]
fn the_port_where_alpn_decides_is_tried_too() {
    let server = Server::start_on(&DataDir::new(), &Options::with(&["--alpn-addr", "127.0.0.1:0"]));
    let port = server.fact("alpn_addr").rsplit(':').next().expect("a port").to_owned();
    let finished = doctor(&server.data_path(), &[]);
    let line = finished.stdout.lines().find(|line| line.contains("ALPN"));
    assert!(line.is_some_and(|line| line.starts_with("ok") && line.contains(&port)), "{}", finished.text());
}

#[test]
fn another_servers_configuration_is_noticed() {
    let server = Server::start();
    for flags in [["--region", "eu-central-1"], ["--account-id", "210987654321"]] {
        check(&doctor(&server.data_path(), &flags), &[("ok", "server", "says ok"), ("WRONG", "config", "us-east-1")]);
    }
}

#[test]
fn what_a_start_would_meet_is_tried_without_a_server() {
    let data = DataDir::new();
    let nowhere = data.file("nothing");
    let found = doctor(&nowhere, &FREE_PORTS);
    check(&found, &[("note", "data", "first start"), ("ok", "port", "api_addr"), ("ok", "port", "mqtt_addr")]);
    assert!(!nowhere.exists(), "it only looks");

    let server = Server::start_on(&data, &Options::default());
    let path = server.data_path();
    let (code, stderr) = server.terminate();
    assert_eq!(code, Some(0), "{stderr}");
    let names = || {
        let entries = std::fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        entries.collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    let stopped = [("ok", "server", "none runs"), ("ok", "store", "opens"), ("note", "CA", "landfall ca new")];
    check(&doctor(&path, &FREE_PORTS), &stopped);
    assert_eq!(names(), before);

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("an address").to_string();
    let found = doctor(&path, &["--api-addr", "127.0.0.1:0", "--mqtt-addr", &addr]);
    check(&found, &[("WRONG", "port", "--mqtt-addr")]);
    let found = doctor(&path, &[&FREE_PORTS[..], &["--region", "cn-north-1"]].concat());
    check(&found, &[("WRONG", "store", "region us-east-1")]);
    check(&doctor(&path, &["--region", "mars"]), &[("WRONG", "config", "mars")]);
}

#[test]
fn a_killed_server_is_noticed() {
    let data = DataDir::new();
    let mut server = Server::start_on(&data, &Options::default());
    // The leash would take the directory away; only the server is to go.
    let pid = server.pid().to_string();
    finish(std::process::Command::new("kill").args(["-9", &pid]), PATIENCE).must_succeed();
    server.wait();
    check(&doctor(&server.data_path(), &FREE_PORTS), &[("note", "server", &pid), ("ok", "store", "opens")]);
}

#[test]
fn what_is_open_to_others_is_named_with_its_cure() {
    let server = Server::start();
    for (name, mode) in [("root-credentials.json", 0o644), ("root-CA.key", 0o640), ("", 0o755)] {
        let path = server.data_path().join(name);
        let before = path.metadata().expect("a file").permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        let path_text = path.display().to_string();
        check(&doctor(&server.data_path(), &[]), &[("WRONG", "files", path_text.trim_end_matches('/'))]);
        std::fs::set_permissions(&path, before).expect("ours");
    }
    assert!(doctor(&server.data_path(), &[]).is_success());
}

#[test]
fn what_the_registry_lacks_is_named() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let operator = Operator::of(&server);
    runtime.block_on(async {
        // A CA that ends soon, and one that nobody may use.
        for (name, days, set_as_active) in [("soon", 20, true), ("unused", 5, false)] {
            let key = Key::generate(KeyAlgorithm::EcP256).expect("a key");
            let ca = Ca::with_key(name, key, Window::days_from_now(days)).expect("a CA");
            let how = CaRegistration { set_as_active, allow_auto_registration: true };
            ca.register(operator.client(), how).await.expect("registered");
        }
        operator.create_role("lost", &landfall_tests::actions_on_all(&[])).await;
        operator.create_function("lost", "lost", ACTIVATE, &Value::Null).await;
        operator.create_function("whole", "lost", "exports.handler = async () => 1", &Value::Null).await;
    });
    // Two functions, two packages; the larger is the activating one.
    let blobs = server.data_path().join("store/blobs");
    let largest = std::fs::read_dir(blobs).expect("a folder").map(|entry| entry.expect("an entry").path());
    let largest = largest.max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    std::fs::remove_file(largest.expect("a package")).expect("ours");
    let found = doctor(&server.data_path(), &[]);
    check(
        &found,
        &[("note", "CA", "CN=soon"), ("WRONG", "function", "lost: its code is missing"), ("ok", "function", "whole")],
    );
    assert!(!found.stdout.contains("CN=unused"), "{}", found.stdout);
}

/// The page behind it is the root's alone.
#[test]
fn the_inspection_wants_the_roots_signature() {
    let server = Server::start();
    let client = server.client();
    let wrong = fleet::Credentials { secret_access_key: "wrong".to_owned(), ..server.credentials().clone() };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let status = |client: fleet::AwsClient| {
        let request = fleet::AwsRequest { service: "landfall", path: "/_landfall/inspection", ..Default::default() };
        let answer: Result<_, Error> = runtime.block_on(client.call(&request));
        answer.expect("an answer").status
    };
    assert_eq!(status(client.clone()), 200);
    assert_eq!(status(client.with_credentials(wrong)), 403);
}
