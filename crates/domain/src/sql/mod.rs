//! Rule SQL: parse once, evaluate per message
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-reference.html>).
//!
//! Owns the language: its syntax, its types, its functions of one message. The moment and the seed of chance come in with
//! the message. It refuses what needs another service (`aws_lambda`), and what a rule does with the outcome.
//!
//! Where it differs from AWS: regular expressions have no look-around and no back-references; `Decimal` is a double, not 34 digits (see `number`); `a[0]` is taken beside `get(a, 0)`.

mod error;
mod evaluation;
mod expression;
mod function;
mod lexer;
mod number;
mod parser;
mod statement;
mod template;
#[cfg(test)]
mod tests;
mod value;

pub use error::SqlError;
pub use statement::{Evaluated, Input, Outcome, Statement};
pub use template::{RenderError, Template};

/// AWS bounds the whole rule document at 256 KB; a statement that a person can read is far below this.
pub const SQL_BYTES_MAX: usize = 64 * 1024;
/// Expressions inside each other, which parsing and evaluating descend by recursion.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Operators in one chain: `a OR b OR c` is a tree as deep as the chain is long.
pub const OPERATOR_CHAIN_MAX: usize = 256;
/// Bytes that one evaluation may read or make beyond the payload itself. A statement that concatenates a large field
/// with itself a thousand times is stopped here, and its message is skipped.
pub const EVALUATION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The versions of the language; a rule that names none has the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SqlVersion {
    V2015_10_08,
    V2016_03_23,
    Beta,
}

impl SqlVersion {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::V2015_10_08, Self::V2016_03_23, Self::Beta].into_iter().find(|version| version.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2015_10_08 => "2015-10-08",
            Self::V2016_03_23 => "2016-03-23",
            Self::Beta => "beta",
        }
    }
}
