//! A door on a free port, and a client that writes HTTP by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::{Api, ApiCell, Limits, Settings, Surroundings};
use broker::{Broker, BrokerLimits, WallClock};
use domain::Timestamp;
use domain::sigv4::{Credentials, Request, sign};
use functions::Functions;
use services::{AwsCalls, Checkpoints, Clock, Config, RootCredentials, Services};
use store::Store;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::upgrade::Knocks;

/// From one address, which all clients here have.
pub const CONNECTIONS_MAX: usize = 100;

/// When the server starts; then its clock stands until it is moved.
const START_S: i64 = 1_795_000_000;

pub struct Server {
    pub address: SocketAddr,
    pub api: Api,
    /// What a function's worker would call.
    pub calls: AwsCalls,
    /// There is no device door behind this one.
    pub knocks: Knocks,
    now_s: Arc<AtomicI64>,
    shutdown: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
    _directory: TempDir,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.parse().expect("a status"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }
}

pub fn credentials() -> Credentials {
    Credentials { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into(), session_token: None }
}

impl Server {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(directory.path()).expect("a store");
        let cell = ApiCell::default();
        let runner = functions::Config {
            program: "/nonexistent".into(),
            worker_args: Vec::new(),
            idle_timeout: Duration::from_secs(60),
            environments_max: 1,
        };
        let functions = Functions::new(runner, store.clone(), cell.aws_calls());
        let root = credentials();
        let config = Config {
            region: "us-east-1".parse().expect("a region"),
            account: "123456789012".parse().expect("an account"),
            root: RootCredentials { access_key_id: root.access_key_id, secret_access_key: root.secret_access_key },
            endpoint_names: vec!["localhost".to_owned()],
            async_retry_ms: Vec::new(),
            rates: Default::default(),
            checkpoints: Checkpoints::default(),
        };
        let now_s = Arc::new(AtomicI64::new(START_S));
        let seconds = now_s.clone();
        let clock = Clock::from_fn(move || Timestamp::from_seconds(seconds.load(Ordering::Relaxed)));
        let wall = WallClock::from_fn(|| START_S.unsigned_abs() * 1000);
        let broker = Broker::open(store.clone(), BrokerLimits::default(), wall).expect("a broker");
        let services = Services::new(config, store, broker, functions, clock).expect("services");
        let settings = Settings {
            host_names: Vec::new(),
            root_ca_pem: "the root's PEM".into(),
            version: "0.0.0".into(),
            limits: Limits {
                connections_per_address_max: CONNECTIONS_MAX,
                large_body_wait: Duration::from_millis(20),
                ..Limits::default()
            },
            surroundings: Surroundings::default(),
        };
        let api = Api::new(services, settings);
        cell.set(&api);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (shutdown, ending) = watch::channel(false);
        let knocks = Knocks::default();
        let serving = Some(tokio::spawn(api::serve(listener, api.clone(), None, knocks.doors(), ending)));
        Self { address, api, calls: cell.aws_calls(), knocks, now_s, shutdown, serving, _directory: directory }
    }

    pub async fn stop(&mut self) {
        self.shutdown.send_replace(true);
        if let Some(serving) = self.serving.take() {
            serving.await.expect("the door ends in order");
        }
    }

    pub fn pass_s(&self, seconds: i64) {
        self.now_s.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.now_s.load(Ordering::Relaxed))
    }

    pub async fn signed(&self, service: &str, request: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.signed_by(&credentials(), "us-east-1", service, request, headers, body).await
    }

    pub async fn signed_by(
        &self,
        credentials: &Credentials,
        region: &str,
        service: &str,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let head = signed_head(credentials, region, service, request, headers, body, self.now());
        self.raw(&format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())).await
    }

    /// Signed, and without its end.
    pub fn head(&self, credentials: &Credentials, service: &str, request: &str, headers: &[(&str, &str)]) -> String {
        signed_head(credentials, "us-east-1", service, request, headers, "", self.now())
    }

    /// A signed head that announces a body which does not come.
    pub async fn announced(&self, service: &str, request: &str, body_bytes: usize) -> Reply {
        let head = signed_head(&credentials(), "us-east-1", service, request, &[], "", self.now());
        self.raw(&format!("{head}content-length: {body_bytes}\r\nconnection: close\r\n\r\n")).await
    }

    /// A connection that has sent a signed head, announces a body, and sends nothing of it.
    pub async fn hanging(&self, service: &str, request: &str, body_bytes: usize) -> TcpStream {
        let head = signed_head(&credentials(), "us-east-1", service, request, &[], "", self.now());
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let head = format!("{head}content-length: {body_bytes}\r\nexpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("a head is taken");
        // The server asks for the body once it has a place for it.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.expect("it asks for the body");
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    pub async fn raw(&self, text: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let mut answer = Vec::new();
        // A head that is refused before its end is answered, and then reset.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
        Reply::parse(&answer)
    }
}

fn signed_head(
    credentials: &Credentials,
    region: &str,
    service: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &str,
    now: Timestamp,
) -> String {
    let (method, target) = request.split_once(' ').expect("method and target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut all = vec![("host", "localhost:4566")];
    all.extend_from_slice(headers);
    let unsigned = Request { method, path, query, headers: &all, body: body.as_bytes() };
    let added = sign(&unsigned, credentials, region, service, now);
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in all.iter().copied().chain(added.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}
