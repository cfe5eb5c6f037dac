//! A compiled statement and its run over one message.

use bytes::Bytes;
use mqtt::TopicFilter;
use mqtt::packet::Properties;

use super::evaluation::Evaluation;
use super::expression::{Column, Expression, Selection};
use super::parser;
use super::value::{Object, Value};
use super::{SqlError, SqlVersion};
use crate::{AccountId, Timestamp};

#[derive(Clone, Debug)]
pub struct Statement {
    version: SqlVersion,
    selection: Selection,
    filter: Option<TopicFilter>,
    condition: Option<Expression>,
}

/// What a rule's functions can ask of the message.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// `None` for a message that did not come over MQTT.
    pub client_id: Option<&'a str>,
    pub principal: Option<&'a str>,
    pub account: &'a AccountId,
    pub timestamp: Timestamp,
    pub trace_id: &'a str,
    /// Those of MQTT 5 that came with the message.
    pub properties: &'a Properties,
    /// What `newuuid()` and `rand()` are made from. Two evaluations with one seed draw the same.
    pub seed: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// WHERE was not true, or the statement cannot be applied to this payload.
    Skip,
    /// What the actions get.
    Emit(Bytes),
}

/// What came of a statement over one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    pub outcome: Outcome,
    /// Whether the statement looked into the payload and found no JSON. (AWS's metric `ParseError`)
    pub is_unreadable: bool,
}

impl Statement {
    pub fn parse(sql: &str, version: SqlVersion) -> Result<Self, SqlError> {
        let parser::Parsed { selection, filter, condition } = parser::parse(sql, version)?;
        Ok(Self { version, selection, filter, condition })
    }

    /// `None` only for a rule without FROM (Basic Ingest).
    pub fn topic_filter(&self) -> Option<&TopicFilter> {
        self.filter.as_ref()
    }

    /// WHERE first; what it selects is made only if that is true. `SELECT *` alone forwards the payload as it came,
    /// JSON or not.
    pub fn evaluate(&self, input: &Input<'_>) -> Evaluated {
        let evaluation = Evaluation::new(input, self.version);
        let outcome = self.outcome(&evaluation, input);
        Evaluated { outcome, is_unreadable: evaluation.is_unreadable() }
    }

    fn outcome(&self, evaluation: &Evaluation<'_>, input: &Input<'_>) -> Outcome {
        if let Some(condition) = &self.condition
            && evaluation.evaluate(condition).to_boolean() != Some(true)
        {
            return Outcome::Skip;
        }
        let output = match &self.selection {
            Selection::Everything => Bytes::copy_from_slice(input.payload),
            Selection::Value(expression) => evaluation.owned(expression).to_json().into(),
            Selection::Columns(columns) => match select(evaluation, columns) {
                Some(object) => Value::Object(object).to_json().into(),
                None => return Outcome::Skip,
            },
        };
        if evaluation.is_exhausted() { Outcome::Skip } else { Outcome::Emit(output) }
    }
}

/// `None` where `*` stands beside other columns and the payload is no JSON: AWS does not allow the pair.
pub(super) fn select(evaluation: &Evaluation<'_>, columns: &[Column]) -> Option<Object> {
    let mut output = Object::default();
    for column in columns {
        match column {
            Column::Everything => {
                let payload = evaluation.payload()?;
                if !evaluation.afford(payload.weight()) {
                    return None;
                }
                if let Value::Object(members) = payload {
                    output.merge(members);
                }
            }
            Column::Named { path, expression } => {
                if !evaluation.afford(output.len()) {
                    return None;
                }
                output.insert_at(path, evaluation.owned(expression));
            }
        }
    }
    Some(output)
}
