//! The broker on one core, the generator on another, so that neither takes from the other. By `taskset`, of util-linux.

use std::ffi::OsStr;
use std::process::Command;

use crate::Failure;

pub const BROKER_CORE: usize = 0;
pub const GENERATOR_CORE: usize = 1;

/// A command that will run on `core` alone.
pub fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// This process, and the threads that it starts from now on.
pub fn pin_self(core: usize) -> Result<(), Failure> {
    let own = std::process::id().to_string();
    let output = Command::new("taskset").args(["--pid", "--cpu-list", &core.to_string(), &own]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
