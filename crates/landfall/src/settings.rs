//! What the server runs with: the flag wins, then the environment variable, then the file, then the default.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker::BrokerLimits;
use domain::quota::AccountRates;
use domain::rate::Rate;
use domain::{AccountId, Region};
use gateway::{Limits as DeviceLimits, SESSION_EXPIRY_S_BOUND, SessionResumption};
use serde::Deserialize;
use services::rates::RateLimits;
use services::{Checkpoints, Step};

use crate::Sentence;
use crate::broker_limits::BrokerKeys;
use crate::cli::ServeFlags;
use crate::server_certificate::OwnFiles;

/// The pauses before Lambda's second and third attempt of an asynchronous invocation.
const ASYNC_RETRY_S_DEFAULT: [u32; 2] = [60, 120];

/// Each is in memory, for every connection that is slow.
const INBOX_MESSAGES_BOUND: u32 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub api_addr: SocketAddr,
    pub mqtt_addr: SocketAddr,
    pub alpn_addr: Option<SocketAddr>,
    pub plain_mqtt_addr: Option<SocketAddr>,
    pub region: Region,
    pub account: AccountId,
    /// As asked for; empty where the certificate decides.
    pub endpoint_names: Vec<String>,
    pub own_certificate: Option<OwnFiles>,
    pub api_transport: ApiTransport,
    pub api_limits: api::Limits,
    pub device_limits: DeviceLimits,
    pub broker_limits: BrokerLimits,
    pub rates: RateLimits,
    pub async_retry_ms: Vec<i64>,
    pub checkpoints: Checkpoints,
}

/// How the API is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiTransport {
    Http,
    Https,
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
    server_ca: Option<PathBuf>,
    insecure_http: Option<bool>,
    api_tls: Option<bool>,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    broker: BrokerKeys,
    #[serde(default)]
    functions: Functions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    /// Seconds before the second, third ... attempt of an asynchronous invocation.
    async_retry_s: Option<Vec<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    /// Devices may come back without a whole handshake.
    #[serde(default)]
    session_resumption: bool,
}

/// What one address, or all of them, may take of the doors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    api_connections: Option<usize>,
    api_connections_per_address: Option<usize>,
    device_connections: Option<usize>,
    device_connections_per_address: Option<usize>,
    device_handshakes: Option<usize>,
    device_handshakes_per_address: Option<usize>,
    handshake_timeout_s: Option<u32>,
    /// For how long a session outlives its connection at most.
    session_expiry_s: Option<u32>,
    /// What waits in memory for one connection.
    device_inbox_messages: Option<u32>,
    /// Unacknowledged messages of a connection to the plain listener.
    plain_in_flight: Option<u32>,
    /// `report` or `enforce`: AWS's rates, and those of them that AWS raises for an account.
    rates: Option<Excess>,
    connects_per_s: Option<u32>,
    publishes_in_per_s: Option<u32>,
    publishes_out_per_s: Option<u32>,
    subscribes_per_s: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Excess {
    Report,
    Enforce,
}

impl Limits {
    fn rates(&self) -> Result<RateLimits, Sentence> {
        let mut account = AccountRates::default();
        for (name, given, rate) in [
            ("connects_per_s", self.connects_per_s, &mut account.connects),
            ("publishes_in_per_s", self.publishes_in_per_s, &mut account.publishes_in),
            ("publishes_out_per_s", self.publishes_out_per_s, &mut account.publishes_out),
            ("subscribes_per_s", self.subscribes_per_s, &mut account.subscribes),
        ] {
            if let Some(per_s) = given {
                let none = || format!("limits.{name} is 0, and nothing would ever pass. Give 1 or more.");
                *rate = Rate::per_s(per_s).ok_or_else(none)?;
            }
        }
        let excess = match self.rates {
            None | Some(Excess::Report) => services::rates::Excess::Reported,
            Some(Excess::Enforce) => services::rates::Excess::Enforced,
        };
        Ok(RateLimits { account, excess })
    }

    fn apply(&self) -> Result<(api::Limits, DeviceLimits), Sentence> {
        let (mut api, mut device) = (api::Limits::default(), DeviceLimits::default());
        for (name, given, limit) in [
            ("api_connections", self.api_connections, &mut api.connections_max),
            ("api_connections_per_address", self.api_connections_per_address, &mut api.connections_per_address_max),
            ("device_connections", self.device_connections, &mut device.connections_max),
            (
                "device_connections_per_address",
                self.device_connections_per_address,
                &mut device.connections_per_address_max,
            ),
            ("device_handshakes", self.device_handshakes, &mut device.handshakes_max),
            (
                "device_handshakes_per_address",
                self.device_handshakes_per_address,
                &mut device.handshakes_per_address_max,
            ),
        ] {
            match given {
                Some(0) => return Err(format!("limits.{name} is 0, and nobody could connect. Give 1 or more.").into()),
                Some(given) => *limit = given,
                None => {}
            }
        }
        match self.handshake_timeout_s {
            Some(0) => return Err("limits.handshake_timeout_s is 0, and nobody could connect. Give 1 or more.".into()),
            Some(seconds) => {
                let timeout = Duration::from_secs(u64::from(seconds));
                (api.handshake_timeout, device.handshake_timeout) = (timeout, timeout);
            }
            None => {}
        }
        match self.session_expiry_s {
            Some(given) if given > SESSION_EXPIRY_S_BOUND => {
                let why = format!(
                    "limits.session_expiry_s is {given}, and no session is kept for longer than seven days. Give \
                     {SESSION_EXPIRY_S_BOUND} or less."
                );
                return Err(why.into());
            }
            Some(given) => device.session_expiry_s_max = given,
            None => {}
        }
        if let Some(messages) = within("device_inbox_messages", self.device_inbox_messages, INBOX_MESSAGES_BOUND)? {
            device.inbox_messages_max = usize::try_from(messages).unwrap_or(usize::MAX);
        }
        if let Some(messages) = within("plain_in_flight", self.plain_in_flight, u16::MAX.into())? {
            device.plain_in_flight_max = u16::try_from(messages).unwrap_or(u16::MAX);
        }
        Ok((api, device))
    }
}

fn within(name: &str, given: Option<u32>, most: u32) -> Result<Option<u32>, Sentence> {
    match given {
        Some(given) if given == 0 || given > most => {
            Err(format!("limits.{name} is {given}. Give a number from 1 to {most}.").into())
        }
        given => Ok(given),
    }
}

impl Settings {
    pub fn of(flags: &ServeFlags) -> Result<Self, Sentence> {
        let file = flags.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let api_addr = flags.api_addr.or(file.api_addr).unwrap_or_else(|| loopback(4566));
        let given = |flag: bool, key: Option<bool>| if flag { Some(true) } else { key };
        let api_transport = api_transport(
            api_addr,
            given(flags.api_tls, file.api_tls),
            given(flags.insecure_http, file.insecure_http).unwrap_or(false),
        )?;
        let region = flags.region.clone().or(file.region).unwrap_or_else(|| "us-east-1".to_owned());
        let account = flags.account_id.clone().or(file.account_id).unwrap_or_else(|| "123456789012".to_owned());
        let own_certificate = own_certificate(
            flags.server_cert.clone().or(file.server_cert),
            flags.server_key.clone().or(file.server_key),
            flags.server_ca.clone().or(file.server_ca),
        )?;
        let (api_limits, mut device_limits) = file.limits.apply()?;
        if file.tls.session_resumption {
            device_limits.session_resumption = SessionResumption::Tickets;
        }
        let rates = file.limits.rates()?;
        let retry_s = file.functions.async_retry_s.unwrap_or_else(|| ASYNC_RETRY_S_DEFAULT.to_vec());
        Ok(Self {
            data_dir: flags.data_dir.clone().or(file.data_dir).unwrap_or_else(|| PathBuf::from("./landfall-data")),
            api_addr,
            mqtt_addr: flags.mqtt_addr.or(file.mqtt_addr).unwrap_or_else(|| loopback(8883)),
            alpn_addr: flags.alpn_addr.or(file.alpn_addr),
            plain_mqtt_addr: plain_mqtt_addr(flags.plain_mqtt_addr.or(file.plain_mqtt_addr))?,
            region: region.parse().map_err(|err| format!("region {region:?} is not a region: {err}."))?,
            account: account.parse().map_err(|err| format!("account_id {account:?} is not an account id: {err}."))?,
            endpoint_names: endpoint_names(&flags.endpoint_names, file.endpoint_names)?,
            own_certificate,
            api_transport,
            api_limits,
            device_limits,
            broker_limits: file.broker.limits()?,
            rates,
            async_retry_ms: retry_s.into_iter().map(|seconds| i64::from(seconds) * 1000).collect(),
            checkpoints: checkpoints(flags.halt_at.as_deref())?,
        })
    }
}

/// Nobody is asked there who they are.
fn plain_mqtt_addr(addr: Option<SocketAddr>) -> Result<Option<SocketAddr>, Sentence> {
    match addr {
        Some(addr) if !addr.ip().to_canonical().is_loopback() => Err(format!(
            "plain_mqtt_addr {addr} is not a loopback address, and whoever reached it could publish and hear everything without a certificate. Give 127.0.0.1 or [::1] with a port; devices connect to mqtt_addr."
        )
        .into()),
        addr => Ok(addr),
    }
}

/// Off loopback signatures and secrets would pass in the clear.
fn api_transport(addr: SocketAddr, tls: Option<bool>, insecure: bool) -> Result<ApiTransport, Sentence> {
    match (tls, insecure) {
        (Some(true), true) => Err("api_tls and insecure_http exclude each other; leave one out.".into()),
        (Some(true), false) => Ok(ApiTransport::Https),
        (_, true) => Ok(ApiTransport::Http),
        _ if addr.ip().to_canonical().is_loopback() => Ok(ApiTransport::Http),
        (Some(false), false) => Err(format!(
            "api_addr {addr} is not a loopback address, and api_tls = false would serve the API without TLS there. Leave it out, or allow it with --insecure-http."
        )
        .into()),
        (None, false) => Ok(ApiTransport::Https),
    }
}

fn own_certificate(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    root: Option<PathBuf>,
) -> Result<Option<OwnFiles>, Sentence> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(OwnFiles { certificate, key, root })),
        (None, None) if root.is_some() => {
            Err("server_ca is given without server_cert and server_key; give all three.".into())
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err("server_cert is given without server_key; give both.".into()),
        (None, Some(_)) => Err("server_key is given without server_cert; give both.".into()),
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
    for name in &names {
        let host = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
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
    fn the_api_has_tls_off_loopback_and_on_wish() {
        for (text, expected) in [
            ("", ApiTransport::Http),
            ("api_addr = \"[::1]:4566\"", ApiTransport::Http),
            ("api_addr = \"127.0.0.2:4566\"\napi_tls = false", ApiTransport::Http),
            ("api_tls = true", ApiTransport::Https),
            ("api_addr = \"0.0.0.0:4566\"", ApiTransport::Https),
            ("api_addr = \"[::]:4566\"", ApiTransport::Https),
            ("api_addr = \"192.0.2.1:4566\"\napi_tls = true", ApiTransport::Https),
            ("api_addr = \"192.0.2.1:4566\"\ninsecure_http = true", ApiTransport::Http),
        ] {
            assert_eq!(with_file(text, |_| ()).expect(text).api_transport, expected, "{text}");
        }
    }

    /// With what it gives as comments as well.
    #[test]
    fn the_packaged_file_is_a_good_one() {
        let packaged = include_str!("../../../packaging/landfall.toml");
        assert_eq!(with_file(packaged, |_| ()).expect("good settings").api_transport, ApiTransport::Https);
        let is_setting = |line: &&str| line.starts_with("# [") || line.contains(" = ");
        let all: Vec<&str> = packaged.lines().filter(is_setting).map(|line| line.trim_start_matches("# ")).collect();
        let settings = with_file(&all.join("\n"), |_| ()).expect("good settings");
        assert!(settings.own_certificate.is_some_and(|files| files.root.is_some()));
        assert_eq!(settings.api_limits, api::Limits::default(), "the defaults it names are the defaults");
        assert_eq!(settings.device_limits, DeviceLimits::default());
        assert_eq!(settings.broker_limits, BrokerLimits::default());
        assert_eq!(settings.rates, RateLimits::default());
        assert_eq!(settings.async_retry_ms, [60_000, 120_000]);
    }

    #[test]
    fn limits_are_those_of_the_file() {
        let settings = with_file("[limits]\napi_connections_per_address = 7\nhandshake_timeout_s = 3\n", |_| ());
        let settings = settings.expect("good settings");
        assert_eq!(settings.api_limits.connections_per_address_max, 7);
        assert_eq!(settings.api_limits.connections_max, api::Limits::default().connections_max);
        assert_eq!(settings.device_limits.handshake_timeout, Duration::from_secs(3));
        assert_eq!(settings.api_limits.handshake_timeout, Duration::from_secs(3));
        assert_eq!(settings.rates, RateLimits::default());
        let settings = with_file("[limits]\nplain_in_flight = 65535\ndevice_inbox_messages = 7\n", |_| ());
        let settings = settings.expect("good settings");
        assert_eq!(settings.device_limits.plain_in_flight_max, 65_535);
        assert_eq!(settings.device_limits.inbox_messages_max, 7);
        let settings =
            with_file("[limits]\nrates = \"enforce\"\nconnects_per_s = 3000\n", |_| ()).expect("good settings");
        assert_eq!(settings.rates.excess, services::rates::Excess::Enforced);
        assert_eq!(settings.rates.account.connects.value_per_s(), 3000);
        assert_eq!(settings.rates.account.subscribes, AccountRates::default().subscribes);
    }

    #[test]
    fn sessions_are_resumed_on_wish_only() {
        for (text, expected) in [
            ("", SessionResumption::Off),
            ("[tls]\nsession_resumption = false", SessionResumption::Off),
            ("[tls]\nsession_resumption = true", SessionResumption::Tickets),
        ] {
            assert_eq!(with_file(text, |_| ()).expect(text).device_limits.session_resumption, expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, named) in [
            ("regoin = \"x\"", "regoin"),
            ("region = \"nowhere\"", "region"),
            ("account_id = \"1\"", "account_id"),
            ("api_addr = \"10.0.0.1:4566\"\napi_tls = false", "--insecure-http"),
            ("api_tls = true\ninsecure_http = true", "insecure_http"),
            ("server_ca = \"a.pem\"", "server_cert"),
            ("[limits]\napi_connections = 0", "limits.api_connections"),
            ("[limits]\nplain_in_flight = 65536", "limits.plain_in_flight"),
            ("[limits]\ndevice_inbox_messages = 0", "limits.device_inbox_messages"),
            ("[broker]\nsessions = 0", "broker.sessions"),
            ("[broker]\nqueued_mib = -1", "queued_mib"),
            ("[broker]\ninboxes = 1", "inboxes"),
            ("[limits]\nhandshake_timeout_s = 0", "limits.handshake_timeout_s"),
            ("[limits]\nconnections = 1", "connections"),
            ("[tls]\nresumption = true", "resumption"),
            ("[limits]\nrates = \"strict\"", "strict"),
            ("[limits]\nsubscribes_per_s = 0", "limits.subscribes_per_s"),
            ("server_cert = \"a.pem\"", "server_key"),
            ("endpoint_names = [\"https://x\"]", "endpoint_name"),
            ("alpn_addr = \"nowhere\"", "alpn_addr"),
            ("plain_mqtt_addr = \"0.0.0.0:1883\"", "plain_mqtt_addr"),
            ("plain_mqtt_addr = \"[::ffff:10.0.0.1]:1883\"", "plain_mqtt_addr"),
            ("api_addr = \"nothing\"", "api_addr"),
        ] {
            let sentence = with_file(text, |_| ()).expect_err(text);
            assert!(sentence.contains(named), "{text}: {sentence}");
        }
    }
}
