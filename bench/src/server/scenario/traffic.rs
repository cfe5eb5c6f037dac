//! As fast as it goes: publishers with so many messages in flight each, a next one for each that has arrived everywhere.

use std::time::Instant;

use clap::Args;
use mqtt::Qos;

use super::{Cast, Sessions, topic};
use crate::Failure;
use crate::comparison::{Comparison, Figure};
use crate::floor::Route;
use crate::generator::{Came, Generator};
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::process::cpu_seconds;
use crate::wire::{Stamp, publish};

#[derive(Args, Clone)]
pub struct Traffic {
    #[command(flatten)]
    pub comparison: Comparison,
    /// 0 and 1, or one of them.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1], value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: Vec<u8>,
    /// Messages that are delivered in each run.
    #[arg(long, default_value_t = 400_000)]
    pub messages: u64,
    /// Publishers, or subscribers, or pairs of them.
    #[arg(long, default_value_t = 50)]
    pub clients: usize,
    /// Messages of each publisher on their way [default: 4; of a fan-out's one publisher 100, and then 1].
    #[arg(long)]
    pub in_flight: Option<u64>,
    #[arg(long, default_value_t = 64)]
    pub payload_bytes: usize,
}

/// Small enough that packets travel alone or in twos and threes, as those of devices do, and that nothing is dropped.
const IN_FLIGHT: u64 = 4;
const IN_FLIGHT_OF_ONE_PUBLISHER: u64 = 100;

impl Traffic {
    fn in_flight(&self, route: Route) -> Vec<u64> {
        match (self.in_flight, route) {
            (Some(in_flight), _) => vec![in_flight],
            (None, Route::Out) => vec![IN_FLIGHT_OF_ONE_PUBLISHER, 1],
            (None, _) => vec![IN_FLIGHT],
        }
    }

    pub fn compare(&self, title: &str, route: Route) -> Result<(), Failure> {
        let field = self.comparison.start(fleet::KeyAlgorithm::EcP256, 2 * self.clients + 1)?;
        for qos in &self.qos {
            for in_flight in self.in_flight(route) {
                let load = Load { traffic: self, route, qos: qos_of(*qos), sessions: Sessions::Clean, in_flight };
                let title = self.title(title, *qos, in_flight);
                self.comparison.run(&title, &field, |peer, clients| load.measure(peer, clients))?;
            }
        }
        Ok(())
    }

    /// The same with other clients there: they stay until all runs of their broker are over.
    pub fn compare_beside(
        &self,
        title: &str,
        route: Route,
        others: impl Fn(&Peer, &[ClientIdentity]) -> Result<Generator, Failure>,
    ) -> Result<(), Failure> {
        let field = self.comparison.start(fleet::KeyAlgorithm::EcP256, 2 * self.clients + 1)?;
        let others = field.peers.iter().map(|peer| others(peer, &field.clients));
        let _others: Vec<Generator> = others.collect::<Result<_, _>>()?;
        for qos in &self.qos {
            let in_flight = self.in_flight.unwrap_or(IN_FLIGHT);
            let load = Load { traffic: self, route, qos: qos_of(*qos), sessions: Sessions::Clean, in_flight };
            let title = self.title(title, *qos, in_flight);
            self.comparison.run(&title, &field, |peer, clients| load.measure(peer, clients))?;
        }
        Ok(())
    }

    fn title(&self, of: &str, qos: u8, in_flight: u64) -> String {
        let (clients, bytes) = (self.clients, self.payload_bytes);
        format!("{of}, QoS {qos}, {clients} clients, {in_flight} in flight each, {bytes} bytes")
    }

    /// QoS 1 to subscribers whose sessions are kept.
    pub fn compare_kept(&self) -> Result<(), Failure> {
        let field = self.comparison.start(fleet::KeyAlgorithm::EcP256, 2 * self.clients + 1)?;
        let in_flight = self.in_flight.unwrap_or(IN_FLIGHT);
        let title = self.title("pairs with persistent subscribers", 1, in_flight);
        let load =
            Load { traffic: self, route: Route::Pair, qos: Qos::AtLeastOnce, sessions: Sessions::Kept, in_flight };
        self.comparison.run(&title, &field, |peer, clients| load.measure(peer, clients))
    }
}

pub fn qos_of(qos: u8) -> Qos {
    if qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce }
}

struct Load<'a> {
    traffic: &'a Traffic,
    route: Route,
    qos: Qos,
    sessions: Sessions,
    in_flight: u64,
}

/// Of each publisher.
struct Progress {
    sent: u64,
    acknowledged: u64,
    delivered: u64,
}

impl Load<'_> {
    fn measure(&self, peer: &Peer, clients: &[ClientIdentity]) -> Result<Vec<Figure>, Failure> {
        let mut generator = Generator::new()?;
        let how = (self.qos, self.sessions);
        let cast = Cast::join(&mut generator, peer, clients, self.route, how, self.traffic.clients)?;
        let messages = (self.traffic.messages / cast.fan()).max(1);
        self.pump(&mut generator, &cast, messages / 10)?;
        let (begin, cpu, own) = (Instant::now(), peer.cpu_seconds()?, cpu_seconds(std::process::id())?);
        self.pump(&mut generator, &cast, messages)?;
        let (took, cpu) = (begin.elapsed(), peer.cpu_seconds()? - cpu);
        let own = cpu_seconds(std::process::id())? - own;
        let delivered = (messages * cast.fan()) as f64;
        cast.leave(&mut generator);
        Ok(vec![
            Figure { name: "CPU-s per million delivered", value: cpu * 1e6 / delivered },
            Figure { name: "delivered per second", value: delivered / took.as_secs_f64() },
            Figure { name: "busy: server, of its core", value: cpu / took.as_secs_f64() },
            Figure { name: "busy: generator", value: own / took.as_secs_f64() },
        ])
    }

    fn pump(&self, generator: &mut Generator, cast: &Cast, messages: u64) -> Result<(), Failure> {
        let fan = cast.fan();
        let topics: Vec<String> = (0..cast.publishers.len()).map(topic).collect();
        let first = cast.publishers.first().copied().unwrap_or(0);
        let mut all: Vec<Progress> =
            cast.publishers.iter().map(|_| Progress { sent: 0, acknowledged: 0, delivered: 0 }).collect();
        let (mut sent, mut done) = (0, 0);
        loop {
            for (number, progress) in all.iter_mut().enumerate() {
                let open = progress.sent - self.arrived(progress, fan);
                let count = self.in_flight.saturating_sub(open).min(messages - sent);
                if count == 0 {
                    continue;
                }
                let stamp = Stamp { publisher: number as u32, sent_ns: 0 };
                generator.send_with(cast.publishers[number], |out| {
                    for _ in 0..count {
                        progress.sent += 1;
                        let packet_id = match self.qos {
                            Qos::AtMostOnce => 0,
                            _ => (progress.sent % 65_535 + 1) as u16,
                        };
                        publish(&topics[number], packet_id, stamp, self.traffic.payload_bytes, out);
                    }
                });
                sent += count;
            }
            if done == messages {
                return Ok(());
            }
            let mut ended = false;
            generator.turn_for("message", |client, came| match came {
                Came::Message(stamp) => {
                    if let Some(progress) = all.get_mut(stamp.publisher as usize) {
                        progress.delivered += 1;
                    }
                }
                Came::PubAck => {
                    if let Some(progress) = all.get_mut(client.wrapping_sub(first)) {
                        progress.acknowledged += 1;
                    }
                }
                Came::End => ended = true,
                Came::ConnAck | Came::SubAck => {}
            })?;
            if ended {
                return Err("the server has closed a connection".into());
            }
            done = all.iter().map(|progress| self.arrived(progress, fan)).sum();
        }
    }

    fn arrived(&self, progress: &Progress, fan: u64) -> u64 {
        let delivered = progress.delivered / fan;
        match self.qos {
            Qos::AtMostOnce => delivered,
            _ => delivered.min(progress.acknowledged),
        }
    }
}
