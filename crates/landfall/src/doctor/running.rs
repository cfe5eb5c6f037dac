//! The server runs: both doors are tried as clients try them, and it is asked what it knows.

use std::net::SocketAddr;
use std::time::Duration;

use domain::x509::Certificate;
use fleet::{AwsRequest, ClientTls, TlsConnection};
use services::inspection::Inspection;

use super::{Finding, certificates, registry};
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::server_certificate::reachable;
use crate::settings::Settings;
use crate::{Sentence, client};

/// A server on this machine that takes longer does not answer at all.
const DEADLINE: Duration = Duration::from_secs(5);
const HEALTH: &str = "/_landfall/health";

/// Whether anything answers where the run file says.
pub async fn answers(run: &RunFile, data_dir: &DataDir) -> bool {
    health(run, data_dir).await.is_ok()
}

async fn health(run: &RunFile, data_dir: &DataDir) -> Result<String, Sentence> {
    let request = AwsRequest { service: "landfall", path: HEALTH, ..AwsRequest::default() };
    let client = client::of(run, data_dir)?.with_deadline(DEADLINE);
    let answer = client.call(&request).await.map_err(|err| format!("{}: {err}.", run.api_url))?;
    let health = answer.json().map_err(|err| err.to_string())?;
    Ok(format!("process {}, version {}, says {}", run.pid, health["version"], health["status"]).replace('"', ""))
}

pub async fn findings(settings: &Settings, run: &RunFile, data_dir: &DataDir) -> Vec<Finding> {
    let mut findings = vec![Finding::of("server", health(run, data_dir).await)];
    findings.extend(another_configuration(settings, run));
    findings.push(Finding::good("API", format!("answers at {}", run.api_url)));
    findings.extend(device_doors(run).await);
    let now = services::Clock::system().now();
    match inspection(data_dir).await {
        Ok(inspection) => {
            findings.push(Finding::good("store", "the running server holds it"));
            findings.extend(registry::findings(&inspection, now));
        }
        Err(Sentence(text)) => findings.push(Finding::wrong("store", text)),
    }
    findings
}

/// What was read is then not the configuration that the server has, and a start with it would be refused.
fn another_configuration(settings: &Settings, run: &RunFile) -> Option<Finding> {
    let read = (settings.region.to_string(), settings.account.to_string());
    (read != (run.region.clone(), run.account_id.clone())).then(|| {
        let text = format!(
            "the running server's region is {} and its account {}: give the flags that it was started with (--config FILE)",
            run.region, run.account_id
        );
        Finding::wrong("config", text)
    })
}

/// The TLS handshake up to the client's certificate, as devices make it.
async fn device_doors(run: &RunFile) -> Vec<Finding> {
    let tls = match ClientTls::new(&run.root_ca_pem, &run.endpoint) {
        Ok(tls) => tls,
        Err(err) => return vec![Finding::wrong("devices", err.to_string())],
    };
    let shown = device_door("devices", run, run.mqtt_addr, &tls).await;
    let now = services::Clock::system().now();
    let certificate = match &shown {
        Ok((_, shown)) => shown.as_ref().map(|shown| certificates::of_server("the server's", shown.not_after(), now)),
        Err(_) => None,
    };
    let mut findings = vec![shown.map_or_else(|wrong| wrong, |(good, _)| good)];
    findings.extend(certificate);
    if let Some(addr) = run.alpn_addr {
        let shown = device_door("ALPN", run, addr, &tls.with_alpn("x-amzn-mqtt-ca")).await;
        findings.push(shown.map_or_else(|wrong| wrong, |(good, _)| good));
    }
    findings
}

/// With the certificate that the server shows there.
async fn device_door(
    what: &'static str,
    run: &RunFile,
    addr: SocketAddr,
    tls: &ClientTls,
) -> Result<(Finding, Option<Certificate>), Finding> {
    let addr = reachable(addr);
    let place = format!("{}:{}", run.endpoint, addr.port());
    match TlsConnection::open(addr, tls, DEADLINE).await {
        Err(err) => Err(Finding::wrong(what, format!("{place} cannot be used by devices: {err}"))),
        Ok(connection) => Ok((Finding::good(what, format!("TLS answers at {place}")), connection.server_certificate())),
    }
}

async fn inspection(data_dir: &DataDir) -> Result<Inspection, Sentence> {
    let answer = client::get_own(data_dir.path(), "/_landfall/inspection", "").await?;
    serde_json::from_value(answer["inspection"].clone())
        .map_err(|err| format!("the server's answer cannot be read: {err}.").into())
}
