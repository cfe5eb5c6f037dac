//! Functions of numbers that are more than one step.

use std::borrow::Cow;

use crate::sql::evaluation::Evaluation;
use crate::sql::number::{Arithmetic, Number};
use crate::sql::value::Value;

pub(super) fn abs(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [argument] = arguments else { return Value::Undefined };
    match argument.to_number(evaluation.version()) {
        Some(Number::Int(value)) => Value::Number(Number::Int(value.abs())),
        Some(Number::Decimal(value)) => Value::Number(Number::Decimal(value.abs())),
        None => Value::Undefined,
    }
}

pub(super) fn atan2(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    double(evaluation, arguments, f64::atan2)
}

pub(super) fn bitnot(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [argument] = arguments else { return Value::Undefined };
    let value = super::int_argument(argument, evaluation.version());
    Value::number(value.map(|value| Number::int(!value)))
}

pub(super) fn power(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    double(evaluation, arguments, f64::powf)
}

pub(super) fn remainder(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [left, right] = arguments else { return Value::Undefined };
    evaluation.arithmetic(Arithmetic::Remainder, left, right)
}

pub(super) fn sign(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [argument] = arguments else { return Value::Undefined };
    let ordering = argument.to_number(evaluation.version()).and_then(|number| number.compare(Number::Int(0)));
    Value::number(ordering.map(|ordering| Number::Int(ordering as i128)))
}

/// Cuts to the number of places given, from 0 to 34.
pub(super) fn trunc(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    const PLACES_MAX: i128 = 34;
    let [argument, places] = arguments else { return Value::Undefined };
    let version = evaluation.version();
    let (Some(number), Some(places)) = (argument.to_number(version), super::int_argument(places, version)) else {
        return Value::Undefined;
    };
    let factor = 10_f64.powi(places.clamp(0, PLACES_MAX) as i32);
    match number {
        Number::Int(_) => Value::Number(number),
        // A product that is beyond a double has no places to cut.
        Number::Decimal(value) if (value * factor).is_finite() => {
            Value::number(Number::decimal((value * factor).trunc() / factor, version))
        }
        Number::Decimal(_) => Value::Number(number),
    }
}

fn double(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>], compute: fn(f64, f64) -> f64) -> Value {
    let [left, right] = arguments else { return Value::Undefined };
    let version = evaluation.version();
    let (Some(left), Some(right)) = (left.to_number(version), right.to_number(version)) else {
        return Value::Undefined;
    };
    Value::number(Number::decimal(compute(left.as_f64(), right.as_f64()), version))
}
