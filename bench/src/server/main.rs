//! Measures the release binary from outside: onboardings, plain connections, starts. The results are in
//! docs/performance.md.
//!
//! `cargo build --release -p landfall -p bench`, then `target/release/bench jitr`, `handshake` or `start`.

mod child;
mod jitr;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fleet::KeyAlgorithm;

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
    /// Plain connections only, to certificates that are active: full handshake, CONNECT, DISCONNECT.
    Handshake(Fleet),
    /// How soon the server is ready, from an empty directory and with a full registry; memory at rest.
    Start(start::Registry),
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
    let measured = child::program(cli.program.as_deref()).and_then(|program| match &cli.measurement {
        Measurement::Jitr(fleet) => jitr::onboardings(&program, fleet),
        Measurement::Handshake(fleet) => jitr::connections(&program, fleet),
        Measurement::Start(registry) => start::measure(&program, registry),
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
