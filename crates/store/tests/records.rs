//! Control records over the public API: the suite in `conformance` against the local variant.

mod conformance;

use store::{Expect, Store};

async fn check<F: Future<Output = ()>>(case: impl FnOnce(Store) -> F) {
    let dir = tempfile::tempdir().unwrap();
    case(Store::open(dir.path()).unwrap()).await;
}

#[tokio::test]
async fn commits() {
    check(conformance::a_commit_is_read_back_with_its_revision).await;
    check(conformance::expectations_hold_or_nothing_is_written).await;
    check(conformance::leaning_on_a_record_leaves_it_as_it_is).await;
    check(conformance::a_prefix_can_be_expected_to_be_empty).await;
    check(conformance::a_key_named_twice_takes_the_later_write).await;
    check(conformance::what_is_too_large_is_refused_by_name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races() {
    check(conformance::of_many_at_once_one_wins_and_conflicts_hurt_nobody).await;
}

#[tokio::test]
async fn scans() {
    check(conformance::scans_are_ordered_bounded_and_keep_to_the_prefix).await;
}

#[tokio::test]
async fn watches() {
    check(conformance::a_watch_tells_what_was_committed_below_it).await;
}

#[tokio::test]
async fn closing() {
    check(conformance::a_closed_store_refuses).await;
}

#[tokio::test]
async fn revisions_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let store = Store::open(dir.path()).unwrap();
        let revision = store.commit(vec![conformance::put("a", "x", Expect::Anything)]).await.unwrap();
        assert_eq!(revision, last + 1);
        assert_eq!(store.get(b"a").unwrap().unwrap().revision, revision);
        last = revision;
    }
}
