//! A worker process before it has a function: started, confined by itself, waiting for its first frame.

use std::process::Stdio;

use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::runner::Config;

pub(crate) struct Process {
    pub child: Child,
    pub input: ChildStdin,
    pub output: ChildStdout,
}

impl Process {
    /// With an empty environment: nothing of the server's is a script's business.
    pub(crate) fn start(config: &Config) -> std::io::Result<Self> {
        let mut child = Command::new(&config.program)
            .args(&config.worker_args)
            .env_clear()
            // One allocation arena per thread would hold on to freed memory for each environment.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output }),
            _ => Err(std::io::Error::other("the worker has no pipes")),
        }
    }
}
