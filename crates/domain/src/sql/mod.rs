//! Rule SQL: parse once, evaluate per message.

use bytes::Bytes;
use mqtt::TopicFilter;

use crate::{AccountId, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlVersion {
    V2015_10_08,
    V2016_03_23,
    Beta,
}

impl SqlVersion {
    pub fn parse(_text: &str) -> Option<Self> {
        todo!()
    }
    pub const fn as_str(self) -> &'static str {
        todo!()
    }
}

/// Position in characters, 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

#[derive(Debug)]
pub struct Statement {}

/// What a rule's functions can ask of the message.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub client_id: Option<&'a str>,
    pub principal: Option<&'a str>,
    pub account: &'a AccountId,
    pub timestamp: Timestamp,
    pub trace_id: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// WHERE was not true.
    Skip,
    /// What the actions get.
    Emit(Bytes),
}

impl Statement {
    pub fn parse(_sql: &str, _version: SqlVersion) -> Result<Self, SqlError> {
        todo!()
    }
    /// `None` only for a rule without FROM (Basic Ingest).
    pub fn topic_filter(&self) -> Option<&TopicFilter> {
        todo!()
    }
    pub fn evaluate(&self, _input: &Input<'_>) -> Outcome {
        todo!()
    }
}
