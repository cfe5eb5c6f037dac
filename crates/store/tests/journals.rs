//! Journals over the public API: order, bounds, streams, and what a restart or a torn file leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{ENTRY_BYTES_MAX, Entry, Journal, JournalBounds, Store, StoreError, StreamFacts};

const WIDE: JournalBounds = JournalBounds { bytes_max: 16 << 20, age_max_ms: i64::MAX };

fn append(journal: &Journal, stream: &str, at_ms: i64, value: &str) -> u64 {
    journal.append(stream, at_ms, Bytes::copy_from_slice(value.as_bytes()))
}

fn values(entries: &[Entry]) -> String {
    let values: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.value)).collect();
    values.join(" ")
}

fn segments(dir: &Path, journal: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir.join("journals").join(journal)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn entries_are_read_in_order_by_journal_and_by_stream() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("log", WIDE).unwrap();
    let sequences: Vec<u64> = [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("a", "5")]
        .iter()
        .enumerate()
        .map(|(index, (stream, value))| append(&journal, stream, 100 + index as i64, value))
        .collect();
    let &[_, second, third, fourth, fifth] = sequences.as_slice() else { panic!() };
    assert_eq!(values(&journal.read(0, 9)), "1 2 3 4 5");
    assert_eq!(values(&journal.read(second, 2)), "3 4");
    assert_eq!(values(&journal.read(fifth, 9)), "");
    assert_eq!(values(&journal.last(2)), "5 4");
    assert_eq!(values(&journal.read_back(fourth, 2)), "3 2");
    assert_eq!(values(&journal.read_stream("a", 0, 9)), "1 3 5");
    assert_eq!(values(&journal.read_stream("a", second, 1)), "3");
    assert_eq!(values(&journal.read_stream_back("a", u64::MAX, 2)), "5 3");
    assert_eq!(values(&journal.read_stream_back("b", fourth, 9)), "2");
    assert_eq!(values(&journal.read_stream("c", 0, 9)), "");
    let expected =
        StreamFacts { name: "b".to_owned(), entries: 2, first_at_ms: 101, last_at_ms: 103, last_sequence: fourth };
    assert_eq!(journal.streams("b"), [expected]);
    assert_eq!(journal.streams("").len(), 2);
    assert_eq!(journal.streams("bb"), []);
    let again = store.journal("log", WIDE).unwrap();
    assert_eq!(values(&again.read_back(third, 1)), "2", "the same journal by the same name");
}

#[tokio::test]
async fn overflow_drops_the_oldest_by_bytes_and_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let small = store.journal("small", JournalBounds { bytes_max: 100_000, age_max_ms: i64::MAX }).unwrap();
    for index in 0..1000 {
        append(&small, &format!("stream-{}", index / 500), index, &"x".repeat(1000));
    }
    let kept = small.read(0, usize::MAX);
    assert!((50..100).contains(&kept.len()), "{} entries of 1000 bytes in 100,000", kept.len());
    assert_eq!(kept.last().unwrap().at_ms, 999);
    assert_eq!(small.streams("").len(), 1, "a stream without entries is gone");
    let young = store.journal("young", JournalBounds { bytes_max: 1 << 20, age_max_ms: 10 }).unwrap();
    for at_ms in [1, 5, 11, 12, 3] {
        append(&young, "s", at_ms, &at_ms.to_string());
    }
    assert_eq!(values(&young.read(0, 9)), "5 11 12 3", "1 is more than 10 ms older than 12");
    assert_eq!(append(&young, "s", 13, &"x".repeat(ENTRY_BYTES_MAX + 1)), 6);
    assert_eq!(young.last(1)[0].at_ms, 3, "an entry above the bound is not kept and drops nothing");
    append(&young, &"é".repeat(5000), 14, "long");
    assert_eq!(young.last(1)[0].stream, "é".repeat(1024), "a stream's name is cut between characters");
    // What went for its age is where it should be.
    small.flush();
    young.flush();
    let counters = store.counters();
    let dropped = (counters.journal_entries_too_large, counters.journal_entries_without_room);
    assert_eq!(dropped, (1, 1000 - kept.len() as u64));
    small.set_bounds(JournalBounds { bytes_max: 10_000, age_max_ms: i64::MAX });
    let left = small.read(0, usize::MAX).len() as u64;
    small.flush();
    assert_eq!(store.counters().journal_entries_without_room, 1000 - left);
    store.close().await;
    let store = Store::open(dir.path()).unwrap();
    store.journal("small", JournalBounds { bytes_max: 1000, age_max_ms: i64::MAX }).unwrap().flush();
    assert_eq!(store.counters().journal_entries_without_room, 0, "of this life");
}

#[tokio::test]
async fn a_restart_keeps_what_was_closed_and_the_sequence_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 0..4 {
        let store = Store::open(dir.path()).unwrap();
        let journal = store.journal("log", WIDE).unwrap();
        assert_eq!(journal.read(0, usize::MAX), all, "round {round}");
        for index in 0..50 {
            append(&journal, &format!("s{}", index % 3), index, &format!("{round}-{index}"));
        }
        let now = journal.read(0, usize::MAX);
        assert!(now.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        all = now;
        if round % 2 == 0 {
            store.close().await;
        }
    }
    assert_eq!(segments(dir.path(), "log").len(), 1, "a restart goes on in the last segment");
}

#[tokio::test]
async fn the_files_are_bounded_and_a_smaller_bound_holds_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = JournalBounds { bytes_max: 1 << 20, age_max_ms: i64::MAX };
    for _ in 0..12 {
        let store = Store::open(dir.path()).unwrap();
        let journal = store.journal("log", bounds).unwrap();
        for index in 0..3000 {
            append(&journal, "s", index, &"x".repeat(100));
        }
        store.close().await;
    }
    let size: u64 = segments(dir.path(), "log").iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(size < 1_400_000, "{size} bytes on disk for a bound of 1 MiB");
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("log", JournalBounds { bytes_max: 1000, age_max_ms: i64::MAX }).unwrap();
    assert_eq!(journal.read(0, usize::MAX).len(), 3);
}

/// Cut at any byte or with any byte changed, a journal opens, and keeps what was before the damage.
#[tokio::test]
async fn damage_costs_the_tail_and_not_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("log", WIDE).unwrap();
    for index in 0..3 {
        append(&journal, "s", index, &format!("e{index}"));
    }
    let entries = journal.read(0, 9);
    store.close().await;
    let path = segments(dir.path(), "log").remove(0);
    let whole = fs::read(&path).unwrap();
    let magic_bytes = 8;
    let entry_bytes = (whole.len() - magic_bytes) / 3;
    // Each damage has a journal of its own, all in one store.
    let mut cases = Vec::new();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x5a;
        for (name, damaged) in [(format!("cut-{at}"), &whole[..at]), (format!("changed-{at}"), &changed)] {
            let folder = dir.path().join("journals").join(&name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(path.file_name().unwrap()), damaged).unwrap();
            cases.push((name, at.saturating_sub(magic_bytes) / entry_bytes));
        }
    }
    for restart in 0..2 {
        let store = Store::open(dir.path()).unwrap();
        for (name, intact) in &cases {
            let journal = store.journal(name, WIDE).unwrap();
            let read = journal.read(0, 9);
            assert_eq!(read[..*intact], entries[..*intact], "{name}");
            assert_eq!(read.len(), intact + restart, "{name}, restart {restart}");
            append(&journal, "s", 9, "after");
        }
        store.close().await;
    }
}

#[tokio::test]
async fn entries_reach_the_disk_without_a_close() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("log", WIDE).unwrap();
    append(&journal, "s", 1, "here");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let written = segments(dir.path(), "log").iter().any(|path| fs::read(path).unwrap().ends_with(b"here"));
        if written {
            break;
        }
        assert!(Instant::now() < deadline, "nothing was written out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn names_are_bounded_and_safe() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for name in ["../up", "/etc", ".", "a b", "ü", "A-z_0"] {
        append(&store.journal(name, WIDE).unwrap(), "s", 1, name);
    }
    for name in ["", "x".repeat(65).as_str()] {
        assert!(matches!(store.journal(name, WIDE), Err(StoreError::TooLarge(_))), "{name:?}");
    }
    store.close().await;
    assert!(matches!(store.journal("late", WIDE), Err(StoreError::Closed)));
    let mut names: Vec<_> = fs::read_dir(dir.path().join("journals"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["%2e", "%2e%2e%2fup", "%2fetc", "%c3%bc", "A-z_0", "a%20b"]);
}

/// A stream is found by the index, not by a walk over everything.
#[tokio::test]
async fn a_stream_of_a_large_journal_is_found_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("log", JournalBounds { bytes_max: 64 << 20, age_max_ms: i64::MAX }).unwrap();
    for index in 0..100_000_i64 {
        append(&journal, &format!("s{:03}", index % 1000), index, "x");
    }
    let started = Instant::now();
    for stream in 0..1000 {
        let name = format!("s{stream:03}");
        assert_eq!(journal.read_stream(&name, 0, usize::MAX).len(), 100);
        assert_eq!(journal.read_stream_back(&name, u64::MAX, 1)[0].at_ms, 99_000 + stream);
    }
    // A walk would look at 200,000,000 entries, minutes in a debug build.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(journal.streams("s00").len(), 10);
}

fn disk_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => disk_bytes(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(|entry| size(entry.unwrap())).sum()
}

#[tokio::test]
async fn what_is_forgotten_leaves_the_disk_and_the_sequence_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = JournalBounds { bytes_max: 8 << 20, age_max_ms: i64::MAX };
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("logs", bounds).unwrap();
    for n in 0..1000 {
        journal.append("s", n, Bytes::from(vec![b'x'; 1000]));
    }
    journal.flush();
    let usage = journal.usage();
    assert_eq!((usage.entries, usage.value_bytes), (1000, 1_000_000));
    let full = disk_bytes(&dir.path().join("journals"));
    journal.forget_before(500);
    assert_eq!(journal.read(0, 1)[0].at_ms, 500);
    journal.shrink_to(journal.usage().bytes / 2);
    assert_eq!(journal.usage().entries, 250);
    journal.flush();
    assert!(disk_bytes(&dir.path().join("journals")) < full / 2, "old segments are gone");
    let last = journal.last(1)[0].sequence;
    journal.forget_before(1000);
    journal.flush();
    assert_eq!(journal.usage(), store::JournalUsage { entries: 0, value_bytes: 0, bytes: 0 });
    assert!(disk_bytes(&dir.path().join("journals")) < 100, "an empty journal takes nothing");
    drop((journal, store));
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("logs", bounds).unwrap();
    assert!(journal.append("s", 1, Bytes::new()) > last, "a reader's place is still behind what comes");
}

#[tokio::test]
async fn a_removed_journal_is_gone_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = JournalBounds { bytes_max: 1 << 20, age_max_ms: i64::MAX };
    let store = Store::open(dir.path()).unwrap();
    let journal = store.journal("a", bounds).unwrap();
    journal.append("s", 1, Bytes::from_static(b"x"));
    journal.flush();
    assert_eq!(store.journal_names().unwrap(), ["a"]);
    store.remove_journal("a").unwrap();
    store.remove_journal("never").unwrap();
    journal.append("s", 2, Bytes::from_static(b"late"));
    journal.flush();
    assert_eq!(store.journal_names().unwrap(), Vec::<String>::new(), "a handle that is left writes nothing");
    assert_eq!(store.journal("a", bounds).unwrap().last(9), []);
}
