//! The binary: reads the configuration, opens the store, builds the rest, listens, drains on shutdown; and the verbs of
//! the command line. If a test needs something that is here, it is in the wrong crate.

/// `println!` for a reader that may have gone: `landfall explain | head -1` is no fault.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

mod banner;
mod broker_limits;
mod cli;
mod client;
mod data_dir;
mod dead_letters;
mod demo;
mod doctor;
mod doors;
mod env;
mod explain;
mod factory;
mod health;
mod open_files;
mod process_metrics;
mod run_file;
mod serve;
mod server_certificate;
mod service_manager;
mod settings;
mod stop_signals;
mod surroundings;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Verb};

/// What a person reads when something is wrong: one sentence that names what, and what to do.
#[derive(Debug)]
pub struct Sentence(pub String);

impl<T: Into<String>> From<T> for Sentence {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Serve(flags) => serve::main(&flags),
        Verb::Demo(arguments) => demo::main(&arguments),
        Verb::Env(arguments) => env::main(&arguments),
        Verb::Health(arguments) => health::main(&arguments),
        Verb::Explain(arguments) => explain::main(&arguments),
        Verb::DeadLetters(arguments) => dead_letters::main(&arguments),
        Verb::Invocations(arguments) => dead_letters::pending(&arguments),
        Verb::Ca(arguments) => factory::ca(&arguments),
        Verb::Device(arguments) => factory::device(&arguments),
        Verb::Simulate(arguments) => factory::simulate(&arguments),
        Verb::Doctor(flags) => return doctor::main(&flags),
        Verb::FunctionWorker => return ExitCode::from(u8::try_from(functions::worker_main()).unwrap_or(1)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Sentence(sentence)) => {
            eprintln!("landfall: {sentence}");
            ExitCode::FAILURE
        }
    }
}
