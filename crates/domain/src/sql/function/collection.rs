//! Functions of arrays and objects, and of there being a value at all.

use std::borrow::Cow;

use crate::sql::evaluation::Evaluation;
use crate::sql::number::Number;
use crate::sql::value::Value;

/// With an array among the arguments, one array of all; with a string, the text of all.
pub(super) fn concat(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    if let [single] = arguments {
        return single.as_ref().clone();
    }
    if arguments.iter().any(|argument| matches!(**argument, Value::Array(_))) {
        let mut items = Vec::new();
        for argument in arguments {
            match argument.as_ref() {
                Value::Array(more) => items.extend(more.iter().cloned()),
                Value::Undefined => {}
                value => items.push(value.clone()),
            }
        }
        return Value::Array(items);
    }
    if !arguments.iter().any(|argument| matches!(**argument, Value::Text(_))) {
        return Value::Undefined;
    }
    let texts: Option<String> = arguments.iter().map(|argument| argument.to_text()).collect();
    texts.map_or(Value::Undefined, Value::Text)
}

/// An item by its index from 0, a character by its index, a member by its name.
pub(super) fn get(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [collection, key] = arguments else { return Value::Undefined };
    let index = || match key.to_number(evaluation.version())?.to_int(f64::trunc) {
        Number::Int(value) => usize::try_from(value).ok(),
        Number::Decimal(_) => None,
    };
    let found = match (collection.as_ref(), key.as_ref()) {
        (Value::Array(items), _) => index().and_then(|index| items.get(index).cloned()),
        (Value::Text(text), _) => index().and_then(|index| text.chars().nth(index)).map(Value::text),
        (Value::Object(object), Value::Text(name)) => object.member(name).cloned(),
        _ => None,
    };
    found.unwrap_or(Value::Undefined)
}

pub(super) fn is_null(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    match arguments {
        [argument] => Value::Boolean(matches!(**argument, Value::Null)),
        _ => Value::Undefined,
    }
}

pub(super) fn is_undefined(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    match arguments {
        [argument] => Value::Boolean(matches!(**argument, Value::Undefined)),
        _ => Value::Undefined,
    }
}

/// The first argument if there is one, or else the second. No value of ours is NaN: such results are Undefined.
pub(super) fn nanvl(_: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    match arguments {
        [first, second] if matches!(**first, Value::Undefined | Value::Null) => second.as_ref().clone(),
        [first, _] => first.as_ref().clone(),
        _ => Value::Undefined,
    }
}

/// The one mode there is: each object of the array with the members of the other object.
pub(super) fn transform(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    /// AWS: "limited to 128 KiB".
    const RESULT_BYTES_MAX: usize = 128 * 1024;
    let [mode, object, array] = arguments else { return Value::Undefined };
    let (Value::Text(mode), Value::Object(object), Value::Array(items)) = (&**mode, &**object, &**array) else {
        return Value::Undefined;
    };
    let each = items.len().saturating_mul(Value::Object(object.clone()).weight());
    if mode != "enrichArray" || !evaluation.afford(each) {
        return Value::Undefined;
    }
    let mut enriched = Vec::with_capacity(items.len());
    for item in items {
        let Value::Object(item) = item else { return Value::Undefined };
        let mut item = item.clone();
        item.merge(object);
        enriched.push(Value::Object(item));
    }
    let enriched = Value::Array(enriched);
    if enriched.to_json().len() > RESULT_BYTES_MAX { Value::Undefined } else { enriched }
}
