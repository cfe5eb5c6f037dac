//! Killed by SIGKILL at random moments, fifty times on one directory: every acknowledged commit is there afterwards,
//! and no half commit is, neither of its records nor of its queues.
//!
//! The test starts itself as the child that commits. The seed of the moments is printed; `STORE_CRASH_SEED` repeats it,
//! as far as a race can be repeated.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use store::{Commit, Expect, Position, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite, Record, Store, Write};

const KILLS: u32 = 50;
const TASKS: u64 = 4;
/// So many of the latest rows of a task are there; each commit adds one and removes one. In the first queue of a task it is
/// the same; what lies in front of them in the second goes by and by.
const ROWS: u64 = 16;
const ALL: QueueRead = QueueRead { entries_max: usize::MAX, bytes_max: usize::MAX };
const DIRECTORY: &str = "STORE_CRASH_DIRECTORY";

#[test]
fn killed_fifty_times() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        commit_until_killed(Path::new(&dir));
        return;
    }
    let seed = std::env::var("STORE_CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().into()));
    println!("STORE_CRASH_SEED={seed}");
    let mut random = Random(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Acknowledged::new();
    for kill in 0..KILLS {
        // Now and then one is killed while it opens what another left.
        let is_killed_early = random.below(3) == 0;
        if is_killed_early {
            let early = Running::start(dir.path());
            std::thread::sleep(Duration::from_micros(random.below(40_000)));
            merge(&mut seen, early.kill());
        }
        let child = Running::start(dir.path());
        child.wait_for_a_commit();
        std::thread::sleep(Duration::from_micros(random.below(50_000)));
        let acks = child.kill();
        assert!(!acks.is_empty(), "the child commits");
        merge(&mut seen, acks);
        check(dir.path(), &mut seen, kill, 1 + u64::from(is_killed_early));
    }
    println!("{} commits", seen.values().map(|(number, _)| number).sum::<u64>());
}

/// What a task was last told: the number of its commit and the revision.
type Acknowledged = BTreeMap<u64, (u64, u64)>;

fn merge(seen: &mut Acknowledged, acks: Acknowledged) {
    for (task, ack) in acks {
        let last = seen.entry(task).or_insert(ack);
        *last = ack.max(*last);
    }
}

/// Each run since the last check may have left one commit on disk whose acknowledgement the kill cut off.
fn check(dir: &Path, seen: &mut Acknowledged, kill: u32, runs: u64) {
    let store = Store::open(dir).unwrap();
    for task in 0..TASKS {
        let left = store.get(format!("left/{task}").as_bytes()).unwrap();
        let right = store.get(format!("right/{task}").as_bytes()).unwrap();
        assert_eq!(left, right, "kill {kill}: half a commit of task {task}");
        let (number, revision) = left.as_ref().map_or((0, 0), |left| (number_of(left), left.revision));
        let (acked_number, acked_revision) = seen.get(&task).copied().unwrap_or_default();
        assert!(number >= acked_number, "kill {kill}: task {task} was told {acked_number}, {number} is there");
        assert!(number <= acked_number + runs, "kill {kill}: task {task} was told {acked_number}, {number} is there");
        if number == acked_number {
            assert_eq!(revision, acked_revision, "kill {kill}: task {task}");
        }
        let rows: Vec<u64> = store
            .scan(format!("row/{task}/").as_bytes())
            .unwrap()
            .iter()
            .map(|(_, record)| number_of(record))
            .collect();
        let expected: Vec<u64> = (number.saturating_sub(ROWS - 1).max(1)..=number).collect();
        assert_eq!(rows, expected, "kill {kill}: half a commit of task {task}");
        check_queues(&store, task, &expected, kill);
        // What was there once stays.
        seen.insert(task, (number, revision));
    }
}

fn check_queues(store: &Store, task: u64, expected: &[u64], kill: u32) {
    let [exact, trimmed] = queues_of(task).map(|queue| entries(store, queue));
    let numbers = |entries: &[QueueEntry]| entries.iter().map(|entry| number_in(&entry.body)).collect::<Vec<_>>();
    assert_eq!(numbers(&exact), expected, "kill {kill}: half a commit of task {task}'s queue");
    assert!(trimmed.ends_with(&exact), "kill {kill}: one body for both queues of task {task}");
    let all: Vec<u64> = numbers(&trimmed);
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "kill {kill}: a hole in task {task}'s queue: {all:?}");
    for (queue, entries) in queues_of(task).into_iter().zip([exact, trimmed]) {
        let bytes = entries.iter().map(|entry| (entry.head.len() + entry.body.len()) as u64).sum();
        let usage = QueueUsage { entries: entries.len() as u64, bytes };
        let counted = store.queues().unwrap().into_iter().find(|(each, _)| *each == queue);
        assert_eq!(counted.map(|(_, usage)| usage).unwrap_or_default(), usage, "kill {kill}: task {task}");
    }
}

fn queues_of(task: u64) -> [QueueId; 2] {
    [QueueId(task), QueueId(TASKS + task)]
}

fn entries(store: &Store, queue: QueueId) -> Vec<QueueEntry> {
    store.read_queue(queue, Position(0), ALL).unwrap()
}

fn number_of(record: &Record) -> u64 {
    number_in(&record.value)
}

fn number_in(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.trim_end_matches('.').parse().unwrap()
}

/// The child: several tasks, so that commits are written in groups.
fn commit_until_killed(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            tasks.spawn(commit_forever(store.clone(), task));
        }
        tasks.join_all().await;
    });
}

async fn commit_forever(store: Store, task: u64) {
    let last = store.get(format!("left/{task}").as_bytes()).unwrap();
    let mut expect = last.as_ref().map_or(Expect::Absent, |last| Expect::Revision(last.revision));
    for next in last.as_ref().map_or(0, number_of) + 1.. {
        // Values of all sizes make pages split and join.
        let value = Bytes::from(format!("{next}{}", ".".repeat((next * 7919 % 3000) as usize)));
        let write =
            |key: String, value: Option<&Bytes>, expect| Write { key: key.into_bytes(), value: value.cloned(), expect };
        let mut writes = vec![
            write(format!("left/{task}"), Some(&value), expect),
            write(format!("right/{task}"), Some(&value), expect),
            write(format!("row/{task}/{next:012}"), Some(&value), Expect::Absent),
        ];
        if next > ROWS {
            writes.push(write(format!("row/{task}/{:012}", next - ROWS), None, Expect::Anything));
        }
        let (queue, trimmed) = queue_writes(&store, task, next, &value);
        let revision = store.commit_all(Commit { writes, queue }).await.unwrap();
        store.defer(Commit { writes: Vec::new(), queue: trimmed.into_iter().collect() });
        expect = Expect::Revision(revision);
        // One write of one line: it is in the pipe, or it is not.
        let line = format!("ack {task} {next} {revision}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

/// One body to both queues of the task, and the first out of the first; and what takes the same out of the second later. What
/// is deferred may be there again after a crash.
fn queue_writes(store: &Store, task: u64, next: u64, body: &Bytes) -> (Vec<QueueWrite>, Option<QueueWrite>) {
    let [exact, trimmed] = queues_of(task);
    let to = [exact, trimmed].map(|queue| (queue, Bytes::from(format!("head of {next}")))).to_vec();
    let mut queue = vec![QueueWrite::Append { body: body.clone(), to }];
    if next <= ROWS {
        return (queue, None);
    }
    let one = QueueRead { entries_max: 1, ..ALL };
    let position = store.read_queue(exact, Position(0), one).unwrap()[0].position;
    queue.push(QueueWrite::Remove { queue: exact, position });
    (queue, Some(QueueWrite::RemoveTo { queue: trimmed, position }))
}

struct Running {
    child: Child,
    acks: JoinHandle<Acknowledged>,
    first: Receiver<()>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_fifty_times", "--nocapture"])
            .env(DIRECTORY, dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (committed, first) = mpsc::channel();
        Self { child, acks: std::thread::spawn(move || read(stderr, &committed)), first }
    }

    fn wait_for_a_commit(&self) {
        self.first.recv_timeout(Duration::from_secs(30)).expect("the child commits within 30 s");
    }

    fn kill(mut self) -> Acknowledged {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.acks.join().unwrap()
    }
}

fn read(stderr: ChildStderr, committed: &mpsc::Sender<()>) -> Acknowledged {
    let mut acks = Acknowledged::new();
    for line in BufReader::new(stderr).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ack", task, number, revision] => {
                acks.insert(task.parse().unwrap(), (number.parse().unwrap(), revision.parse().unwrap()));
                // The test may have stopped waiting.
                let _ = committed.send(());
            }
            _ => eprintln!("child: {line}"),
        }
    }
    acks
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}
