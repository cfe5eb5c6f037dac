//! What a publish costs beside many subscriptions with wildcards that it does not match, compared with few.

use clap::Args;
use mqtt::Qos;

use super::traffic::Traffic;
use crate::Failure;
use crate::floor::Route;
use crate::generator::Generator;
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::{connect, subscribe};

#[derive(Args, Clone)]
pub struct Subscriptions {
    #[command(flatten)]
    pub traffic: Traffic,
    #[arg(long, value_delimiter = ',', default_values_t = [500, 50_000])]
    subscriptions: Vec<usize>,
}

/// As many as AWS lets a connection have.
const FILTERS_PER_CONNECTION: usize = 50;
/// As many as AWS takes in one packet.
const FILTERS_PER_PACKET: usize = 8;

impl Subscriptions {
    pub fn compare(&self) -> Result<(), Failure> {
        for count in &self.subscriptions {
            let title = format!("pairs beside {count} subscriptions");
            self.traffic.compare_beside(&title, Route::Pair, |peer, clients| bystanders(peer, clients, *count))?;
        }
        Ok(())
    }
}

/// Clients that subscribe and hear nothing: half of the filters share their first levels with the topics that are
/// published, and end elsewhere.
fn bystanders(peer: &Peer, clients: &[ClientIdentity], subscriptions: usize) -> Result<Generator, Failure> {
    let mut generator = Generator::new()?;
    let connections = subscriptions.div_ceil(FILTERS_PER_CONNECTION);
    let each = (0..connections)
        .map(|number| Ok((&clients[number % clients.len()], connect(&format!("bystander-{number}"), true)?)));
    let each: Vec<_> = each.collect::<Result<_, Failure>>()?;
    let opened = generator.open_all(peer.address, each)?;
    for (place, client) in opened.iter().enumerate() {
        let from = place * FILTERS_PER_CONNECTION;
        let filters: Vec<String> = (from..subscriptions.min(from + FILTERS_PER_CONNECTION)).map(filter).collect();
        for filters in filters.chunks(FILTERS_PER_PACKET) {
            generator.subscribe(&[*client], &subscribe(filters, Qos::AtMostOnce)?)?;
        }
    }
    Ok(generator)
}

fn filter(number: usize) -> String {
    match number % 4 {
        0 => format!("bench/+/telemetry/{number}"),
        1 => format!("bench/{number}/+/alarm"),
        2 => format!("bench/{number}/state/#"),
        _ => format!("bench/other/{number}/+"),
    }
}
