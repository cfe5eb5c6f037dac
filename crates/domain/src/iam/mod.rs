//! IAM: identity policies of roles, trust policies, and the resource policies of functions.

mod permission;

use std::borrow::Borrow;

pub use permission::{InvalidPrincipal, Permission};

pub use crate::policy::MalformedPolicy;
use crate::policy::{self, Context, Dialect, Effect, Principals, Statement, Values};

/// A role's inline policy at most, blanks not counted. (IAM quotas)
const IDENTITY_CHARS_MAX: usize = 10_240;
/// A function's resource policy at most; trust policies are smaller. (Lambda quotas)
const RESOURCE_CHARS_MAX: usize = 20 * 1024;

/// What is asked: may the caller do `action` (`iot:UpdateCertificate`) on `resource` (an ARN or `*`)?
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    /// Condition keys and their values: (`aws:SourceArn`, ...). Keys compare without regard to case. A key given
    /// several times has several values.
    pub context: &'a [(&'a str, &'a str)],
}

/// An identity policy (no Principal), a trust policy or a resource policy (Principal required).
#[derive(Clone, Debug)]
pub struct PolicyDocument {
    statements: Vec<Statement<Key>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Identity,
    Resource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    DeniedExplicitly,
    NotAllowed,
}

/// Who calls, towards a trust or resource policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// `iot.amazonaws.com`, with or without China's `.cn`.
    Service(&'a str),
    /// The caller's ARN: an account's root, a role, a role's session.
    Aws(&'a str),
}

impl PolicyDocument {
    pub fn parse(json: &str, kind: Kind) -> Result<Self, MalformedPolicy> {
        let (dialect, chars_max) = match kind {
            Kind::Identity => (Dialect::Identity, IDENTITY_CHARS_MAX),
            Kind::Resource => (Dialect::Resource, RESOURCE_CHARS_MAX),
        };
        Ok(Self { statements: policy::parse(json, dialect, chars_max)? })
    }

    /// Account ids and ARNs that the policy names as `"AWS"` principals, as written.
    pub fn aws_principals(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().filter_map(|statement| statement.principals.as_ref()).flat_map(Principals::aws)
    }
}

/// Identity policies together: an explicit Deny wins, then any Allow.
pub fn judge_identity(policies: &[impl Borrow<PolicyDocument>], request: &Request<'_>) -> Decision {
    judge(policies.iter().flat_map(|policy| &policy.borrow().statements), request)
}

/// The statements that speak of `principal`, by the same rule.
pub fn judge_resource(policy: &PolicyDocument, principal: Principal<'_>, request: &Request<'_>) -> Decision {
    let includes = |statement: &&Statement<Key>| {
        statement.principals.as_ref().is_some_and(|principals| match principal {
            Principal::Service(name) => principals.include_service(name),
            Principal::Aws(arn) => principals.include_arn(arn),
        })
    };
    judge(policy.statements.iter().filter(includes), request)
}

/// How a trust policy lets a caller of its own account in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Refused,
    /// The caller's account may, and leaves it to the account's identity policies who of it.
    /// (IAM user guide, "Granting a user permissions to switch roles")
    ByAccount,
    /// The caller itself is named, or everyone: within one account that is enough.
    ByName,
}

/// `caller` is an ARN.
pub fn judge_trust(policy: &PolicyDocument, caller: &str, request: &Request<'_>) -> Trust {
    if judge_resource(policy, Principal::Aws(caller), request) != Decision::Allowed {
        return Trust::Refused;
    }
    let names =
        |statement: &&Statement<Key>| statement.principals.as_ref().is_some_and(|listed| listed.name_arn(caller));
    match judge(policy.statements.iter().filter(names), request) {
        Decision::Allowed => Trust::ByName,
        _ => Trust::ByAccount,
    }
}

fn judge<'a>(statements: impl Iterator<Item = &'a Statement<Key>>, request: &Request<'_>) -> Decision {
    let (action, asked) = (request.action.to_ascii_lowercase(), Asked { context: request.context });
    let mut decision = Decision::NotAllowed;
    for statement in statements {
        let is_about = statement.covers_action(&action)
            && statement.covers_resource(request.resource, &asked)
            && statement.conditions_hold(&asked);
        match statement.effect {
            Effect::Deny if is_about => return Decision::DeniedExplicitly,
            Effect::Allow if is_about => decision = Decision::Allowed,
            _ => {}
        }
    }
    decision
}

/// A condition key or variable, by name: which there are depends on the request alone.
#[derive(Clone, Debug)]
struct Key(Box<str>);

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// A request's context, where keys are looked up.
struct Asked<'a> {
    context: &'a [(&'a str, &'a str)],
}

impl Asked<'_> {
    fn named(&self, key: &Key) -> impl Iterator<Item = &str> {
        self.context.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&key.0)).map(|(_, value)| *value)
    }
}

impl Context for Asked<'_> {
    type Key = Key;

    fn values(&self, key: &Key) -> Values<'_> {
        let values: Vec<&str> = self.named(key).collect();
        if values.is_empty() { Values::Absent } else { Values::Many(values) }
    }

    /// Only a key with one value can stand in a text. (IAM user guide, "Variables and tags")
    fn substitute(&self, key: &Key) -> Option<&str> {
        let mut values = self.named(key);
        values.next().filter(|_| values.next().is_none())
    }
}

#[cfg(test)]
mod tests;
