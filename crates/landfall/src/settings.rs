//! What the server runs with: the flag wins, then the environment variable, then the file, then the default.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use domain::{AccountId, Region};
use serde::Deserialize;
use services::{Checkpoints, Step};

use crate::Sentence;
use crate::cli::ServeFlags;

/// The pauses before Lambda's second and third attempt of an asynchronous invocation.
const ASYNC_RETRY_S_DEFAULT: [u32; 2] = [60, 120];

#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub api_addr: SocketAddr,
    pub mqtt_addr: SocketAddr,
    pub region: Region,
    pub account: AccountId,
    pub endpoint_names: Vec<String>,
    pub own_certificate: Option<(PathBuf, PathBuf)>,
    pub async_retry_ms: Vec<i64>,
    pub checkpoints: Checkpoints,
}

/// The file. A key that nobody knows is a mistake worth hearing of.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    api_addr: Option<SocketAddr>,
    mqtt_addr: Option<SocketAddr>,
    alpn_addr: Option<SocketAddr>,
    plain_mqtt_addr: Option<SocketAddr>,
    region: Option<String>,
    account_id: Option<String>,
    #[serde(default)]
    endpoint_names: Vec<String>,
    server_cert: Option<PathBuf>,
    server_key: Option<PathBuf>,
    insecure_http: Option<bool>,
    #[serde(default)]
    functions: Functions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    /// Seconds before the second, third ... attempt of an asynchronous invocation.
    async_retry_s: Option<Vec<u32>>,
}

impl Settings {
    pub fn of(flags: &ServeFlags) -> Result<Self, Sentence> {
        let file = flags.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        for (name, given) in [
            ("alpn_addr", flags.alpn_addr.or(file.alpn_addr)),
            ("plain_mqtt_addr", flags.plain_mqtt_addr.or(file.plain_mqtt_addr)),
        ] {
            if given.is_some() {
                return Err(format!("{name} is not served yet. Leave it out; devices connect to mqtt_addr.").into());
            }
        }
        let api_addr = flags.api_addr.or(file.api_addr).unwrap_or_else(|| loopback(4566));
        if !api_addr.ip().is_loopback() && !flags.insecure_http && file.insecure_http != Some(true) {
            return Err(format!(
                "api_addr {api_addr} is not a loopback address, and the API would be served without TLS there. Use 127.0.0.1, or allow it with --insecure-http."
            )
            .into());
        }
        let region = flags.region.clone().or(file.region).unwrap_or_else(|| "us-east-1".to_owned());
        let account = flags.account_id.clone().or(file.account_id).unwrap_or_else(|| "123456789012".to_owned());
        let own_certificate =
            match (flags.server_cert.clone().or(file.server_cert), flags.server_key.clone().or(file.server_key)) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                (Some(_), None) => return Err("server_cert is given without server_key; give both.".into()),
                (None, Some(_)) => return Err("server_key is given without server_cert; give both.".into()),
            };
        let retry_s = file.functions.async_retry_s.unwrap_or_else(|| ASYNC_RETRY_S_DEFAULT.to_vec());
        Ok(Self {
            data_dir: flags.data_dir.clone().or(file.data_dir).unwrap_or_else(|| PathBuf::from("./landfall-data")),
            api_addr,
            mqtt_addr: flags.mqtt_addr.or(file.mqtt_addr).unwrap_or_else(|| loopback(8883)),
            region: region.parse().map_err(|err| format!("region {region:?} is not a region: {err}."))?,
            account: account.parse().map_err(|err| format!("account_id {account:?} is not an account id: {err}."))?,
            endpoint_names: endpoint_names(&flags.endpoint_names, file.endpoint_names)?,
            own_certificate,
            async_retry_ms: retry_s.into_iter().map(|seconds| i64::from(seconds) * 1000).collect(),
            checkpoints: checkpoints(flags.halt_at.as_deref())?,
        })
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn read_file(path: &Path) -> Result<File, Sentence> {
    let text = fs::read_to_string(path).map_err(|err| format!("config file {}: {err}.", path.display()))?;
    toml::from_str(&text).map_err(|err| format!("config file {}: {}", path.display(), err).trim_end().into())
}

fn endpoint_names(flags: &[String], file: Vec<String>) -> Result<Vec<String>, Sentence> {
    let names = if flags.is_empty() { file } else { flags.to_vec() };
    if names.is_empty() {
        return Ok(vec!["localhost".to_owned()]);
    }
    for name in &names {
        let host = |c: char| c.is_ascii_alphanumeric() || "-.*".contains(c);
        if name.parse::<IpAddr>().is_err() && (name.is_empty() || name.len() > 253 || !name.chars().all(host)) {
            return Err(format!(
                "endpoint_name {name:?} is neither a host name nor an address. Give it without scheme and port."
            )
            .into());
        }
    }
    Ok(names)
}

/// `step` or `step:occasion`. The process says where it stands and stands there, so that it can be killed.
fn checkpoints(halt_at: Option<&str>) -> Result<Checkpoints, Sentence> {
    let Some(halt_at) = halt_at else { return Ok(Checkpoints::default()) };
    let (name, occasion) = halt_at.split_once(':').unwrap_or((halt_at, ""));
    let Some(step) = Step::ALL.into_iter().find(|step| step.as_str() == name) else {
        return Err(format!("halt_at {name:?} is no step of a first connection.").into());
    };
    let occasion = occasion.to_owned();
    Ok(Checkpoints::from_fn(move |passed, what| {
        if passed == step && (occasion.is_empty() || occasion == what) {
            eprintln!("halted at {}", step.as_str());
            loop {
                std::thread::park();
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn with_file(text: &str, change: impl FnOnce(&mut ServeFlags)) -> Result<Settings, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room for a few bytes");
        let mut flags = ServeFlags { config: Some(file.path().to_owned()), ..ServeFlags::default() };
        change(&mut flags);
        Settings::of(&flags).map_err(|Sentence(sentence)| sentence)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let settings = with_file("region = \"cn-north-1\"\naccount_id = \"210987654321\"\n", |flags| {
            flags.account_id = Some("111111111111".into());
        })
        .expect("good settings");
        assert_eq!(settings.region.as_str(), "cn-north-1");
        assert_eq!(settings.account.as_str(), "111111111111");
        assert_eq!(settings.mqtt_addr, loopback(8883));
        assert_eq!(settings.async_retry_ms, [60_000, 120_000]);
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, named) in [
            ("regoin = \"x\"", "regoin"),
            ("region = \"nowhere\"", "region"),
            ("account_id = \"1\"", "account_id"),
            ("api_addr = \"10.0.0.1:4566\"", "--insecure-http"),
            ("server_cert = \"a.pem\"", "server_key"),
            ("endpoint_names = [\"https://x\"]", "endpoint_name"),
            ("alpn_addr = \"127.0.0.1:443\"", "alpn_addr"),
            ("api_addr = \"nothing\"", "api_addr"),
        ] {
            let sentence = with_file(text, |_| ()).expect_err(text);
            assert!(sentence.contains(named), "{text}: {sentence}");
        }
    }
}
