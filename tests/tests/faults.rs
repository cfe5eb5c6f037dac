//! What goes wrong with disks, files and neighbours: each is told in a plain sentence, and nothing acknowledged is lost.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use fleet::Method;
use landfall_tests::{DataDir, FieldDevice, Operator, Options, Server, actions_on_all};
use serde_json::{Value, json};

const GREETS: &str = "exports.handler = async () => 'hello';";

/// The sentence must hold all of these.
#[track_caller]
fn check(sentence: &str, named: &[&str]) {
    for text in named {
        assert!(sentence.contains(text), "{text:?} is not in: {sentence}");
    }
}

async fn policy(operator: &Operator<'_>, name: &str) -> u16 {
    let resource = format!("arn:aws:iot:us-east-1:123456789012:client/{}", "x".repeat(1500));
    let statement = json!({ "Effect": "Allow", "Action": "iot:Connect", "Resource": resource });
    let document = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let body = json!({ "policyDocument": document });
    operator.call("iot", Method::POST, &format!("/policies/{name}"), Some(&body)).await.status
}

async fn has_policy(operator: &Operator<'_>, name: &str) -> bool {
    operator.call("iot", Method::GET, &format!("/policies/{name}"), None).await.status == 200
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told_and_loses_nothing() {
    let data = DataDir::new();
    let limited = Options { file_kib_max: Some(4096), ..Options::default() };
    let server = Server::start_on(&data, &limited);
    let operator = Operator::of(&server);
    let ca = operator.prepare_activation("active").await;
    let landed = FieldDevice::new(&ca, "landed");
    landed.land(&server).await.disconnect().await.expect("a proper end");

    let mut acknowledged = 0;
    let status = loop {
        match policy(&operator, &format!("p{acknowledged}")).await {
            200 => acknowledged += 1,
            status => break status,
        }
        assert!(acknowledged < 100_000, "the limit is not in force");
    };
    assert_eq!(status, 500);
    assert!(acknowledged > 100, "there was room for some: {acknowledged}");

    let health = server.ask("health", &[]);
    assert!(!health.is_success());
    check(&health.stderr, &["landfall: nothing is written any more", "File too large", "start the server again"]);
    let page: Value = serde_json::from_str(&health.stdout).expect("JSON");
    assert_eq!((&page["status"], &page["store"]["writes"]), (&json!("failing"), &json!(false)));
    check(&server.stderr(), &["the store stopped writing", "repair the cause and start the server again"]);
    assert!(!server.stderr().contains('\u{1b}'), "colours are for terminals");

    // What is there is still served; what would have to be written is refused, and not half done.
    assert!(has_policy(&operator, "p0").await);
    landed.connect(&server).await.expect("an active device").disconnect().await.expect("a proper end");
    assert_eq!(policy(&operator, "late").await, 500);
    let newcomer = FieldDevice::new(&ca, "newcomer");
    newcomer.must_be_dropped(newcomer.connect(&server).await);
    assert_eq!(server.terminate().0, Some(0));

    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    for name in (0..acknowledged).step_by(20).chain([acknowledged - 1]) {
        assert!(has_policy(&operator, &format!("p{name}")).await, "p{name} of {acknowledged} is lost");
    }
    assert!(!has_policy(&operator, "late").await, "what was refused was not done");
    newcomer.land(&server).await.disconnect().await.expect("a proper end");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_told() {
    let data = DataDir::new();
    let sentence = Server::refusal(&data, &Options { file_kib_max: Some(16), ..Options::default() });
    check(&sentence, &["File too large", "records.redb"]);
}

/// A directory that has been in use, its server gone.
async fn used() -> DataDir {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options::default());
    let operator = Operator::of(&server);
    operator.create_role("greets", &actions_on_all(&[])).await;
    operator.create_function("greets", "greets", GREETS, &Value::Null).await;
    assert_eq!(policy(&operator, "kept").await, 200);
    assert_eq!(operator.invoke("greets", &json!({})).await.text(), "\"hello\"");
    operator.wait_for_log("greets", "REPORT").await;
    server.terminate();
    data
}

fn cut_in_half(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(file.metadata().expect("there").len() / 2).expect("cut");
}

#[tokio::test]
async fn what_is_damaged_is_named() {
    type Damage = fn(&Path);
    let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).expect("room");
    let cases: [(&str, Damage, &[&str]); 11] = [
        ("store/records.redb", cut_in_half, &["damaged", "restore the data directory from a copy"]),
        ("store/records.redb", |path| fs::write(path, vec![7; 100_000]).expect("room"), &["damaged"]),
        ("store/records.redb", |path| fs::remove_file(path).expect("there"), &["is missing", "from a copy"]),
        ("store/records.redb", |path| fs::write(path, "").expect("room"), &["is empty", "from a copy"]),
        ("store/store.version", |path| fs::write(path, "99\n").expect("room"), &["newer server", "99"]),
        ("store/store.version", |path| fs::write(path, "?").expect("room"), &["does not hold a version number"]),
        ("root-credentials.json", |path| fs::write(path, "{").expect("room"), &["does not hold credentials", "copy"]),
        ("root-credentials.json", |path| fs::write(path, "").expect("room"), &["does not hold credentials", "copy"]),
        ("root-CA.crt", |path| fs::write(path, "?").expect("room"), &["is damaged", "from a copy"]),
        ("root-CA.key", |path| fs::write(path, "?").expect("room"), &["is damaged", "from a copy"]),
        ("root-CA.key", |path| fs::remove_file(path).expect("there"), &["is not", "from a copy"]),
    ];
    let data = used().await;
    for (file, damage, named) in cases {
        let path = data.server_path().join(file);
        let before = fs::read(&path).expect("there");
        damage(&path);
        let sentence = Server::refusal(&data, &Options::default());
        check(&sentence, named);
        let folder = if file.ends_with("store.version") { "store" } else { file };
        check(&sentence, &[folder]);
        write(path, &before);
    }
    let server = Server::start_on(&data, &Options::default());
    assert!(has_policy(&Operator::of(&server), "kept").await, "a refused start changes nothing");
}

/// Log lines and packages are not worth a start: the server says what it lost, and serves the rest.
#[tokio::test]
async fn a_damaged_journal_or_package_costs_itself_alone() {
    let data = used().await;
    let store = data.server_path().join("store");
    let entries =
        |folder: PathBuf| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let blob = entries(store.join("blobs")).next().expect("a package");
    let mut segments = entries(store.join("journals")).filter(|path| path.is_dir()).flat_map(entries);
    let holds_log =
        |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).expect("there")).contains("REPORT RequestId");
    let segment = segments.find(holds_log).expect("the function's log");
    let mut bytes = fs::read(&segment).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&segment, bytes).expect("room");
    fs::write(&blob, "not what was uploaded").expect("room");
    fs::write(data.server_path().join("server.key"), "damaged").expect("room");

    let server = Server::start_on(&data, &Options::default());
    server.wait_for_stderr("torn or damaged");
    server.wait_for_stderr("server.crt and its key are damaged");
    let operator = Operator::of(&server);
    assert!(has_policy(&operator, "kept").await);
    let refused = operator.invoke("greets", &json!({})).await;
    assert!(refused.status >= 500, "{}", refused.text());
    // Under the same root as before, so that nobody notices.
    let ca = operator.prepare_activation("active").await;
    FieldDevice::new(&ca, "device").land(&server).await.disconnect().await.expect("a proper end");

    // An I/O error proper: where the package was is something that cannot be read as a file.
    fs::remove_file(&blob).expect("there");
    fs::create_dir(&blob).expect("made");
    let refused = operator.invoke("greets", &json!({})).await;
    assert!(refused.status >= 500, "{}", refused.text());
    assert!(server.ask("health", &[]).is_success(), "records are written as before");
}

#[tokio::test]
async fn a_second_server_on_the_directory_changes_nothing() {
    let data = DataDir::new();
    let first = Server::start_on(&data, &Options::default());
    let run = fs::read(data.server_path().join("run.json")).expect("there");
    let sentence = Server::refusal(&data, &Options::default());
    check(&sentence, &["in use by another server (process ", "choose another data directory"]);
    assert_eq!(fs::read(data.server_path().join("run.json")).expect("still there"), run);
    assert_eq!(policy(&Operator::of(&first), "p").await, 200);
    first.ask("health", &[]).must_succeed();
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let data = DataDir::new();
    // A file where the directory should be, and one where its parent should be. (Root may write everywhere else.)
    fs::write(data.server_path(), "a file").expect("room");
    check(&Server::refusal(&data, &Options::default()), &["data_dir", "Choose a directory"]);
    let nowhere = ["--data-dir", "/proc/landfall"].map(str::to_owned);
    let sentence = finish_serve(&nowhere);
    check(&sentence, &["data_dir /proc/landfall", "Choose a directory that this user may write"]);

    let data = DataDir::new();
    drop(Server::start_on(&data, &Options::default()));
    let elsewhere = Options { region: "eu-west-1", ..Options::default() };
    check(&Server::refusal(&data, &elsewhere), &["belongs to account 123456789012 in region us-east-1", "eu-west-1"]);
}

fn finish_serve(more: &[String]) -> String {
    let mut command = Server::program();
    command.args(["serve", "--api-addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0"]).args(more);
    landfall_tests::finish(&mut command, landfall_tests::PATIENCE).stderr
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("an address").to_string();
    let data = DataDir::new();
    let path = data.server_path().display().to_string();
    for flag in ["api", "mqtt"] {
        let mut command = Server::program();
        let other = if flag == "api" { "--mqtt-addr" } else { "--api-addr" };
        command.args(["serve", &format!("--{flag}-addr"), &addr, other, "127.0.0.1:0", "--data-dir", &path]);
        let finished = landfall_tests::finish(&mut command, landfall_tests::PATIENCE);
        assert_eq!(finished.code, Some(1), "{}", finished.text());
        check(&finished.stderr, &[&format!("{flag}_addr {addr}"), "in use", "Choose another address"]);
        assert!(!data.server_path().join("run.json").exists(), "nothing says that a server runs");
    }
}
