//! The data directory: made for its owner alone, holds everything that the server keeps.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use services::RootCredentials;

use crate::Sentence;

#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

#[derive(Serialize, Deserialize)]
struct CredentialsFile {
    access_key_id: String,
    secret_access_key: String,
}

impl DataDir {
    /// Makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, Sentence> {
        let failed = |err| format!("data_dir {}: {err}. Choose a directory that this user may write.", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        Ok(Self(path.canonicalize().map_err(failed)?))
    }

    /// One that a running server has made.
    pub fn existing(path: &Path) -> Result<Self, Sentence> {
        let canonical = path.canonicalize();
        let absent = |_| {
            format!("data_dir {} is not there. Start a server, or name its directory with --data-dir.", path.display())
        };
        Ok(Self(canonical.map_err(absent)?))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Made at the first start, the same from then on.
    pub fn root_credentials(&self) -> Result<RootCredentials, Sentence> {
        let path = self.file("root-credentials.json");
        if !path.exists() {
            let fresh =
                CredentialsFile { access_key_id: access_key_id(), secret_access_key: STANDARD.encode(random::<30>()) };
            let json = serde_json::to_vec_pretty(&fresh).map_err(|err| err.to_string())?;
            write_new(&path, &json, 0o600)?;
        }
        self.read_root_credentials()
    }

    pub fn read_root_credentials(&self) -> Result<RootCredentials, Sentence> {
        let path = self.file("root-credentials.json");
        let text = fs::read(&path).map_err(|err| format!("{}: {err}.", path.display()))?;
        let file: CredentialsFile = serde_json::from_slice(&text)
            .map_err(|err| format!("{} does not hold credentials ({err}). Restore it from a copy; or move it away, and new ones are made at the next start.", path.display()))?;
        Ok(RootCredentials { access_key_id: file.access_key_id, secret_access_key: file.secret_access_key })
    }
}

/// Written whole or not at all: a temporary file beside it, synced and renamed.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Sentence> {
    let failed = |err: std::io::Error| format!("{}: {err}.", path.display());
    let temporary = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    // The name is on disk once its directory is.
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// `AKIA` and sixteen characters of base 32, as AWS makes them.
fn access_key_id() -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let tail: String = random::<16>().iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect();
    format!("AKIA{tail}")
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn credentials_are_made_once_and_for_the_owner() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let data_dir = DataDir::open(&temporary.path().join("new/data")).expect("a fresh directory");
        let first = data_dir.root_credentials().expect("made");
        assert_eq!(data_dir.root_credentials().expect("read"), first);
        assert_eq!((first.access_key_id.len(), first.secret_access_key.len()), (20, 40));
        for name in ["", "root-credentials.json"] {
            let mode = fs::metadata(data_dir.file(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name:?}");
        }
    }
}
