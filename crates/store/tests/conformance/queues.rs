//! What every variant of the store must do with queues. Each case gets an empty store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{
    Commit, CommitError, Expect, Position, QueueBell, QueueEntry, QueueId, QueueRead, QueueUsage, QueueWrite, Store,
    StoreError, Write,
};

const ALL: QueueRead = QueueRead { entries_max: usize::MAX, bytes_max: usize::MAX };

pub fn append(body: &[u8], to: &[(u64, &str)]) -> QueueWrite {
    let to = to.iter().map(|(queue, head)| (QueueId(*queue), Bytes::copy_from_slice(head.as_bytes()))).collect();
    QueueWrite::Append { body: Bytes::copy_from_slice(body), to }
}

fn only(queue: Vec<QueueWrite>) -> Commit {
    Commit { writes: Vec::new(), queue }
}

fn entries(store: &Store, queue: u64) -> Vec<QueueEntry> {
    store.read_queue(QueueId(queue), Position(0), ALL).unwrap()
}

pub fn bodies(store: &Store, queue: u64) -> Vec<Bytes> {
    entries(store, queue).into_iter().map(|entry| entry.body).collect()
}

fn usage(store: &Store, queue: u64) -> QueueUsage {
    let all = store.queues().unwrap();
    all.into_iter().find(|(each, _)| *each == QueueId(queue)).map(|(_, usage)| usage).unwrap_or_default()
}

pub async fn entries_are_read_from_a_cursor_in_their_order(store: Store) {
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
    assert_eq!(entries(&store, 3), []);
}

pub async fn positions_rise_over_all_queues(store: Store) {
    let writes = vec![append(b"a", &[(1, "")]), append(b"b", &[(2, ""), (1, "")]), append(b"c", &[(2, "")])];
    store.commit_all(only(writes)).await.unwrap();
    let positions = |queue| entries(&store, queue).iter().map(|entry| entry.position).collect::<Vec<_>>();
    let (one, two) = (positions(1), positions(2));
    assert!(one[0] < one[1] && one[1] == two[0] && two[0] < two[1], "{one:?} {two:?}");
    assert!(one[0] > Position(0), "a cursor at 0 is in front of everything");
}

/// A body that several queues have stays until the last of them gives it up.
pub async fn removals_take_what_they_name_and_no_more(store: Store) {
    let long = [b'x'; 1000];
    for head in ["1", "2", "3"] {
        store.commit_all(only(vec![append(&long, &[(1, head), (2, head)])])).await.unwrap();
    }
    let positions: Vec<Position> = entries(&store, 1).iter().map(|entry| entry.position).collect();
    let heads = |queue| entries(&store, queue).iter().map(|entry| entry.head.clone()).collect::<Vec<_>>();
    let remove = |queue, position| QueueWrite::Remove { queue: QueueId(queue), position };
    // The second is not there any more; it is nothing to fail for.
    store.commit_all(only(vec![remove(1, positions[1]), remove(1, positions[1])])).await.unwrap();
    assert_eq!(heads(1), ["1", "3"]);
    assert_eq!(usage(&store, 1), QueueUsage { entries: 2, bytes: 2002 });
    let to = QueueWrite::RemoveTo { queue: QueueId(2), position: positions[1] };
    store.commit_all(only(vec![to])).await.unwrap();
    assert_eq!((heads(1).len(), heads(2).len()), (2, 1));
    assert_eq!(entries(&store, 2)[0].body, &long[..]);
    let rest = [1, 2].map(|queue| QueueWrite::RemoveTo { queue: QueueId(queue), position: Position(u64::MAX) });
    store.commit_all(only(rest.to_vec())).await.unwrap();
    assert_eq!(store.queues().unwrap(), [], "an empty queue is none");
}

pub async fn a_conflict_takes_the_queue_along(store: Store) {
    let write = |expect| Write { key: b"queue/a".to_vec(), value: Some(Bytes::from_static(b"x")), expect };
    let both = |expect| Commit { writes: vec![write(expect)], queue: vec![append(b"body", &[(1, "")])] };
    store.commit_all(both(Expect::Absent)).await.unwrap();
    let conflict = store.commit_all(both(Expect::Absent)).await;
    assert!(matches!(conflict, Err(CommitError::Conflict { .. })), "{conflict:?}");
    assert_eq!(bodies(&store, 1).len(), 1);
}

pub async fn many_at_once_keep_their_order(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..8 {
                let head = format!("{task} {number}");
                store.commit_all(only(vec![append(b"body", &[(1, &head), (2 + task, "")])])).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let all = entries(&store, 1);
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    for task in 0..16 {
        let of_task = format!("{task} ");
        let heads = all.iter().map(|entry| std::str::from_utf8(&entry.head).unwrap());
        let numbers: Vec<&str> = heads.filter_map(|head| head.strip_prefix(&of_task)).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7"]);
        assert_eq!(usage(&store, 2 + task).entries, 8);
    }
}

fn wait_for(bell: &QueueBell) {
    let until = Instant::now() + Duration::from_secs(30);
    while !bell.take() {
        assert!(Instant::now() < until, "it never rings");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub async fn a_bell_rings_once_it_can_be_read(store: Store) {
    let (bell, other) = (Arc::new(QueueBell::default()), Arc::new(QueueBell::default()));
    store.hang_bell(QueueId(1), bell.clone());
    store.hang_bell(QueueId(2), other.clone());
    store.commit_all(only(vec![append(b"x", &[(1, "")])])).await.unwrap();
    assert!(bell.take() && !bell.take() && !other.take(), "it has rung before the commit is answered, and no other");
    store.take_bell_down(QueueId(1));
    store.commit_all(only(vec![append(b"x", &[(1, ""), (2, "")])])).await.unwrap();
    assert!(!bell.take() && other.take());
}

pub async fn what_is_deferred_comes_without_anybody_waiting_and_with_what_follows(store: Store) {
    store.defer(only(vec![append(b"first", &[(1, "")])]));
    store.commit_all(only(vec![append(b"second", &[(1, "")])])).await.unwrap();
    assert_eq!(bodies(&store, 1), ["first", "second"], "in the order of the calls");
    let bell = Arc::new(QueueBell::default());
    store.hang_bell(QueueId(1), bell.clone());
    store.defer(only(vec![append(b"alone", &[(1, "")])]));
    wait_for(&bell);
    assert_eq!(bodies(&store, 1).len(), 3);
}

pub async fn what_is_too_large_is_refused(store: Store) {
    let large = only(vec![append(&vec![0; store::QUEUE_BODY_BYTES_MAX + 1], &[(1, "")])]);
    let refused = store.commit_all(large).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::TooLarge(_)))), "{refused:?}");
    store.commit_all(only(vec![append(&vec![0; store::QUEUE_BODY_BYTES_MAX], &[(1, "")])])).await.unwrap();
}

pub async fn a_closed_store_refuses(store: Store) {
    store.commit_all(only(vec![append(b"x", &[(1, "")])])).await.unwrap();
    store.close().await;
    let refused = store.commit_all(only(vec![append(b"x", &[(1, "")])])).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Closed))), "{refused:?}");
    assert!(matches!(store.read_queue(QueueId(1), Position(0), ALL), Err(StoreError::Closed)));
    assert!(matches!(store.queues(), Err(StoreError::Closed)));
    // Nobody is told.
    store.defer(only(vec![append(b"x", &[(1, "")])]));
}
