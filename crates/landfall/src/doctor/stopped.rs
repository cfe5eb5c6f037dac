//! No server runs: what it would meet at its start is tried here, the store's opening included.

use std::net::{SocketAddr, TcpListener};

use domain::Timestamp;
use domain::x509::Certificate;
use store::Store;

use super::{Finding, certificates, registry};
use crate::Sentence;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::serve::Core;
use crate::server_certificate::ServerCertificates;
use crate::settings::Settings;

pub async fn findings(settings: &Settings, data_dir: &DataDir, left: Option<&RunFile>) -> Vec<Finding> {
    let mut findings = vec![match left {
        None => Finding::good("server", "none runs here"),
        Some(run) => Finding::note(
            "server",
            format!(
                "process {} was killed, or does not answer at {}; start it again: landfall serve",
                run.pid, run.api_url
            ),
        ),
    }];
    findings.extend(ports(settings));
    let now = services::Clock::system().now();
    findings.extend(server_certificate(settings, data_dir, now));
    match open(settings, data_dir) {
        Err(Sentence(text)) => findings.push(Finding::wrong("store", text)),
        Ok(core) => {
            let belongs =
                core.services.check_identity().map(|()| "opens, and is of this account and region".to_owned());
            findings.push(Finding::of("store", belongs.map_err(|err| err.message.into())));
            match core.services.inspect() {
                Ok(inspection) => findings.extend(registry::findings(&inspection, now)),
                Err(err) => findings.push(Finding::wrong("store", err.message)),
            }
            core.functions.close().await;
            core.store.close().await;
        }
    }
    findings
}

/// As the start does it, up to the doors.
fn open(settings: &Settings, data_dir: &DataDir) -> Result<Core, Sentence> {
    let store = Store::open(&data_dir.file("store")).map_err(|err| err.to_string())?;
    let root = data_dir.read_root_credentials()?;
    Core::build(settings, data_dir, store, root, settings.endpoint_names.clone(), services::Clock::system())
}

/// The server renews its own by itself; the root above it, and an operator's, it cannot.
fn server_certificate(settings: &Settings, data_dir: &DataDir, now: Timestamp) -> Option<Finding> {
    if settings.own_certificate.is_some() {
        return Some(match ServerCertificates::open(settings, data_dir, now) {
            Ok(own) => certificates::of_server("the server's", own.expires(), now),
            Err(Sentence(text)) => Finding::wrong("certificate", text),
        });
    }
    let root = data_dir.file("root-CA.crt");
    let pem = std::fs::read_to_string(&root).ok()?;
    Some(match Certificate::from_pem(&pem) {
        Ok(root) => certificates::of_server("the server's own root", root.not_after(), now),
        Err(err) => Finding::wrong("certificate", format!("{}: {err}. Restore it from a copy", root.display())),
    })
}

pub fn ports(settings: &Settings) -> Vec<Finding> {
    let mut ports = vec![("api_addr", settings.api_addr), ("mqtt_addr", settings.mqtt_addr)];
    ports.extend(settings.alpn_addr.map(|addr| ("alpn_addr", addr)));
    ports.extend(settings.plain_mqtt_addr.map(|addr| ("plain_mqtt_addr", addr)));
    ports.into_iter().map(|(name, addr)| port(name, addr)).collect()
}

fn port(name: &'static str, addr: SocketAddr) -> Finding {
    match TcpListener::bind(addr) {
        Ok(_) => Finding::good("port", format!("{name} {addr} is free")),
        Err(err) => {
            let flag = name.replace('_', "-");
            let text = format!("{name} {addr}: {err}. End what listens there, or choose another address with --{flag}");
            Finding::wrong("port", text)
        }
    }
}
