//! A timestamp in a shape: seconds since the epoch with their fraction, a JSON number.

use domain::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The last second of the year 9999; a later moment has no calendar form.
const SECONDS_MAX: f64 = 253_402_300_799.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSeconds(pub Timestamp);

impl From<Timestamp> for EpochSeconds {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

/// The epoch: the shapes derive `Default`.
impl Default for EpochSeconds {
    fn default() -> Self {
        Self(Timestamp::from_millis(0))
    }
}

impl Serialize for EpochSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_seconds_f64())
    }
}

impl<'de> Deserialize<'de> for EpochSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(D::Error::custom("a timestamp lies between the years 1970 and 9999"));
        }
        // In range, so that nothing is cut off but the part below a millisecond.
        Ok(Self(Timestamp::from_millis((seconds * 1000.0).round() as i64)))
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::EpochSeconds;

    #[test]
    fn milliseconds_are_the_fraction() {
        let moment = EpochSeconds(Timestamp::from_millis(1_476_414_436_704));
        assert_eq!(serde_json::to_string(&moment).expect("a number"), "1476414436.704");
        for (text, millis) in [
            ("1476414436.704", Some(1_476_414_436_704)),
            ("0", Some(0)),
            ("-1", None),
            ("1e300", None),
            ("\"2026\"", None),
        ] {
            let read = serde_json::from_str::<EpochSeconds>(text).ok();
            assert_eq!(read.map(|read| read.0.millis()), millis, "{text}");
        }
    }
}
