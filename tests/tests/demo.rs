//! What a person types first: `demo`, `env`, `serve`, and the sentences that a mistake brings.

use std::process::Command;

use landfall_tests::{DataDir, Finished, Options, PATIENCE, Server, finish};

#[test]
fn the_demo_lands_a_device_and_says_so() {
    let finished = finish(Server::program().args(["demo", "--once"]), PATIENCE).must_succeed();
    let steps = [
        "iot get-registration-code",
        "iot register-ca-certificate",
        "lambda create-function",
        "iot create-topic-rule",
        "closed without CONNACK: registered as PENDING_ACTIVATION",
        "CONNACK on attempt",
        "PUBACK",
        "iot describe-certificate",
        "ACTIVE",
        "START RequestId: ",
        "REPORT RequestId: ",
        "the device is active and its publish was acknowledged",
    ];
    let mut rest = finished.stdout.as_str();
    for step in steps {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step:?} does not follow in:\n{}", finished.text()));
        rest = &rest[at + step.len()..];
    }
    assert_eq!(finished.stderr, "", "nothing to warn of");
}

#[test]
fn env_points_the_cli_at_the_server() {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options { region: "eu-central-1", ..Options::default() });
    // The CLI by the name that the alias and the reader use; nothing of the machine's own configuration.
    let script = format!(
        "eval \"$('{}' env --data-dir '{}')\" && aws sts get-caller-identity --output json && echo \"$AWS_DEFAULT_REGION\"",
        Server::program().get_program().to_string_lossy(),
        server.data_path().display()
    );
    let mut path = server.aws().program_dir().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env_clear().env("PATH", path).env("HOME", data.path()).env("AWS_PAGER", "");
    let finished = finish(&mut command, PATIENCE).must_succeed();
    assert!(finished.stdout.contains("\"Arn\": \"arn:aws:iam::123456789012:root\""), "{}", finished.stdout);
    assert!(finished.stdout.ends_with("eu-central-1\n"), "{}", finished.stdout);
}

#[test]
fn sigterm_drains_and_exits_0() {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options::default());
    let run_file = server.data_path().join("run.json");
    let (code, stderr) = server.terminate();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!run_file.exists(), "nothing says any more that a server runs here");
}

#[test]
fn a_second_server_on_the_same_directory_changes_nothing() {
    let server = Server::start();
    let run = std::fs::read(server.data_path().join("run.json")).expect("a run file");
    let path = server.data_path().display().to_string();
    let second = serve(&["--data-dir", &path]);
    check_sentence(&second, &[&path]);
    assert_eq!(std::fs::read(server.data_path().join("run.json")).expect("a run file"), run);
    server.aws().run(&["sts", "get-caller-identity"]).must_succeed();
}

#[test]
fn what_was_registered_outlives_a_restart() {
    let data = DataDir::new();
    let first = Server::start_on(&data, &Options::default());
    let code = ["iot", "get-registration-code"];
    let before = first.aws().text(&code, "registrationCode");
    let (exit, stderr) = first.terminate();
    assert_eq!(exit, Some(0), "{stderr}");
    let second = Server::start_on(&data, &Options::default());
    assert_eq!(second.aws().text(&code, "registrationCode"), before);
}

/// Each mistake ends the program with one plain sentence that names the key.
#[test]
fn mistakes_are_named() {
    let data = DataDir::new();
    let config = data.file("wrong.toml");
    std::fs::write(&config, "regoin = \"us-east-1\"\n").expect("room for a file");
    let file = data.file("a-file");
    std::fs::write(&file, "").expect("room for a file");
    let (config, file) = (config.display().to_string(), file.display().to_string());
    let nowhere = data.file("nothing-here").display().to_string();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--region", "nowhere"], &["region", "nowhere"]),
        (&["--account-id", "12"], &["account_id", "12"]),
        (&["--server-cert", "some.pem"], &["server_cert", "server_key"]),
        (&["--config", &config], &["wrong.toml", "regoin"]),
        (&["--config", &nowhere], &["nothing-here"]),
        (&["--data-dir", &file], &["a-file"]),
    ];
    for (arguments, named) in cases {
        let mut arguments = arguments.to_vec();
        let default = data.file("data").display().to_string();
        if !arguments.contains(&"--data-dir") {
            arguments.extend(["--data-dir", &default]);
        }
        check_sentence(&serve(&arguments), named);
    }
}

#[test]
fn verbs_say_when_no_server_runs() {
    let data = DataDir::new();
    let path = data.path().display().to_string();
    for verb in ["env", "explain"] {
        let finished = finish(Server::program().args([verb, "--data-dir", &path]), PATIENCE);
        check_sentence(&finished, &["landfall serve"]);
    }
}

fn serve(arguments: &[&str]) -> Finished {
    let free_ports = ["serve", "--mqtt-addr", "127.0.0.1:0"];
    let mut command = Server::program();
    command.args(free_ports).args(arguments);
    if !arguments.contains(&"--api-addr") {
        command.args(["--api-addr", "127.0.0.1:0"]);
    }
    finish(&mut command, PATIENCE)
}

/// Not a panic, not a debug print, not a page of them.
#[track_caller]
fn check_sentence(finished: &Finished, named: &[&str]) {
    assert!(matches!(finished.code, Some(code) if code != 0), "{finished:?}");
    let said = finished.stderr.trim();
    for part in named {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("panicked") && !said.contains("Err("), "{said}");
    assert!(said.lines().count() <= 6 && said.len() < 600, "{said}");
    assert_eq!(finished.stdout, "");
}
