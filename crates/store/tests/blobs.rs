//! Blobs: what comes back is what went in, or an error.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use store::{BLOB_BYTES_MAX, BlobId, Store, StoreError};

fn file(dir: &Path, id: BlobId) -> PathBuf {
    dir.join("blobs").join(id.to_string())
}

#[tokio::test]
async fn put_and_got_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    let contents = [Bytes::new(), Bytes::from_static(b"zip"), Bytes::from(vec![7; 3 << 20])];
    let store = Store::open(dir.path()).unwrap();
    for content in &contents {
        let id = store.blobs().put(content.clone()).await.unwrap();
        assert_eq!(id, BlobId::of(content));
        ids.push(id);
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    for (id, content) in ids.iter().zip(&contents) {
        assert_eq!(store.blobs().get(*id).await.unwrap().as_ref(), Some(content));
    }
    assert_eq!(store.blobs().get(BlobId([0; 32])).await.unwrap(), None);
}

#[tokio::test]
async fn a_damaged_blob_is_an_error_until_it_is_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let content = Bytes::from_static(b"exports.handler = 1");
    let id = store.blobs().put(content.clone()).await.unwrap();
    for damage in [b"exports.handler = 2".as_slice(), b"exports", b"", b"exports.handler = 1\n"] {
        std::fs::write(file(dir.path(), id), damage).unwrap();
        match store.blobs().get(id).await {
            Err(StoreError::Corrupt(sentence)) => assert!(sentence.contains(&id.to_string()), "{sentence}"),
            other => panic!("a damaged blob was answered with {other:?}"),
        }
        store.blobs().put(content.clone()).await.unwrap();
        assert_eq!(store.blobs().get(id).await.unwrap(), Some(content.clone()));
    }
}

#[tokio::test]
async fn what_a_killed_server_was_writing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let left = dir.path().join("blobs/incoming-3");
    std::fs::write(&left, "half").unwrap();
    let _store = Store::open(dir.path()).unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn too_large_or_too_late_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let answer = store.blobs().put(Bytes::from(vec![0; BLOB_BYTES_MAX + 1])).await;
    assert!(matches!(answer, Err(StoreError::TooLarge(_))), "{answer:?}");
    store.close().await;
    assert!(matches!(store.blobs().put(Bytes::new()).await, Err(StoreError::Closed)));
    assert!(matches!(store.blobs().get(BlobId([0; 32])).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_blob_goes_when_nobody_names_or_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blobs = store.blobs();
    let content = Bytes::from_static(b"zip");
    let id = blobs.put(content.clone()).await.unwrap();
    let other = blobs.put(Bytes::from_static(b"other")).await.unwrap();
    assert!(!blobs.remove_unless(id, || true).await.unwrap(), "it is named");
    let hold = blobs.hold(id);
    assert!(!blobs.remove_unless(id, || false).await.unwrap(), "it is held");
    assert_eq!(blobs.get(id).await.unwrap(), Some(content));
    drop(hold);
    assert!(blobs.remove_unless(id, || false).await.unwrap());
    assert!(!blobs.remove_unless(id, || false).await.unwrap(), "it is gone already");
    assert_eq!(blobs.get(id).await.unwrap(), None);
    assert_eq!(blobs.ids().await.unwrap(), [other]);
}

/// The one order that could lose a blob: its last name is looked for, found gone, and somebody names it again meanwhile.
#[tokio::test]
async fn a_hold_taken_during_the_removal_keeps_the_blob() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blobs = store.blobs().clone();
    let content = Bytes::from_static(b"zip");
    let id = blobs.put(content.clone()).await.unwrap();
    for keeps_holding in [true, false] {
        let (taken, looking) = (blobs.clone(), std::sync::Arc::new(std::sync::Mutex::new(None)));
        let kept = looking.clone();
        let is_named = move || {
            let hold = taken.hold(id);
            *looking.lock().unwrap() = keeps_holding.then_some(hold);
            false
        };
        assert!(!blobs.remove_unless(id, is_named).await.unwrap(), "held since, whether it still is or not");
        drop(kept);
    }
    assert_eq!(blobs.get(id).await.unwrap(), Some(content));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_makers_and_removers_at_once_no_named_blob_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let content = Bytes::from_static(b"zip");
    let id = BlobId::of(&content);
    let mut tasks = tokio::task::JoinSet::new();
    for maker in 0..4 {
        let (store, content) = (store.clone(), content.clone());
        tasks.spawn(async move {
            let key = format!("names/{maker}");
            for _ in 0..20 {
                let hold = store.blobs().hold(id);
                store.blobs().put(content.clone()).await.unwrap();
                let value = Some(Bytes::new());
                let write = store::Write { key: key.clone().into(), value, expect: store::Expect::Anything };
                store.commit(vec![write]).await.unwrap();
                drop(hold);
                assert!(store.blobs().get(id).await.unwrap().is_some(), "a record names it");
                let write = store::Write { key: key.clone().into(), value: None, expect: store::Expect::Anything };
                store.commit(vec![write]).await.unwrap();
                let look = store.clone();
                store.blobs().remove_unless(id, move || !look.scan(b"names/").unwrap().is_empty()).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let look = store.clone();
    store.blobs().remove_unless(id, move || !look.scan(b"names/").unwrap().is_empty()).await.unwrap();
    assert_eq!(store.blobs().ids().await.unwrap(), []);
}
