//! `run.json`: where the running server listens. Written when everything does, removed when it ends.

use std::fs;
use std::net::SocketAddr;

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

    /// What the AWS CLI and the SDKs are pointed at. An address that stands for all is reached on loopback.
    pub fn endpoint_url(&self) -> String {
        let mut addr = self.api_addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        format!("http://{addr}")
    }
}
