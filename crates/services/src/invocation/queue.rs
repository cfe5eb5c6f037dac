//! Which invocation starts next: those that are due, oldest first within a function, functions side by side. A function
//! that hangs keeps its own events waiting and nobody else's.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use domain::Timestamp;

use super::backlog::weight_bytes;
use super::row::InvocationRow;

/// Invocations under way at once, in all. Each is a task and a message to a worker; the work is the worker's.
const RUNNING_MAX: usize = 256;

/// Of one function: as many as it has environments, so that what waits waits here and not in memory twice.
const RUNNING_PER_FUNCTION_MAX: usize = 16;

/// The longest sleep; whatever changes rings before.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// One that is to be run at its time.
#[derive(Debug)]
pub(super) struct Waiting {
    pub at: Timestamp,
    pub id: String,
    pub function_arn: String,
    /// What the row takes of the room for all.
    pub weight_bytes: usize,
    /// The row itself where none is stored.
    pub unstored: Option<Box<InvocationRow>>,
}

impl Waiting {
    pub(super) fn stored(row: &InvocationRow) -> Self {
        Self {
            at: row.next_at,
            id: row.id.clone(),
            function_arn: row.function_arn.clone(),
            weight_bytes: weight_bytes(row),
            unstored: None,
        }
    }

    pub(super) fn unstored(row: InvocationRow) -> Self {
        Self { unstored: Some(Box::new(row.clone())), ..Self::stored(&row) }
    }

    fn order(&self) -> (Timestamp, &str) {
        (self.at, &self.id)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// Derived from the rows, but for those of QoS 0 messages.
#[derive(Debug, Default)]
pub(super) struct Queue {
    later: BinaryHeap<Reverse<Waiting>>,
    functions: HashMap<String, Lane>,
    running: usize,
}

#[derive(Debug, Default)]
struct Lane {
    due: VecDeque<Waiting>,
    running: usize,
}

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.later.push(Reverse(waiting));
    }

    /// What waits for this function is due now.
    pub(super) fn hasten(&mut self, function_arn: &str, now: Timestamp) {
        let later = std::mem::take(&mut self.later).into_iter();
        self.later = later
            .map(|Reverse(mut waiting)| {
                if waiting.function_arn == function_arn {
                    waiting.at = waiting.at.min(now);
                }
                Reverse(waiting)
            })
            .collect();
    }

    /// What may start now, counted as running; or how long until something may.
    pub(super) fn start_next(&mut self, now: Timestamp) -> Result<Waiting, Duration> {
        while let Some(Reverse(waiting)) = self.later.pop() {
            if waiting.at > now {
                self.later.push(Reverse(waiting));
                break;
            }
            self.functions.entry(waiting.function_arn.clone()).or_default().due.push_back(waiting);
        }
        if self.running < RUNNING_MAX {
            let ready = self.functions.values_mut().filter(|lane| lane.is_ready()).min_by_key(|lane| lane.running);
            if let Some(lane) = ready
                && let Some(waiting) = lane.due.pop_front()
            {
                lane.running += 1;
                self.running += 1;
                return Ok(waiting);
            }
        }
        let first = self.later.peek().map(|Reverse(waiting)| waiting.at.since(now).max(1).unsigned_abs());
        Err(first.map_or(PAUSE_MAX, |ms| Duration::from_millis(ms).min(PAUSE_MAX)))
    }

    /// Waiting and running.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.later.len() + self.functions.values().map(|lane| lane.due.len()).sum::<usize>(), self.running)
    }

    pub(super) fn finished(&mut self, function_arn: &str) {
        let Some(lane) = self.functions.get_mut(function_arn) else { return };
        lane.running = lane.running.saturating_sub(1);
        self.running = self.running.saturating_sub(1);
        if lane.running == 0 && lane.due.is_empty() {
            self.functions.remove(function_arn);
        }
    }
}

impl Lane {
    fn is_ready(&self) -> bool {
        !self.due.is_empty() && self.running < RUNNING_PER_FUNCTION_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn waiting(function: &str, number: usize, at: Timestamp) -> Waiting {
        Waiting { at, id: format!("{number:05}"), function_arn: function.to_owned(), weight_bytes: 0, unstored: None }
    }

    fn started(queue: &mut Queue, now: Timestamp) -> Vec<String> {
        std::iter::from_fn(|| queue.start_next(now).ok()).map(|waiting| waiting.id).collect()
    }

    #[test]
    fn a_hanging_function_holds_up_nobody_else() {
        let mut queue = Queue::default();
        for number in 0..1000 {
            queue.push(waiting("hangs", number, NOW));
        }
        assert_eq!(started(&mut queue, NOW).len(), RUNNING_PER_FUNCTION_MAX);
        queue.push(waiting("works", 2000, NOW));
        assert_eq!(started(&mut queue, NOW), ["02000"]);
        queue.finished("hangs");
        assert_eq!(started(&mut queue, NOW), ["00016"]);
    }

    #[test]
    fn all_functions_together_are_bounded() {
        let mut queue = Queue::default();
        for number in 0..10_000 {
            queue.push(waiting(&format!("f{}", number % 100), number, NOW));
        }
        assert_eq!(started(&mut queue, NOW).len(), RUNNING_MAX);
    }

    #[test]
    fn what_is_not_due_waits_for_its_time() {
        let mut queue = Queue::default();
        queue.push(waiting("f", 2, NOW.plus_millis(500)));
        queue.push(waiting("f", 1, NOW.plus_millis(200)));
        assert_eq!(queue.start_next(NOW), Err(Duration::from_millis(200)));
        assert_eq!(started(&mut queue, NOW.plus_millis(200)), ["00001"]);
        assert_eq!(queue.start_next(NOW.plus_millis(200)), Err(Duration::from_millis(300)));
        assert_eq!(started(&mut queue, NOW.plus_millis(900)), ["00002"]);
        queue.finished("f");
        queue.finished("f");
        assert!(queue.functions.is_empty() && queue.running == 0);
        assert_eq!(queue.start_next(NOW), Err(PAUSE_MAX));
    }

    #[test]
    fn what_waits_for_one_function_can_be_hastened() {
        let mut queue = Queue::default();
        for (function, number) in [("f", 1), ("g", 2), ("f", 3)] {
            queue.push(waiting(function, number, NOW.plus_millis(500)));
        }
        queue.hasten("f", NOW);
        assert_eq!(started(&mut queue, NOW), ["00001", "00003"]);
        assert_eq!(started(&mut queue, NOW.plus_millis(500)), ["00002"]);
    }
}
