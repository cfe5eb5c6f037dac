//! Several brokers under the same load, in turns, and the table of what came out.

use clap::Args;
use fleet::{KeyAlgorithm, Sample};

use crate::Failure;
use crate::identities::{ClientIdentity, Identities};
use crate::peer::{Kind, Peer, Programs};

#[derive(Args, Clone)]
pub struct Comparison {
    /// Who is compared.
    #[arg(long, value_delimiter = ',', default_values_t = [Kind::Floor, Kind::Mosquitto, Kind::Rmqttd, Kind::Landfall])]
    pub peers: Vec<Kind>,
    /// Runs of each, in turns; the median counts.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    #[command(flatten)]
    pub programs: Programs,
}

/// Brokers that run, and who may connect to them.
pub struct Field {
    pub peers: Vec<Peer>,
    pub clients: Vec<ClientIdentity>,
    _identities: Identities,
}

/// One number of one run, with its unit in its name.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
}

struct Row {
    peer: Kind,
    figure: &'static str,
    values: Vec<f64>,
}

impl Comparison {
    /// Starts the brokers; those that are missing are named and left out.
    pub fn start(&self, key_type: KeyAlgorithm, devices: usize) -> Result<Field, Failure> {
        let identities = Identities::new(key_type)?;
        let devices = identities.devices(devices)?;
        let clients = identities.clients(&devices)?;
        let mut peers = Vec::new();
        for kind in &self.peers {
            match kind.start(&self.programs, &identities, &devices) {
                Ok(peer) => peers.push(peer),
                Err(missing) if *kind != Kind::Landfall => eprintln!("bench: without {}: {missing}", kind.name()),
                Err(failure) => return Err(failure),
            }
        }
        Ok(Field { peers, clients, _identities: identities })
    }

    /// Runs `measure` on each broker in turn, and prints the medians of what it gives. The first figure is the one that
    /// is compared with mosquitto's and with the floor's.
    pub fn run(
        &self,
        title: &str,
        field: &Field,
        mut measure: impl FnMut(&Peer, &[ClientIdentity]) -> Result<Vec<Figure>, Failure>,
    ) -> Result<(), Failure> {
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..self.runs {
            for peer in &field.peers {
                let figures =
                    measure(peer, &field.clients).map_err(|error| format!("{}: {error}", peer.kind.name()))?;
                for Figure { name, value } in figures {
                    match rows.iter_mut().find(|row| row.peer == peer.kind && row.figure == name) {
                        Some(row) => row.values.push(value),
                        None => rows.push(Row { peer: peer.kind, figure: name, values: vec![value] }),
                    }
                }
            }
        }
        print(title, &rows);
        Ok(())
    }
}

fn print(title: &str, rows: &[Row]) {
    println!("{title}");
    let first = rows.first().map(|row| row.figure);
    let of = |kind| rows.iter().find(|row| row.peer == kind && Some(row.figure) == first).map(Row::median);
    let (floor, mosquitto) = (of(Kind::Floor), of(Kind::Mosquitto));
    for row in rows {
        let spread = Sample::new(row.values.clone());
        let (least, most) = (spread.percentile(0.0), spread.percentile(100.0));
        print!("  {:22} {:32} {:9.3}  ({least:.3} to {most:.3})", row.peer.name(), row.figure, row.median());
        if Some(row.figure) == first {
            for (name, other) in [("floor", floor), ("mosquitto", mosquitto)] {
                if let Some(other) = other {
                    print!("  {:.2} x {name}", row.median() / other);
                }
            }
        }
        println!();
    }
}

impl Row {
    fn median(&self) -> f64 {
        Sample::new(self.values.clone()).percentile(50.0)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use clap::ValueEnum as _;
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}
