//! How much may wait to be invoked. A device may publish faster than a function runs: what waits is bounded in number and
//! in bytes, on disk and in memory, and what is over is refused to whoever brings it.

use std::sync::{Mutex, PoisonError};

use super::row::InvocationRow;

/// What a row takes beside its payload: names, times, keys, its place in the queue.
const ROW_OVERHEAD_BYTES: usize = 512;

#[derive(Debug)]
pub(super) struct Backlog {
    rows_max: usize,
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    rows: usize,
    bytes: usize,
}

/// It did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Backlog {
    pub(super) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { rows_max, bytes_max, held: Mutex::default() }
    }

    /// All of them or none.
    pub(super) fn take(&self, rows: &[InvocationRow]) -> Result<(), Full> {
        let bytes: usize = rows.iter().map(weight_bytes).sum();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = held.rows + rows.len() <= self.rows_max && held.bytes + bytes <= self.bytes_max;
        if !fits {
            return Err(Full);
        }
        held.rows += rows.len();
        held.bytes += bytes;
        Ok(())
    }

    /// Those that are there already, at start: they are not refused any more.
    pub(super) fn take_over(&self, row: &InvocationRow) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.rows += 1;
        held.bytes += weight_bytes(row);
    }

    pub(super) fn give_back(&self, rows: usize, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.rows = held.rows.saturating_sub(rows);
        held.bytes = held.bytes.saturating_sub(bytes);
    }
}

pub(super) fn weight_bytes(row: &InvocationRow) -> usize {
    row.payload.len() + ROW_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::Timestamp;

    use super::{Backlog, Full, weight_bytes};
    use crate::invocation::InvocationRow;

    fn rows(count: usize, bytes: usize) -> Vec<InvocationRow> {
        let row = InvocationRow::new("arn", &Bytes::from(vec![b'x'; bytes]), "rule", Timestamp::from_seconds(1));
        vec![row; count]
    }

    #[test]
    fn bounded_in_number_and_in_bytes_all_or_none() {
        let backlog = Backlog::new(3, 10_000);
        assert_eq!(backlog.take(&rows(4, 0)), Err(Full));
        assert_eq!(backlog.take(&rows(2, 0)), Ok(()));
        assert_eq!(backlog.take(&rows(2, 0)), Err(Full), "one would fit, two do not");
        assert_eq!(backlog.take(&rows(1, 9_000)), Err(Full), "too many bytes");
        backlog.give_back(2, 2 * weight_bytes(&rows(1, 0)[0]));
        assert_eq!(backlog.take(&rows(1, 6_000)), Ok(()));
        assert_eq!(backlog.take(&rows(1, 6_000)), Err(Full));
    }
}
