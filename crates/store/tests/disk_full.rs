//! A disk that takes no more: the commit is refused with a sentence, every later one as well, and after a restart with
//! room everything acknowledged is there and commits go on.
//!
//! The test starts itself under a file-size limit, which a write meets as it meets a full disk.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use store::{CommitError, Expect, Store, StoreError, Write};

const DIRECTORY: &str = "STORE_FULL_DIRECTORY";
/// In units of 512 bytes: 4 MiB.
const FILE_LIMIT: u32 = 8192;

fn write(index: u32) -> Vec<Write> {
    let value = Some(Bytes::from(vec![b'x'; 10_000]));
    vec![Write { key: format!("{index:06}").into_bytes(), value, expect: Expect::Absent }]
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_acknowledged_is_lost() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        fill(Path::new(&dir)).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The signal is ignored, so that the write fails instead.
    let script = format!("trap '' XFSZ; ulimit -f {FILE_LIMIT}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_full_disk_is_told_and_nothing_acknowledged_is_lost", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged: u32 =
        text.lines().find_map(|line| line.strip_prefix("acknowledged ")).expect("the child says").parse().unwrap();
    assert!(acknowledged > 10, "there was room for some");
    let store = Store::open(dir.path()).unwrap();
    for index in 0..acknowledged {
        assert!(store.get(format!("{index:06}").as_bytes()).unwrap().is_some(), "commit {index} is lost");
    }
    store.commit(write(999_999)).await.unwrap();
}

/// The child.
async fn fill(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match store.commit(write(acknowledged)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the limit is not in force");
    };
    println!("\nacknowledged {acknowledged}");
    assert!(matches!(error, CommitError::Store(StoreError::Io(_))), "{error:?}");
    let again = store.commit(write(999_999)).await.unwrap_err().to_string();
    for sentence in [error.to_string(), again, store.failure().expect("it is told").to_string()] {
        println!("{sentence}");
        assert!(sentence.contains("start the server again") && sentence.contains("File too large"), "{sentence}");
    }
}
