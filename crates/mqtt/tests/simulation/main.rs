//! A client and the session that serves it, joined by a link that keeps order and is cut again and again. Every run
//! follows from its seed, which is printed when one fails: `MQTT_SIMULATION_SEED=<seed>` runs it alone,
//! and `MQTT_SIMULATION_SEEDS=<count>` runs more of them.
//!
//! What must hold: with QoS 1 every message arrives, with QoS 2 exactly once, in both directions; first arrivals keep
//! the order of their topic; windows are never exceeded; no packet identifier stands for two messages at once.

mod client;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mqtt::Version;

use crate::random::Random;
use crate::world::World;

const SEEDS: u64 = 300;
const STEPS: usize = 600;

fn simulate(version: Version) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let all = number("MQTT_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds = number("MQTT_SIMULATION_SEED").map_or(0..all, |seed| seed..seed + 1);
    for seed in seeds {
        let run = || {
            let mut world = World::new(version, Random::new(seed));
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            world.check();
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            eprintln!("{version} fails with the seed {seed}");
            resume_unwind(panic);
        }
    }
}

#[test]
fn sessions_of_311_survive_their_connections() {
    simulate(Version::V311);
}

#[test]
fn sessions_of_5_survive_their_connections() {
    simulate(Version::V5);
}
