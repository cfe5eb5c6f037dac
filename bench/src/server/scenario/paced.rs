//! QoS 1 at a steady rate, far below what the server could do: what a message costs when it travels alone, and how long it
//! takes.

use std::time::{Duration, Instant};

use clap::Args;
use fleet::{KeyAlgorithm, Sample};
use mqtt::Qos;

use super::{Cast, Sessions, settle, topic};
use crate::Failure;
use crate::comparison::{Comparison, Figure};
use crate::floor::Route;
use crate::generator::{Came, Generator};
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::{Stamp, publish};

#[derive(Args, Clone)]
pub struct Paced {
    #[command(flatten)]
    pub comparison: Comparison,
    /// Messages a second, all publishers together.
    #[arg(long, default_value_t = 4000)]
    rate: u64,
    /// Pairs of publisher and subscriber.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[arg(long, default_value_t = 64)]
    payload_bytes: usize,
}

impl Paced {
    pub fn compare(&self) -> Result<(), Failure> {
        let field = self.comparison.start(KeyAlgorithm::EcP256, 2 * self.clients)?;
        let title = format!("paced, QoS 1, {} a second over {} pairs", self.rate, self.clients);
        self.comparison.run(&title, &field, |peer, clients| self.measure(peer, clients))
    }

    fn measure(&self, peer: &Peer, clients: &[ClientIdentity]) -> Result<Vec<Figure>, Failure> {
        let mut generator = Generator::new()?;
        let how = (Qos::AtLeastOnce, Sessions::Clean);
        let cast = Cast::join(&mut generator, peer, clients, Route::Pair, how, self.clients)?;
        let mut pace = Pace::new(self.rate, self.payload_bytes, Pause::Spin);
        pace.run(&mut generator, &cast.publishers, Duration::from_millis(500), |_| false)?;
        settle(&mut generator, Duration::from_secs(2))?;
        let mut pace = Pace::new(self.rate, self.payload_bytes, Pause::Spin);
        let cpu = peer.cpu_seconds()?;
        pace.run(&mut generator, &cast.publishers, Duration::from_secs(self.seconds), |_| false)?;
        let cpu = peer.cpu_seconds()? - cpu;
        cast.leave(&mut generator);
        let (sent, times) = (pace.sent as f64, Sample::new(pace.times_ms));
        Ok(vec![
            Figure { name: "CPU-s per million", value: cpu * 1e6 / sent },
            Figure { name: "p50, ms", value: times.percentile(50.0) },
            Figure { name: "p99, ms", value: times.percentile(99.0) },
        ])
    }
}

/// Sends on time, whatever comes back, and notes how long each message took.
pub struct Pace {
    between: Duration,
    pause: Pause,
    payload_bytes: usize,
    pub sent: u64,
    pub times_ms: Vec<f64>,
}

/// What a pace does until the next message is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It looks again and again: a timer's slack would be part of what is measured.
    Spin,
    /// It sleeps, a millisecond too long at most, and leaves the core to others who need it.
    Sleep,
}

impl Pace {
    pub fn new(rate: u64, payload_bytes: usize, pause: Pause) -> Self {
        let between = Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
        Self { between, pause, payload_bytes, sent: 0, times_ms: Vec::new() }
    }

    /// For so long, or until `is_over` says so; it is asked with each message.
    pub fn run(
        &mut self,
        generator: &mut Generator,
        publishers: &[usize],
        bound: Duration,
        mut is_over: impl FnMut(u64) -> bool,
    ) -> Result<(), Failure> {
        let topics: Vec<String> = (0..publishers.len()).map(topic).collect();
        let begin = Instant::now();
        let mut next = begin;
        let mut ended = false;
        while begin.elapsed() < bound && !is_over(self.sent) {
            if Instant::now() >= next {
                let place = (self.sent as usize) % publishers.len();
                let stamp = Stamp { publisher: place as u32, sent_ns: generator.clock().now_ns() };
                let packet_id = (self.sent % 65_535 + 1) as u16;
                generator.send_with(publishers[place], |out| {
                    publish(&topics[place], packet_id, stamp, self.payload_bytes, out);
                });
                self.sent += 1;
                next += self.between;
            }
            let pause = match self.pause {
                Pause::Spin => Duration::ZERO,
                Pause::Sleep => next.saturating_duration_since(Instant::now()),
            };
            let mut came_at = None;
            let clock = generator.clock();
            generator.turn(Some(pause), |_, came| match came {
                Came::Message(stamp) => {
                    let now = *came_at.get_or_insert_with(|| clock.now_ns());
                    self.times_ms.push(now.saturating_sub(stamp.sent_ns) as f64 / 1e6);
                }
                Came::End => ended = true,
                _ => {}
            })?;
            if ended {
                return Err("the server has closed a connection".into());
            }
        }
        Ok(())
    }
}
