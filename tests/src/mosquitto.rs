//! `mosquitto_pub` and `mosquitto_sub`, as the walkthrough calls them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Finished, PATIENCE, Running, start};

/// What a device has been given.
#[derive(Clone, Debug)]
pub struct Credential {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug)]
pub struct Mosquitto {
    endpoint: String,
    port: String,
    root_ca: PathBuf,
    credential: Option<Credential>,
    openssl_conf: Option<PathBuf>,
    /// Of whichever program is called.
    arguments: Vec<String>,
}

impl Mosquitto {
    pub(crate) fn new(endpoint: &str, port: u16, root_ca: &Path) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            port: port.to_string(),
            root_ca: root_ca.to_owned(),
            credential: None,
            openssl_conf: None,
            arguments: Vec::new(),
        }
    }

    pub fn with_endpoint(mut self, endpoint: &str) -> Self {
        endpoint.clone_into(&mut self.endpoint);
        self
    }

    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port.to_string();
        self
    }

    pub fn with_credential(mut self, credential: &Credential) -> Self {
        self.credential = Some(credential.clone());
        self
    }

    /// mosquitto's own `--tls-version tlsv1.2` negotiates 1.3 where it can.
    pub fn with_openssl_conf(mut self, path: PathBuf) -> Self {
        self.openssl_conf = Some(path);
        self
    }

    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// `mosquitto_pub ... -q 1 -t TOPIC -i CLIENT -m MESSAGE -d`, with the walkthrough's `--tls-version tlsv1.2`.
    pub fn publish(&self, client_id: &str, topic: &str, message: &str) -> Finished {
        let mut command = self.command("mosquitto_pub", client_id);
        command.args(["-q", "1", "-t", topic, "-m", message, "--tls-version", "tlsv1.2", "-d"]);
        start(&mut command, &[]).finish(PATIENCE)
    }

    /// Prints `topic payload` for each of `count` messages, and ends after the last.
    pub fn subscribe(&self, client_id: &str, filter: &str, count: usize) -> Running {
        let mut command = self.command("mosquitto_sub", client_id);
        let count = count.to_string();
        command.args(["-q", "1", "-t", filter, "-C", &count, "-W", "25"]);
        if !self.arguments.iter().any(|argument| argument == "-F") {
            command.arg("-v");
        }
        start(&mut command, &[])
    }

    fn command(&self, program: &str, client_id: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", &self.endpoint, "-p", &self.port, "-i", client_id]).arg("--cafile").arg(&self.root_ca);
        if let Some(credential) = &self.credential {
            command.arg("--cert").arg(&credential.certificate).arg("--key").arg(&credential.key);
        }
        command.args(&self.arguments);
        match &self.openssl_conf {
            Some(path) => command.env("OPENSSL_CONF", path),
            None => command.env_remove("OPENSSL_CONF"),
        };
        command
    }
}
