//! Programs that this program calls.

use std::process::{Command, Stdio};

/// Runs it to its end with its output in view; says what failed.
pub fn run(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(err) => Err(format!("{command:?} could not be started: {err}")),
    }
}

/// Whether it ends well; quietly.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
