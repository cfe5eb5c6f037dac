//! The project's own chores. Each verb is a module.

use std::path::PathBuf;
use std::process::ExitCode;

mod check;
mod codegen;
mod compatibility;
mod fuzz;
mod models;
mod run;
mod tidy;
mod tools;

const USAGE: &str = "\
usage: cargo xtask <verb>
  test                install what the tests need and pass all of them
  check               format, tidiness and lints, without tests
  setup               only install what the tests need
  models --from DIR   reduce botocore's service models (DIR is its data directory) to models/
  codegen             make the Rust shapes and tables from models/
  compatibility       renew the tables of docs/aws-compatibility.md
  keep-data-directory NUMBER
                      make a data directory that later versions must open, with today's server
  fuzz TARGET SECONDS run libFuzzer over one target (needs nightly and cargo-fuzz: docs/fuzzing.md)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => check::test(&root()),
        ["check"] => check::check(&root()),
        ["setup"] => tools::install(&root()),
        ["models", "--from", data] => models::reduce_all(&root(), &PathBuf::from(data)),
        ["fuzz", target, seconds] => fuzz::fuzz(&root(), target, seconds),
        ["keep-data-directory", number] => check::keep_data_directory(&root(), number),
        ["compatibility"] => compatibility::write(&root()),
        ["codegen"] => codegen::write(&root()),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: xtask lies directly in it.
fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
