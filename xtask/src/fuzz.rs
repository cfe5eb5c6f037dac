//! libFuzzer over one target: nightly, cargo-fuzz, and the versions of the workspace's own lock file.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::run;

/// What the server itself may use at rest, many times over: an input that needs more is a finding.
const MEMORY_MB_MAX: u32 = 2048;
const INPUT_TIME_S_MAX: u32 = 10;

/// Inputs that reach something new are kept in the target folder; the checked-in corpus is read and not written.
pub fn fuzz(root: &Path, target: &str, seconds: &str) -> Result<(), String> {
    let folder = root.join("fuzz/libfuzzer");
    let seconds: u32 = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
    let io = |what: &str, err: std::io::Error| format!("{what}: {err}");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(|err| io("the lock file", err))?;
    let found = folder.join("corpus").join(target);
    fs::create_dir_all(&found).map_err(|err| io("the working corpus", err))?;
    run(Command::new("cargo")
        .current_dir(&folder)
        // Set by the cargo that runs this: it would choose its own compiler.
        .env_remove("RUSTUP_TOOLCHAIN")
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none", target])
        .arg(&found)
        .arg(root.join("fuzz/corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
        .arg(format!("-timeout={INPUT_TIME_S_MAX}"))
        .args(["-max_len=8192", "-print_final_stats=1"]))
}
