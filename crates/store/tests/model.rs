//! Random commits, scans and restarts against a map that says what must come out.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;
use store::{CommitError, Expect, Store, Write};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

#[derive(Clone, Debug)]
enum Step {
    /// Commits that are under way together.
    Commits(Vec<Vec<ModelWrite>>),
    Scan {
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: usize,
    },
    Restart,
}

#[derive(Clone, Debug)]
struct ModelWrite {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    expect: ModelExpect,
}

#[derive(Clone, Copy, Debug)]
enum ModelExpect {
    Anything,
    Absent,
    /// What is there, so that it mostly holds.
    AsIs,
    Revision(u64),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'/'), Just(0xff)], 0..4)
}

fn write() -> impl Strategy<Value = ModelWrite> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..40));
    let expect = prop_oneof![
        3 => Just(ModelExpect::Anything),
        1 => Just(ModelExpect::Absent),
        3 => Just(ModelExpect::AsIs),
        1 => (0_u64..20).prop_map(ModelExpect::Revision),
    ];
    (key(), value, expect).prop_map(|(key, value, expect)| ModelWrite { key, value, expect })
}

fn step() -> impl Strategy<Value = Step> {
    let commit = proptest::collection::vec(write(), 0..5);
    prop_oneof![
        6 => proptest::collection::vec(commit, 1..4).prop_map(Step::Commits),
        3 => (key(), proptest::option::of(key()), 0_usize..6)
            .prop_map(|(prefix, after, limit)| Step::Scan { prefix, after, limit }),
        1 => Just(Step::Restart),
    ]
}

impl ModelWrite {
    fn against(&self, model: &Model) -> Write {
        let expect = match self.expect {
            ModelExpect::Anything => Expect::Anything,
            ModelExpect::Absent => Expect::Absent,
            ModelExpect::AsIs => {
                model.get(&self.key).map_or(Expect::Absent, |(_, revision)| Expect::Revision(*revision))
            }
            ModelExpect::Revision(revision) => Expect::Revision(revision),
        };
        Write { key: self.key.clone(), value: self.value.clone().map(Bytes::from), expect }
    }
}

/// The rules of a commit once more, in the fewest lines.
fn expected(model: &mut Model, revision: &mut u64, writes: &[Write]) -> Result<u64, Vec<u8>> {
    for write in writes {
        let found = model.get(&write.key).map(|(_, revision)| *revision);
        match write.expect {
            Expect::Absent if found.is_some() => return Err(write.key.clone()),
            Expect::Revision(wanted) if found != Some(wanted) => return Err(write.key.clone()),
            _ => {}
        }
    }
    *revision += 1;
    for write in writes {
        match &write.value {
            Some(value) => drop(model.insert(write.key.clone(), (value.to_vec(), *revision))),
            None => drop(model.remove(&write.key)),
        }
    }
    Ok(*revision)
}

fn scanned(store: &Store, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let found = store.scan_after(prefix, after, limit).unwrap();
    found.into_iter().map(|(key, record)| (key, record.value.to_vec(), record.revision)).collect()
}

async fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut model = Model::new();
    let mut revision = 0;
    for step in steps {
        match step {
            Step::Commits(commits) => {
                let commits: Vec<Vec<Write>> =
                    commits.iter().map(|writes| writes.iter().map(|write| write.against(&model)).collect()).collect();
                // On a runtime of one thread they enter the queue in this order.
                let tasks: Vec<_> = commits
                    .iter()
                    .map(|writes| {
                        let (store, writes) = (store.clone(), writes.clone());
                        tokio::spawn(async move { store.commit(writes).await })
                    })
                    .collect();
                for (task, writes) in tasks.into_iter().zip(&commits) {
                    let answer = match task.await.unwrap() {
                        Ok(revision) => Ok(revision),
                        Err(CommitError::Conflict { key }) => Err(key),
                        Err(CommitError::Store(error)) => panic!("{error}"),
                    };
                    prop_assert_eq!(answer, expected(&mut model, &mut revision, writes));
                }
            }
            Step::Scan { prefix, after, limit } => {
                let below: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after))
                    .take(limit)
                    .map(|(key, (value, revision))| (key.clone(), value.clone(), *revision))
                    .collect();
                prop_assert_eq!(scanned(&store, &prefix, after.as_deref(), limit), below);
            }
            Step::Restart => {
                drop(store);
                store = Store::open(dir.path()).unwrap();
            }
        }
        let all: Vec<_> =
            model.iter().map(|(key, (value, revision))| (key.clone(), value.clone(), *revision)).collect();
        prop_assert_eq!(scanned(&store, b"", None, usize::MAX), all);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_map_does(steps in proptest::collection::vec(step(), 1..20)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check(steps))?;
    }
}
