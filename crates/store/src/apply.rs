//! The one function that turns an entry of the log into records.
//!
//! It depends on the view and the entry alone: no clock, no randomness, no node. Whoever applies the same entries in
//! the same order ends with the same view, which is what a replicated log needs; the local log is the engine's own
//! transaction.

use crate::commit::{Commit, Expect};
use crate::engine::Draft;
use crate::error::StoreError;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    /// Nothing of the entry was written.
    Conflict {
        key: Vec<u8>,
    },
}

/// Either all writes of the entry take, with `sequence` as their revision, or none.
pub(crate) fn apply(draft: &mut Draft<'_>, sequence: u64, commit: &Commit) -> Result<Outcome, StoreError> {
    let writes = &commit.writes;
    for write in writes {
        let as_expected = match write.expect {
            Expect::Anything => true,
            Expect::Absent => draft.revision(&write.key)?.is_none(),
            Expect::NothingBelow => !draft.has_below(&write.key)?,
            Expect::Revision(revision) | Expect::Unchanged(revision) => draft.revision(&write.key)? == Some(revision),
        };
        if !as_expected {
            return Ok(Outcome::Conflict { key: write.key.clone() });
        }
    }
    for write in writes.iter().filter(|write| write.writes()) {
        match &write.value {
            Some(value) => draft.put(&write.key, sequence, value)?,
            None => draft.remove(&write.key)?,
        }
    }
    for write in &commit.queue {
        draft.queues.apply(write)?;
    }
    Ok(Outcome::Applied)
}
