//! The store's directory: who holds it, which version wrote it, and files that only the owner reads.
//!
//! ```text
//! store.lock       held by an OS lock while a server runs; names its process
//! store.version    the version of everything beside it, written once the store is whole
//! records.redb     control records
//! blobs/           one file per SHA-256
//! journals/        one folder per journal, with its segments
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// Grows when an older server could misread what a newer one wrote.
const VERSION: u32 = 1;
/// Longer than any version or process number; a foreign file is not read further.
const MARKER_BYTES_MAX: u64 = 64;
/// Starting a process takes a few milliseconds; a server that holds the lock holds it for longer than this.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Held as long as the store is open.
pub(crate) struct Directory {
    path: PathBuf,
    /// The lock goes with the open file, so it also goes with a killed process.
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is missing and takes it, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let is_new = !path.exists();
        make_private(path)?;
        if let (true, Some(parent)) = (is_new, path.parent()) {
            // An empty parent is the working directory.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            sync(parent)?;
        }
        let lock = lock(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether the marker says that a whole store of this version is here; a newer version is refused.
    pub(crate) fn is_made(&self) -> Result<bool, StoreError> {
        let path = self.version_path();
        let text = match read_marker(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::io("read", &path, &error)),
        };
        match text.trim().parse::<u32>() {
            Ok(VERSION) => Ok(true),
            Ok(version) if version > VERSION => Err(StoreError::NewerVersion(format!(
                "the data directory {} was written by a newer server (store version {version}, this one knows \
                 {VERSION}); start the newer server, or choose another data directory",
                self.path.display()
            ))),
            _ => Err(StoreError::Corrupt(format!(
                "{} does not hold a version number; restore the data directory from a copy",
                path.display()
            ))),
        }
    }

    /// From now on a missing file is damage, not a first start.
    pub(crate) fn mark_made(&self) -> Result<(), StoreError> {
        replace_file(&self.version_path(), &self.path.join("store.version.new"), format!("{VERSION}\n").as_bytes())
    }

    pub(crate) fn records_path(&self) -> PathBuf {
        self.path.join("records.redb")
    }

    /// Kept, since only whoever runs the server can know that it is worth nothing.
    pub(crate) fn set_records_aside(&self) -> Result<(), StoreError> {
        let path = self.records_path();
        std::fs::rename(&path, path.with_extension("redb.unfinished"))
            .map_err(|error| StoreError::io("set aside", &path, &error))
    }

    pub(crate) fn blobs_path(&self) -> PathBuf {
        self.path.join("blobs")
    }

    pub(crate) fn journals_path(&self) -> PathBuf {
        self.path.join("journals")
    }

    fn version_path(&self) -> PathBuf {
        self.path.join("store.version")
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("store.lock");
    let mut file = private_file()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| StoreError::io("open", &path, &error))?;
    match try_lock_patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let process = read_marker(&path).unwrap_or_default();
            let process = process.trim();
            let process = if process.is_empty() { String::new() } else { format!(" (process {process})") };
            return Err(StoreError::InUse(format!(
                "the data directory {} is in use by another server{process}; stop it, or choose another data directory",
                dir.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, &error)),
    }
    // The process number is for the sentence above only; that it cannot be written is no reason not to start.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// A lock that was just given back may be held for a moment by a child process that was being started meanwhile: it has the
/// open file until it runs its own program.
fn try_lock_patiently(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
}

fn read_marker(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MARKER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What all files of the store are opened with: readable by the owner only.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// A directory that only the owner enters; one that exists is left as it is.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| StoreError::io("make the directory", path, &error))
}

/// Makes the names in a directory survive a power failure.
pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|error| StoreError::io("sync the directory", path, &error))
}

/// `path` holds all of `bytes`, on disk, or what it held before. `temporary` is in the same directory.
pub(crate) fn replace_file(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = private_file().write(true).create(true).truncate(true).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(temporary, path)
    };
    if let Err(error) = write() {
        // What is left is removed at the next start at the latest.
        let _ = std::fs::remove_file(temporary);
        return Err(StoreError::io("write", path, &error));
    }
    match path.parent() {
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}
