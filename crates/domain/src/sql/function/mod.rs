//! The functions of rule SQL that need nothing but the message and the seed of chance
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html>).
//! A call with arguments of the wrong number or type is Undefined, as on AWS, and no error.

mod chance;
mod collection;
mod encoding;
mod legacy_digest;
mod math;
mod message;
mod property;
mod regular;
mod text;
mod time;

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest;

use super::SqlVersion;
use super::SqlVersion::{V2015_10_08, V2016_03_23};
use super::evaluation::Evaluation;
use super::expression::Expression;
use super::number::Number;
use super::value::Value;

pub(super) struct Function {
    pub name: &'static str,
    pub since: SqlVersion,
    body: Body,
}

enum Body {
    General(fn(&Evaluation<'_>, &[Cow<'_, Value>]) -> Value),
    /// One number, computed in double precision.
    Double(fn(f64) -> f64),
    /// One number to an `Int`.
    Round(fn(f64) -> f64),
    /// Two numbers, rounded down to `Int`.
    Bits(fn(i128, i128) -> i128),
    /// One string to another.
    Text(fn(&str) -> String),
    /// One string to something measured of it.
    Measure(fn(&str) -> usize),
    /// Two strings to a verdict.
    Test(fn(&str, &str) -> bool),
    Digest(&'static digest::Algorithm),
    /// One that the crypto library does not have.
    LegacyDigest(fn(&[u8]) -> [u8; 16]),
    /// The second argument is a regular expression.
    Pattern(fn(&Evaluation<'_>, &Pattern, &[Cow<'_, Value>]) -> Option<Value>),
}

pub(super) use regular::Pattern;

const fn entry(name: &'static str, since: SqlVersion, body: Body) -> Function {
    Function { name, since, body }
}

static FUNCTIONS: &[Function] = &[
    entry("abs", V2015_10_08, Body::General(math::abs)),
    entry("accountid", V2015_10_08, Body::General(message::accountid)),
    entry("acos", V2015_10_08, Body::Double(f64::acos)),
    entry("asin", V2015_10_08, Body::Double(f64::asin)),
    entry("atan", V2015_10_08, Body::Double(f64::atan)),
    entry("atan2", V2015_10_08, Body::General(math::atan2)),
    entry("bitand", V2015_10_08, Body::Bits(|left, right| left & right)),
    entry("bitnot", V2015_10_08, Body::General(math::bitnot)),
    entry("bitor", V2015_10_08, Body::Bits(|left, right| left | right)),
    entry("bitxor", V2015_10_08, Body::Bits(|left, right| left ^ right)),
    entry("ceil", V2015_10_08, Body::Round(f64::ceil)),
    entry("chr", V2015_10_08, Body::General(text::chr)),
    entry("clientid", V2015_10_08, Body::General(message::clientid)),
    entry("concat", V2015_10_08, Body::General(collection::concat)),
    entry("cos", V2015_10_08, Body::Double(f64::cos)),
    entry("cosh", V2015_10_08, Body::Double(f64::cosh)),
    entry("decode", V2016_03_23, Body::General(encoding::decode)),
    entry("encode", V2016_03_23, Body::General(encoding::encode)),
    entry("endswith", V2015_10_08, Body::Test(|text, end| text.ends_with(end))),
    entry("exp", V2015_10_08, Body::Double(f64::exp)),
    entry("floor", V2015_10_08, Body::Round(f64::floor)),
    entry("get", V2015_10_08, Body::General(collection::get)),
    entry("get_mqtt_property", V2016_03_23, Body::General(property::get_mqtt_property)),
    entry("get_user_properties", V2016_03_23, Body::General(property::get_user_properties)),
    entry("indexof", V2016_03_23, Body::General(text::indexof)),
    entry("isNull", V2015_10_08, Body::General(collection::is_null)),
    entry("isUndefined", V2016_03_23, Body::General(collection::is_undefined)),
    entry("length", V2016_03_23, Body::Measure(|text| text.chars().count())),
    entry("ln", V2015_10_08, Body::Double(f64::ln)),
    entry("log", V2015_10_08, Body::Double(f64::log10)),
    entry("lower", V2015_10_08, Body::Text(str::to_lowercase)),
    entry("lpad", V2015_10_08, Body::General(text::lpad)),
    entry("ltrim", V2015_10_08, Body::Text(|text| text.trim_start_matches(text::BLANK).to_owned())),
    entry("md2", V2015_10_08, Body::LegacyDigest(legacy_digest::md2)),
    entry("md5", V2015_10_08, Body::LegacyDigest(legacy_digest::md5)),
    entry("mod", V2015_10_08, Body::General(math::remainder)),
    entry("nanvl", V2015_10_08, Body::General(collection::nanvl)),
    entry("newuuid", V2015_10_08, Body::General(chance::newuuid)),
    entry("numbytes", V2016_03_23, Body::Measure(str::len)),
    entry("parse_time", V2016_03_23, Body::General(time::parse_time)),
    entry("power", V2015_10_08, Body::General(math::power)),
    entry("principal", V2015_10_08, Body::General(message::principal)),
    entry("rand", V2015_10_08, Body::General(chance::rand)),
    entry("regexp_matches", V2015_10_08, Body::Pattern(regular::matches)),
    entry("regexp_replace", V2015_10_08, Body::Pattern(regular::replace)),
    entry("regexp_substr", V2015_10_08, Body::Pattern(regular::substr)),
    entry("remainder", V2015_10_08, Body::General(math::remainder)),
    entry("replace", V2015_10_08, Body::General(text::replace)),
    entry("round", V2015_10_08, Body::Round(f64::round)),
    entry("rpad", V2015_10_08, Body::General(text::rpad)),
    entry("rtrim", V2015_10_08, Body::Text(|text| text.trim_end_matches(text::BLANK).to_owned())),
    entry("sha1", V2015_10_08, Body::Digest(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
    entry("sha224", V2015_10_08, Body::Digest(&digest::SHA224)),
    entry("sha256", V2015_10_08, Body::Digest(&digest::SHA256)),
    entry("sha384", V2015_10_08, Body::Digest(&digest::SHA384)),
    entry("sha512", V2015_10_08, Body::Digest(&digest::SHA512)),
    entry("sign", V2015_10_08, Body::General(math::sign)),
    entry("sin", V2015_10_08, Body::Double(f64::sin)),
    entry("sinh", V2015_10_08, Body::Double(f64::sinh)),
    entry("sql_version", V2015_10_08, Body::General(message::sql_version)),
    entry("sqrt", V2015_10_08, Body::Double(f64::sqrt)),
    entry("startswith", V2015_10_08, Body::Test(|text, start| text.starts_with(start))),
    entry("substring", V2015_10_08, Body::General(text::substring)),
    entry("tan", V2015_10_08, Body::Double(f64::tan)),
    entry("tanh", V2015_10_08, Body::Double(f64::tanh)),
    entry("time_to_epoch", V2016_03_23, Body::General(time::time_to_epoch)),
    entry("timestamp", V2015_10_08, Body::General(message::timestamp)),
    entry("topic", V2015_10_08, Body::General(message::topic)),
    entry("traceid", V2015_10_08, Body::General(message::traceid)),
    entry("transform", V2016_03_23, Body::General(collection::transform)),
    entry("trim", V2015_10_08, Body::Text(|text| text.trim_matches(text::BLANK).to_owned())),
    entry("trunc", V2015_10_08, Body::General(math::trunc)),
    entry("upper", V2015_10_08, Body::Text(str::to_uppercase)),
];

/// `encode(*, scheme)`, which takes the bytes of the message whether they are JSON or not.
pub(super) static ENCODE_PAYLOAD: Function = entry("encode", V2016_03_23, Body::General(encoding::encode_payload));

/// Functions of AWS that a statement may name in good faith: the error says so. Most of them ask another service.
const UNSERVED: [&str; 9] = [
    "aws_lambda",
    "get_dynamodb",
    "get_or_default",
    "get_registry_data",
    "get_secret",
    "get_thing_shadow",
    "machinelearning_predict",
    "parse_url",
    "sourceip",
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name))
}

pub(super) fn is_unserved(name: &str) -> bool {
    UNSERVED.iter().any(|unserved| unserved.eq_ignore_ascii_case(name))
}

impl Function {
    pub fn call(&self, evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>], prepared: Option<&Pattern>) -> Value {
        self.outcome(evaluation, arguments, prepared).unwrap_or(Value::Undefined)
    }

    /// What can be compiled when the statement is parsed.
    pub fn prepare(&self, arguments: &[Expression]) -> Option<Pattern> {
        match (&self.body, arguments.get(1)) {
            (Body::Pattern(_), Some(Expression::Literal(pattern))) => Pattern::compile(&pattern.to_text()?),
            _ => None,
        }
    }

    fn outcome(
        &self,
        evaluation: &Evaluation<'_>,
        arguments: &[Cow<'_, Value>],
        prepared: Option<&Pattern>,
    ) -> Option<Value> {
        let version = evaluation.version();
        match (&self.body, arguments) {
            (Body::General(call), arguments) => Some(call(evaluation, arguments)),
            (Body::Double(compute), [argument]) => {
                let value = compute(argument.to_number(version)?.as_f64());
                Some(Value::number(Number::decimal(value, version)))
            }
            (Body::Round(round), [argument]) => Some(Value::Number(argument.to_number(version)?.to_int(*round))),
            (Body::Bits(combine), [left, right]) => {
                let (left, right) = (int_argument(left, version)?, int_argument(right, version)?);
                Some(Value::Number(Number::int(combine(left, right))))
            }
            (Body::Text(change), [argument]) => Some(Value::Text(change(&argument.to_text()?))),
            (Body::Measure(measure), [argument]) => Some(Value::int(measure(&argument.to_text()?))),
            (Body::Test(test), [left, right]) => Some(Value::Boolean(test(&left.to_text()?, &right.to_text()?))),
            (Body::Digest(algorithm), [argument]) => {
                let digest = digest::digest(algorithm, argument.to_text()?.as_bytes());
                Some(Value::Text(hex::encode(digest)))
            }
            (Body::LegacyDigest(digest), [argument]) => {
                Some(Value::Text(hex::encode(digest(argument.to_text()?.as_bytes()))))
            }
            (Body::Pattern(look), [_, pattern, ..]) => match prepared {
                Some(pattern) => look(evaluation, pattern, arguments),
                None => look(evaluation, &Pattern::compile_for(evaluation, pattern)?, arguments),
            },
            _ => None,
        }
    }
}

/// A number or the text of one, rounded down.
fn int_argument(value: &Value, version: SqlVersion) -> Option<i128> {
    match value.to_number(version)?.to_int(f64::floor) {
        Number::Int(value) => Some(value),
        Number::Decimal(_) => None,
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
