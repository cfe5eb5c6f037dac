//! The data directory: one server at a time, no older server, nobody else's eyes, damage told in a sentence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use store::{Expect, JournalBounds, Store, StoreError, Write};

async fn filled(dir: &Path) {
    let store = Store::open(dir).unwrap();
    for commit in 0..4 {
        let write = |index| Write {
            key: format!("record/{commit}/{index}").into_bytes(),
            value: Some(Bytes::from(vec![b'x'; 500])),
            expect: Expect::Anything,
        };
        store.commit((0..50).map(write).collect()).await.unwrap();
    }
    let journal = store.journal("log", JournalBounds { bytes_max: 1 << 20, age_max_ms: 1000 }).unwrap();
    journal.append("stream", 1, Bytes::from_static(b"entry"));
    store.blobs().put(Bytes::from_static(b"blob")).await.unwrap();
    store.close().await;
}

fn refusal(dir: &Path) -> StoreError {
    match Store::open(dir) {
        Ok(_) => panic!("the directory was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    match refusal(dir.path()) {
        StoreError::InUse(sentence) => {
            let process = std::process::id().to_string();
            assert!(sentence.contains(&process) && sentence.contains(dir.path().to_str().unwrap()), "{sentence}");
        }
        other => panic!("{other:?}"),
    }
    let clone = first.clone();
    first.close().await;
    let second = Store::open(dir.path()).expect("closed: free, though a clone is left");
    drop(second);
    drop((first, clone));
    Store::open(dir.path()).expect("dropped: free");
}

#[tokio::test]
async fn a_directory_that_is_not_as_it_should_be_is_refused_with_a_sentence() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &str); 7] = [
        ("newer version", |dir| fs::write(dir.join("store.version"), "2\n").unwrap(), "newer server"),
        ("no version", |dir| fs::write(dir.join("store.version"), "one").unwrap(), "does not hold a version"),
        ("binary version", |dir| fs::write(dir.join("store.version"), [0xff, 0xfe]).unwrap(), "store.version"),
        ("records gone", |dir| fs::remove_file(dir.join("records.redb")).unwrap(), "is missing"),
        ("records emptied", |dir| fs::write(dir.join("records.redb"), "").unwrap(), "is empty"),
        ("other file", |dir| fs::write(dir.join("records.redb"), "# notes\n".repeat(9999)).unwrap(), "damaged"),
        (
            "records cut",
            |dir| {
                let file = fs::OpenOptions::new().write(true).open(dir.join("records.redb")).unwrap();
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            },
            "damaged",
        ),
    ];
    for (name, damage, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        damage(dir.path());
        let error = refusal(dir.path());
        match (&error, name) {
            (StoreError::NewerVersion(_), "newer version") => {}
            (StoreError::Corrupt(_), _) if name != "newer version" => {}
            _ => panic!("{name}: {error:?}"),
        }
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn everything_is_readable_by_the_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new/data");
    filled(&dir).await;
    let mut left = vec![dir];
    let mut files = 0;
    while let Some(path) = left.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode, if metadata.is_dir() { 0o700 } else { 0o600 }, "{}: {mode:o}", path.display());
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
        }
    }
    assert_eq!(files, 5, "lock, version, records, one blob, one segment");
}
