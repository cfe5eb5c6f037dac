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
