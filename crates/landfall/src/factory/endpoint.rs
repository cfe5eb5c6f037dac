//! Where a CA is registered: the running server, or any endpoint that speaks AWS IoT's API.

use std::path::{Path, PathBuf};

use fleet::{AwsClient, ClientTls, Credentials};

use super::arguments::EndpointFlags;
use super::read;
use crate::Sentence;
use crate::client;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;

/// Where systems keep the certificates that they trust.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const HTTPS: &str = "https://";
const HTTPS_PORT: u16 = 443;

pub fn client(flags: &EndpointFlags) -> Result<AwsClient, Sentence> {
    match &flags.endpoint_url {
        None => {
            let data_dir = DataDir::existing(&flags.data_dir)?;
            client::of(&RunFile::read(&data_dir)?, &data_dir)
        }
        Some(url) => elsewhere(url, flags),
    }
}

fn elsewhere(url: &str, flags: &EndpointFlags) -> Result<AwsClient, Sentence> {
    let credentials = Credentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN").ok(),
    };
    let region = flags.region.clone().or_else(|| variable("AWS_REGION").ok());
    let Some(region) = region.or_else(|| variable("AWS_DEFAULT_REGION").ok()) else {
        return Err("the endpoint's region is not known. Name it with --region, or set AWS_REGION.".into());
    };
    let wrong = |err: fleet::Error| Sentence(format!("--endpoint-url {url}: {err}."));
    let Some(host_and_port) = url.strip_prefix(HTTPS) else {
        return AwsClient::new(url, &region, credentials).map_err(wrong);
    };
    let (host, port) = host_of(host_and_port)
        .ok_or_else(|| format!("--endpoint-url {url} is no https:// address of a host and, perhaps, a port."))?;
    let bundle = bundle(flags.ca_bundle.as_deref())?;
    let trusted = read(&bundle, "Name the certificates to trust with --ca-bundle.")?;
    let tls = ClientTls::new(&trusted, host).map_err(wrong)?;
    AwsClient::with_tls(host, port, &tls, &region, credentials).map_err(wrong)
}

fn variable(name: &str) -> Result<String, Sentence> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        format!("{name} is not set. --endpoint-url needs an AWS key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
            .into()
    })
}

fn host_of(host_and_port: &str) -> Option<(&str, u16)> {
    let host_and_port = host_and_port.strip_suffix('/').unwrap_or(host_and_port);
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (host_and_port, HTTPS_PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains('/')).then_some((host, port))
}

fn bundle(named: Option<&Path>) -> Result<PathBuf, Sentence> {
    let system = || SYSTEM_BUNDLES.into_iter().map(PathBuf::from).find(|path| path.exists());
    named.map(Path::to_owned).or_else(system).ok_or_else(|| {
        "this system keeps no list of trusted certificates in a usual place. Name one with --ca-bundle.".into()
    })
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn hosts_and_ports() {
        for (text, expected) in [
            ("iot.eu-west-1.amazonaws.com", Some(("iot.eu-west-1.amazonaws.com", 443))),
            ("iot.example:8443/", Some(("iot.example", 8443))),
            ("[::1]:8443", Some(("::1", 8443))),
            ("[::1]", Some(("::1", 443))),
            ("iot.example:port", None),
            ("iot.example/path", None),
            ("", None),
        ] {
            assert_eq!(host_of(text), expected, "{text}");
        }
    }
}
