//! Files by their SHA-256. What `get` answers is what `put` took, or an error.
//!
//! A blob is there for the records that name it. Whoever commits such a record holds the blob from before `put` until
//! after the commit; whoever took the last name away asks for its removal, which a hold prevents. What a crash leaves in
//! between is found among `ids` at the next start.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    /// How many hold each blob; one that nobody holds is not there.
    held: HashMap<BlobId, usize>,
    /// Blobs about to be removed, and whether somebody has held each since then.
    leaving: HashMap<BlobId, bool>,
}

impl Folder {
    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a blob from being removed as long as it lives.
pub struct BlobHold {
    folder: Arc<Folder>,
    id: BlobId,
}

impl Drop for BlobHold {
    fn drop(&mut self) {
        let mut uses = self.folder.uses();
        if let Some(count) = uses.held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                uses.held.remove(&self.id);
            }
        }
    }
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
        let folder = Folder {
            path,
            next_temporary: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            uses: Mutex::default(),
        };
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

    /// Also of a blob that is not there yet.
    pub fn hold(&self, id: BlobId) -> BlobHold {
        let mut uses = self.folder.uses();
        *uses.held.entry(id).or_default() += 1;
        if let Some(held_since) = uses.leaving.get_mut(&id) {
            *held_since = true;
        }
        BlobHold { folder: self.folder.clone(), id }
    }

    /// Removes a blob that nobody holds and that no record names, and says whether it did. `is_named` looks at the
    /// records; it is asked on a thread that may wait.
    pub async fn remove_unless(
        &self,
        id: BlobId,
        is_named: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, StoreError> {
        let folder = self.folder()?.clone();
        blocking(move || {
            {
                let mut uses = folder.uses();
                if uses.held.contains_key(&id) || uses.leaving.contains_key(&id) {
                    return Ok(false);
                }
                uses.leaving.insert(id, false);
            }
            let is_named = is_named();
            let path = folder.path.join(id.to_string());
            // The file goes under the lock: who holds it from now on writes it again.
            let mut uses = folder.uses();
            let held_since = uses.leaving.remove(&id).unwrap_or(true);
            if is_named || held_since {
                return Ok(false);
            }
            match std::fs::remove_file(&path) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(StoreError::io("remove", &path, &error)),
            }
        })
        .await
    }

    /// Every blob that is there, in no order.
    pub async fn ids(&self) -> Result<Vec<BlobId>, StoreError> {
        let folder = self.folder()?.clone();
        blocking(move || {
            let list = || {
                let mut ids = Vec::new();
                for entry in std::fs::read_dir(&folder.path)? {
                    let mut id = [0; 32];
                    // What has another name is not ours.
                    if hex::decode_to_slice(entry?.file_name().to_string_lossy().as_bytes(), &mut id).is_ok() {
                        ids.push(BlobId(id));
                    }
                }
                Ok(ids)
            };
            list().map_err(|error| StoreError::io("list", &folder.path, &error))
        })
        .await
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
