//! `arn:partition:service:region:account:resource`, built and taken apart.

use std::fmt;

use crate::{AccountId, Partition, Region};

/// A well-formed ARN as text. Parts may be empty or hold wildcards; what they mean is the reader's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn(String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnArn;

/// The six parts of an ARN, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArnParts<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    /// The rest, colons included: `function:name:1`, `cert/<id>`.
    pub resource: &'a str,
}

impl Arn {
    pub fn new(service: &str, region: &Region, account: &AccountId, resource: &str) -> Self {
        let partition = region.partition();
        Self(format!("arn:{partition}:{service}:{region}:{account}:{resource}"))
    }

    /// IAM and STS are global: their ARNs name no region.
    pub fn global(service: &str, partition: Partition, account: &AccountId, resource: &str) -> Self {
        Self(format!("arn:{partition}:{service}::{account}:{resource}"))
    }

    pub fn parse(text: &str) -> Result<Self, NotAnArn> {
        let arn = Self(text.to_owned());
        split(&arn.0).ok_or(NotAnArn)?;
        Ok(arn)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn parts(&self) -> ArnParts<'_> {
        split(&self.0).expect("checked when the value was made")
    }
}

fn split(text: &str) -> Option<ArnParts<'_>> {
    let mut parts = text.splitn(6, ':');
    if parts.next() != Some("arn") {
        return None;
    }
    let (partition, service) = (parts.next()?, parts.next()?);
    let (region, account) = (parts.next()?, parts.next()?);
    let resource = parts.next().filter(|resource| !resource.is_empty())?;
    if partition.is_empty() || service.is_empty() {
        return None;
    }
    Some(ArnParts { partition, service, region, account, resource })
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotAnArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ARN looks like arn:partition:service:region:account:resource")
    }
}

impl std::error::Error for NotAnArn {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        let arn =
            Arn::new("lambda", &"cn-north-1".parse().unwrap(), &"123456789012".parse().unwrap(), "function:activate:1");
        assert_eq!(arn.as_str(), "arn:aws-cn:lambda:cn-north-1:123456789012:function:activate:1");
        assert_eq!(arn.parts().resource, "function:activate:1");
        assert_eq!(Arn::parse(arn.as_str()), Ok(arn));
        for bad in ["", "arn", "arn:aws:iot", "arn:aws:iot:r:a:", "nra:aws:iot:r:a:x", "arn::iot:r:a:x"] {
            assert_eq!(Arn::parse(bad), Err(NotAnArn), "{bad:?}");
        }
    }
}
