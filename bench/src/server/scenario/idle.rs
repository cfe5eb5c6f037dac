//! What an idle connection keeps in the server's memory.

use std::time::Duration;

use clap::Args;
use fleet::KeyAlgorithm;

use crate::Failure;
use crate::comparison::{Comparison, Figure};
use crate::generator::Generator;
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::connect;

#[derive(Args, Clone)]
pub struct Idle {
    #[command(flatten)]
    pub comparison: Comparison,
    /// Each with a certificate of its own.
    #[arg(long, default_value_t = 4000)]
    connections: usize,
}

/// Time for what a server frees a little later.
const REST: Duration = Duration::from_secs(2);

impl Idle {
    pub fn compare(&self) -> Result<(), Failure> {
        // A server that had connections before keeps memory of them: each run is of a new one.
        let comparison = Comparison { runs: 1, ..self.comparison.clone() };
        let field = comparison.start(KeyAlgorithm::EcP256, self.connections)?;
        let title = format!("idle, {} connections", self.connections);
        comparison.run(&title, &field, |peer, clients| self.measure(peer, clients))
    }

    fn measure(&self, peer: &Peer, clients: &[ClientIdentity]) -> Result<Vec<Figure>, Failure> {
        let mut generator = Generator::new()?;
        let before = peer.resident_kib()?;
        let each =
            clients.iter().enumerate().map(|(number, client)| Ok((client, connect(&format!("idle-{number}"), true)?)));
        let each: Vec<_> = each.collect::<Result<_, Failure>>()?;
        let opened = generator.open_all(peer.address, each)?;
        std::thread::sleep(REST);
        let after = peer.resident_kib()?;
        generator.close_all(&opened);
        Ok(vec![Figure { name: "KiB resident per connection", value: (after - before) / opened.len() as f64 }])
    }
}
