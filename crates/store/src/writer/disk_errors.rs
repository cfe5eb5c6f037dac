//! A disk that fails at each of its operations in turn, for once or from then on: what was acknowledged is there when
//! the file is opened on a disk that works again, no commit is there by half, the error is told in a sentence, and
//! nothing is acknowledged after it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use redb::StorageBackend;
use redb::backends::FileBackend;
use tokio::sync::oneshot;

use super::{View, commit_group};
use crate::commit::{Commit, Expect, Write};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::{CommitError, StoreError};
use crate::proposal::Proposal;
use crate::queue::{Position, QueueId, QueueRead, QueueWrite};
use crate::store::{Store, open_engine};

const GROUPS: u64 = 3;
const COMMITS_PER_GROUP: u64 = 2;
const QUEUE: QueueId = QueueId(1);
const WHOLE_QUEUE: QueueRead = QueueRead { entries_max: 1000, bytes_max: 1 << 20 };

/// Counts operations down to the one that fails.
#[derive(Clone, Debug)]
struct Fuse {
    left: Arc<AtomicU64>,
    /// Or for once.
    is_for_good: bool,
}

impl Fuse {
    fn new(operations: u64, is_for_good: bool) -> Self {
        Self { left: Arc::new(AtomicU64::new(operations)), is_for_good }
    }

    fn burn(&self) -> io::Result<()> {
        let before = self.left.load(Ordering::Relaxed);
        self.left.store(before.saturating_sub(1), Ordering::Relaxed);
        let fails = before == 1 || (before == 0 && self.is_for_good);
        // EIO.
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }

    fn is_burnt(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

#[derive(Debug)]
struct FailingDisk {
    file: FileBackend,
    fuse: Fuse,
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fuse.burn()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fuse.burn()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // The kernel keeps what this process wrote: a real fsync would only cost time here.
        self.fuse.burn()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fuse.burn()?;
        self.file.write(offset, data)
    }
}

#[test]
fn each_operation_fails_in_turn() {
    for is_for_good in [false, true] {
        let mut operations = 0;
        loop {
            operations += 1;
            let dir = tempfile::tempdir().unwrap();
            let fuse = Fuse::new(operations, is_for_good);
            let acknowledged = write_until_it_fails(dir.path(), &fuse);
            check_after_restart(dir.path(), &acknowledged, &format!("operation {operations}, for good: {is_for_good}"));
            if !fuse.is_burnt() {
                assert_eq!(acknowledged.len() as u64, GROUPS * COMMITS_PER_GROUP);
                break;
            }
        }
        println!("{operations} operations");
        assert!(operations > 4 * GROUPS, "the disk is not asked: {operations}");
    }
}

/// The numbers of the commits that were acknowledged.
fn write_until_it_fails(dir: &Path, fuse: &Fuse) -> Vec<u64> {
    let opened = open_engine(&Directory::take(dir).unwrap(), |path| {
        Engine::open_by(path, |builder| {
            let file =
                FileBackend::new(File::options().read(true).write(true).create(true).truncate(false).open(path)?)?;
            builder.create_with_backend(FailingDisk { file, fuse: fuse.clone() })
        })
    });
    let engine = match opened {
        Ok(engine) => engine,
        Err(error) => {
            check_sentence(&error);
            return Vec::new();
        }
    };
    let view = View::new(engine);
    let mut acknowledged = Vec::new();
    for group in 0..GROUPS {
        let numbers: Vec<u64> = (0..COMMITS_PER_GROUP).map(|index| group * COMMITS_PER_GROUP + index).collect();
        let verdicts = commit(&view, &numbers);
        if verdicts.iter().all(Result::is_ok) {
            assert!(view.failure().is_none(), "acknowledged after an error");
            acknowledged.extend(numbers);
        } else {
            check_refusals(&view, verdicts);
        }
    }
    for number in &acknowledged {
        // It may fail to read, but not to remember.
        let seen = view.with_engine(|engine| engine.get(&key(*number, "first")));
        assert!(!matches!(seen, Ok(None)), "commit {number} is forgotten before the restart");
    }
    acknowledged
}

fn commit(view: &View, numbers: &[u64]) -> Vec<Result<u64, CommitError>> {
    let (group, answers): (Vec<Proposal>, Vec<_>) = numbers.iter().map(|number| proposal(*number)).unzip();
    commit_group(view, group);
    answers.into_iter().map(|mut answer| answer.try_recv().expect("each is answered")).collect()
}

/// A commit of two records and a message; each takes back the message before the last.
fn proposal(number: u64) -> (Proposal, oneshot::Receiver<Result<u64, CommitError>>) {
    let value = Bytes::from(vec![u8::try_from(number).unwrap(); 3000]);
    let record = |part| Write { key: key(number, part), value: Some(value.clone()), expect: Expect::Absent };
    let append = QueueWrite::Append { body: value.clone(), to: vec![(QUEUE, Bytes::new())] };
    let remove = QueueWrite::RemoveTo { queue: QUEUE, position: Position(number.saturating_sub(1)) };
    let commit = Commit { writes: vec![record("first"), record("second")], queue: vec![append, remove] };
    let (answer, verdict) = oneshot::channel();
    let size_bytes = commit.size_bytes().unwrap();
    (Proposal { commit, size_bytes, answer: Some(answer), share: None }, verdict)
}

fn key(number: u64, part: &str) -> Vec<u8> {
    format!("{number:03}/{part}").into_bytes()
}

fn check_refusals(view: &View, verdicts: Vec<Result<u64, CommitError>>) {
    for verdict in verdicts {
        match verdict {
            Err(CommitError::Store(error)) => check_sentence(&error),
            other => panic!("a group is refused as one: {other:?}"),
        }
    }
    let failure = view.failure().expect("it is told").to_string();
    assert!(failure.contains("start the server again"), "{failure}");
}

fn check_sentence(error: &StoreError) {
    let sentence = error.to_string();
    assert!(matches!(error, StoreError::Io(_)) && sentence.contains("rror"), "{error:?}");
}

fn check_after_restart(dir: &Path, acknowledged: &[u64], what: &str) {
    let store = Store::open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut newest = None;
    for number in 0..GROUPS * COMMITS_PER_GROUP {
        let parts = ["first", "second"].map(|part| store.get(&key(number, part)).unwrap().is_some());
        assert_eq!(parts[0], parts[1], "{what}: half of commit {number}");
        assert!(parts[0] || !acknowledged.contains(&number), "{what}: commit {number} is lost");
        if parts[0] {
            newest = Some(number);
        }
    }
    let bodies: Vec<u8> =
        store.read_queue(QUEUE, Position(0), WHOLE_QUEUE).unwrap().iter().map(|entry| entry.body[0]).collect();
    // Positions count from one, so a commit's message has the number after its own.
    let expected: Vec<u8> = newest.map_or_else(Vec::new, |newest| {
        (newest.saturating_sub(1)..=newest).map(|number| u8::try_from(number).unwrap()).collect()
    });
    assert_eq!(bodies, expected, "{what}: the queue does not match the records");
}
