//! The server's life, top to bottom: open, build, listen, drain.

use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::{Api, ApiCell, Surroundings, Tls};
use broker::{Broker, WallClock};
use functions::{AwsCalls, Functions};
use gateway::{Door, Gateway};
use services::{Checkpoints, Clock, Config, RootCredentials, Services, Step};
use store::Store;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::ServeFlags;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::server_certificate::{ServerCertificates, reachable};
use crate::service_manager::State;
use crate::settings::{ApiTransport, Settings};
use crate::stop_signals::StopSignals;
use crate::{Sentence, banner, doors, open_files, service_manager, surroundings};

/// Connections that wait to be accepted, as far as the system's `somaxconn` lets us: of a storm, who finds no room tries
/// again a second later, and later still. (The library's default is 128.)
const BACKLOG: u32 = 4096;

/// From here on Linux lets everybody listen, unless it is set otherwise.
const UNPRIVILEGED_PORT: u16 = 1024;

/// A worker that nobody has called for this long ends.
const WORKER_IDLE: Duration = Duration::from_secs(300);

/// Environments of one function at once: Lambda's burst is larger, a machine of ours is smaller.
const ENVIRONMENTS_MAX: usize = 16;

/// A running server.
pub struct Server {
    pub run: RunFile,
    pub data_dir: DataDir,
    api: Api,
    shutdown: watch::Sender<bool>,
    tasks: JoinSet<()>,
    functions: Functions,
    store: Store,
}

pub fn main(flags: &ServeFlags) -> Result<(), Sentence> {
    log();
    let settings = Settings::of(flags)?;
    open_files::raise(&settings);
    block_on(async {
        let mut signals = StopSignals::listen()?;
        let server = Server::start(settings).await?;
        print!("{}", banner::of(&server.run, &server.data_dir));
        service_manager::tell(State::Ready);
        signals.next().await;
        service_manager::tell(State::Stopping);
        signals.or_at_once(server.stop()).await;
        Ok(())
    })
}

/// Runs `main` on a runtime of as many threads as there are cores.
pub fn block_on<T>(main: impl Future<Output = Result<T, Sentence>>) -> Result<T, Sentence> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|err| format!("threads could not be started: {err}."))?.block_on(main)
}

/// Warnings and what an operator wants to know go to standard error; `LANDFALL_LOG` says how much.
pub fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LANDFALL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let json = std::env::var("LANDFALL_LOG_FORMAT").is_ok_and(|format| format == "json");
    // A journal or a container's log is read by programs too.
    let is_coloured = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_coloured).with_writer(std::io::stderr);
    // A second call (tests) keeps the first.
    let _ = match json {
        // One level for all fields, so that a line is looked up by any of them; what a request's id is one of is below.
        true => log.json().flatten_event(true).with_span_list(false).try_init(),
        false => log.try_init(),
    };
}

/// The server without its doors.
pub struct Core {
    pub store: Store,
    pub broker: Broker,
    pub functions: Functions,
    pub services: Services,
    cell: ApiCell,
}

impl Core {
    pub fn build(
        settings: &Settings,
        data_dir: &DataDir,
        store: Store,
        root: RootCredentials,
        endpoint_names: Vec<String>,
        clock: Clock,
    ) -> Result<Self, Sentence> {
        let wall = WallClock::from_fn({
            let clock = clock.clone();
            move || u64::try_from(clock.now().millis()).unwrap_or(0)
        });
        let broker = Broker::open(store.clone(), settings.broker_limits, wall)
            .map_err(|err| format!("data_dir {}: {err}", data_dir.path().display()))?;
        let cell = ApiCell::default();
        let functions = functions(store.clone(), &cell, settings.checkpoints.clone())?;
        let config = Config {
            region: settings.region.clone(),
            account: settings.account.clone(),
            root,
            endpoint_names,
            async_retry_ms: settings.async_retry_ms.clone(),
            rates: settings.rates,
            checkpoints: settings.checkpoints.clone(),
        };
        let services = Services::new(config, store.clone(), broker.clone(), functions.clone(), clock)
            .map_err(|err| format!("data_dir {}: {}", data_dir.path().display(), err.message))?;
        Ok(Self { store, broker, functions, services, cell })
    }
}

impl Server {
    /// Answers when everything listens.
    pub async fn start(settings: Settings) -> Result<Self, Sentence> {
        let data_dir = DataDir::open(&settings.data_dir)?;
        // The lock on the store comes first: a second server must change nothing in the directory.
        let store = Store::open(&data_dir.file("store")).map_err(|err| err.to_string())?;
        let root = data_dir.root_credentials()?;
        let clock = Clock::system();
        let certificates = Arc::new(ServerCertificates::open(&settings, &data_dir, clock.now())?);
        warn_of_weakness(&settings, &certificates);

        let names = certificates.endpoint_names.clone();
        let core = Core::build(&settings, &data_dir, store, root, names, clock.clone())?;
        let Core { store, broker, functions, services, cell } = core;
        services.settle_identity().await.map_err(|err| err.message)?;
        let no_tls = |err| format!("TLS could not be set up: {err}.");
        let identity = certificates.identity.clone();
        let api_tls = match settings.api_transport {
            ApiTransport::Http => None,
            ApiTransport::Https => Some(Tls::new(identity.clone()).map_err(no_tls)?),
        };
        let gateway =
            Gateway::new(services.clone(), broker, identity, settings.device_limits.clone()).map_err(no_tls)?;

        let api_listener = bind("api_addr", settings.api_addr)?;
        let mqtt_listener = bind("mqtt_addr", settings.mqtt_addr)?;
        let mut run = run_file(&settings, &certificates, address(&api_listener)?, address(&mqtt_listener)?);
        let alpn_listener = match settings.alpn_addr {
            Some(addr) => Some(bind("alpn_addr", addr)?),
            None => None,
        };
        run.alpn_addr = alpn_listener.as_ref().map(address).transpose()?;
        let mut device_doors = vec![(mqtt_listener, Door::Mqtt)];
        if let Some(addr) = settings.plain_mqtt_addr {
            let listener = bind("plain_mqtt_addr", addr)?;
            run.plain_mqtt_addr = Some(address(&listener)?);
            device_doors.push((listener, Door::PlainMqtt));
        }
        let surroundings = surroundings::of(&run, gateway.clone(), certificates.clone(), data_dir.clone());
        let api = Api::new(services.clone(), api_settings(&settings, &certificates, surroundings));
        cell.set(&api);
        if let Some(listener) = alpn_listener {
            device_doors.push((listener, Door::Alpn(doors::of_alpn_port(gateway.clone(), api.clone()))));
        }
        let (shutdown, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (services, stopping) = (services, stopping.clone());
            async move { services.run(stopping).await }
        });
        tasks.spawn(api::serve(
            api_listener,
            api.clone(),
            api_tls,
            doors::of_api_port(gateway.clone()),
            stopping.clone(),
        ));
        tasks.spawn(certificates.keep_fresh(clock, stopping.clone()));
        for (listener, door) in device_doors {
            let (gateway, stopping) = (gateway.clone(), stopping.clone());
            tasks.spawn(async move {
                if let Err(error) = gateway::serve(listener, door, gateway, stopping).await {
                    tracing::error!(%error, "a device port cannot be served");
                }
            });
        }
        api.set_ready();
        run.write(&data_dir)?;
        tracing::info!(api = run.api_url, mqtt_addr = %run.mqtt_addr, endpoint = run.endpoint, "ready");
        Ok(Self { run, data_dir, api, shutdown, tasks, functions, store })
    }

    /// Takes nothing new, lets what runs come to its end within the doors' bounds, and closes the store.
    pub async fn stop(mut self) {
        tracing::info!("shutting down: taking nothing new, finishing what runs");
        RunFile::remove(&self.data_dir);
        self.api.set_stopping();
        self.shutdown.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.functions.close().await;
        self.store.close().await;
    }
}

/// Workers are this same program.
fn functions(store: Store, cell: &ApiCell, checkpoints: Checkpoints) -> Result<Functions, Sentence> {
    let program = std::env::current_exe().map_err(|err| format!("this program's own path is not known: {err}."))?;
    let config = functions::Config {
        program,
        worker_args: vec!["__function-worker".to_owned()],
        idle_timeout: WORKER_IDLE,
        environments_max: ENVIRONMENTS_MAX,
    };
    let calls = cell.aws_calls();
    let with_checkpoints = AwsCalls(Arc::new(move |call| {
        let operation = call.operation.clone();
        let (answer, checkpoints) = ((calls.0)(call), checkpoints.clone());
        Box::pin(async move {
            let answer = answer.await;
            checkpoints.pass(Step::FunctionCalled, &operation);
            answer
        })
    }));
    Ok(Functions::new(config, store, with_checkpoints))
}

fn run_file(
    settings: &Settings,
    certificates: &ServerCertificates,
    api_addr: SocketAddr,
    mqtt_addr: SocketAddr,
) -> RunFile {
    let api_url = match settings.api_transport {
        ApiTransport::Http => format!("http://{}", reachable(api_addr)),
        ApiTransport::Https => format!("https://{}", certificates.api_authority(api_addr)),
    };
    RunFile {
        pid: std::process::id(),
        api_addr,
        mqtt_addr,
        alpn_addr: None,
        plain_mqtt_addr: None,
        region: settings.region.to_string(),
        account_id: settings.account.to_string(),
        endpoint: certificates.endpoint_names.first().cloned().unwrap_or_else(|| "localhost".to_owned()),
        api_url,
        root_ca: certificates.root_path.clone(),
        root_ca_pem: certificates.root_pem.clone(),
    }
}

/// What was asked for by name is done, and said.
fn warn_of_weakness(settings: &Settings, certificates: &ServerCertificates) {
    let api_addr = settings.api_addr;
    if settings.api_transport == ApiTransport::Http && !api_addr.ip().to_canonical().is_loopback() {
        tracing::warn!(%api_addr, "insecure_http: the API is served without TLS, and whoever listens on the network reads what it says");
    }
    let is_local =
        |name: &String| name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let alpn_addr = settings.alpn_addr.map(|addr| ("alpn_addr", addr));
    for (name, addr) in [("api_addr", api_addr), ("mqtt_addr", settings.mqtt_addr)].into_iter().chain(alpn_addr) {
        if addr.ip().is_unspecified() && certificates.endpoint_names.iter().all(is_local) {
            tracing::warn!(%addr, "{name} listens to the network, but the server's certificate is for this machine alone; give the name or address that clients use with --endpoint-name");
        }
    }
}

fn api_settings(settings: &Settings, certificates: &ServerCertificates, surroundings: Surroundings) -> api::Settings {
    api::Settings {
        host_names: certificates.endpoint_names.clone(),
        root_ca_pem: certificates.root_pem.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: settings.api_limits.clone(),
        surroundings,
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that comes back finds its old connections in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn bind(name: &str, addr: SocketAddr) -> Result<TcpListener, Sentence> {
    listen(addr).map_err(|err| cannot_bind(name, addr, &err).into())
}

fn cannot_bind(name: &str, addr: SocketAddr, err: &io::Error) -> String {
    if err.kind() == io::ErrorKind::PermissionDenied && addr.port() < UNPRIVILEGED_PORT {
        return format!(
            "{name} {addr}: {err}. A port below {UNPRIVILEGED_PORT} wants the capability CAP_NET_BIND_SERVICE; \
             docs/running.md says how to give it, or choose another port."
        );
    }
    format!("{name} {addr}: {err}. Choose another address; port 0 takes a free one.")
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Sentence> {
    listener.local_addr().map_err(|err| err.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_port_from_us_says_what_to_do() {
        for (port, kind, remedy) in [
            (443, io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (8443, io::ErrorKind::PermissionDenied, "port 0 takes a free one"),
            (443, io::ErrorKind::AddrInUse, "port 0 takes a free one"),
        ] {
            let said = cannot_bind("alpn_addr", SocketAddr::from(([0, 0, 0, 0], port)), &kind.into());
            assert!(said.starts_with(&format!("alpn_addr 0.0.0.0:{port}: ")) && said.contains(remedy), "{said}");
        }
    }
}
