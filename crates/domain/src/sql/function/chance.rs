//! `newuuid()` and `rand()`: a stream that the caller's seed decides. Each draw is a digest of the seed and the number of
//! the draw, so that nobody who sees one can tell the next.

use std::borrow::Cow;

use aws_lc_rs::digest;

use crate::sql::evaluation::Evaluation;
use crate::sql::number::Number;
use crate::sql::value::Value;

fn draw(evaluation: &Evaluation<'_>) -> [u8; 16] {
    let mut drawn = digest::Context::new(&digest::SHA256);
    drawn.update(&evaluation.input().seed);
    drawn.update(&evaluation.next_draw().to_be_bytes());
    let mut bytes = [0; 16];
    for (byte, drawn) in bytes.iter_mut().zip(drawn.finish().as_ref()) {
        *byte = *drawn;
    }
    bytes
}

/// A version 4 UUID.
pub(super) fn newuuid(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    if !arguments.is_empty() {
        return Value::Undefined;
    }
    let mut bytes = draw(evaluation);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    Value::Text([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}

/// From 0 up to but without 1: as many bits as a double holds.
pub(super) fn rand(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    if !arguments.is_empty() {
        return Value::Undefined;
    }
    let [a, b, c, d, e, f, g, h, ..] = draw(evaluation);
    let bits = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11;
    Value::Number(Number::Decimal(bits as f64 / (1_u64 << 53) as f64))
}
