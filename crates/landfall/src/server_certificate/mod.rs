//! The certificates that the server shows to devices and, where the API port has TLS, to operators: made and renewed
//! under a root of its own, or the operator's, read from files and read again when they change.

mod made;
mod own;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::x509::Certificate;
use gateway::{ServerIdentity, ServerKey};
use services::Clock;
use tokio::sync::watch;

use crate::Sentence;
use crate::data_dir::DataDir;
use crate::settings::Settings;
use made::MadeCertificates;
use own::OwnCertificate;
pub use own::OwnFiles;

/// Between two looks at the certificates' time and at the operator's files.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A certificate with its key, ready to serve, and what the operator should know of it.
struct Usable {
    key: ServerKey,
    leaf: Certificate,
}

pub struct ServerCertificates {
    pub identity: Arc<ServerIdentity>,
    /// The first is where devices connect to.
    pub endpoint_names: Vec<String>,
    /// What clients are to trust, PEM.
    pub root_pem: String,
    /// Where that stands, unless it is for clients to know: a certificate of a public CA, its root not in the file.
    pub root_path: Option<PathBuf>,
    source: Source,
    expires: Mutex<Timestamp>,
}

enum Source {
    Made(Box<Mutex<MadeCertificates>>),
    Own(Mutex<OwnCertificate>),
}

impl ServerCertificates {
    /// Reads what is there, makes what is missing. The RSA certificate follows in `keep_fresh`: its key takes a while.
    pub fn open(settings: &Settings, data_dir: &DataDir, now: Timestamp) -> Result<Self, Sentence> {
        match &settings.own_certificate {
            Some(files) => {
                let (own, usable) = OwnCertificate::open(files.clone(), now)?;
                let endpoint_names = own::endpoint_names(&files.certificate, &usable.leaf, &settings.endpoint_names)?;
                let (root_pem, root_path) = own.root()?;
                let expires = Mutex::new(usable.leaf.not_after());
                let identity = Arc::new(ServerIdentity::new(usable.key));
                Ok(Self {
                    identity,
                    endpoint_names,
                    root_pem,
                    root_path,
                    source: Source::Own(Mutex::new(own)),
                    expires,
                })
            }
            None => {
                let endpoint_names = match settings.endpoint_names.as_slice() {
                    [] => vec!["localhost".to_owned()],
                    given => given.to_vec(),
                };
                let mut bound = vec![settings.api_addr, settings.mqtt_addr];
                bound.extend(settings.alpn_addr);
                let made = MadeCertificates::open(data_dir, &endpoint_names, &bound, now)?;
                let expires = Mutex::new(made.expires());
                let identity = Arc::new(made.identity());
                let (root_pem, root_path) = (made.root_pem().to_owned(), Some(made.root_path()));
                let source = Source::Made(Box::new(Mutex::new(made)));
                Ok(Self { identity, endpoint_names, root_pem, root_path, source, expires })
            }
        }
    }

    /// The end of what is shown now.
    pub fn expires(&self) -> Timestamp {
        *locked(&self.expires)
    }

    /// Host and port of the API as this machine's clients can verify them: an address that stands for all is reached on loopback,
    /// and the operator's certificate names the endpoint.
    pub fn api_authority(&self, api_addr: SocketAddr) -> String {
        match &self.source {
            Source::Made(_) => reachable(api_addr).to_string(),
            Source::Own(_) => {
                let name = self.endpoint_names.first().map_or("localhost", String::as_str);
                let name = if name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
                    format!("[{name}]")
                } else {
                    name.to_owned()
                };
                format!("{name}:{}", api_addr.port())
            }
        }
    }

    /// Renews and reads again, while the server runs.
    pub async fn keep_fresh(self: Arc<Self>, clock: Clock, mut shutdown: watch::Receiver<bool>) {
        let mut told = None;
        loop {
            let (this, now) = (self.clone(), clock.now());
            // Making a key and writing it wait for the processor and the disk.
            let outcome = tokio::task::spawn_blocking(move || this.refresh(now)).await;
            let failure = outcome.ok().and_then(Result::err).map(|Sentence(text)| text);
            if let Some(text) = failure.as_ref().filter(|_| failure != told) {
                tracing::error!(
                    "{text} The certificate that is there serves on, until {}",
                    self.expires().to_rfc3339()
                );
            }
            told = failure;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = shutdown.wait_for(|down| *down) => return,
            }
        }
    }

    /// New handshakes take what is new; connections that live keep what they have.
    fn refresh(&self, now: Timestamp) -> Result<(), Sentence> {
        match &self.source {
            Source::Made(made) => {
                let mut made = locked(made);
                if made.refresh(now)? {
                    self.identity.replace(made.keys());
                    *locked(&self.expires) = made.expires();
                }
            }
            Source::Own(own) => {
                // The lock goes before what follows: an `if let` on it would hold it to its end.
                let (renewed, path) = {
                    let mut own = locked(own);
                    (own.read_again(now)?, own.certificate_path().to_owned())
                };
                if let Some(usable) = renewed {
                    own::endpoint_names(&path, &usable.leaf, &self.endpoint_names)?;
                    *locked(&self.expires) = usable.leaf.not_after();
                    self.identity.replace(vec![usable.key]);
                    tracing::info!(expires = self.expires().to_rfc3339(), "the server's new certificate is in use");
                }
            }
        }
        Ok(())
    }
}

/// An address that stands for all addresses is reached on loopback.
pub fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    addr
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
