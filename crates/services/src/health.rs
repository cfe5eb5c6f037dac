//! How the server is, in numbers: what waits, and whether the store still writes.

use crate::Services;
use crate::outbox;

/// Rows counted at most: a question that anybody may ask must not cost a walk through a long backlog.
const COUNTED_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Why nothing is written any more, if so.
    pub store_failure: Option<String>,
    /// Registration events not yet delivered, up to ten thousand of them.
    pub outbox: usize,
    /// Asynchronous invocations that wait for their time or their turn.
    pub invocations_waiting: usize,
    pub invocations_running: usize,
    /// Invocations that were given up and are kept for the operator.
    pub dead_letters: usize,
}

impl Services {
    pub fn health(&self) -> Health {
        let owed = self.store().scan_after(outbox::PREFIX.as_bytes(), None, COUNTED_MAX);
        // A store that cannot be read is as bad as one that cannot be written.
        let unreadable = owed.as_ref().err().map(ToString::to_string);
        let invocations = self.invocation_counts();
        Health {
            store_failure: self.store().failure().map(|failure| failure.to_string()).or(unreadable),
            outbox: owed.map_or(0, |rows| rows.len()),
            invocations_waiting: invocations.waiting,
            invocations_running: invocations.running,
            dead_letters: invocations.dead_letters,
        }
    }
}
