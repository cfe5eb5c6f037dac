//! Measures the release binary from outside: onboardings and starts, and the broker beside others. The results are in
//! docs/performance.md.
//!
//! `cargo build --release -p landfall -p bench`, then `target/release/bench jitr`, `start`, `fanin` and so on.

mod child;
mod comparison;
mod floor;
mod generator;
mod identities;
mod jitr;
mod peer;
mod pinning;
mod process;
mod scenario;
mod start;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fleet::KeyAlgorithm;

use floor::{FloorServer, Route};
use peer::Programs;
use scenario::handshake::Handshake;
use scenario::idle::Idle;
use scenario::paced::Paced;
use scenario::soak::Soak;
use scenario::storm::Storm;
use scenario::subscriptions::Subscriptions;
use scenario::traffic::Traffic;

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Cli {
    /// The program to measure [default: `landfall` beside this one].
    #[arg(long, global = true, value_name = "FILE")]
    program: Option<PathBuf>,
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Fresh devices connect, are dropped, and connect again until they are let in; beside plain connections.
    Jitr(Fleet),
    /// Plain connections only, with the devices of `jitr`.
    Connections(Fleet),
    /// How soon the server is ready, from an empty directory and with a full registry; memory at rest.
    Start(start::Registry),
    /// Beside other brokers: full handshake, CONNECT, DISCONNECT.
    Handshake(Handshake),
    /// Beside other brokers: many publishers to one subscriber.
    Fanin(Traffic),
    /// Beside other brokers: one publisher to many subscribers, many messages in flight, and in lockstep.
    Fanout(Traffic),
    /// Beside other brokers: each publisher to its own subscriber.
    Pairs(Traffic),
    /// Beside other brokers: pairs with QoS 1 whose subscribers have persistent sessions.
    Persistent(Traffic),
    /// Beside other brokers: QoS 1 at a steady rate.
    Paced(Paced),
    /// Beside other brokers: memory of idle connections.
    Idle(Idle),
    /// Beside other brokers: what a publish costs beside many subscriptions.
    Subscriptions(Subscriptions),
    /// Beside other brokers: what connected clients notice of thousands of handshakes.
    Storm(Storm),
    /// Many connections at a steady rate for a long time.
    Soak(Soak),
    /// The floor itself; the others start it.
    #[command(hide = true)]
    FloorServer(FloorServer),
}

#[derive(Args, Clone)]
struct Fleet {
    /// How many devices land while the clock runs.
    #[arg(long, default_value_t = 2000)]
    devices: usize,
    /// How many at once.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=400))]
    in_flight: u16,
    /// The devices' keys, and their CA's: ec-p256 or rsa-2048, for instance.
    #[arg(long, default_value = "ec-p256")]
    key_type: KeyAlgorithm,
    /// A device's first pause before it connects again; each next one is twice as long, up to two seconds.
    #[arg(long, default_value_t = 100)]
    pause_ms: u64,
    /// Devices that land one after the other on an idle server, for the time to active.
    #[arg(long, default_value_t = 200)]
    idle_devices: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let measured = match cli.measurement {
        Measurement::FloorServer(options) => floor::serve(&options),
        measurement => child::program(cli.program.as_deref()).and_then(|program| run(measurement, program)),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(measurement: Measurement, program: PathBuf) -> Result<(), Failure> {
    if let Measurement::Jitr(fleet) = &measurement {
        return jitr::onboardings(&program, fleet);
    }
    if let Measurement::Connections(fleet) = &measurement {
        return jitr::connections(&program, fleet);
    }
    if let Measurement::Start(registry) = &measurement {
        return start::measure(&program, registry);
    }
    pinning::pin_self(pinning::GENERATOR_CORE)?;
    let programs = |given: &mut Programs| given.landfall = program;
    match measurement {
        Measurement::Handshake(mut handshake) => {
            programs(&mut handshake.comparison.programs);
            handshake.compare()
        }
        Measurement::Fanin(mut traffic) => {
            programs(&mut traffic.comparison.programs);
            traffic.compare("fan-in", Route::In)
        }
        Measurement::Fanout(mut traffic) => {
            programs(&mut traffic.comparison.programs);
            traffic.compare("fan-out", Route::Out)
        }
        Measurement::Pairs(mut traffic) => {
            programs(&mut traffic.comparison.programs);
            traffic.compare("pairs", Route::Pair)
        }
        Measurement::Persistent(mut traffic) => {
            programs(&mut traffic.comparison.programs);
            traffic.compare_kept()
        }
        Measurement::Paced(mut paced) => {
            programs(&mut paced.comparison.programs);
            paced.compare()
        }
        Measurement::Idle(mut idle) => {
            programs(&mut idle.comparison.programs);
            idle.compare()
        }
        Measurement::Subscriptions(mut subscriptions) => {
            programs(&mut subscriptions.traffic.comparison.programs);
            subscriptions.compare()
        }
        Measurement::Storm(mut storm) => {
            programs(&mut storm.comparison.programs);
            storm.compare()
        }
        Measurement::Soak(mut soak) => {
            programs(&mut soak.comparison.programs);
            soak.measure()
        }
        _ => Ok(()),
    }
}
