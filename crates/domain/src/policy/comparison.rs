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
