//! Misused, the program ends with one plain sentence that names what is wrong and what to do.

use std::process::{Command, Output};

fn landfall(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().expect("the program starts")
}

#[track_caller]
fn check(arguments: &[&str], variables: &[(&str, &str)], named: &[&str]) {
    let output = landfall(arguments, variables);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} went well");
    assert!(said.starts_with("landfall: ") && said.trim_end().lines().count() == 1, "{arguments:?}: {said}");
    for text in named {
        assert!(said.contains(text), "{arguments:?} does not name {text:?}: {said}");
    }
}

#[test]
fn a_mistake_in_the_settings_is_named() {
    check(&["serve", "--region", "mars"], &[], &["region", "mars", "us-east-1"]);
    check(&["serve"], &[("LANDFALL_ACCOUNT_ID", "12")], &["account_id", "12", "twelve digits"]);
    check(&["serve", "--config", "no-such-file.toml"], &[], &["config file", "no-such-file.toml"]);
    check(&["serve", "--api-tls", "--insecure-http"], &[], &["api_tls", "insecure_http", "leave one out"]);
    check(&["serve", "--server-cert", "a.pem"], &[], &["server_cert", "server_key"]);
    check(&["serve", "--alpn-addr", "127.0.0.1:0"], &[], &["alpn_addr", "not served yet"]);
    check(&["serve", "--endpoint-name", "https://x"], &[], &["endpoint_name", "scheme"]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let file = temporary.path().join("file");
    std::fs::write(&file, "not a directory").expect("room for a few bytes");
    let file = file.to_str().expect("a name in UTF-8");
    check(&["serve", "--data-dir", file], &[], &["data_dir", file]);
    let absent = temporary.path().join("absent");
    let absent = absent.to_str().expect("a name in UTF-8");
    check(&["env", "--data-dir", absent], &[], &[absent, "--data-dir"]);
    let empty = temporary.path().to_str().expect("a name in UTF-8");
    check(&["env", "--data-dir", empty], &[], &["no server runs", "landfall serve"]);
    check(&["explain", "--data-dir", empty], &[], &["no server runs"]);
}

#[test]
fn the_certificate_of_the_operator_must_fit_its_key() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let [certificate, key] = ["server.crt", "server.key"].map(|name| temporary.path().join(name));
    std::fs::write(&certificate, "no certificate").expect("room");
    std::fs::write(&key, "no key").expect("room");
    let data = temporary.path().join("data");
    let path = |path: &std::path::Path| path.to_str().expect("a name in UTF-8").to_owned();
    let (certificate, key, data) = (path(&certificate), path(&key), path(&data));
    let arguments = ["serve", "--data-dir", &data, "--server-cert", &certificate, "--server-key", &key];
    check(&arguments, &[], &["server_cert", &certificate]);
}
