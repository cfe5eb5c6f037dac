//! What is wrong with a statement, and where.

use std::fmt;

/// Position in characters, 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

impl SqlError {
    /// `offset` is in bytes.
    pub(super) fn at(sql: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = sql.get(..offset).unwrap_or(sql);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { message: message.into(), line, column }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.message, self.line, self.column)
    }
}

impl std::error::Error for SqlError {}
