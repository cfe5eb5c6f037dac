//! The thread that writes all journals out, each second and at the end.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ring::Ring;
use super::segment::{Segments, folder_below};
use super::{Journal, JournalBounds, Shared};
use crate::counters::JournalCounters;
use crate::error::StoreError;
use crate::limits::JOURNAL_NAME_BYTES_MAX;

/// What a crash may cost.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The open journals by name.
pub(crate) struct Journals {
    folder: PathBuf,
    open: Arc<Mutex<BTreeMap<String, Journal>>>,
    counters: Arc<JournalCounters>,
    /// Gone once stopped. Dropping the sender ends the thread.
    thread: Mutex<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
}

impl Journals {
    pub(crate) fn start(folder: PathBuf) -> Result<Self, StoreError> {
        let open: Arc<Mutex<BTreeMap<String, Journal>>> = Arc::default();
        let (alive, ended) = mpsc::channel();
        let handle = std::thread::Builder::new()
            .name("journal-writer".into())
            .spawn({
                let open = open.clone();
                move || run(&open, &ended)
            })
            .map_err(|error| StoreError::Io(format!("cannot start the journals' writer thread: {error}")))?;
        Ok(Self { folder, open, counters: Arc::default(), thread: Mutex::new(Some((alive, handle))) })
    }

    /// The same journal for the same name, with the bounds given last.
    pub(crate) fn open(&self, name: &str, bounds: JournalBounds) -> Result<Journal, StoreError> {
        if name.is_empty() || name.len() > JOURNAL_NAME_BYTES_MAX {
            return Err(StoreError::TooLarge(format!(
                "the journal name {name:?} was refused: it must have 1 to {JOURNAL_NAME_BYTES_MAX} bytes"
            )));
        }
        let mut open = lock(&self.open);
        if let Some(journal) = open.get(name) {
            journal.ring().set_bounds(bounds);
            return Ok(journal.clone());
        }
        let mut ring = Ring::new(bounds);
        let segments = Segments::load(folder_below(&self.folder, name), &mut ring)?;
        // What found no room any more was lost in an earlier life.
        ring.take_lost();
        let shared = Shared {
            name: name.to_owned(),
            ring: Mutex::new(ring),
            segments: Mutex::new(segments),
            counters: self.counters.clone(),
        };
        let journal = Journal { shared: Arc::new(shared) };
        open.insert(name.to_owned(), journal.clone());
        Ok(journal)
    }

    pub(crate) fn counters(&self) -> &JournalCounters {
        &self.counters
    }

    /// What lies in the journals' folder, by the names of the folders.
    pub(crate) fn folders(&self) -> Result<Vec<String>, StoreError> {
        let list = || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&self.folder)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            Ok::<_, std::io::Error>(names)
        };
        match list() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| StoreError::io("list", &self.folder, &error)),
        }
    }

    /// The journal and its files are gone. What is appended to a handle that is left stays in memory.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let removed = lock(&self.open).remove(name);
        // While its segments are held the writer's thread does not make new ones.
        let mut segments =
            removed.as_ref().map(|journal| journal.shared.segments.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(segments) = &mut segments {
            segments.abandon();
        }
        let folder = folder_below(&self.folder, name);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", &folder, &error)),
            _ => Ok(()),
        }
    }

    /// Writes everything out and ends the thread. Waits for the disk.
    pub(crate) fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((alive, handle)) = thread {
            drop(alive);
            if handle.join().is_err() {
                tracing::error!("the journals' writer panicked; what it had not written is lost");
            }
        }
    }
}

fn run(open: &Mutex<BTreeMap<String, Journal>>, ended: &mpsc::Receiver<()>) {
    loop {
        let is_last = !matches!(ended.recv_timeout(WRITE_EVERY), Err(RecvTimeoutError::Timeout));
        let journals: Vec<Journal> = lock(open).values().cloned().collect();
        for journal in journals {
            journal.write_out();
        }
        if is_last {
            return;
        }
    }
}

fn lock(open: &Mutex<BTreeMap<String, Journal>>) -> MutexGuard<'_, BTreeMap<String, Journal>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
