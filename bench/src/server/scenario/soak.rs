//! Many connections at a steady rate for a long time: whether memory grows.

use std::time::{Duration, Instant};

use clap::Args;
use fleet::KeyAlgorithm;
use mqtt::Qos;

use super::paced::{Pace, Pause};
use super::{Cast, Sessions};
use crate::Failure;
use crate::comparison::Comparison;
use crate::floor::Route;
use crate::generator::Generator;
use crate::peer::Kind;

#[derive(Args, Clone)]
pub struct Soak {
    #[command(flatten)]
    pub comparison: Comparison,
    /// Half of them publish, half listen. Bounded by the descriptors that a process may have.
    #[arg(long, default_value_t = 8000)]
    connections: usize,
    /// Messages a second, all together, with QoS 1.
    #[arg(long, default_value_t = 2000)]
    rate: u64,
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Between two looks at the memory.
    #[arg(long, default_value_t = 30)]
    sample_seconds: u64,
}

const PAYLOAD_BYTES: usize = 64;

impl Soak {
    pub fn measure(&self) -> Result<(), Failure> {
        let comparison = Comparison { peers: vec![Kind::Landfall], ..self.comparison.clone() };
        let field = comparison.start(KeyAlgorithm::EcP256, self.connections)?;
        let peer = field.peers.first().ok_or("no server")?;
        let mut generator = Generator::new()?;
        let how = (Qos::AtLeastOnce, Sessions::Clean);
        println!("soak: {} connections, {} messages a second", self.connections, self.rate);
        println!("  before: {:.1} MiB resident", peer.resident_kib()? / 1024.0);
        let cast = Cast::join(&mut generator, peer, &field.clients, Route::Pair, how, self.connections / 2)?;
        println!("  connected: {:.1} MiB", peer.resident_kib()? / 1024.0);
        let begin = Instant::now();
        let cpu = peer.cpu_seconds()?;
        let (mut sent, mut delivered) = (0, 0);
        while begin.elapsed() < Duration::from_secs(self.seconds) {
            let mut pace = Pace::new(self.rate, PAYLOAD_BYTES, Pause::Sleep);
            pace.run(&mut generator, &cast.publishers, Duration::from_secs(self.sample_seconds), |_| false)?;
            sent += pace.sent;
            delivered += pace.times_ms.len();
            println!(
                "  after {:4.0} s: {:.1} MiB, {sent} sent, {delivered} delivered, CPU {:.1} % of a core",
                begin.elapsed().as_secs_f64(),
                peer.resident_kib()? / 1024.0,
                (peer.cpu_seconds()? - cpu) * 100.0 / begin.elapsed().as_secs_f64()
            );
        }
        cast.leave(&mut generator);
        Ok(())
    }
}
