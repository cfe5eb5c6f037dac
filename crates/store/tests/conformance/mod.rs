//! What every variant of the store must do with control records. Each case gets a store, empty or not, and keeps to
//! keys below its own prefix.

use bytes::Bytes;
use store::{COMMIT_WRITES_MAX, CommitError, Expect, KEY_BYTES_MAX, Store, StoreError, VALUE_BYTES_MAX, Write};

pub fn put(key: &str, value: &str, expect: Expect) -> Write {
    Write { key: key.as_bytes().to_vec(), value: Some(Bytes::copy_from_slice(value.as_bytes())), expect }
}

pub fn delete(key: &str, expect: Expect) -> Write {
    Write { key: key.as_bytes().to_vec(), value: None, expect }
}

fn value(store: &Store, key: &str) -> Option<String> {
    let record = store.get(key.as_bytes()).unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

fn keys(found: Vec<(Vec<u8>, store::Record)>) -> Vec<String> {
    found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

fn conflict_key(answer: Result<u64, CommitError>) -> String {
    match answer {
        Err(CommitError::Conflict { key }) => String::from_utf8(key).unwrap(),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub async fn a_commit_is_read_back_with_its_revision(store: Store) {
    let first = store.commit(vec![put("read/a", "1", Expect::Anything), put("read/b", "2", Expect::Absent)]).await;
    let first = first.unwrap();
    let second = store.commit(vec![put("read/a", "3", Expect::Revision(first))]).await.unwrap();
    assert!(second > first, "revisions grow: {first}, then {second}");
    let record = store.get(b"read/a").unwrap().unwrap();
    assert_eq!((record.value.as_ref(), record.revision), (b"3".as_ref(), second));
    let record = store.get(b"read/b").unwrap().unwrap();
    assert_eq!((record.value.as_ref(), record.revision), (b"2".as_ref(), first));
    store
        .commit(vec![delete("read/a", Expect::Revision(second)), put("read/empty", "", Expect::Absent)])
        .await
        .unwrap();
    assert_eq!(value(&store, "read/a"), None);
    assert_eq!(value(&store, "read/empty").as_deref(), Some(""));
}

pub async fn expectations_hold_or_nothing_is_written(store: Store) {
    let revision = store.commit(vec![put("expect/there", "old", Expect::Anything)]).await.unwrap();
    let cases = [
        ("expect/there", Expect::Absent),
        ("expect/there", Expect::Revision(revision + 1)),
        ("expect/there", Expect::Revision(revision.wrapping_sub(1))),
        ("expect/missing", Expect::Revision(revision)),
    ];
    for (key, expect) in cases {
        for write in [put(key, "new", expect), delete(key, expect)] {
            let writes = vec![put("expect/other", "new", Expect::Anything), write];
            assert_eq!(conflict_key(store.commit(writes).await), key, "{expect:?}");
            assert_eq!(value(&store, "expect/other"), None, "{expect:?} on {key}: half a commit");
            assert_eq!(value(&store, "expect/there").as_deref(), Some("old"));
        }
    }
    store.commit(vec![delete("expect/missing", Expect::Absent)]).await.unwrap();
    store.commit(vec![delete("expect/missing", Expect::Anything)]).await.unwrap();
}

/// Leaning is an expectation without a write: it fails as one, and leaves revision and watchers alone.
pub async fn leaning_on_a_record_leaves_it_as_it_is(store: Store) {
    let revision = store.commit(vec![put("lean/there", "old", Expect::Anything)]).await.unwrap();
    let mut changes = store.watch(b"lean/there");
    for n in 0..2 {
        let writes = vec![Write::lean_on("lean/there", revision), put(&format!("lean/{n}"), "new", Expect::Absent)];
        store.commit(writes).await.unwrap();
    }
    assert_eq!(store.get(b"lean/there").unwrap().unwrap().revision, revision);
    let changed = store.commit(vec![put("lean/there", "new", Expect::Anything)]).await.unwrap();
    assert_eq!(changes.recv().await.unwrap().record.unwrap().revision, changed, "leaning is no change");
    for (key, stale) in [("lean/there", revision), ("lean/missing", revision)] {
        let writes = vec![put("lean/other", "new", Expect::Anything), Write::lean_on(key, stale)];
        assert_eq!(conflict_key(store.commit(writes).await), key);
        assert_eq!(value(&store, "lean/other"), None);
    }
}

/// That there is nothing under a prefix is an expectation too, and it writes nothing.
pub async fn a_prefix_can_be_expected_to_be_empty(store: Store) {
    store.commit(vec![put("below/a", "x", Expect::Absent), put("belowx", "x", Expect::Absent)]).await.unwrap();
    for (prefix, conflicts) in [("below/", true), ("below", true), ("below/a", true), ("below/b", false)] {
        let writes = vec![put("below-other", prefix, Expect::Anything), Write::nothing_below(prefix)];
        let outcome = store.commit(writes).await;
        assert_eq!(outcome.is_err(), conflicts, "{prefix}");
        assert_eq!(value(&store, "below-other").as_deref() == Some(prefix), !conflicts, "{prefix}");
        assert_eq!(value(&store, "below/a").as_deref(), Some("x"), "it is left as it is");
    }
    let writes = vec![delete("below/a", Expect::Anything), Write::nothing_below("below/")];
    assert_eq!(conflict_key(store.commit(writes).await), "below/", "it is what was there before the commit");
    store.commit(vec![delete("below/a", Expect::Anything)]).await.unwrap();
    store.commit(vec![Write::nothing_below("below/")]).await.unwrap();
}

/// Both expectations look at what was there before the commit; the later write stays.
pub async fn a_key_named_twice_takes_the_later_write(store: Store) {
    let writes = vec![put("twice/a", "1", Expect::Absent), put("twice/a", "2", Expect::Absent)];
    store.commit(writes).await.unwrap();
    assert_eq!(value(&store, "twice/a").as_deref(), Some("2"));
}

pub async fn of_many_at_once_one_wins_and_conflicts_hurt_nobody(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            let own = store.commit(vec![put(&format!("race/own/{index:02}"), "x", Expect::Absent)]).await;
            let contested = store.commit(vec![put("race/one", &index.to_string(), Expect::Absent)]).await;
            own.expect("nobody else writes this key");
            contested.is_ok()
        });
    }
    let winners = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(winners, 1);
    assert_eq!(store.scan(b"race/own/").unwrap().len(), 64);
}

pub async fn scans_are_ordered_bounded_and_keep_to_the_prefix(store: Store) {
    let names = ["scan/b/2", "scan/a", "scan/b/1", "scan/b/3", "scan/b", "scan/c"];
    store.commit(names.iter().map(|key| put(key, key, Expect::Anything)).collect()).await.unwrap();
    assert_eq!(keys(store.scan(b"scan/b/").unwrap()), ["scan/b/1", "scan/b/2", "scan/b/3"]);
    assert_eq!(keys(store.scan(b"scan/b").unwrap()), ["scan/b", "scan/b/1", "scan/b/2", "scan/b/3"]);
    assert_eq!(keys(store.scan(b"scan/none").unwrap()), [] as [&str; 0]);
    let page = |after: Option<&str>, limit| {
        keys(store.scan_after(b"scan/b/", after.map(str::as_bytes), limit).unwrap()).join(" ")
    };
    assert_eq!(page(None, 2), "scan/b/1 scan/b/2");
    assert_eq!(page(None, 0), "");
    assert_eq!(page(Some("scan/b/1"), 9), "scan/b/2 scan/b/3");
    assert_eq!(page(Some("scan/b/1x"), 1), "scan/b/2");
    assert_eq!(page(Some("scan/b/3"), 9), "");
    assert_eq!(page(Some("aaa"), 1), "scan/b/1");
    assert_eq!(page(Some("zzz"), 9), "");
}

pub async fn a_watch_tells_what_was_committed_below_it(store: Store) {
    let mut changes = store.watch(b"watch/in/");
    let first =
        store.commit(vec![put("watch/in/a", "1", Expect::Anything), put("watch/out", "1", Expect::Anything)]).await;
    let refused = store.commit(vec![put("watch/in/a", "2", Expect::Absent)]).await;
    assert_eq!(conflict_key(refused), "watch/in/a");
    store.commit(vec![delete("watch/in/a", Expect::Anything)]).await.unwrap();
    let change = changes.try_recv().expect("the change is there before the commit is answered");
    assert_eq!(change.key, b"watch/in/a");
    assert_eq!(change.record, store::Record { value: Bytes::from_static(b"1"), revision: first.unwrap() }.into());
    let change = changes.try_recv().unwrap();
    assert_eq!((change.key.as_slice(), change.record), (b"watch/in/a".as_slice(), None));
    assert!(changes.try_recv().is_err(), "neither the refused commit nor the other prefix");
}

pub async fn what_is_too_large_is_refused_by_name(store: Store) {
    let large = "v".repeat(VALUE_BYTES_MAX);
    let cases: [(Vec<Write>, &str); 4] = [
        (vec![put(&"k".repeat(KEY_BYTES_MAX + 1), "", Expect::Anything)], "key"),
        (vec![put("large", &format!("{large}v"), Expect::Anything)], "value"),
        (vec![put("large", "", Expect::Anything); COMMIT_WRITES_MAX + 1], "writes"),
        (["a", "b", "c"].iter().map(|key| put(key, &large, Expect::Anything)).collect(), "bytes"),
    ];
    for (writes, named) in cases {
        match store.commit(writes).await {
            Err(CommitError::Store(StoreError::TooLarge(sentence))) => {
                assert!(sentence.contains(named), "{sentence:?} should name the {named}");
            }
            other => panic!("a too large {named} was answered with {other:?}"),
        }
    }
    store.commit(vec![put("large", &large, Expect::Anything)]).await.expect("the bound itself is taken");
    assert_eq!(store.get(b"large").unwrap().unwrap().value.len(), VALUE_BYTES_MAX);
    store.commit(vec![put(&"k".repeat(KEY_BYTES_MAX), "", Expect::Anything)]).await.unwrap();
}

pub async fn a_closed_store_refuses(store: Store) {
    store.commit(vec![put("closed/a", "1", Expect::Anything)]).await.unwrap();
    let mut changes = store.watch(b"");
    store.close().await;
    let answer = store.commit(vec![put("closed/b", "1", Expect::Anything)]).await;
    assert!(matches!(answer, Err(CommitError::Store(StoreError::Closed))), "{answer:?}");
    assert!(matches!(store.get(b"closed/a"), Err(StoreError::Closed)));
    assert!(changes.recv().await.is_none(), "a watch ends with the store");
    store.close().await;
}
