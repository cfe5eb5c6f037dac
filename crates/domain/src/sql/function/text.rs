//! Functions of strings that are more than one step. Positions count characters from 0.

use std::borrow::Cow;

use crate::sql::evaluation::Evaluation;
use crate::sql::number::Number;
use crate::sql::value::Value;

/// What the trimming functions remove: tabs and spaces.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

pub(super) fn chr(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [argument] = arguments else { return Value::Undefined };
    let code = super::int_argument(argument, evaluation.version()).and_then(|code| u8::try_from(code).ok());
    match code.filter(u8::is_ascii) {
        Some(code) => Value::text(char::from(code)),
        None => Value::Undefined,
    }
}

/// -1 where it does not occur.
pub(super) fn indexof(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [text, part] = arguments else { return Value::Undefined };
    let (Some(text), Some(part)) = (text.to_text(), part.to_text()) else { return Value::Undefined };
    match text.split_once(part.as_str()) {
        Some((before, _)) => Value::int(before.chars().count()),
        None => Value::Number(Number::Int(-1)),
    }
}

pub(super) fn lpad(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    padded(evaluation, arguments).map_or(Value::Undefined, |(text, padding)| Value::Text(padding + &text))
}

pub(super) fn rpad(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    padded(evaluation, arguments).map_or(Value::Undefined, |(text, padding)| Value::Text(text + &padding))
}

fn padded(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Option<(String, String)> {
    const SPACES_MAX: i128 = 1000;
    let [text, count] = arguments else { return None };
    let count = super::int_argument(count, evaluation.version())?.clamp(0, SPACES_MAX);
    Some((text.to_text()?, " ".repeat(usize::try_from(count).ok()?)))
}

pub(super) fn replace(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [text, from, to] = arguments else { return Value::Undefined };
    let (Some(text), Some(from), Some(to)) = (text.to_text(), from.to_text(), to.to_text()) else {
        return Value::Undefined;
    };
    // The one function whose result can be the product of its arguments' sizes.
    let added = text.matches(from.as_str()).count().saturating_mul(to.len());
    if !evaluation.afford(added) {
        return Value::Undefined;
    }
    Value::Text(text.replace(from.as_str(), &to))
}

/// From the first position up to but without the second; positions outside are moved to the nearest end.
pub(super) fn substring(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let (text, start, end) = match arguments {
        [text, start] => (text, start, None),
        [text, start, end] => (text, start, Some(end)),
        _ => return Value::Undefined,
    };
    let Some(text) = text.to_text() else { return Value::Undefined };
    let position = |value: &Value| {
        let number = value.to_number(evaluation.version())?;
        // Doubles saturate: a position far outside is only outside.
        Some(number.as_f64().max(0.0) as usize)
    };
    let Some(start) = position(start) else { return Value::Undefined };
    let count = match end.map(|end| position(end)) {
        None => usize::MAX,
        Some(Some(end)) => end.saturating_sub(start),
        Some(None) => return Value::Undefined,
    };
    Value::Text(text.chars().skip(start).take(count).collect())
}
