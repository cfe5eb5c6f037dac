//! The open store: one handle to records, queues, blobs and journals.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, TryAcquireError, mpsc, watch};

use crate::blobs::Blobs;
use crate::commit::{Change, Commit, Record, Write};
use crate::counters::StoreCounters;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::{CommitError, StoreError};
use crate::journal::{Journal, JournalBounds, Journals};
use crate::limits::{QUEUE_UNIT_BYTES, QUEUE_UNITS_MAX};
use crate::proposal::{Place, Proposal};
use crate::queue::{Position, QueueBell, QueueEntry, QueueId, QueueRead, QueueUsage};
use crate::writer::{self, View};

/// The open store. Cheap to clone. When the last clone goes, the files are closed.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    view: Arc<View>,
    /// Gone once the store is closed.
    queue: Mutex<Option<Sender<Proposal>>>,
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
        let view = Arc::new(View::new(open_engine(&directory, Engine::open)?));
        let blobs = Blobs::open(directory.blobs_path())?;
        let journals = Journals::start(directory.journals_path())?;
        let (queue, proposals) = std::sync::mpsc::channel();
        let (alive, writer_ended) = watch::channel(());
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn({
                let view = view.clone();
                move || {
                    writer::run(&view, &proposals);
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
        self.commit_all(Commit { writes, queue: Vec::new() }).await
    }

    /// The same for records and queues together.
    pub async fn commit_all(&self, commit: Commit) -> Result<u64, CommitError> {
        let place = self.reserve(commit.size_bytes()?).await?;
        place.propose(commit).await
    }

    /// Waits for room for a commit of so many bytes.
    pub async fn reserve(&self, bytes: usize) -> Result<Place, StoreError> {
        let queue = self.lock_queue().clone().ok_or(StoreError::Closed)?;
        let units = self.inner.queue_units.clone();
        let share = units.acquire_many_owned(units_of(bytes)).await.map_err(|_| StoreError::Closed)?;
        Ok(Place { queue, share, view: self.inner.view.clone() })
    }

    /// `None`: there is no room now.
    pub fn try_reserve(&self, bytes: usize) -> Result<Option<Place>, StoreError> {
        let queue = self.lock_queue().clone().ok_or(StoreError::Closed)?;
        match self.inner.queue_units.clone().try_acquire_many_owned(units_of(bytes)) {
            Ok(share) => Ok(Some(Place { queue, share, view: self.inner.view.clone() })),
            Err(TryAcquireError::NoPermits) => Ok(None),
            Err(TryAcquireError::Closed) => Err(StoreError::Closed),
        }
    }

    /// A commit that need not be on disk soon, and may be lost in a crash: it goes with the next group, or in a moment.
    /// It takes no room from others, so that the caller bounds it. Never waits; a closed store forgets it.
    pub fn defer(&self, commit: Commit) {
        let Ok(size_bytes) = commit.size_bytes() else { return };
        if let Some(queue) = self.lock_queue().as_ref() {
            let _ = queue.send(Proposal { commit, size_bytes, answer: None, share: None });
        }
    }

    /// Entries of a queue beyond `after`, in their order.
    pub fn read_queue(&self, queue: QueueId, after: Position, read: QueueRead) -> Result<Vec<QueueEntry>, StoreError> {
        self.inner.view.with_engine(|engine| engine.read_queue(queue, after, read))
    }

    /// The position of the last append to any queue; whatever comes later lies behind it.
    pub fn last_position(&self) -> Result<Position, StoreError> {
        self.inner.view.with_engine(Engine::last_position)
    }

    /// All queues that are not empty.
    pub fn queues(&self) -> Result<Vec<(QueueId, QueueUsage)>, StoreError> {
        self.inner.view.with_engine(|engine| engine.queues())
    }

    /// Rings `bell` whenever something was appended to the queue, instead of the bell that hung there before.
    pub fn hang_bell(&self, queue: QueueId, bell: Arc<QueueBell>) {
        self.inner.view.bells.hang(queue, bell);
    }

    pub fn take_bell_down(&self, queue: QueueId) {
        self.inner.view.bells.take_down(queue);
    }

    /// Every change below `prefix` from now on, in the order of the commits. A commit's changes are in the channel
    /// before it is answered. To follow a set of records, watch first and scan then. The channel ends when the store
    /// is closed.
    pub fn watch(&self, prefix: &[u8]) -> mpsc::UnboundedReceiver<Change> {
        self.inner.view.watchers.add(prefix)
    }

    /// What was written since the store was opened.
    pub fn counters(&self) -> StoreCounters {
        self.inner.view.counters.snapshot(self.inner.journals.counters())
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

    fn lock_queue(&self) -> std::sync::MutexGuard<'_, Option<Sender<Proposal>>> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
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

/// The bounds of a commit keep this far below all there are.
fn units_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(QUEUE_UNIT_BYTES).clamp(1, QUEUE_UNITS_MAX)).unwrap_or(u32::MAX)
}

/// The records of a directory that is already held. A store that was whole once must be whole now; one that never was
/// is begun anew.
pub(crate) fn open_engine(
    directory: &Directory,
    open: impl Fn(&Path) -> Result<Engine, StoreError>,
) -> Result<Engine, StoreError> {
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
    let engine = match open(&path) {
        // The server ended, or the disk failed, while it made the file.
        Err(StoreError::Corrupt(why)) if !is_made => {
            directory.set_records_aside()?;
            tracing::warn!("{why}: it was never in use, so it is set aside and made anew");
            open(&path)?
        }
        opened => opened?,
    };
    if !is_made {
        directory.mark_made()?;
    }
    Ok(engine)
}
