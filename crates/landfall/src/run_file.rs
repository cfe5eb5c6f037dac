//! `run.json`: where the running server listens. Written when everything does, removed when it ends.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Sentence;
use crate::data_dir::{DataDir, write_new};

const NAME: &str = "run.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    pub pid: u32,
    pub api_addr: SocketAddr,
    pub mqtt_addr: SocketAddr,
    pub alpn_addr: Option<SocketAddr>,
    pub plain_mqtt_addr: Option<SocketAddr>,
    pub region: String,
    pub account_id: String,
    /// The first name in the server's certificate: where devices connect to.
    pub endpoint: String,
    /// What the AWS CLI and the SDKs on this machine are pointed at.
    pub api_url: String,
    /// What clients are to trust; absent where it is a public CA that they know.
    pub root_ca: Option<PathBuf>,
    /// What the verbs of this program trust.
    pub root_ca_pem: String,
}

impl RunFile {
    pub fn write(&self, data_dir: &DataDir) -> Result<(), Sentence> {
        let json = serde_json::to_vec_pretty(self).map_err(|err| err.to_string())?;
        write_new(&data_dir.file(NAME), &json, 0o600)
    }

    pub fn read(data_dir: &DataDir) -> Result<Self, Sentence> {
        let path = data_dir.file(NAME);
        let text = fs::read(&path).map_err(|_| {
            format!("no server runs on {}. Start one: landfall serve --data-dir {0}", data_dir.path().display())
        })?;
        serde_json::from_slice(&text).map_err(|err| format!("{}: {err}.", path.display()).into())
    }

    pub fn remove(data_dir: &DataDir) {
        // Absent is what is wanted.
        let _ = fs::remove_file(data_dir.file(NAME));
    }

    /// Without the port, and an IPv6 address without its brackets.
    pub fn api_host(&self) -> &str {
        let authority = self.api_url.split_once("://").map_or(self.api_url.as_str(), |(_, authority)| authority);
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn has_tls(&self) -> bool {
        self.api_url.starts_with("https://")
    }
}
