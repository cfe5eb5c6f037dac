//! Programs beside the server: run with a deadline, what they print kept.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at a child.
const POLL: Duration = Duration::from_millis(5);

#[derive(Clone, Debug)]
pub struct Finished {
    /// `None` where a signal ended it, the one of the deadline included.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Both streams: clients differ in where they say what.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn must_succeed(self) -> Self {
        assert!(self.is_success(), "code {:?}\n{}", self.code, self.text());
        self
    }
}

/// A program that has been started. Dropped, it is killed.
pub struct Running {
    child: Child,
    name: String,
    streams: Option<(Stream, Stream)>,
}

/// Starts `command` with `input` on its standard input.
pub fn start(command: &mut Command, input: &[u8]) -> Running {
    let name = command.get_program().to_string_lossy().into_owned();
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            panic!("{name} does not start ({error}). Install what the tests need: cargo run -p xtask -- setup")
        }
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early does not read everything; its output says why.
        let _ = stdin.write_all(input);
    }
    let stdout = read_in_background(child.stdout.take().expect("stdout is piped"));
    let stderr = read_in_background(child.stderr.take().expect("stderr is piped"));
    Running { child, name, streams: Some((stdout, stderr)) }
}

/// Runs `command` to its end.
pub fn finish(command: &mut Command, deadline: Duration) -> Finished {
    start(command, &[]).finish(deadline)
}

impl Running {
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// What it has printed on standard output so far.
    pub fn stdout(&self) -> String {
        self.streams.as_ref().map(|(stdout, _)| stdout.kept.text()).unwrap_or_default()
    }

    /// Waits until standard output holds `text`.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str, deadline: Duration) {
        let until = Instant::now() + deadline;
        while !self.stdout().contains(text) {
            assert!(Instant::now() < until, "{} did not print {text:?}, but: {}", self.name, self.stdout());
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the end, and kills what has none by the deadline.
    pub fn finish(mut self, deadline: Duration) -> Finished {
        let until = Instant::now() + deadline;
        let code = loop {
            match self.child.try_wait().expect("a child can be waited for") {
                Some(status) => break status.code(),
                None if Instant::now() >= until => {
                    self.end();
                    break None;
                }
                None => std::thread::sleep(POLL),
            }
        };
        let (stdout, stderr) = self.streams.take().expect("a program is finished once");
        let read = |stream: Stream| {
            stream.reader.join().unwrap_or_else(|_| panic!("{} could not be read", self.name));
            stream.kept.text()
        };
        Finished { code, stdout: read(stdout), stderr: read(stderr) }
    }

    fn end(&mut self) {
        // It may have ended by itself in the meantime.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a program prints, kept as it comes.
struct Stream {
    reader: JoinHandle<()>,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

fn read_in_background(mut stream: impl Read + Send + 'static) -> Stream {
    let kept = Kept::default();
    let filling = kept.clone();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 8192];
        // What came before an error is what there is.
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            filling.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
        }
    });
    Stream { reader, kept }
}

/// `target/debug`, where the test executable's own folder is, and this crate's own programs are.
pub(crate) fn build_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().expect("a program is in a folder");
    let is_deps = folder.file_name().is_some_and(|name| name == "deps");
    let build = if is_deps { folder.parent().expect("tests are in <target>/<profile>/deps") } else { folder };
    build.to_owned()
}

/// Something that `cargo xtask setup` puts under test-tools/.
pub(crate) fn test_tool(name: &str) -> PathBuf {
    let build = build_dir();
    let target = build.parent().expect("a profile's folder is in the target folder");
    let path = target.join("test-tools").join(name);
    assert!(path.exists(), "{} is not there. Install what the tests need: cargo run -p xtask -- setup", path.display());
    path
}
