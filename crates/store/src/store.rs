//! The open store: one handle to records, blobs and journals.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::blobs::Blobs;
use crate::commit::{Change, Record, Write, size_bytes};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::{CommitError, StoreError};
use crate::journal::{Journal, JournalBounds, Journals};
use crate::limits::{QUEUE_COMMITS_MAX, QUEUE_UNIT_BYTES, QUEUE_UNITS_MAX};
use crate::writer::{self, Proposal, View};

/// The open store. Cheap to clone. When the last clone goes, the files are closed.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    view: Arc<View>,
    /// Gone once the store is closed.
    queue: Mutex<Option<mpsc::Sender<Proposal>>>,
    queue_units: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Its sender lives in the writer's thread.
    writer_ended: watch::Receiver<()>,
    blobs: Blobs,
    journals: Journals,
    /// Given back last.
    directory: Mutex<Option<Directory>>,
}

impl Store {
    /// Blocking: opens or makes the store below `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let directory = Directory::take(dir)?;
        let view = Arc::new(View::new(open_engine(&directory)?));
        let blobs = Blobs::open(directory.blobs_path())?;
        let journals = Journals::start(directory.journals_path())?;
        let (queue, proposals) = mpsc::channel(QUEUE_COMMITS_MAX);
        let (alive, writer_ended) = watch::channel(());
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn({
                let view = view.clone();
                move || {
                    writer::run(&view, proposals);
                    drop(alive);
                }
            })
            .map_err(|error| StoreError::Io(format!("cannot start the store's writer thread: {error}")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                view,
                queue: Mutex::new(Some(queue)),
                queue_units: Arc::new(Semaphore::new(QUEUE_UNITS_MAX)),
                writer: Mutex::new(Some(writer)),
                writer_ended,
                blobs,
                journals,
                directory: Mutex::new(Some(directory)),
            }),
        })
    }

    /// Reads the local view; about a microsecond, no await.
    pub fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        self.inner.view.with_engine(|engine| engine.get(key))
    }

    /// Records whose key begins with `prefix`, in key order.
    pub fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        self.scan_after(prefix, None, usize::MAX)
    }

    /// At most `limit` of them, with keys greater than `after`.
    pub fn scan_after(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        self.inner.view.with_engine(|engine| engine.scan(prefix, after, limit))
    }

    /// All or nothing, on disk when it answers. The revision is the commit's sequence number.
    ///
    /// A caller that stops waiting does not take the commit back: it may still happen.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<u64, CommitError> {
        let size_bytes = size_bytes(&writes)?;
        let queue = self.lock_queue().clone().ok_or(StoreError::Closed)?;
        // The bounds of a commit keep this far below u32::MAX.
        let units = size_bytes.div_ceil(QUEUE_UNIT_BYTES).max(1) as u32;
        let share = self.inner.queue_units.clone().acquire_many_owned(units).await.map_err(|_| StoreError::Closed)?;
        let (answer, verdict) = oneshot::channel();
        let proposal = Proposal { writes, size_bytes, answer, _share: share };
        if queue.send(proposal).await.is_err() {
            return Err(self.stopped());
        }
        drop(queue);
        verdict.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Every change below `prefix` from now on, in the order of the commits. A commit's changes are in the channel
    /// before it is answered. To follow a set of records, watch first and scan then. The channel ends when the store
    /// is closed.
    pub fn watch(&self, prefix: &[u8]) -> mpsc::UnboundedReceiver<Change> {
        self.inner.view.watchers.add(prefix)
    }

    /// Why nothing is written any more, if so.
    pub fn failure(&self) -> Option<StoreError> {
        self.inner.view.failure().cloned()
    }

    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Opens (or makes) the journal `name`. Blocking the first time: reads its files.
    pub fn journal(&self, name: &str, bounds: JournalBounds) -> Result<Journal, StoreError> {
        if self.lock_queue().is_none() {
            return Err(StoreError::Closed);
        }
        self.inner.journals.open(name, bounds)
    }

    /// The names of the journals that have files, opened or not, as far as they are letters, digits, `-` and `_`.
    pub fn journal_names(&self) -> Result<Vec<String>, StoreError> {
        self.inner.journals.folders()
    }

    /// A journal with its files. Waits for the disk.
    pub fn remove_journal(&self, name: &str) -> Result<(), StoreError> {
        if self.lock_queue().is_none() {
            return Err(StoreError::Closed);
        }
        self.inner.journals.remove(name)
    }

    /// Writes out what journals hold, finishes the running commits, refuses what comes after.
    pub async fn close(&self) {
        self.lock_queue().take();
        // Nothing is ever sent: the channel ends with the writer.
        let _ = self.inner.writer_ended.clone().changed().await;
        let inner = self.inner.clone();
        // It fails only where the runtime ends; then the last clone's end does the same.
        let _ = tokio::task::spawn_blocking(move || inner.release()).await;
    }

    fn lock_queue(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Proposal>>> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> CommitError {
        CommitError::Store(self.failure().unwrap_or(StoreError::Closed))
    }
}

impl Drop for Inner {
    /// Waits for the writer, at most one group of commits, so that the directory is free afterwards.
    fn drop(&mut self) {
        self.queue.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer has been told in `failure`.
            let _ = writer.join();
        }
        self.release();
    }
}

impl Inner {
    /// After the writer: journals to disk, files closed, the directory free for another server.
    fn release(&self) {
        self.journals.stop();
        self.blobs.close();
        self.view.close();
        self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The records of a directory that is already held. A store that was whole once must be whole now.
fn open_engine(directory: &Directory) -> Result<Engine, StoreError> {
    let is_made = directory.is_made()?;
    let path = directory.records_path();
    let size_bytes = path.metadata().ok().map(|metadata| metadata.len());
    if is_made && size_bytes.unwrap_or(0) == 0 {
        return Err(StoreError::Corrupt(format!(
            "{} {} though the store was in use before; restore the data directory from a copy",
            path.display(),
            if size_bytes.is_none() { "is missing" } else { "is empty" }
        )));
    }
    let engine = Engine::open(&path)?;
    if !is_made {
        directory.mark_made()?;
    }
    Ok(engine)
}
