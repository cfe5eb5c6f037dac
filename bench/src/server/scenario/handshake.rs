//! Full handshake, CONNECT, CONNACK, DISCONNECT, close: so many connections after each other, some at once.

use clap::Args;
use fleet::KeyAlgorithm;

use crate::Failure;
use crate::comparison::{Comparison, Figure};
use crate::generator::{Came, Generator};
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::connect;

#[derive(Args, Clone)]
pub struct Handshake {
    #[command(flatten)]
    pub comparison: Comparison,
    /// Keys and certificates on both sides.
    #[arg(long, value_delimiter = ',', default_value = "ec-p256,rsa-2048")]
    key_type: Vec<KeyAlgorithm>,
    /// Connections in each run.
    #[arg(long, default_value_t = 3000)]
    connections: usize,
    /// At once.
    #[arg(long, default_value_t = 20)]
    in_flight: usize,
}

/// Certificates that come again and again.
const DEVICES: usize = 50;

impl Handshake {
    pub fn compare(&self) -> Result<(), Failure> {
        for key_type in &self.key_type {
            let field = self.comparison.start(*key_type, DEVICES)?;
            let title =
                format!("full handshake, CONNECT, DISCONNECT; {key_type} both sides, {} at once", self.in_flight);
            self.comparison.run(&title, &field, |peer, clients| self.measure(peer, clients))?;
        }
        Ok(())
    }

    fn measure(&self, peer: &Peer, clients: &[ClientIdentity]) -> Result<Vec<Figure>, Failure> {
        self.connect_all(peer, clients, self.connections / 10)?;
        let (begin, cpu) = (std::time::Instant::now(), peer.cpu_seconds()?);
        self.connect_all(peer, clients, self.connections)?;
        let (took, cpu) = (begin.elapsed(), peer.cpu_seconds()? - cpu);
        let connections = self.connections as f64;
        Ok(vec![
            Figure { name: "CPU-s per thousand connections", value: cpu * 1e3 / connections },
            Figure { name: "connections per second", value: connections / took.as_secs_f64() },
        ])
    }

    fn connect_all(&self, peer: &Peer, clients: &[ClientIdentity], count: usize) -> Result<(), Failure> {
        let mut generator = Generator::new()?;
        let (mut opened, mut ended, mut welcomed) = (0, 0, 0);
        while ended < count {
            while opened < count && opened - ended < self.in_flight {
                let identity = &clients[opened % clients.len()];
                generator.open(peer.address, identity, &connect(&format!("visit-{opened}"), true)?)?;
                opened += 1;
            }
            let mut goodbyes = Vec::new();
            generator.turn_for("CONNACK", |client, came| match came {
                Came::ConnAck => goodbyes.push(client),
                Came::End => ended += 1,
                _ => {}
            })?;
            welcomed += goodbyes.len();
            for client in goodbyes {
                generator.close(client);
                ended += 1;
            }
        }
        if welcomed == count { Ok(()) } else { Err(format!("{} of {count} were refused", count - welcomed).into()) }
    }
}
