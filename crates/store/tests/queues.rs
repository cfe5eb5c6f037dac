//! Queues: appended with records in one commit, read from a cursor, removed one by one; and against a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use store::{
    Commit, CommitError, Expect, Position, QueueBell, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite, Store,
    StoreError, Write,
};

const ALL: QueueRead = QueueRead { entries_max: usize::MAX, bytes_max: usize::MAX };

fn append(body: &[u8], to: &[(u64, &str)]) -> QueueWrite {
    let to = to.iter().map(|(queue, head)| (QueueId(*queue), Bytes::copy_from_slice(head.as_bytes()))).collect();
    QueueWrite::Append { body: Bytes::copy_from_slice(body), to }
}

fn only(queue: Vec<QueueWrite>) -> Commit {
    Commit { writes: Vec::new(), queue }
}

fn bodies(store: &Store, queue: u64) -> Vec<Bytes> {
    let entries = store.read_queue(QueueId(queue), Position(0), ALL).unwrap();
    entries.into_iter().map(|entry| entry.body).collect()
}

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[tokio::test]
async fn entries_are_read_from_a_cursor_in_their_order() {
    let (_dir, store) = open();
    for number in 0..5u8 {
        store.commit_all(only(vec![append(&[number; 100], &[(1, "one"), (2, "two")])])).await.unwrap();
    }
    let read = |after, entries_max, bytes_max| {
        store.read_queue(QueueId(1), after, QueueRead { entries_max, bytes_max }).unwrap()
    };
    let first = read(Position(0), 2, usize::MAX);
    assert_eq!(first.iter().map(|entry| entry.body[0]).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(first[0].head, "one");
    let rest = read(first[1].position, 9, usize::MAX);
    assert_eq!(rest.iter().map(|entry| entry.body[0]).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(read(Position(0), 9, 250).len(), 2);
    assert_eq!(read(Position(0), 9, 1).len(), 1, "one at least");
    assert_eq!(read(rest[2].position, 9, usize::MAX), []);
}

#[tokio::test]
async fn a_conflict_takes_the_queue_along() {
    let (_dir, store) = open();
    let write = |expect| Write { key: b"a".to_vec(), value: Some(Bytes::from_static(b"x")), expect };
    let both = |expect| Commit { writes: vec![write(expect)], queue: vec![append(b"body", &[(1, "")])] };
    store.commit_all(both(Expect::Absent)).await.unwrap();
    let conflict = store.commit_all(both(Expect::Absent)).await;
    assert!(matches!(conflict, Err(CommitError::Conflict { .. })), "{conflict:?}");
    assert_eq!(bodies(&store, 1).len(), 1);
}

#[tokio::test]
async fn what_is_deferred_comes_without_anybody_waiting_and_with_what_follows() {
    let (dir, store) = open();
    store.defer(only(vec![append(b"first", &[(1, "")])]));
    store.commit_all(only(vec![append(b"second", &[(1, "")])])).await.unwrap();
    assert_eq!(bodies(&store, 1), ["first", "second"], "in the order of the calls");
    let bell = Arc::new(QueueBell::default());
    store.hang_bell(QueueId(1), bell.clone());
    store.defer(only(vec![append(b"alone", &[(1, "")])]));
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while !bell.take() {
        assert!(std::time::Instant::now() < until, "it is never written");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(bodies(&store, 1).len(), 3, "the bell rings when it can be read");
    store.defer(only(vec![append(b"last", &[(1, "")])]));
    store.close().await;
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(bodies(&store, 1).len(), 4, "a store that is closed writes it first");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let (_dir, store) = open();
    let large = only(vec![append(&vec![0; store::QUEUE_BODY_BYTES_MAX + 1], &[(1, "")])]);
    let refused = store.commit_all(large).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::TooLarge(_)))), "{refused:?}");
    store.commit_all(only(vec![append(&vec![0; store::QUEUE_BODY_BYTES_MAX], &[(1, "")])])).await.unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Append { bytes: usize, to: Vec<u64> },
    Remove { queue: u64, index: usize },
    RemoveTo { queue: u64, index: usize },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..200usize, vec(0..4u64, 1..5)).prop_map(|(bytes, to)| Step::Append { bytes, to }),
        4 => (0..4u64, any::<usize>()).prop_map(|(queue, index)| Step::Remove { queue, index }),
        1 => (0..4u64, any::<usize>()).prop_map(|(queue, index)| Step::RemoveTo { queue, index }),
        1 => proptest::prelude::Just(Step::Restart),
    ]
}

type Model = BTreeMap<u64, Vec<QueueEntry>>;

/// The position that a step means, or one that nothing has.
fn position(model: &Model, queue: u64, index: usize) -> Position {
    let entries = model.get(&queue).map_or(&[][..], Vec::as_slice);
    let entry = index.checked_rem(entries.len()).and_then(|index| entries.get(index));
    entry.map_or(Position(u64::MAX), |entry| entry.position)
}

async fn take(store: &Store, model: &mut Model, step: &Step, number: u64) {
    match step {
        Step::Append { bytes, to } => {
            let body = Bytes::from(vec![number as u8; *bytes]);
            let heads: Vec<(QueueId, Bytes)> =
                to.iter().map(|queue| (QueueId(*queue), Bytes::from(queue.to_string()))).collect();
            let write = QueueWrite::Append { body: body.clone(), to: heads };
            store.commit_all(only(vec![write])).await.unwrap();
            let position = Position(number);
            for queue in to {
                let entry = QueueEntry { position, head: Bytes::from(queue.to_string()), body: body.clone() };
                let entries = model.entry(*queue).or_default();
                if entries.last() != Some(&entry) {
                    entries.push(entry);
                }
            }
        }
        Step::Remove { queue, index } => {
            let position = position(model, *queue, *index);
            store.commit_all(only(vec![QueueWrite::Remove { queue: QueueId(*queue), position }])).await.unwrap();
            model.entry(*queue).or_default().retain(|entry| entry.position != position);
        }
        Step::RemoveTo { queue, index } => {
            let position = position(model, *queue, *index);
            store.commit_all(only(vec![QueueWrite::RemoveTo { queue: QueueId(*queue), position }])).await.unwrap();
            model.entry(*queue).or_default().retain(|entry| entry.position > position);
        }
        Step::Restart => {}
    }
}

fn check(store: &Store, model: &Model) {
    for (queue, entries) in model {
        assert_eq!(&store.read_queue(QueueId(*queue), Position(0), ALL).unwrap(), entries, "queue {queue}");
    }
    let usage: Vec<(QueueId, QueueUsage)> = model
        .iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(queue, entries)| {
            let bytes = entries.iter().map(|entry| (entry.head.len() + entry.body.len()) as u64).sum();
            (QueueId(*queue), QueueUsage { entries: entries.len() as u64, bytes })
        })
        .collect();
    assert_eq!(store.queues().unwrap(), usage);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn queues_agree_with_a_model(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::open(dir.path()).unwrap();
            let (mut model, mut appends) = (Model::new(), 0);
            for step in &steps {
                appends += u64::from(matches!(step, Step::Append { .. }));
                take(&store, &mut model, step, appends).await;
                if matches!(step, Step::Restart) {
                    store.close().await;
                    drop(store);
                    store = Store::open(dir.path()).unwrap();
                }
                check(&store, &model);
            }
        });
    }
}
