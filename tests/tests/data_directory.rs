//! The data directory outlives the server that wrote it: its copy is a whole server, and what an older version left is
//! opened by this one with everything in it. `cargo xtask keep-data-directory` made what is kept under `fixtures/`; the
//! keys in it are the tests' own and open nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::{Ca, Method, uri_encoded};
use landfall_tests::{
    DataDir, FieldDevice, Inhabitants, LOG_GROUP, Operator, PATIENCE, Server, fill, finish, kept_options, sessions,
    unzip_folder,
};
use serde_json::{Value, json};

/// Everything that `fill` left, seen through the doors.
async fn check(server: &Server, inhabitants: &Inhabitants) {
    let operator = Operator::of(server);
    let [active_ca, waiting_ca] = ["active-ca", "waiting-ca"].map(|name| inhabitants.ca(name));
    let device = |name: &str, ca: &Ca| inhabitants.device(name, ca);
    let (active, revoked) = (device("active", &active_ca), device("revoked", &active_ca));
    let pending = device("pending", &waiting_ca);
    for (device, expected) in [(&active, "ACTIVE"), (&revoked, "REVOKED"), (&pending, "PENDING_ACTIVATION")] {
        assert_eq!(operator.status(&device.id()).await.as_deref(), Some(expected), "{}", device.client_id());
    }
    check_nouns(&operator, &active, &active_ca).await;
    let lines = operator.log_lines("fails").await;
    assert!(lines.iter().any(|line| line.contains("kept failure")), "{lines:#?}");
    if inhabitants.has_log_group() {
        let input = json!({ "logGroupName": LOG_GROUP });
        let events = operator.client().json_1_1("logs", "Logs_20140328.FilterLogEvents", &input).await;
        let events = events.expect("an answer");
        assert!(events.text().contains("kept line"), "{}", events.text());
    }
    if inhabitants.has_sessions() {
        sessions(server, "back");
    }
    let letters = server.ask("dead-letters", &["--json"]).must_succeed().stdout;
    assert!(letters.contains("fails"), "{letters}");
    let explained = server.ask("explain", &["--last", "100", "--certificate", &revoked.id()]).must_succeed().stdout;
    assert!(explained.contains("REGISTERED_NOW"), "{explained}");

    // It goes on where the older one ended.
    let mut client = active.connect(server).await.expect("let in at the first attempt");
    client.publish_at_least_once("JITR/test", "Hello").await.expect("PUBACK");
    client.disconnect().await.expect("a proper end");
    assert!(revoked.connect(server).await.is_err());
    let answer = operator.invoke("fails", &json!({})).await;
    assert!(answer.text().contains("kept failure"), "{}", answer.text());
    FieldDevice::new(&active_ca, "newcomer").land(server).await.disconnect().await.expect("a proper end");
}

async fn check_nouns(operator: &Operator<'_>, active: &FieldDevice, active_ca: &Ca) {
    let get = |path: String| async move { operator.must("iot", Method::GET, &path, None).await };
    let ca = get(format!("/cacertificate/{}", active_ca.id())).await;
    let ca = &ca["certificateDescription"];
    assert_eq!((&ca["status"], &ca["autoRegistrationStatus"]), (&json!("ACTIVE"), &json!("ENABLE")));
    let versions = get("/policies/kept/version".to_owned()).await;
    let versions = versions["policyVersions"].as_array().expect("versions");
    let defaults: Vec<(&Value, &Value)> =
        versions.iter().map(|version| (&version["versionId"], &version["isDefaultVersion"])).collect();
    assert_eq!(versions.len(), 2, "{versions:#?}");
    assert!(defaults.contains(&(&json!("2"), &json!(true))), "{versions:#?}");
    let mut attached = operator.attached_policies(&active.id()).await;
    attached.sort();
    assert_eq!(attached, [format!("Policy_{}", active.id()), "kept".to_owned()]);
    for (rule, disabled) in [("activate", false), ("fails", false), ("sleeps", true)] {
        assert_eq!(get(format!("/rules/{rule}")).await["rule"]["ruleDisabled"], disabled, "{rule}");
    }
    let principals = get("/things/kept-thing/principals".to_owned()).await;
    assert!(principals.to_string().contains(&active.id()), "{principals}");
    let policies =
        operator.client().query("iam", "2010-05-08", "ListAttachedRolePolicies", &[("RoleName", "activate")]);
    let policies = policies.await.expect("an answer");
    assert!(policies.text().contains("policy/kept"), "{}", policies.text());
    let function = format!("/2015-03-31/functions/{}", uri_encoded("activate"));
    let function = operator.must("lambda", Method::GET, &function, None).await;
    assert_eq!(function["Configuration"]["Runtime"], "nodejs8.10");
}

async fn check_kept(path: &Path) {
    println!("{}", path.display());
    let data = DataDir::new();
    unzip_folder(&fs::read(path).expect("what is kept can be read"), data.path());
    let root = fs::read(data.server_path().join("root-CA.crt")).expect("a root");
    let server = Server::start_on(&data, &kept_options());
    assert_eq!(fs::read(server.root_ca()).expect("a root"), root, "what devices trust is kept");
    check(&server, &Inhabitants::in_folder(data.file("inhabitants"))).await;
    assert_eq!(server.stderr(), "", "nothing was worth a warning");
    server.ask("dead-letters", &["replay", "--all"]).must_succeed();
    assert_eq!(server.terminate().0, Some(0));
}

/// The first is of the days when all logs were in one journal, the third the first with sessions and what waits for them.
#[tokio::test]
async fn every_data_directory_that_was_kept_is_opened() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let entries = fs::read_dir(folder).expect("what is kept is in the repository");
    let mut kept: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    kept.sort();
    assert!(kept.len() >= 3, "{kept:?}");
    for path in kept {
        check_kept(&path).await;
    }
}

fn copy(from: &Path, to: &Path) {
    finish(Command::new("cp").arg("-a").arg(from).arg(to), PATIENCE).must_succeed();
}

/// As docs/running.md has it: stop, `cp -a`, start on the copy.
#[tokio::test]
async fn a_copy_is_a_whole_server() {
    let (data, elsewhere) = (DataDir::new(), DataDir::new());
    let server = Server::start_on(&data, &kept_options());
    let inhabitants = Inhabitants::in_folder(data.file("inhabitants"));
    fill(&server, &inhabitants).await;
    let (root, keys) = (fs::read(server.root_ca()).expect("a root"), server.credentials().clone());
    assert_eq!(server.terminate().0, Some(0));
    copy(&data.server_path(), &elsewhere.server_path());
    fs::remove_dir_all(data.server_path()).expect("the first is gone");

    let server = Server::start_on(&elsewhere, &kept_options());
    assert_eq!(fs::read(server.root_ca()).expect("a root"), root);
    assert_eq!(server.credentials().secret_access_key, keys.secret_access_key);
    assert!(server.root_ca().starts_with(elsewhere.path().canonicalize().expect("there")));
    check(&server, &inhabitants).await;
}
