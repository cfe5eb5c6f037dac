//! The form of the generated tables: operations, where their members lie in a request, what a value must satisfy.

use std::sync::OnceLock;

use regex::Regex;

/// How a service's requests and answers look on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Method and path name the operation (IoT, Lambda).
    RestJson,
    /// `X-Amz-Target` names it (CloudWatch Logs).
    Json,
    /// The form's `Action` names it; XML goes out (IAM, STS).
    Query,
}

#[derive(Debug)]
pub struct Service {
    /// As in ARNs, actions and `models/`: `iot`.
    pub name: &'static str,
    pub protocol: Protocol,
    pub target_prefix: &'static str,
    pub xml_namespace: &'static str,
    pub operations: &'static [Operation],
    /// What is not served, so that it can be refused by name.
    pub others: &'static [Other],
    pub errors: &'static [ErrorShape],
}

#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    /// `/policies/{policyName}`.
    pub path: &'static str,
    pub input: Option<&'static Shape>,
    pub output: Option<&'static Shape>,
    /// The element around a query answer.
    pub result_wrapper: Option<&'static str>,
    pub status: u16,
}

#[derive(Debug)]
pub struct Other {
    pub name: &'static str,
    pub method: &'static str,
    pub path: &'static str,
}

#[derive(Debug)]
pub struct ErrorShape {
    /// The shape's name: `NoSuchEntityException`.
    pub name: &'static str,
    /// What the query protocol calls it: `NoSuchEntity`. Elsewhere the same as `name`.
    pub code: &'static str,
    pub status: u16,
    /// `message` or `Message`.
    pub message_member: &'static str,
    /// Lambda's errors carry `Type`: `User` or `Service`.
    pub has_type: bool,
}

#[derive(Debug)]
pub struct Structure {
    pub members: &'static [Member],
}

#[derive(Debug)]
pub struct Member {
    pub name: &'static str,
    pub required: bool,
    pub location: Location,
    pub shape: &'static Shape,
}

/// Where a member lies in a rest-json message; the other protocols have everything in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    Body,
    /// The body is this member and nothing else.
    Payload,
    Uri(&'static str),
    Query(&'static str),
    /// The name in lower case.
    Header(&'static str),
    StatusCode,
}

#[derive(Debug)]
pub enum Shape {
    Structure(Structure),
    List(List),
    Map(Map),
    String(Text),
    /// Base64 in the JSON object; the bounds count bytes.
    Blob(Text),
    Integer(Number),
    Long(Number),
    Double(Number),
    Boolean,
    Timestamp,
}

#[derive(Debug)]
pub struct List {
    pub member: &'static Shape,
    /// The element's name in the query protocol.
    pub tag: &'static str,
    pub flattened: bool,
    pub min: Option<u64>,
    pub max: Option<u64>,
}

#[derive(Debug)]
pub struct Map {
    pub key: &'static Shape,
    pub value: &'static Shape,
    pub min: Option<u64>,
    pub max: Option<u64>,
}

#[derive(Debug)]
pub struct Text {
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub pattern: Option<Pattern>,
    /// An enumeration; empty when anything goes.
    pub values: &'static [&'static str],
    /// Never echoed.
    pub sensitive: bool,
}

#[derive(Debug)]
pub struct Number {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

pub static STRING: Shape = Shape::String(Text { min: None, max: None, pattern: None, values: &[], sensitive: false });
pub static INTEGER: Shape = Shape::Integer(Number { min: None, max: None });
pub static LONG: Shape = Shape::Long(Number { min: None, max: None });
pub static BOOLEAN: Shape = Shape::Boolean;
pub static TIMESTAMP: Shape = Shape::Timestamp;

impl Shape {
    pub fn members(&self) -> &'static [Member] {
        match self {
            Self::Structure(structure) => structure.members,
            _ => &[],
        }
    }
}

/// A regular expression of the model: as AWS quotes it, and as the `regex` crate reads it, anchored.
#[derive(Debug)]
pub struct Pattern {
    pub quoted: &'static str,
    expression: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub const fn new(quoted: &'static str, expression: &'static str) -> Self {
        Self { quoted, expression, compiled: OnceLock::new() }
    }

    /// Compiled at first use: a server meets few of them.
    pub fn matches(&self, text: &str) -> bool {
        // A test compiles every pattern of the tables, so that `None` does not happen.
        self.compiled().is_none_or(|regex| regex.is_match(text))
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(self.expression).ok()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::ptr;

    use super::Shape;
    use crate::generated::SERVICES;

    fn patterns_compile(shape: &'static Shape, seen: &mut HashSet<*const Shape>) {
        if !seen.insert(ptr::from_ref(shape)) {
            return;
        }
        match shape {
            Shape::Structure(structure) => {
                structure.members.iter().for_each(|member| patterns_compile(member.shape, seen));
            }
            Shape::List(list) => patterns_compile(list.member, seen),
            Shape::Map(map) => {
                patterns_compile(map.key, seen);
                patterns_compile(map.value, seen);
            }
            Shape::String(text) => {
                if let Some(pattern) = &text.pattern {
                    assert!(pattern.compiled().is_some(), "{}: {}", pattern.quoted, pattern.expression);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_the_tables_compiles() {
        let mut seen = HashSet::new();
        for operation in SERVICES.iter().flat_map(|service| service.operations) {
            for shape in [operation.input, operation.output].into_iter().flatten() {
                patterns_compile(shape, &mut seen);
            }
        }
        assert!(seen.len() > 100, "{} shapes", seen.len());
    }
}
