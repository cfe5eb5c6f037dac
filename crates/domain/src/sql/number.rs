//! The two kinds of number and their arithmetic.
//!
//! AWS's `Decimal` has 34 digits; ours is a double, with 15 to 17. `Int` holds AWS's 34 digits and turns into `Decimal`
//! beyond them.

use std::cmp::Ordering;

use super::SqlVersion;

#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i128),
    /// Always finite.
    Decimal(f64),
}

/// The largest `Int`: 34 digits.
const INT_MAX: i128 = 9_999_999_999_999_999_999_999_999_999_999_999;
/// Up to here every whole double is exactly one integer.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Number {
    pub fn int(value: i128) -> Self {
        if value.unsigned_abs() <= INT_MAX.unsigned_abs() { Self::Int(value) } else { Self::Decimal(value as f64) }
    }

    /// `None` for what is no number. From 2016-03-23 on, a whole number is an `Int` however it was written or computed:
    /// `10.0` is `10`
    /// (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-data-types.html>).
    pub fn decimal(value: f64, version: SqlVersion) -> Option<Self> {
        if !value.is_finite() {
            None
        } else if version >= SqlVersion::V2016_03_23 && value.fract() == 0.0 && value.abs() <= EXACT_MAX {
            Some(Self::Int(value as i128))
        } else {
            Some(Self::Decimal(value))
        }
    }

    /// A string that has AWS's form of a number: `^-?\d+(\.\d+)?((?i)E-?\d+)?$`.
    pub fn from_text(text: &str, version: SqlVersion) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let good = digits(whole)
            && fraction.is_none_or(digits)
            && exponent.is_none_or(|exponent| digits(exponent.strip_prefix('-').unwrap_or(exponent)));
        if good { Self::decimal(text.parse().ok()?, version) } else { None }
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Decimal(value) => value,
        }
    }

    /// The `Int` that `rounding` makes of a `Decimal`; one beyond 34 digits stays as it is.
    pub fn to_int(self, rounding: fn(f64) -> f64) -> Self {
        match self {
            Self::Int(_) => self,
            Self::Decimal(value) if value.abs() <= INT_MAX as f64 => Self::int(rounding(value) as i128),
            Self::Decimal(_) => self,
        }
    }

    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (left, right) => left.as_f64().partial_cmp(&right.as_f64()),
        }
    }

    pub fn negate(self) -> Self {
        match self {
            Self::Int(value) => Self::Int(-value),
            Self::Decimal(value) => Self::Decimal(-value),
        }
    }

    /// Two of `Int` give an `Int`, division included; anything else a `Decimal`. `None` where there is no result.
    pub fn compute(self, operation: Arithmetic, other: Self, version: SqlVersion) -> Option<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            if right == 0 && matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
                return None;
            }
            let whole = match operation {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide => left.checked_div(right),
                Arithmetic::Remainder => left.checked_rem(right),
            };
            if let Some(whole) = whole {
                return Some(Self::int(whole));
            }
        }
        let (left, right) = (self.as_f64(), other.as_f64());
        let value = match operation {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => left % right,
        };
        Self::decimal(value, version)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}
