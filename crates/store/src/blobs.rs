//! Files by their SHA-256. What `get` answers is what `put` took, or an error.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aws_lc_rs::digest;
use bytes::Bytes;

use crate::directory::{make_private, replace_file};
use crate::error::StoreError;
use crate::limits::BLOB_BYTES_MAX;

const TEMPORARY_PREFIX: &str = "incoming-";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    pub fn of(bytes: &[u8]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(id)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The folder of blobs. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    folder: Arc<Folder>,
}

struct Folder {
    path: PathBuf,
    next_temporary: AtomicU64,
    /// The directory may belong to another server by now.
    is_closed: AtomicBool,
}

impl Blobs {
    /// Makes the folder and clears it of what a killed server was writing. The caller holds the directory's lock.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        make_private(&path)?;
        let entries = std::fs::read_dir(&path).map_err(|error| StoreError::io("list", &path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| StoreError::io("list", &path, &error))?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                let temporary = entry.path();
                std::fs::remove_file(&temporary).map_err(|error| StoreError::io("remove", &temporary, &error))?;
            }
        }
        let folder = Folder { path, next_temporary: AtomicU64::new(0), is_closed: AtomicBool::new(false) };
        Ok(Self { folder: Arc::new(folder) })
    }

    /// Written, fsynced, renamed (and the folder fsynced) when it answers. A blob that is there is written again: the
    /// file may have been damaged since.
    pub async fn put(&self, bytes: Bytes) -> Result<BlobId, StoreError> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(StoreError::TooLarge(format!(
                "a file of {} bytes was refused: at most {BLOB_BYTES_MAX} are taken",
                bytes.len()
            )));
        }
        let folder = self.folder()?.clone();
        blocking(move || {
            let id = BlobId::of(&bytes);
            let number = folder.next_temporary.fetch_add(1, Ordering::Relaxed);
            let temporary = folder.path.join(format!("{TEMPORARY_PREFIX}{number}"));
            replace_file(&folder.path.join(id.to_string()), &temporary, &bytes)?;
            Ok(id)
        })
        .await
    }

    /// `None` where it never was put.
    pub async fn get(&self, id: BlobId) -> Result<Option<Bytes>, StoreError> {
        let path = self.folder()?.path.join(id.to_string());
        blocking(move || {
            let Some(bytes) = read(&path)? else { return Ok(None) };
            if BlobId::of(&bytes) != id {
                return Err(StoreError::Corrupt(format!(
                    "{} is damaged: its content does not have the SHA-256 of its name; restore it from a copy, or \
                     upload the function's code again",
                    path.display()
                )));
            }
            Ok(Some(Bytes::from(bytes)))
        })
        .await
    }

    /// Whether there is a file for it; what it holds is looked at when it is read.
    pub fn has(&self, id: BlobId) -> Result<bool, StoreError> {
        let path = self.folder()?.path.join(id.to_string());
        path.try_exists().map_err(|error| StoreError::io("look for", &path, &error))
    }

    pub(crate) fn close(&self) {
        self.folder.is_closed.store(true, Ordering::Relaxed);
    }

    fn folder(&self) -> Result<&Arc<Folder>, StoreError> {
        if self.folder.is_closed.load(Ordering::Relaxed) { Err(StoreError::Closed) } else { Ok(&self.folder) }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = Vec::new();
    // One byte more than any blob has makes a longer file fail its hash.
    let read = File::open(path).and_then(|file| file.take(BLOB_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path, &error)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // The only way not to be run is the end of the runtime.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
