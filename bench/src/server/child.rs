//! The server as a child process, and what /proc says of it and of its workers.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use fleet::{AwsClient, Credentials};
use serde_json::Value;
use tempfile::TempDir;

use crate::Failure;
use crate::process::{processes, resident_kib};

/// Calls to the API under way at once: half of the connections that one address may have.
pub const CALLS_AT_ONCE: usize = 32;

pub struct Server {
    child: Child,
    data: PathBuf,
    run: Value,
    /// From the start of the process to the banner.
    pub ready_after: Duration,
    /// Gone with the server, where it is temporary.
    _temporary: Option<TempDir>,
}

/// CPU-seconds so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub server: f64,
    pub workers: f64,
}

pub fn program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let beside = || std::env::current_exe().map(|own| own.with_file_name("landfall"));
    let path = named.map_or_else(beside, |named| Ok(named.to_owned()))?;
    if path.exists() {
        return Ok(path);
    }
    Err(format!("{} is not built: cargo build --release -p landfall -p bench", path.display()).into())
}

impl Server {
    pub fn start(program: &Path, log: &str) -> Result<Self, Failure> {
        let temporary = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
        let mut server = Self::start_on(program, &temporary.path().join("data"), log)?;
        server._temporary = Some(temporary);
        Ok(server)
    }

    pub fn start_on(program: &Path, data: &Path, log: &str) -> Result<Self, Failure> {
        let begin = Instant::now();
        let mut child = Command::new(program)
            .args(["serve", "--api-addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .env("LANDFALL_LOG", log)
            .env("LANDFALL_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut banner = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut line = String::new();
        banner.read_line(&mut line)?;
        let ready_after = begin.elapsed();
        if !line.contains("is ready") {
            let status = child.wait()?;
            let said = child.stderr.take().map(std::io::read_to_string).transpose()?;
            return Err(format!("the server ended with {status}: {}", said.unwrap_or_default()).into());
        }
        // What follows in the banner fits the pipe.
        let run = serde_json::from_slice(&std::fs::read(data.join("run.json"))?)?;
        Ok(Self { child, data: data.to_owned(), run, ready_after, _temporary: None })
    }

    /// Once: whoever takes it reads to the end.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    pub fn mqtt_addr(&self) -> Result<SocketAddr, Failure> {
        Ok(self.run["mqtt_addr"].as_str().ok_or("run.json has no mqtt_addr")?.parse()?)
    }

    pub fn root_ca(&self) -> Result<String, Failure> {
        Ok(std::fs::read_to_string(self.data.join("root-CA.crt"))?)
    }

    pub fn client(&self) -> Result<AwsClient, Failure> {
        let file: Value = serde_json::from_slice(&std::fs::read(self.data.join("root-credentials.json"))?)?;
        let text = |file: &Value, name: &str| file[name].as_str().map(str::to_owned).ok_or(format!("no {name}"));
        let credentials = Credentials {
            access_key_id: text(&file, "access_key_id")?,
            secret_access_key: text(&file, "secret_access_key")?,
            session_token: None,
        };
        let url = format!("http://{}", text(&self.run, "api_addr")?);
        Ok(AwsClient::new(&url, &text(&self.run, "region")?, credentials)?)
    }

    /// SIGTERM, and its end.
    pub fn terminate(mut self) -> Result<(), Failure> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    pub fn memory(&self) -> Result<Memory, Failure> {
        let own = self.child.id();
        let children = processes()?.into_iter().filter(|(_, process)| process.parent == own);
        let workers = children.map(|(pid, _)| resident_mb(pid)).collect::<Result<_, _>>()?;
        Ok(Memory { server: resident_mb(own)?, workers })
    }

    /// The server's and its workers', those that ended included.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        let processes = processes()?;
        let own = processes.get(&self.child.id()).ok_or("the server is gone")?;
        let mut workers = own.cpu_of_ended_children;
        for worker in processes.values().filter(|process| process.parent == self.child.id()) {
            workers += worker.cpu + worker.cpu_of_ended_children;
        }
        Ok(Cpu { server: own.cpu, workers })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cpu {
    pub fn total(self) -> f64 {
        self.server + self.workers
    }

    pub fn since(self, before: Self) -> Self {
        Self { server: self.server - before.server, workers: self.workers - before.workers }
    }
}

/// Resident, in MB: what `ps` and `top` show.
pub struct Memory {
    pub server: f64,
    pub workers: Vec<f64>,
}

fn resident_mb(pid: u32) -> Result<f64, Failure> {
    Ok(resident_kib(pid)? * 1024.0 / 1e6)
}
