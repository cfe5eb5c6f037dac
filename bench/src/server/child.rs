//! The server as a child process, and what /proc says of it and of its workers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use fleet::{AwsClient, Credentials};
use serde_json::Value;
use tempfile::TempDir;

use crate::Failure;

/// The kernel counts CPU time in hundredths of a second for programs that ask (USER_HZ), on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

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
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kb * 1024.0 / 1e6)
}

struct Process {
    parent: u32,
    cpu: f64,
    cpu_of_ended_children: f64,
}

fn processes() -> Result<BTreeMap<u32, Process>, Failure> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended since it was listed.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        all.extend(parse_stat(&stat).map(|process| (pid, process)));
    }
    Ok(all)
}

/// proc(5): pid (name) state ppid ...; the name may hold anything.
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field - 3)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        cpu: seconds(14)? + seconds(15)?,
        cpu_of_ended_children: seconds(16)? + seconds(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn the_fields_are_counted_after_the_name() {
        let stat = "7 (a ) b) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 25 25 20 0 4 0 99";
        let process = parse_stat(stat).expect("a process");
        assert_eq!((process.parent, process.cpu, process.cpu_of_ended_children), (3, 2.0, 0.5));
    }
}
