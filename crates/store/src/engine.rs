//! The embedded engine, redb. No other file of the server names it.
//!
//! A record is stored under its key as eight bytes of revision (big-endian) and the value. The sequence number of the
//! last commit lies beside the records and changes in the same transaction. Queues are in `queues`.

mod queues;

use std::io::ErrorKind;
use std::ops::Bound;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition};

use crate::commit::Record;
use crate::directory::private_file;
use crate::error::StoreError;
use crate::queue::{Position, QueueEntry, QueueId, QueueRead, QueueUsage};
use queues::QueueDraft;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SEQUENCE: &str = "sequence";
/// Of the last append to a queue.
const POSITION: &str = "position";
/// Which tables there are: 2 since there are queues.
const FORM: &str = "form";
const FORM_NOW: u64 = 2;

/// The engine's own cache. The kernel caches the file as well; this one must fit "30 MB at rest".
const CACHE_BYTES: usize = 8 << 20;

const REVISION_BYTES: usize = 8;

pub(crate) struct Engine {
    database: Database,
    path: PathBuf,
}

impl Engine {
    /// Opens or makes the file at `path`, repairing it where the last run was killed.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        private_file()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| StoreError::io("open", path, &error))?;
        Self::open_by(path, |builder| builder.create(path))
    }

    /// Tests open it on a disk of their own.
    pub(crate) fn open_by(
        path: &Path,
        create: impl FnOnce(&Builder) -> Result<Database, DatabaseError> + UnwindSafe,
    ) -> Result<Self, StoreError> {
        // redb may panic on a file that was altered behind its back.
        let open = || create(Builder::new().set_cache_size(CACHE_BYTES));
        let database = catch_unwind(open).map_err(|_| damaged(path, "its pages contradict each other"))?;
        let database = database.map_err(|error| sentence(path, error))?;
        let engine = Self { database, path: path.to_owned() };
        // All tables exist from here on, so that readers need not ask.
        engine.transact(|_| Ok(()))?;
        Ok(engine)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Record>, StoreError> {
        let read = self.database.begin_read().map_err(|error| self.sentence(error))?;
        let table = read.open_table(RECORDS).map_err(|error| self.sentence(error))?;
        let found = table.get(key).map_err(|error| self.sentence(error))?;
        found.map(|guard| self.decode(key, guard.value())).transpose()
    }

    /// At most `limit` records below `prefix` with keys greater than `after`, in key order.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Record)>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let read = self.database.begin_read().map_err(|error| self.sentence(error))?;
        let table = read.open_table(RECORDS).map_err(|error| self.sentence(error))?;
        let range = table.range::<&[u8]>((from, Bound::Unbounded)).map_err(|error| self.sentence(error))?;
        let mut found = Vec::new();
        for item in range.take(limit) {
            let (key, value) = item.map_err(|error| self.sentence(error))?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            found.push((key.to_vec(), self.decode(key, value.value())?));
        }
        Ok(found)
    }

    /// Runs `work` on a draft of the next state. The draft becomes the state, on disk, where `work` succeeds and moved
    /// the sequence number; else nothing happened.
    pub(crate) fn transact<T>(
        &self,
        work: impl FnOnce(&mut Draft<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut write = self.database.begin_write().map_err(|error| self.sentence(error))?;
        // An open after SIGKILL takes milliseconds instead of a walk over the file: docs/decisions/0001-storage-engine.md.
        write.set_quick_repair(true);
        let (answer, changed) = {
            let failed = |error| self.sentence(error);
            let mut meta = write.open_table(META).map_err(|error| self.sentence(error))?;
            let records = write.open_table(RECORDS).map_err(|error| self.sentence(error))?;
            let stored = |name| Ok(meta.get(name).map_err(failed)?.map(|guard| guard.value()));
            let (sequence, position, form) = (stored(SEQUENCE)?, stored(POSITION)?.unwrap_or(0), stored(FORM)?);
            let queues = QueueDraft::open(&write, position, &self.path)?;
            let mut draft = Draft { records, queues, sequence: sequence.unwrap_or(0), path: &self.path };
            let answer = work(&mut draft)?;
            let changed = sequence != Some(draft.sequence) || form != Some(FORM_NOW);
            if changed {
                let values = [(SEQUENCE, draft.sequence), (POSITION, draft.queues.position), (FORM, FORM_NOW)];
                for (name, value) in values {
                    meta.insert(name, value).map_err(failed)?;
                }
                draft.queues.finish()?;
            }
            (answer, changed)
        };
        if changed {
            write.commit().map_err(|error| self.sentence(error))?;
        } else {
            write.abort().map_err(|error| self.sentence(error))?;
        }
        Ok(answer)
    }

    pub(crate) fn read_queue(
        &self,
        queue: QueueId,
        after: Position,
        read: QueueRead,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| self.sentence(error))?;
        queues::read(&transaction, queue, after, read, &self.path)
    }

    /// Of the last append to any queue.
    pub(crate) fn last_position(&self) -> Result<Position, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| self.sentence(error))?;
        let meta = transaction.open_table(META).map_err(|error| self.sentence(error))?;
        let position = meta.get(POSITION).map_err(|error| self.sentence(error))?;
        Ok(Position(position.map_or(0, |guard| guard.value())))
    }

    pub(crate) fn queues(&self) -> Result<Vec<(QueueId, QueueUsage)>, StoreError> {
        let transaction = self.database.begin_read().map_err(|error| self.sentence(error))?;
        queues::usage(&transaction, &self.path)
    }

    fn decode(&self, key: &[u8], stored: &[u8]) -> Result<Record, StoreError> {
        let Some((revision, value)) = stored.split_first_chunk::<REVISION_BYTES>() else {
            return Err(short_record(&self.path, key));
        };
        Ok(Record { value: Bytes::copy_from_slice(value), revision: u64::from_be_bytes(*revision) })
    }

    fn sentence(&self, error: impl Into<redb::Error>) -> StoreError {
        sentence(&self.path, error)
    }
}

/// The next state while a group of commits is applied to it.
pub(crate) struct Draft<'txn> {
    records: Table<'txn, &'static [u8], &'static [u8]>,
    pub(crate) queues: QueueDraft<'txn>,
    sequence: u64,
    path: &'txn Path,
}

impl Draft<'_> {
    /// The sequence number of the last commit applied.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    pub(crate) fn revision(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let Some(stored) = self.records.get(key).map_err(|error| sentence(self.path, error))? else {
            return Ok(None);
        };
        match stored.value().first_chunk::<REVISION_BYTES>() {
            Some(revision) => Ok(Some(u64::from_be_bytes(*revision))),
            None => Err(short_record(self.path, key)),
        }
    }

    pub(crate) fn has_below(&self, prefix: &[u8]) -> Result<bool, StoreError> {
        let range = (Bound::Included(prefix), Bound::Unbounded);
        let mut range = self.records.range::<&[u8]>(range).map_err(|error| sentence(self.path, error))?;
        let first = range.next().transpose().map_err(|error| sentence(self.path, error))?;
        Ok(first.is_some_and(|(key, _)| key.value().starts_with(prefix)))
    }

    pub(crate) fn put(&mut self, key: &[u8], revision: u64, value: &[u8]) -> Result<(), StoreError> {
        let mut stored = Vec::with_capacity(REVISION_BYTES + value.len());
        stored.extend_from_slice(&revision.to_be_bytes());
        stored.extend_from_slice(value);
        self.records.insert(key, stored.as_slice()).map_err(|error| sentence(self.path, error))?;
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.records.remove(key).map_err(|error| sentence(self.path, error))?;
        Ok(())
    }
}

fn short_record(path: &Path, key: &[u8]) -> StoreError {
    damaged(path, &format!("the record {} has no revision", String::from_utf8_lossy(key)))
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Corrupt(format!("{} is damaged ({what}); restore the data directory from a copy", path.display()))
}

fn sentence(path: &Path, error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            damaged(path, &error.to_string())
        }
        redb::Error::Io(error) => StoreError::io("read or write", path, &error),
        redb::Error::PreviousIo => StoreError::Io(format!(
            "{} is not used after a disk error; find the error in the log, repair its cause and start the server again",
            path.display()
        )),
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse(format!(
            "{} is open in another server; stop it, or choose another data directory",
            path.display()
        )),
        redb::Error::DatabaseClosed => StoreError::Closed,
        error => damaged(path, &error.to_string()),
    }
}
