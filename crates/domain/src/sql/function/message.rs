//! What a statement can ask about the message beside its payload.

use std::borrow::Cow;

use crate::sql::evaluation::Evaluation;
use crate::sql::number::Number;
use crate::sql::value::Value;
use crate::topic::BasicIngest;

pub(super) fn accountid(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    Value::text(evaluation.input().account.as_str())
}

/// `n/a` for a message that came over HTTP.
pub(super) fn clientid(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    Value::text(evaluation.input().client_id.unwrap_or("n/a"))
}

pub(super) fn principal(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    evaluation.input().principal.map_or(Value::Undefined, Value::text)
}

pub(super) fn sql_version(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    Value::text(evaluation.version().as_str())
}

pub(super) fn timestamp(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    Value::Number(Number::Int(evaluation.input().timestamp.millis().into()))
}

/// Undefined for a message that did not come over MQTT.
pub(super) fn traceid(evaluation: &Evaluation<'_>, _: &[Cow<'_, Value>]) -> Value {
    let input = evaluation.input();
    input.client_id.map_or(Value::Undefined, |_| Value::text(input.trace_id))
}

/// The topic, or its n-th level counted from 1. A message of Basic Ingest does not show its prefix.
pub(super) fn topic(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let topic = evaluation.input().topic;
    let topic = BasicIngest::of(topic).map_or(topic, |ingest| ingest.topic);
    match arguments {
        [] => Value::text(topic),
        [level] => {
            let level = super::int_argument(level, evaluation.version());
            let index = level.and_then(|level| usize::try_from(level).ok()).and_then(|level| level.checked_sub(1));
            index.and_then(|index| topic.split('/').nth(index)).map_or(Value::Undefined, Value::text)
        }
        _ => Value::Undefined,
    }
}
