//! The brokers that are compared, each started as a child on a core of its own.

mod floor;
mod landfall;
mod mosquitto;
mod rmqttd;

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use fleet::Device;
use tempfile::TempDir;

use crate::Failure;
use crate::identities::Identities;
use crate::process::{cpu_seconds, resident_kib};

const READY_WITHIN: Duration = Duration::from_secs(20);
const READY_POLL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Kind {
    /// A bare TLS server that moves the same bytes.
    Floor,
    Mosquitto,
    /// With the TLS library's session tickets switched off, as far as its configuration goes.
    MosquittoNoTickets,
    Rmqttd,
    Landfall,
}

/// Where the programs are, if not where they usually are.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Programs {
    #[arg(long, value_name = "FILE")]
    pub mosquitto: Option<PathBuf>,
    /// [default: target/peers/bin/rmqttd; `cargo install --root target/peers rmqttd --version 0.24.0`]
    #[arg(long, value_name = "FILE")]
    pub rmqttd: Option<PathBuf>,
    #[arg(skip)]
    pub landfall: PathBuf,
}

/// A broker that runs.
pub struct Peer {
    pub kind: Kind,
    pub address: SocketAddr,
    child: Child,
    /// Gone with it.
    _folder: Option<TempDir>,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Floor => "floor",
            Kind::Mosquitto => "mosquitto",
            Kind::MosquittoNoTickets => "mosquitto, no tickets",
            Kind::Rmqttd => "rmqttd",
            Kind::Landfall => "landfall",
        }
    }

    /// `devices` are those that will connect: who keeps a registry is told.
    pub fn start(self, programs: &Programs, identities: &Identities, devices: &[Device]) -> Result<Peer, Failure> {
        match self {
            Kind::Floor => floor::start(identities),
            Kind::Mosquitto | Kind::MosquittoNoTickets => mosquitto::start(self, programs, identities),
            Kind::Rmqttd => rmqttd::start(programs, identities),
            Kind::Landfall => landfall::start(programs, identities, devices),
        }
    }
}

impl Peer {
    pub fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(self.child.id())
    }

    pub fn resident_kib(&self) -> Result<f64, Failure> {
        resident_kib(self.child.id())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Free a moment ago: for programs that cannot say which port they got.
fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a program that listens on `address`, and waits until it does.
fn start_listening(kind: Kind, mut command: Command, address: SocketAddr) -> Result<Peer, Failure> {
    let name = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(|error| format!("{}: {error}", name.display()))?;
    let mut peer = Peer { kind, address, child, _folder: None };
    let until = Instant::now() + READY_WITHIN;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = peer.child.try_wait()? {
            let mut said = String::new();
            if let Some(stderr) = &mut peer.child.stderr {
                stderr.read_to_string(&mut said)?;
            }
            return Err(format!("{} ended with {status}: {said}", kind.name()).into());
        }
        if Instant::now() > until {
            return Err(format!("{} does not listen on {address}", kind.name()).into());
        }
        std::thread::sleep(READY_POLL);
    }
    Ok(peer)
}
