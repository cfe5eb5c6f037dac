//! The server as a child process, on a data directory that may outlive it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fleet::{AwsClient, ClientTls, Credentials};
use serde_json::Value;
use tempfile::TempDir;

use crate::program::build_dir;
use crate::{Aws, Finished, Mosquitto, PATIENCE, finish};

const POLL: Duration = Duration::from_millis(5);

/// A directory of one test. Several servers may follow each other on it.
#[derive(Clone)]
pub struct DataDir(Arc<TempDir>);

impl DataDir {
    pub fn new() -> Self {
        Self(Arc::new(tempfile::Builder::new().prefix("landfall-test-").tempdir().expect("a temporary directory")))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Of the server, below the test's own.
    pub fn server_path(&self) -> PathBuf {
        self.file("data")
    }
}

impl Default for DataDir {
    fn default() -> Self {
        Self::new()
    }
}

/// `region` and whatever else `landfall serve` shall be told.
#[derive(Clone, Debug)]
pub struct Options {
    pub region: &'static str,
    pub halt_at: Option<&'static str>,
    pub api_addr: &'static str,
    pub mqtt_addr: &'static str,
    /// Flags and their values.
    pub more: Vec<String>,
    /// Of its environment.
    pub variables: Vec<(String, String)>,
    /// No file of the server's grows beyond it.
    pub file_kib_max: Option<u32>,
    /// Files, connections included, that it may have open.
    pub open_files_max: Option<u32>,
    /// Behind what every test's config file says.
    pub config: &'static str,
}

impl Options {
    /// With these words behind `landfall serve`.
    pub fn with(more: &[&str]) -> Self {
        Self { more: more.iter().map(|word| (*word).to_owned()).collect(), ..Self::default() }
    }

    /// As a shell sets them.
    fn limits(&self) -> Option<String> {
        // In units of 512 bytes. The signal is ignored, so that a write fails as it does on a full disk.
        let files = self.file_kib_max.map(|kib| format!("trap '' XFSZ; ulimit -f {};", kib * 2));
        let open_files = self.open_files_max.map(|files| format!("ulimit -n {files};"));
        let limits: Vec<String> = files.into_iter().chain(open_files).collect();
        (!limits.is_empty()).then(|| limits.join(" "))
    }
}

impl Default for Options {
    fn default() -> Self {
        let any_port = "127.0.0.1:0";
        Self {
            region: "us-east-1",
            halt_at: None,
            api_addr: any_port,
            mqtt_addr: any_port,
            more: Vec::new(),
            variables: Vec::new(),
            file_kib_max: None,
            open_files_max: None,
            config: "",
        }
    }
}

pub struct Server {
    child: Child,
    /// Ends the server should this test process be killed: it waits for the end of a pipe that only we hold.
    leash: Child,
    data: DataDir,
    run: Value,
    credentials: Credentials,
    stderr: Arc<Mutex<String>>,
}

impl Server {
    /// Retries of a failed function come after one second each instead of Lambda's one and two minutes.
    const CONFIG: &str = "[functions]\nasync_retry_s = [1, 1]\n";

    pub fn start() -> Self {
        Self::start_on(&DataDir::new(), &Options::default())
    }

    fn command(data: &DataDir, options: &Options) -> Command {
        let config = data.file("landfall.toml");
        std::fs::write(&config, Self::CONFIG.to_owned() + options.config).expect("room for a config file");
        let mut command = Self::program();
        if let Some(limits) = options.limits() {
            let script = format!("{limits} exec \"$0\" \"$@\"");
            let program = command.get_program().to_owned();
            command = Command::new("sh");
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.args(["-c", &script]).arg(program);
        }
        command.envs(options.variables.iter().cloned());
        command.args(["serve", "--api-addr", options.api_addr, "--mqtt-addr", options.mqtt_addr]);
        command.args(["--region", options.region]).args(&options.more);
        command.arg("--data-dir").arg(data.server_path()).arg("--config").arg(config);
        if let Some(step) = options.halt_at {
            command.args(["--halt-at", step]);
        }
        command
    }

    /// The sentence with which a server refuses to start: one line, and no more.
    #[track_caller]
    pub fn refusal(data: &DataDir, options: &Options) -> String {
        let finished = finish(&mut Self::command(data, options), PATIENCE);
        assert_eq!(finished.code, Some(1), "{}", finished.text());
        assert!(finished.stderr.starts_with("landfall: "), "{}", finished.text());
        assert_eq!(finished.stderr.trim_end().lines().count(), 1, "{}", finished.text());
        finished.stderr
    }

    /// Ready when this returns.
    pub fn start_on(data: &DataDir, options: &Options) -> Self {
        let mut command = Self::command(data, options);
        // What a killed server left would be taken for the new one's.
        let run_file = data.server_path().join("run.json");
        let _ = std::fs::remove_file(&run_file);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's program starts");
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let leash = leash(child.id(), data.path());
        let run = wait_for_run_file(&run_file, &mut child, &stderr);
        let credentials = read_credentials(&data.server_path().join("root-credentials.json"));
        Self { child, leash, data: data.clone(), run, credentials, stderr }
    }

    /// `landfall` with a clean environment, for the verbs that the tests call.
    pub fn program() -> Command {
        let path = build_dir().join("landfall");
        assert!(path.exists(), "{} is not built. Run the black-box tests with: cargo xtask test", path.display());
        let mut command = Command::new(path);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// A verb that asks this server.
    pub fn ask(&self, verb: &str, arguments: &[&str]) -> Finished {
        finish(Self::program().arg(verb).arg("--data-dir").arg(self.data_path()).args(arguments), PATIENCE)
    }

    /// Waits until the newest record that fits `filter` has this reason: it follows the end of its connection, which the
    /// client sees first.
    #[track_caller]
    pub fn wait_for_record(&self, filter: &[&str], reason: &str) -> Value {
        let mut arguments = vec!["--json", "--last", "1"];
        arguments.extend(filter);
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.ask("explain", &arguments).must_succeed().stdout;
            if let Ok(record) = serde_json::from_str::<Value>(found.trim())
                && record["reason"] == reason
            {
                return record;
            }
            assert!(Instant::now() < until, "no {reason} for {filter:?}, but: {found}");
            std::thread::sleep(POLL);
        }
    }

    pub fn data_path(&self) -> PathBuf {
        self.data.server_path()
    }

    pub fn root_ca(&self) -> PathBuf {
        self.fact("root_ca").into()
    }

    /// Of `run.json`.
    #[track_caller]
    pub fn fact(&self, name: &str) -> &str {
        self.run[name].as_str().unwrap_or_else(|| panic!("run.json has no {name}: {}", self.run))
    }

    pub fn region(&self) -> &str {
        self.fact("region")
    }

    pub fn account(&self) -> &str {
        self.fact("account_id")
    }

    pub fn partition(&self) -> &'static str {
        if self.region().starts_with("cn-") { "aws-cn" } else { "aws" }
    }

    pub fn mqtt_addr(&self) -> SocketAddr {
        self.fact("mqtt_addr").parse().expect("an address")
    }

    pub fn api_addr(&self) -> SocketAddr {
        self.fact("api_addr").parse().expect("an address")
    }

    pub fn api_url(&self) -> String {
        self.fact("api_url").to_owned()
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub fn aws(&self) -> Aws<'_> {
        Aws::of(self)
    }

    /// fleet's client, for what takes many calls.
    pub fn client(&self) -> AwsClient {
        let credentials = self.credentials.clone();
        if !self.api_url().starts_with("https://") {
            return AwsClient::new(&self.api_url(), self.region(), credentials).expect("the API's address is usable");
        }
        let (addr, root) = (self.api_addr(), std::fs::read_to_string(self.root_ca()).expect("the server's root"));
        let tls = ClientTls::new(&root, self.fact("endpoint")).expect("a usable root");
        AwsClient::with_tls(&addr.ip().to_string(), addr.port(), &tls, self.region(), credentials)
            .expect("a usable root")
    }

    pub fn mosquitto(&self) -> Mosquitto {
        Mosquitto::new(self.fact("endpoint"), self.mqtt_addr().port(), &self.root_ca())
    }

    /// What the server has printed on standard error.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until standard error holds `text`.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.stderr().contains(text) {
            assert!(Instant::now() < until, "{text:?} was not printed:\n{}", self.stderr());
            std::thread::sleep(POLL);
        }
    }

    /// The processes that the server has started.
    pub fn children(&self) -> Vec<u32> {
        let is_child = |pid: &u32| {
            // pid (name) state ppid ...; the name may hold anything.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit(')').next().unwrap_or_default();
            after_name.split_whitespace().nth(1) == Some(self.child.id().to_string().as_str())
        };
        let processes = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For the end of a server that was killed by its number.
    pub fn wait(&mut self) {
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGKILL: no drain, no goodbye.
    pub fn kill(&mut self) {
        // It may have ended by itself; then it is gone as well.
        let _ = self.leash.kill();
        let _ = self.leash.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `TERM`, `INT`: as a service manager or a person at the keyboard stops it.
    pub fn signal(&self, name: &str) {
        finish(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]), PATIENCE).must_succeed();
    }

    /// The first thing that a stopping server does.
    #[track_caller]
    pub fn wait_for_no_run_file(&self) {
        let until = Instant::now() + PATIENCE;
        while self.data_path().join("run.json").exists() {
            assert!(Instant::now() < until, "the server does not begin to stop:\n{}", self.stderr());
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the end that a signal has asked for; the exit code, and what was printed on standard error.
    pub fn wait_for_end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return (status.code(), self.stderr());
            }
            assert!(Instant::now() < until, "the server does not end:\n{}", self.stderr());
            std::thread::sleep(POLL);
        }
    }

    /// SIGTERM, and the end of it.
    pub fn terminate(self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.wait_for_end()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("-- the server said --\n{}", self.stderr());
        }
    }
}

/// Statics are never dropped, and a test run may be interrupted: the pipe's end tells either. The server goes, and its
/// files with it.
fn leash(server: u32, data: &Path) -> Child {
    let script = "trap '' INT; read -r _; kill -9 \"$1\" 2>/dev/null; rm -rf \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "leash", &server.to_string()]).arg(data).stdin(Stdio::piped()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn().expect("sh starts")
}

fn collect(stderr: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let filling = kept.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut text = filling.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
        }
    });
    kept
}

#[track_caller]
fn wait_for_run_file(path: &Path, child: &mut Child, stderr: &Mutex<String>) -> Value {
    let said = || stderr.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(run) = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return run;
        }
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            panic!("the server ended with {status}:\n{}", said());
        }
        assert!(Instant::now() < until, "the server is not ready:\n{}", said());
        std::thread::sleep(POLL);
    }
}

fn read_credentials(path: &Path) -> Credentials {
    let bytes = std::fs::read(path).expect("root credentials are made at the first start");
    let file: Value = serde_json::from_slice(&bytes).expect("root credentials are JSON");
    let text = |name: &str| file[name].as_str().expect("root credentials have both members").to_owned();
    Credentials {
        access_key_id: text("access_key_id"),
        secret_access_key: text("secret_access_key"),
        session_token: None,
    }
}
