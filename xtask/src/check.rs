//! The whole truth for a commit: format, lints, tidiness, tests.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::run::run;
use crate::{tidy, tools};

/// Everything that needs no test tools.
pub fn check(root: &Path) -> Result<(), String> {
    step("format", || run(cargo(root).args(["fmt", "--all", "--", "--check"])))?;
    step("tidy", || tidy::check(root))?;
    step("clippy", || {
        run(cargo(root).args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    })
}

/// Installs what the tests need, and passes all of them. The black-box tests run the binary that is built here.
pub fn test(root: &Path) -> Result<(), String> {
    step("test tools", || tools::install(root))?;
    check(root)?;
    // Built before anything runs: the tests of the binary's own package make cargo build the binary, which the black-box
    // tests start.
    step("build", || run(cargo(root).args(["test", "--workspace", "--locked", "--no-run"])))?;
    step("tests", || run(cargo(root).args(["test", "--workspace", "--locked", "--no-fail-fast"])))
}

/// Today's data directory, for later versions to open, as the one of this number: see `tests/src/bin/keep-data-directory.rs`.
pub fn keep_data_directory(root: &Path, number: &str) -> Result<(), String> {
    run(cargo(root).args(["build", "--locked", "-p", "landfall"]))?;
    let path = root.join(format!("tests/fixtures/data-directory-{number}.zip"));
    let program = ["run", "--locked", "-p", "landfall-tests", "--bin", "keep-data-directory", "--"];
    run(cargo(root).args(program).arg(path))
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn step(name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("== {name}");
    let start = Instant::now();
    work().map_err(|err| format!("{name}: {err}"))?;
    println!("== {name}: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
