//! What brokers are compared by. Each is a few lines about who connects, who sends, and what is counted.

pub mod handshake;
pub mod idle;
pub mod paced;
pub mod soak;
pub mod storm;
pub mod subscriptions;
pub mod traffic;

use std::time::Duration;

use mqtt::Qos;

use crate::Failure;
use crate::floor::Route;
use crate::generator::{Came, Generator};
use crate::identities::ClientIdentity;
use crate::peer::Peer;
use crate::wire::{connect, subscribe};

/// Publishers and their subscribers, connected and subscribed.
struct Cast {
    route: Route,
    publishers: Vec<usize>,
    subscribers: Vec<usize>,
}

/// Whether sessions outlive their connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sessions {
    Clean,
    Kept,
}

impl Cast {
    fn join(
        generator: &mut Generator,
        peer: &Peer,
        clients: &[ClientIdentity],
        route: Route,
        (qos, sessions): (Qos, Sessions),
        count: usize,
    ) -> Result<Self, Failure> {
        let (publishers, subscribers) = match route {
            Route::In => (count, 1),
            Route::Out => (1, count),
            Route::Pair => (count, count),
        };
        let clean = sessions == Sessions::Clean;
        let open = |generator: &mut Generator, role, from: usize, count, clean| {
            let each = (0..count).map(|number: usize| {
                let identity = &clients[(from + number) % clients.len()];
                Ok((identity, connect(&route.client_id(role, number), clean)?))
            });
            let each: Vec<_> = each.collect::<Result<_, Failure>>()?;
            generator.open_all(peer.address, each)
        };
        // The floor has to know who hears before it is told something.
        let subscribers = open(generator, "sub", 0, subscribers, clean)?;
        let publishers = open(generator, "pub", subscribers.len(), publishers, true)?;
        for (number, subscriber) in subscribers.iter().enumerate() {
            let filter = match route {
                Route::In => "bench/+/telemetry".to_owned(),
                Route::Out => topic(0),
                Route::Pair => topic(number),
            };
            generator.subscribe(&[*subscriber], &subscribe(&[filter], qos)?)?;
        }
        Ok(Self { route, publishers, subscribers })
    }

    /// How many hear each message.
    fn fan(&self) -> u64 {
        match self.route {
            Route::Out => self.subscribers.len() as u64,
            Route::In | Route::Pair => 1,
        }
    }

    fn leave(self, generator: &mut Generator) {
        generator.close_all(&self.publishers);
        generator.close_all(&self.subscribers);
    }
}

/// Of publisher `number`.
fn topic(number: usize) -> String {
    format!("bench/{number}/telemetry")
}

/// Goes on until nothing has come for a moment, or `bound` is over.
fn settle(generator: &mut Generator, bound: Duration) -> Result<(), Failure> {
    let begin = std::time::Instant::now();
    let mut is_quiet = false;
    while !is_quiet && begin.elapsed() < bound {
        is_quiet = true;
        generator.turn(Some(Duration::from_millis(100)), |_, came| is_quiet &= came == Came::ConnAck)?;
    }
    Ok(())
}
