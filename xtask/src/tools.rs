//! What the tests need beside Rust: Debian packages; under target/ a Python environment with the AWS CLI v1, boto3,
//! paho-mqtt and the AWS IoT Device SDK, the AWS CLI v2, and for JavaScript the AWS SDKs and mqtt.js.

mod aws_cli_2;
mod javascript;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{run, succeeds};

/// The programs that the black-box tests call, and the Debian package that brings each.
const DEBIAN: [(&str, &str); 5] = [
    ("mosquitto_pub", "mosquitto-clients"),
    ("openssl", "openssl"),
    // Debian's own: AWS CLI v2 as Debian packages it runs on it.
    ("/usr/bin/python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// Pinned: a new version of a client is a change worth seeing.
const PYTHON: [&str; 4] = ["awscli==1.45.11", "boto3==1.43.11", "paho-mqtt==2.1.0", "awsiotsdk==1.31.0"];

pub fn target_dir(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root.join(dir),
        None => root.join("target"),
    }
}

pub fn install(root: &Path) -> Result<(), String> {
    let tools = target_dir(root).join("test-tools");
    install_debian()?;
    install_python(&tools)?;
    aws_cli_2::install(&tools, || apt(&["update", "-q"]))?;
    javascript::install(root, &tools)
}

fn install_debian() -> Result<(), String> {
    let missing: Vec<&str> =
        DEBIAN.iter().filter(|(program, _)| !is_on_path(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_on_path("apt-get") {
        return Err(format!("The tests need {}; install them with this system's package manager.", missing.join(", ")));
    }
    println!("== Debian packages: {}", missing.join(" "));
    // An old list may name versions that are gone; a failed update may still leave a list that will do.
    let updated = apt(&["update", "-q"]);
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install).map_err(|err| match updated {
        Ok(()) => err,
        Err(update) => format!("{update}\n{err}"),
    })
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root() {
        command.args(["-n", "apt-get"]);
    }
    run(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
}

/// Made once; made again when the pinned versions change.
fn install_python(tools: &Path) -> Result<(), String> {
    let environment = tools.join("python");
    let stamp = environment.join("installed.txt");
    let wanted = PYTHON.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("== Python environment: {}", PYTHON.join(" "));
    std::fs::create_dir_all(tools).map_err(|err| format!("{}: {err}", tools.display()))?;
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command.args(["install", "-q", "-y", "--no-install-recommends", "python3-venv"]))?;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON);
    run(&mut pip)?;
    std::fs::write(&stamp, wanted).map_err(|err| format!("{}: {err}", stamp.display()))
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
