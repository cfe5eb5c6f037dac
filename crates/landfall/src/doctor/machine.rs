//! The machine around the server: clock, disk, files and who may read them.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::data_dir::DataDir;
use crate::server_certificate::OwnFiles;

/// 2026-01-01: this program is younger.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// File times and clocks differ by less.
const TOLERANCE: Duration = Duration::from_secs(3600);

const FREE_BYTES_MIN: u64 = 100 << 20;
const FREE_BYTES_COMFORTABLE: u64 = 1 << 30;

/// A device holds one, and the server needs some of its own.
const FILES_COMFORTABLE: u64 = 4096;

/// Certificates are judged by it, and signatures of the API as well.
pub fn clock(data_dir: Option<&DataDir>) -> Finding {
    let now = SystemTime::now();
    let advice = "set it, and let NTP keep it: devices' certificates and signed requests are judged by it";
    if now < UNIX_EPOCH + EARLIEST {
        return Finding::wrong("clock", format!("it stands before 2026; {advice}"));
    }
    let newest = data_dir.and_then(|data_dir| last_written(data_dir.path()));
    if newest.is_some_and(|newest| newest > now + TOLERANCE) {
        let text = format!("files of the server were written in what is now the future, so it was set back; {advice}");
        return Finding::wrong("clock", text);
    }
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let shown = domain::Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX)).to_rfc3339();
    Finding::good("clock", shown)
}

fn last_written(data_dir: &Path) -> Option<SystemTime> {
    let of = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    ["store/records.redb", "root-CA.crt", "run.json"].iter().filter_map(|name| of(&data_dir.join(name))).max()
}

/// Each connection is an open file.
pub fn open_files() -> Finding {
    let limits = getrlimit(Resource::Nofile);
    match limits.maximum {
        Some(most) if most < FILES_COMFORTABLE => {
            let text = format!(
                "at most {most} may be open, and each connected device takes one; raise the limit: ulimit -Hn, or LimitNOFILE= of the service"
            );
            Finding::note("open files", text)
        }
        Some(most) => Finding::good("open files", format!("up to {most}")),
        None => Finding::good("open files", "no limit"),
    }
}

pub fn disk(data_dir: &DataDir) -> Finding {
    let free = match rustix::fs::statvfs(data_dir.path()) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(err) => return Finding::wrong("disk", format!("{}: {err}", data_dir.path().display())),
    };
    let text = format!("{} MB free for {}", free >> 20, data_dir.path().display());
    if free < FREE_BYTES_MIN {
        Finding::wrong("disk", format!("{text}: the server refuses to write when it is full; make room"))
    } else if free < FREE_BYTES_COMFORTABLE {
        Finding::note("disk", format!("{text}; make room before it is full"))
    } else {
        Finding::good("disk", text)
    }
}

/// Whoever reads these is the server, or the account's root.
pub fn modes(data_dir: &DataDir, own: Option<&OwnFiles>) -> Vec<Finding> {
    let mut open_to_others = Vec::new();
    let mut look = |path: &Path, forbidden: u32, wanted: &str| {
        let mode = |metadata: Metadata| metadata.permissions().mode() & 0o777;
        if path.metadata().map(mode).is_ok_and(|mode| mode & forbidden != 0) {
            open_to_others.push(Finding::wrong(
                "files",
                format!("{0} can be read by others; keep it to its owner: chmod {wanted} {0}", path.display()),
            ));
        }
    };
    look(data_dir.path(), 0o077, "700");
    look(&data_dir.file("store"), 0o077, "700");
    for name in ["root-credentials.json", "store/records.redb"] {
        look(&data_dir.file(name), 0o077, "600");
    }
    let entries = std::fs::read_dir(data_dir.path()).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "key")) {
        look(&path, 0o077, "600");
    }
    if let Some(own) = own {
        // A group of its own for such keys is usual.
        look(&own.key, 0o007, "640");
    }
    if open_to_others.is_empty() {
        open_to_others.push(Finding::good("files", "keys and credentials are for their owner only"));
    }
    open_to_others
}
