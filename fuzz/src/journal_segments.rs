//! A journal's file as a bad disk or a killed server leaves it. The first byte chooses: the bytes are the file, or each
//! line is the body of an entry under a check that holds, so that what lies behind the check is reached.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use store::{Entry, JournalBounds, Store};

const BOUNDS: JournalBounds = JournalBounds { bytes_max: 64 * 1024, age_max_ms: 60_000 };
const MAGIC: &[u8] = b"LFJRNL1\n";

pub fn journal_segments(data: &[u8]) {
    let [form, data @ ..] = data else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let journal = folder.path().join("journals").join("j");
    std::fs::create_dir_all(&journal).expect("a folder");
    let file = if form % 2 == 0 { data.to_vec() } else { checked(data) };
    std::fs::write(journal.join(format!("{:016x}.segment", 1)), file).expect("a segment");

    let (first, appended) = read_and_append(folder.path());
    let (second, _) = read_and_append(folder.path());
    // What was there stays, but for what the bounds let go; what was appended is there after a restart.
    assert!(second.iter().any(|entry| entry.sequence == appended && entry.value == "appended"), "it was written");
    let kept: Vec<&Entry> = second.iter().filter(|entry| entry.sequence < appended).collect();
    assert!(kept.iter().all(|entry| first.contains(entry)), "nothing is made up");
}

fn read_and_append(folder: &Path) -> (Vec<Entry>, u64) {
    let store = Store::open(folder).expect("damage to a journal is no reason not to start");
    let journal = store.journal("j", BOUNDS).expect("the journal opens");
    let entries = journal.read(0, usize::MAX);
    assert!(entries.windows(2).all(|pair| pair[0].sequence < pair[1].sequence), "in order");
    assert!(entries.iter().map(|entry| entry.value.len() as u64).sum::<u64>() <= BOUNDS.bytes_max);
    for facts in journal.streams("") {
        assert_eq!(journal.read_stream(&facts.name, 0, usize::MAX).len(), facts.entries, "{facts:?}");
    }
    let newest = entries.iter().map(|entry| entry.at_ms).max().unwrap_or(0);
    let appended = journal.append("s", newest, Bytes::from_static(b"appended"));
    drop(journal);
    drop(store);
    (entries, appended)
}

fn checked(data: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for body in data.split(|byte| *byte == b'\n') {
        file.extend_from_slice(&u32::try_from(body.len()).expect("a short body").to_be_bytes());
        file.extend_from_slice(&digest(&SHA256, body).as_ref()[..8]);
        file.extend_from_slice(body);
    }
    file
}
