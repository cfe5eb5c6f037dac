//! Base64, the one scheme that `encode` and `decode` have.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sql::evaluation::Evaluation;
use crate::sql::value::Value;

pub(super) fn encode(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    match arguments {
        [value, scheme] if is_base64(scheme) => {
            value.to_text().map_or(Value::Undefined, |text| Value::Text(STANDARD.encode(text)))
        }
        _ => Value::Undefined,
    }
}

pub(super) fn encode_payload(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    match arguments {
        [scheme] if is_base64(scheme) => Value::Text(STANDARD.encode(evaluation.payload_bytes())),
        _ => Value::Undefined,
    }
}

/// JSON becomes a value, other text a string; what is no base64 of text becomes Null, as AWS says.
pub(super) fn decode(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [value, scheme] = arguments else { return Value::Undefined };
    let Some(text) = value.to_text().filter(|_| is_base64(scheme)) else { return Value::Undefined };
    let Ok(bytes) = STANDARD.decode(text) else { return Value::Null };
    match Value::from_json(&bytes, evaluation.version()) {
        Some(value) => value,
        None => String::from_utf8(bytes).map_or(Value::Null, Value::Text),
    }
}

fn is_base64(scheme: &Value) -> bool {
    matches!(scheme, Value::Text(scheme) if scheme.eq_ignore_ascii_case("base64"))
}
