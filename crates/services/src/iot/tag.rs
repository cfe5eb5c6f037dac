//! Tags of CA certificates, policies and topic rules. They stand beside the noun under a key of their own, are written
//! with it, and go with it.

use std::collections::BTreeMap;

use domain::Arn;
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::shapes::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
use crate::authorization::DeniedAs;
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op};

/// AWS's limits on tags of one resource, and on each.
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// AWS's own tags.
const RESERVED_PREFIX: &str = "aws:";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct TagsRecord {
    tags: BTreeMap<String, String>,
}

impl Stored for TagsRecord {
    const VERSION: u32 = 1;
}

/// Tags that were asked for, each within bounds, no key twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tags(BTreeMap<String, String>);

impl Tags {
    pub(super) fn of(asked: Vec<Tag>) -> Result<Self, Error> {
        let mut tags = BTreeMap::new();
        for Tag { key, value } in asked {
            check_key(&key)?;
            let value = value.unwrap_or_default();
            if value.chars().count() > VALUE_CHARS_MAX {
                return Err(invalid(format!("A tag's value has {VALUE_CHARS_MAX} characters at most (key={key}).")));
            }
            if tags.insert(key.clone(), value).is_some() {
                return Err(invalid(format!("Each key of a tag is given once (key={key}).")));
            }
        }
        Ok(Self(tags))
    }

    /// For a resource that is being made. The right to make it suffices, and may hang on its tags: the service
    /// authorization reference names no iot:TagResource beside it.
    pub(super) fn of_new(asked: Option<Vec<Tag>>) -> Result<Self, Error> {
        let tags = Self::of(asked.unwrap_or_default())?;
        if tags.0.len() > TAGS_MAX {
            return Err(invalid(format!("A resource can have {TAGS_MAX} tags.")));
        }
        Ok(tags)
    }

    /// `x-amz-tagging`: `key1=value1&key2=value2`, percent-encoded.
    pub(super) fn of_header(header: Option<&str>) -> Result<Self, Error> {
        let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let tag = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some(Tag { key: decoded(key)?, value: Some(decoded(value)?) })
        };
        let tags: Option<Vec<Tag>> = pairs.map(tag).collect();
        let why = "The tags are not of the form key1=value1&key2=value2, percent-encoded.";
        Self::of_new(Some(tags.ok_or_else(|| invalid(why.to_owned()))?))
    }

    /// The write that goes with the making of `resource`; none without tags.
    pub(super) fn write(&self, resource: &str) -> Option<Write> {
        let record = TagsRecord { tags: self.0.clone() };
        (!self.0.is_empty()).then(|| put(tags_key(resource), &record, Expect::Anything))
    }

    /// `aws:RequestTag/...` and `aws:TagKeys` for the caller's policies.
    pub(super) fn context(&self) -> Vec<(String, String)> {
        let values = self.0.iter().map(|(key, value)| (format!("aws:RequestTag/{key}"), value.clone()));
        values.chain(context_of_keys(self.0.keys())).collect()
    }
}

fn context_of_keys<'a>(keys: impl Iterator<Item = &'a String>) -> impl Iterator<Item = (String, String)> {
    keys.map(|key| ("aws:TagKeys".to_owned(), key.clone()))
}

/// The write that goes with the deletion of a resource: `policy/Name` and the like.
pub(super) fn untagged(resource: &str) -> Write {
    delete(tags_key(resource), Expect::Anything)
}

fn tags_key(resource: &str) -> String {
    format!("iot/tags/{resource}")
}

impl Iot {
    pub async fn tag_resource(&self, op: &Op, input: TagResourceRequest) -> Result<TagResourceResponse, Error> {
        let tags = Tags::of(input.tags);
        let context = tags.as_ref().map(Tags::context).unwrap_or_default();
        self.authorize_with_tags(op, "iot:TagResource", &input.resource_arn, &context)?;
        let tags = tags?;
        let resource = self.tagged_resource(&input.resource_arn)?;
        let change = |kept: &mut BTreeMap<String, String>| {
            kept.extend(tags.0.clone());
            if kept.len() > TAGS_MAX {
                let message = format!("A resource can have {TAGS_MAX} tags; remove one first.");
                return Err(Error::new("LimitExceededException", message));
            }
            Ok(())
        };
        self.change_tags(&resource, &change).await?;
        Ok(TagResourceResponse {})
    }

    /// Keys that are not there count for nothing.
    pub async fn untag_resource(&self, op: &Op, input: UntagResourceRequest) -> Result<UntagResourceResponse, Error> {
        let context: Vec<(String, String)> = context_of_keys(input.tag_keys.iter()).collect();
        self.authorize_with_tags(op, "iot:UntagResource", &input.resource_arn, &context)?;
        let resource = self.tagged_resource(&input.resource_arn)?;
        let change = |kept: &mut BTreeMap<String, String>| {
            kept.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        };
        self.change_tags(&resource, &change).await?;
        Ok(UntagResourceResponse {})
    }

    /// All in one answer: there are never more than fifty.
    pub async fn list_tags_for_resource(
        &self,
        op: &Op,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, Error> {
        self.authorize(op, "iot:ListTagsForResource", &input.resource_arn)?;
        if input.next_token.is_some() {
            return Err(invalid("The nextToken is not one that a list answered.".to_owned()));
        }
        let resource = self.tagged_resource(&input.resource_arn)?;
        self.revision_of(&resource)?;
        let found = self.services.find::<TagsRecord>(&tags_key(&resource))?;
        let tags = found.map(|found| found.value.tags).unwrap_or_default();
        let tags = tags.into_iter().map(|(key, value)| Tag { key, value: Some(value) }).collect();
        Ok(ListTagsForResourceResponse { tags: Some(tags), next_token: None })
    }

    pub(super) fn authorize_with_tags(
        &self,
        op: &Op,
        action: &str,
        resource: &str,
        context: &[(String, String)],
    ) -> Result<(), Error> {
        let context: Vec<(&str, &str)> = context.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.services.authorize_in_context(op, action, resource, &context, DeniedAs::AccessDeniedException)
    }

    async fn change_tags(
        &self,
        resource: &str,
        change: &impl Fn(&mut BTreeMap<String, String>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let services = &self.services;
        services
            .transact(|| {
                // Leans on the resource: one that goes meanwhile leaves no tags behind.
                let (key, revision) = self.revision_of(resource)?;
                let found = services.find::<TagsRecord>(&tags_key(resource))?;
                let (mut record, expected) = match found {
                    Some(Found { value, revision }) => (value, Expect::Revision(revision)),
                    None => (TagsRecord::default(), Expect::Absent),
                };
                change(&mut record.tags)?;
                let write = match (record.tags.is_empty(), expected) {
                    (true, Expect::Absent) => return Ok((Vec::new(), ())),
                    (true, expected) => delete(tags_key(resource), expected),
                    (false, expected) => put(tags_key(resource), &record, expected),
                };
                Ok((vec![Write::lean_on(key, revision), write], ()))
            })
            .await
    }

    /// `cacert/<id>`, `policy/<name>` or `rule/<name>`, of this account and Region.
    fn tagged_resource(&self, arn: &str) -> Result<String, Error> {
        let parsed = Arn::parse(arn).map_err(|_| invalid(format!("{arn} is not an ARN.")))?;
        let resource = parsed.parts().resource;
        if !["cacert/", "policy/", "rule/"].iter().any(|kind| resource.starts_with(kind)) {
            return Err(invalid(format!("{arn} cannot be tagged here; CA certificates, policies and rules can.")));
        }
        let config = self.services.config();
        if Arn::new("iot", &config.region, &config.account, resource) != parsed {
            return Err(missing(arn));
        }
        Ok(resource.to_owned())
    }

    /// The key of the resource's record and its revision.
    fn revision_of(&self, resource: &str) -> Result<(String, u64), Error> {
        let key = match resource.split_once('/') {
            Some(("cacert", id)) => format!("iot/ca/{id}"),
            _ => format!("iot/{resource}"),
        };
        match self.services.revision(&key)? {
            Some(revision) => Ok((key, revision)),
            None => Err(missing(resource)),
        }
    }
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, as the model has it, and nothing of AWS's own.
fn check_key(key: &str) -> Result<(), Error> {
    let length = key.chars().count();
    if length == 0 || length > KEY_CHARS_MAX {
        return Err(invalid(format!("A tag's key has 1 to {KEY_CHARS_MAX} characters.")));
    }
    let is_allowed = |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    if !key.chars().all(is_allowed) {
        return Err(invalid("A tag's key holds letters, digits, spaces and _ . : / = + - @ only.".to_owned()));
    }
    if key.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
        return Err(invalid(format!("A tag's key must not begin with {RESERVED_PREFIX} (key={key}).")));
    }
    Ok(())
}

/// As HTML forms encode: `+` is a blank. `None` for what is not.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok().filter(|_| digits[0] != b'+')?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn missing(resource: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("The resource {resource} does not exist."))
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let long = format!("{}=v", "k".repeat(129));
        let many: String = (0..51).map(|n| format!("k{n}=v&")).collect();
        for (header, expected) in [
            ("", Some(vec![])),
            ("a=1&b=2", Some(vec![("a", "1"), ("b", "2")])),
            ("a=1&&", Some(vec![("a", "1")])),
            ("a", Some(vec![("a", "")])),
            ("a=b=c", Some(vec![("a", "b=c")])),
            ("the+team=r%26d%40x", Some(vec![("the team", "r&d@x")])),
            ("k%C3%A9y=%E2%9C%93", Some(vec![("k\u{e9}y", "\u{2713}")])),
            ("a=%", None),
            ("a=%+1", None),
            ("a=%zz", None),
            ("a=%ff", None),
            ("=1", None),
            ("a=1&a=2", None),
            ("a%3Bb=1", None),
            ("AWS:team=1", None),
            (&long, None),
            (&many, None),
        ] {
            let read = Tags::of_header(Some(header)).ok();
            let expected = expected
                .map(|pairs| Tags(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()));
            assert_eq!(read, expected, "{header}");
        }
    }
}
