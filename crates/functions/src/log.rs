//! A function's log: lines, and how many of them one invocation may write.

use std::sync::Arc;

use domain::Timestamp;

use crate::limits::{LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

/// Takes each line of a function's log as it is written.
#[derive(Clone)]
pub struct LogSink(pub Arc<dyn Fn(LogLine) + Send + Sync>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub at: Timestamp,
    pub stream: String,
    pub text: String,
}

/// What an invocation may still write. Kept by the worker, to spare the pipe, and by the server, which does not trust it.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines: usize,
    bytes: usize,
    spent: bool,
}

impl LogBudget {
    pub(crate) fn new() -> Self {
        Self { lines: LOG_LINES_MAX, bytes: LOG_BYTES_MAX, spent: false }
    }

    /// The line as it may be written: cut, or the notice that nothing more will come, or nothing.
    pub(crate) fn take(&mut self, mut text: String) -> Option<String> {
        if self.spent {
            return None;
        }
        if text.len() > LOG_LINE_BYTES_MAX {
            let end = (0..=LOG_LINE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        if self.lines == 0 || text.len() > self.bytes {
            self.spent = true;
            return Some(format!(
                "The rest of this invocation's log is dropped: at most {LOG_LINES_MAX} lines and {LOG_BYTES_MAX} bytes are kept."
            ));
        }
        self.lines -= 1;
        self.bytes -= text.len();
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{LogBudget, LogSink};
    use crate::limits::{LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let text = format!("a{}", "ü".repeat(LOG_LINE_BYTES_MAX));
        let cut = LogBudget::new().take(text).unwrap_or_default();
        assert_eq!(cut.len(), LOG_LINE_BYTES_MAX - 1);
    }

    #[test]
    fn many_lines_end_in_one_notice() {
        let mut budget = LogBudget::new();
        let kept = (0..LOG_LINES_MAX + 5).filter_map(|_| budget.take("x".to_owned())).count();
        assert_eq!(kept, LOG_LINES_MAX + 1);
    }

    #[test]
    fn many_bytes_end_in_one_notice() {
        let mut budget = LogBudget::new();
        let line = "x".repeat(LOG_LINE_BYTES_MAX);
        let kept = (0..100).filter_map(|_| budget.take(line.clone())).count();
        assert_eq!(kept, LOG_BYTES_MAX / LOG_LINE_BYTES_MAX + 1);
    }

    #[test]
    fn a_sink_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync>() {}
        shared::<LogSink>();
    }
}
