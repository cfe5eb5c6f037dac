//! The values that conditions compare beyond text: numbers, dates, address blocks, ARNs part by part.

use std::cmp::Ordering;
use std::net::IpAddr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Context;
use super::pattern::{Pattern, PatternError, Syntax};

/// `partition:service:region:account:resource` behind `arn:`.
const ARN_PARTS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub(super) fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

/// Finite only: "nan" and "inf" are words to a policy.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Milliseconds since the epoch, of the W3C's forms of ISO 8601 (day, minute, second) or of epoch seconds.
pub(super) fn date_millis(text: &str) -> Option<f64> {
    if let Some(seconds) = number(text) {
        return Some(seconds * 1000.0);
    }
    let candidates = [text.to_owned(), format!("{text}T00:00:00Z"), text.replacen('Z', ":00Z", 1)];
    let moment = candidates.iter().find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok())?;
    Some((moment.unix_timestamp_nanos() / 1_000_000) as f64)
}

/// `10.0.0.0/8`, `2001:db8::/32`, or one address. An IPv4 address in IPv6 clothes is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressBlock {
    address: IpAddr,
    prefix_bits: u32,
}

impl AddressBlock {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits)?,
            None => bits,
        };
        Some(Self { address, prefix_bits })
    }

    pub(super) fn contains(self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        let (differing, bits) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => (u128::from(block.to_bits() ^ address.to_bits()), 32),
            (IpAddr::V6(block), IpAddr::V6(address)) => (block.to_bits() ^ address.to_bits(), 128),
            _ => return false,
        };
        // All bits may be free (`/0`), which is one more than a shift allows.
        differing.checked_shr(bits - self.prefix_bits).unwrap_or(0) == 0
    }
}

/// `ArnLike` compares the six parts each for itself, so that a `*` for the region never reaches into the account. A
/// pattern of fewer parts (`*`, `arn:aws:iot:*`) is compared as a whole. (IAM user guide, "ARN condition operators")
#[derive(Clone, Debug)]
pub(super) struct ArnPattern<K> {
    parts: Vec<Pattern<K>>,
}

impl<K: for<'name> From<&'name str>> ArnPattern<K> {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, PatternError> {
        let parts = split_outside_variables(text);
        let parts = if parts.len() == ARN_PARTS { parts } else { vec![text] };
        let parts = parts.into_iter().map(|part| Pattern::parse(part, syntax));
        Ok(Self { parts: parts.collect::<Result<_, _>>()? })
    }
}

impl<K> ArnPattern<K> {
    pub(super) fn parts(&self) -> &[Pattern<K>] {
        &self.parts
    }

    pub(super) fn is_resolved<C: Context<Key = K>>(&self, context: &C) -> bool {
        self.parts.iter().all(|part| part.is_resolved(context))
    }

    pub(super) fn matches<C: Context<Key = K>>(&self, arn: &str, context: &C) -> bool {
        if let [whole] = self.parts.as_slice() {
            return whole.matches(arn, context);
        }
        let mut found = arn.splitn(ARN_PARTS, ':');
        self.parts.iter().all(|part| found.next().is_some_and(|text| part.matches(text, context)))
    }
}

/// Splits at the first five colons that stand outside `${...}`.
fn split_outside_variables(text: &str) -> Vec<&str> {
    let mut parts = Vec::with_capacity(ARN_PARTS);
    let (mut start, mut is_inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '{' if text.get(..at).is_some_and(|before| before.ends_with('$')) => is_inside = true,
            '}' => is_inside = false,
            ':' if !is_inside && parts.len() + 1 < ARN_PARTS => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::{date_millis, number, split_outside_variables};
    use crate::iam::{Decision, Kind, PolicyDocument, Request, judge_identity};

    #[test]
    fn numbers_and_dates() {
        for (text, expected) in [("7", Some(7.0)), (" -1.5 ", Some(-1.5)), ("", None), ("NaN", None), ("inf", None)] {
            assert_eq!(number(text), expected, "{text:?}");
        }
        for (text, expected) in [
            ("1970-01-02", Some(86_400_000.0)),
            ("1970-01-01T00:01Z", Some(60_000.0)),
            ("1970-01-01T00:00:01.5Z", Some(1500.0)),
            ("1970-01-01T01:00:00+01:00", Some(0.0)),
            ("60", Some(60_000.0)),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(date_millis(text), expected, "{text:?}");
        }
    }

    #[test]
    fn ordered_operators() {
        for (operator, value, expected) in [
            ("NumericEquals", "10", true),
            ("NumericEquals", "10.0", true),
            ("NumericNotEquals", "10", false),
            ("NumericLessThan", "10", false),
            ("NumericLessThan", "9", true),
            ("NumericLessThanEquals", "10", true),
            ("NumericGreaterThan", "10", false),
            ("NumericGreaterThan", "100", true),
            ("NumericGreaterThanEquals", "10", true),
            ("NumericEquals", "ten", false),
            ("DateLessThan", "1970-01-01T00:00:09Z", true),
            ("DateGreaterThan", "2026-01-01T00:00:00Z", true),
            ("DateGreaterThanEquals", "1970-01-01T00:00:10Z", true),
            ("DateLessThanEquals", "1970-01-01T00:00:11Z", false),
            ("DateEquals", "10", true),
            ("DateNotEquals", "10", false),
        ] {
            let policy = format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*",
                    "Condition":{{"{operator}":{{"k":10}}}}}}}}"#
            );
            let policy = PolicyDocument::parse(&policy, Kind::Identity).unwrap();
            let request = Request { action: "s3:GetObject", resource: "*", context: &[("K", value)] };
            let decision = judge_identity(&[policy], &request);
            assert_eq!(decision == Decision::Allowed, expected, "{operator} {value}");
        }
    }

    #[test]
    fn colons_inside_variables_split_nothing() {
        let parts = split_outside_variables("arn:aws:iot:${aws:RequestedRegion}:1:topic/a:b");
        assert_eq!(parts, ["arn", "aws", "iot", "${aws:RequestedRegion}", "1", "topic/a:b"]);
    }
}
