//! Misused, the program ends with one plain sentence that names what is wrong and what to do.

use std::process::{Command, Output, Stdio};

use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};

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
    check(&["serve", "--plain-mqtt-addr", "0.0.0.0:1883"], &[], &["plain_mqtt_addr", "loopback"]);
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

struct Files {
    temporary: tempfile::TempDir,
}

impl Files {
    fn path(&self, name: &str) -> String {
        self.temporary.path().join(name).to_str().expect("a name in UTF-8").to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("room for a few bytes");
    }

    /// A certificate that signed itself, valid these days from now on, and its key.
    fn pair(&self, name: &str, names: &[&str], days: std::ops::Range<i64>) {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(days.start);
        params.not_after = now + Duration::days(days.end);
        self.write(&format!("{name}.crt"), &params.self_signed(&key).expect("a certificate").pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }
}

#[test]
fn the_certificate_of_the_operator_must_be_usable() {
    let files = Files { temporary: tempfile::tempdir().expect("a temporary directory") };
    files.pair("good", &["iot.example.com"], -1..30);
    files.pair("other", &["iot.example.com"], -1..30);
    files.pair("expired", &["iot.example.com"], -30..-1);
    files.pair("early", &["iot.example.com"], 2..30);
    files.pair("nameless", &[], -1..30);
    files.write("empty", "");
    files.write("text", "no certificate");
    files.write("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let data = files.path("data");
    let no_more: &[&str] = &[];
    for (certificate, key, more, named) in [
        ("absent", "good.key", no_more, &["server_cert", "absent", "No such file"][..]),
        ("good.crt", "absent", no_more, &["server_key", "absent", "No such file"]),
        ("empty", "good.key", no_more, &["server_cert", "empty", "no CERTIFICATE"]),
        ("text", "text", no_more, &["server_cert", "no CERTIFICATE"]),
        ("broken.crt", "good.key", no_more, &["server_cert", "broken.crt", "cannot be read"]),
        ("good.crt", "text", no_more, &["server_key", "text", "holds none", "without a password"]),
        ("good.crt", "good.crt", no_more, &["server_key", "good.crt", "holds none"]),
        ("good.crt", "other.key", no_more, &["server_key", "other.key", "does not belong to"]),
        ("expired.crt", "expired.key", no_more, &["server_cert", "expired at", "Renew it"]),
        ("early.crt", "early.key", no_more, &["server_cert", "is valid from", "clock"]),
        ("nameless.crt", "nameless.key", no_more, &["names no host", "--endpoint-name"]),
        (
            "good.crt",
            "good.key",
            &["--endpoint-name", "else.example.com"],
            &["endpoint_name else.example.com", "iot.example.com"],
        ),
        ("good.crt", "good.key", &["--server-ca", "/absent.pem"], &["server_ca /absent.pem"]),
    ] {
        let (certificate, key) = (files.path(certificate), files.path(key));
        let mut arguments = vec!["serve", "--data-dir", &data, "--server-cert", &certificate, "--server-key", &key];
        arguments.extend(more);
        check(&arguments, &[], named);
    }
}

/// `landfall ... | head -1`
#[test]
fn a_reader_that_has_gone_is_no_fault() {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    for arguments in
        [&["ca", "new"][..], &["device", "new"], &["doctor", "--api-addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(arguments).env_clear().current_dir(temporary.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
    }
}
