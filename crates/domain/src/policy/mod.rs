//! What IoT and IAM policies share: JSON with positions, patterns, conditions, statements.
//! It knows the grammar and how to match; which keys there are, and who asks, is for `iot_policy` and `iam`.

mod comparison;
mod condition;
mod filter_relation;
mod glob;
mod json;
mod malformed;
mod pattern;
mod principal;
mod statement;

pub use malformed::MalformedPolicy;

pub(crate) use filter_relation::{Budget, FilterTopics, Relation};
pub(crate) use glob::Glob;
pub(crate) use principal::Principals;
pub(crate) use statement::{Dialect, Effect, Statement, parse};

/// The values of a condition key or variable in one request.
pub(crate) enum Values<'a> {
    Absent,
    One(&'a str),
    Many(Vec<&'a str>),
    Shared(&'a [&'a str]),
}

impl Values<'_> {
    pub(crate) fn as_slice(&self) -> Option<&[&str]> {
        match self {
            Self::Absent => None,
            Self::One(value) => Some(std::slice::from_ref(value)),
            Self::Many(values) => Some(values),
            Self::Shared(values) => Some(values),
        }
    }
}

/// What a request says about the keys that a policy may name: a device's connection, or a signed call.
pub(crate) trait Context {
    /// A key's name, looked up once when the document is compiled.
    type Key: for<'name> From<&'name str>;

    fn values(&self, key: &Self::Key) -> Values<'_>;

    /// The text that stands for `${key}`; `None` leaves the variable, and what holds it, without a match.
    fn substitute(&self, key: &Self::Key) -> Option<&str>;
}
