//! Every target over its whole corpus, and the two lists of targets against each other.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

/// All corpora together: they are a test's data, not a fuzzer's memory.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let mut failed = Vec::new();
    let files = files(&corpus().join(name));
    assert!(files.len() >= 5, "{name} has a corpus that is worth its name");
    target(b"");
    for path in files {
        let data = std::fs::read(&path).expect("a file of the corpus");
        if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "these inputs break a promise: {failed:?}");
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed_and_fuzzed() {
            let targets: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(targets, BTreeSet::from([$(stringify!($name)),*]));
            let folders = files(&corpus());
            let folders: BTreeSet<&str> = folders.iter().filter_map(|path| path.file_name()?.to_str()).collect();
            assert_eq!(targets, folders, "a corpus for each target");
            let binaries = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer/fuzz_targets"));
            let binaries: BTreeSet<&str> = binaries.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
            assert_eq!(targets, binaries, "a libFuzzer binary for each target");
        }
    };
}

replayed! {
    certificates device_requests http_requests iam_policies iot_policies journal_segments mqtt_packets mqtt_sessions
    packages rule_sql signatures signing_requests stored_records
}

#[test]
fn the_corpora_are_small() {
    let sizes = files(&corpus()).into_iter().flat_map(|folder| files(&folder));
    let bytes: u64 = sizes.map(|path| path.metadata().expect("a file").len()).sum();
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes; minimise before checking in");
}
