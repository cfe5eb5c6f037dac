//! Thousands of first handshakes at once, while clients that were there before publish at a steady rate: what they notice.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use fleet::{KeyAlgorithm, Sample};
use mqtt::Qos;

use super::paced::{Pace, Pause};
use super::{Cast, Sessions, settle};
use crate::Failure;
use crate::comparison::{Comparison, Figure};
use crate::floor::Route;
use crate::generator::{Came, Generator};
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::connect;

#[derive(Args, Clone)]
pub struct Storm {
    #[command(flatten)]
    pub comparison: Comparison,
    /// Handshakes that begin at once, each with a certificate of its own.
    #[arg(long, default_value_t = 5000)]
    connections: usize,
    /// Messages a second of those who are there before.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    #[arg(long, default_value_t = 50)]
    clients: usize,
    #[arg(long, default_value_t = 3)]
    calm_seconds: u64,
}

/// Until the last one has its CONNACK.
const STORM_MAX: Duration = Duration::from_secs(120);
const PAYLOAD_BYTES: usize = 64;

impl Storm {
    pub fn compare(&self) -> Result<(), Failure> {
        let comparison = Comparison { runs: 1, ..self.comparison.clone() };
        let field = comparison.start(KeyAlgorithm::EcP256, self.connections)?;
        let title = format!("storm of {} handshakes beside {} messages a second", self.connections, self.rate);
        comparison.run(&title, &field, |peer, clients| self.measure(peer, clients))
    }

    fn measure(&self, peer: &Peer, clients: &[ClientIdentity]) -> Result<Vec<Figure>, Failure> {
        let mut generator = Generator::new()?;
        let how = (Qos::AtLeastOnce, Sessions::Clean);
        let cast = Cast::join(&mut generator, peer, clients, Route::Pair, how, self.clients)?;
        let mut calm = Pace::new(self.rate, PAYLOAD_BYTES, Pause::Sleep);
        calm.run(&mut generator, &cast.publishers, Duration::from_secs(self.calm_seconds), |_| false)?;
        settle(&mut generator, Duration::from_secs(1))?;

        let is_over = Arc::new(AtomicBool::new(false));
        let storm = std::thread::spawn({
            let (address, clients, is_over) = (peer.address, clients.to_vec(), is_over.clone());
            move || {
                let ended = rage(address, &clients).map_err(|error| error.to_string());
                is_over.store(true, Ordering::Release);
                ended
            }
        });
        let mut stormy = Pace::new(self.rate, PAYLOAD_BYTES, Pause::Sleep);
        stormy.run(&mut generator, &cast.publishers, STORM_MAX, |_| is_over.load(Ordering::Acquire))?;
        let (took, refused) = storm.join().map_err(|_| "the storm's thread panicked")??;
        cast.leave(&mut generator);
        let (calm, stormy) = (Sample::new(calm.times_ms), Sample::new(stormy.times_ms));
        Ok(vec![
            Figure { name: "p99 during the storm, ms", value: stormy.percentile(99.0) },
            Figure { name: "p50 during the storm, ms", value: stormy.percentile(50.0) },
            Figure { name: "p99 before, ms", value: calm.percentile(99.0) },
            Figure { name: "storm, s", value: took.as_secs_f64() },
            Figure { name: "connections refused", value: refused as f64 },
        ])
    }
}

/// All at once; how long until the last CONNACK, and how many ended without one.
fn rage(address: SocketAddr, clients: &[ClientIdentity]) -> Result<(Duration, usize), Failure> {
    give_way()?;
    let mut generator = Generator::new()?;
    let begin = Instant::now();
    for (number, client) in clients.iter().enumerate() {
        generator.open(address, client, &connect(&format!("storm-{number}"), true)?)?;
    }
    let (mut welcomed, mut refused) = (0, 0);
    while welcomed + refused < clients.len() {
        generator.turn_for("CONNACK", |_, came| match came {
            Came::ConnAck => welcomed += 1,
            Came::End => refused += 1,
            _ => {}
        })?;
    }
    Ok((begin.elapsed(), refused))
}

/// This thread's work must not delay the one that measures: it gets what that one leaves.
fn give_way() -> Result<(), Failure> {
    let own = std::fs::read_link("/proc/thread-self")?;
    let thread = own.file_name().ok_or("which thread is this?")?;
    let output = Command::new("renice").args(["-n", "19", "-p"]).arg(thread).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("renice: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
