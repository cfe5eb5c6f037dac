//! The server's life, top to bottom: open, build, listen, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::{Api, ApiCell};
use broker::Broker;
use functions::{AwsCalls, Functions};
use gateway::{Gateway, Limits, ServerIdentity, ServerKey};
use services::{Checkpoints, Clock, Config, Services, Step};
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::ServeFlags;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::settings::Settings;
use crate::{Sentence, banner, server_certificate};

/// A worker that nobody has called for this long ends.
const WORKER_IDLE: Duration = Duration::from_secs(300);

/// Environments of one function at once: Lambda's burst is larger, a machine of ours is smaller.
const ENVIRONMENTS_MAX: usize = 16;

/// A running server.
pub struct Server {
    pub run: RunFile,
    pub data_dir: DataDir,
    shutdown: watch::Sender<bool>,
    tasks: JoinSet<()>,
    functions: Functions,
    store: Store,
}

pub fn main(flags: &ServeFlags) -> Result<(), Sentence> {
    log();
    let settings = Settings::of(flags)?;
    block_on(async {
        let server = Server::start(settings).await?;
        print!("{}", banner::of(&server.run, &server.data_dir));
        stop_signal().await?;
        server.stop().await;
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
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call (tests) keeps the first.
    let _ = if json { log.json().try_init() } else { log.try_init() };
}

/// Ctrl-C, or what a service manager sends.
pub async fn stop_signal() -> Result<(), Sentence> {
    let failed = |err| format!("signals cannot be listened for: {err}.");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl Server {
    /// Answers when everything listens.
    pub async fn start(settings: Settings) -> Result<Self, Sentence> {
        let data_dir = DataDir::open(&settings.data_dir)?;
        // The lock on the store comes first: a second server must change nothing in the directory.
        let store = Store::open(&data_dir.file("store")).map_err(|err| err.to_string())?;
        let root = data_dir.root_credentials()?;
        let clock = Clock::system();
        let certificate = match &settings.own_certificate {
            Some((certificate, key)) => server_certificate::read_own(certificate, key)?,
            None => server_certificate::open(&data_dir, &settings.endpoint_names, clock.now())?,
        };
        let key = ServerKey::from_pem(&certificate.chain, &certificate.key)
            .map_err(|err| format!("the server's certificate and key cannot be used: {err}."))?;

        let broker = Broker::new();
        let cell = ApiCell::default();
        let functions = functions(store.clone(), &cell, settings.checkpoints.clone())?;
        let config = Config {
            region: settings.region.clone(),
            account: settings.account.clone(),
            root,
            endpoint_names: settings.endpoint_names.clone(),
            async_retry_ms: settings.async_retry_ms.clone(),
            checkpoints: settings.checkpoints.clone(),
        };
        let services = Services::new(config, store.clone(), broker.clone(), functions.clone(), clock)
            .map_err(|err| format!("data_dir {}: {}", data_dir.path().display(), err.message))?;
        services.settle_identity().await.map_err(|err| err.message)?;
        let api = Api::new(services.clone(), api_settings(&settings, &data_dir)?);
        cell.set(&api);
        let gateway = Gateway::new(services.clone(), broker, Arc::new(ServerIdentity::new(key)), Limits::default())
            .map_err(|err| format!("TLS could not be set up: {err}."))?;

        let api_listener = bind("api_addr", settings.api_addr).await?;
        let mqtt_listener = bind("mqtt_addr", settings.mqtt_addr).await?;
        let run = RunFile {
            pid: std::process::id(),
            api_addr: address(&api_listener)?,
            mqtt_addr: address(&mqtt_listener)?,
            alpn_addr: None,
            plain_mqtt_addr: None,
            region: settings.region.to_string(),
            account_id: settings.account.to_string(),
            endpoint: settings.endpoint_names.first().cloned().unwrap_or_else(|| "localhost".to_owned()),
        };
        let (shutdown, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (services, stopping) = (services, stopping.clone());
            async move { services.run(stopping).await }
        });
        tasks.spawn(api::serve(api_listener, api.clone(), stopping.clone()));
        tasks.spawn(async move {
            if let Err(error) = gateway::serve(mqtt_listener, gateway, stopping).await {
                tracing::error!(%error, "the device port cannot be served");
            }
        });
        api.set_ready();
        run.write(&data_dir)?;
        Ok(Self { run, data_dir, shutdown, tasks, functions, store })
    }

    /// Takes nothing new, lets what runs come to its end within the doors' bounds, and closes the store.
    pub async fn stop(mut self) {
        RunFile::remove(&self.data_dir);
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

fn api_settings(settings: &Settings, data_dir: &DataDir) -> Result<api::Settings, Sentence> {
    let path = match &settings.own_certificate {
        // The operator's certificate has a root of its own; what devices need to trust ends its chain.
        Some((certificate, _)) => certificate.clone(),
        None => data_dir.file("root-CA.crt"),
    };
    let root_ca_pem = std::fs::read_to_string(&path).map_err(|err| format!("{}: {err}.", path.display()))?;
    Ok(api::Settings {
        host_names: settings.endpoint_names.clone(),
        root_ca_pem,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

async fn bind(name: &str, addr: SocketAddr) -> Result<TcpListener, Sentence> {
    TcpListener::bind(addr)
        .await
        .map_err(|err| format!("{name} {addr}: {err}. Choose another address; port 0 takes a free one.").into())
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Sentence> {
    listener.local_addr().map_err(|err| err.to_string().into())
}
