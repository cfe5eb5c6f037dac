//! Queues over the public API: the suite in `conformance` against the local variant, and against a model.

mod conformance {
    pub mod queues;
}

use std::collections::BTreeMap;

use bytes::Bytes;
use conformance::queues as suite;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use store::{Commit, Position, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite, Store};

const ALL: QueueRead = QueueRead { entries_max: usize::MAX, bytes_max: usize::MAX };

fn only(queue: Vec<QueueWrite>) -> Commit {
    Commit { writes: Vec::new(), queue }
}

async fn check_case<F: Future<Output = ()>>(case: impl FnOnce(Store) -> F) {
    let dir = tempfile::tempdir().unwrap();
    case(Store::open(dir.path()).unwrap()).await;
}

#[tokio::test]
async fn entries() {
    check_case(suite::entries_are_read_from_a_cursor_in_their_order).await;
    check_case(suite::positions_rise_over_all_queues).await;
    check_case(suite::removals_take_what_they_name_and_no_more).await;
    check_case(suite::a_conflict_takes_the_queue_along).await;
    check_case(suite::what_is_too_large_is_refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races() {
    check_case(suite::many_at_once_keep_their_order).await;
}

#[tokio::test]
async fn bells() {
    check_case(suite::a_bell_rings_once_it_can_be_read).await;
}

#[tokio::test]
async fn deferred() {
    check_case(suite::what_is_deferred_comes_without_anybody_waiting_and_with_what_follows).await;
    check_case(suite::a_closed_store_refuses).await;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.defer(only(vec![suite::append(b"last", &[(1, "")])]));
    store.close().await;
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(suite::bodies(&store, 1), ["last"], "a store that is closed writes it first");
}

/// What was removed leaves no position to be given again.
#[tokio::test]
async fn positions_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = Position(0);
    for _ in 0..3 {
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.last_position().unwrap(), last);
        store.commit_all(only(vec![suite::append(b"x", &[(1, "")])])).await.unwrap();
        let position = store.read_queue(QueueId(1), Position(0), ALL).unwrap()[0].position;
        assert!(position > last, "{position:?} after {last:?}");
        assert_eq!(store.last_position().unwrap(), position);
        store.commit_all(only(vec![QueueWrite::RemoveTo { queue: QueueId(1), position }])).await.unwrap();
        last = position;
    }
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
