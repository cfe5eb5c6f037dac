//! Regions, and the partition that each belongs to. ARNs, service principals and the console's links
//! differ by partition; the region decides which it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    Aws,
    AwsCn,
    AwsUsGov,
}

impl Partition {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// The region in which the SDKs sign calls to the partition's global services (IAM).
    pub const fn global_region(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::AwsCn => "cn-north-1",
            Self::AwsUsGov => "us-gov-west-1",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotARegion;

impl Region {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn partition(&self) -> Partition {
        if self.0.starts_with("cn-") {
            Partition::AwsCn
        } else if self.0.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else {
            Partition::Aws
        }
    }
}

impl FromStr for Region {
    type Err = NotARegion;

    /// The form `letters-letters-digit` with any number of middle parts: new regions appear each year,
    /// so there is no closed list here.
    fn from_str(text: &str) -> Result<Self, NotARegion> {
        let parts: Vec<&str> = text.split('-').collect();
        let (last, words) = parts.split_last().ok_or(NotARegion)?;
        let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        let worded = words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        if number && worded && words.len() >= 2 && text.len() <= 32 { Ok(Self(text.into())) } else { Err(NotARegion) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotARegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a region looks like us-east-1 or cn-north-1")
    }
}

impl std::error::Error for NotARegion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_decides_the_partition() {
        for (text, partition) in [
            ("us-east-1", Some(Partition::Aws)),
            ("eu-central-1", Some(Partition::Aws)),
            ("cn-north-1", Some(Partition::AwsCn)),
            ("us-gov-west-1", Some(Partition::AwsUsGov)),
            ("useast1", None),
            ("us-east-", None),
            ("US-EAST-1", None),
            ("", None),
        ] {
            let region = text.parse::<Region>().ok();
            assert_eq!(region.map(|region| region.partition()), partition, "{text:?}");
        }
    }
}
