//! IoT policies: parse, compile once per version, judge without looking anything up.
//!
//! An explicit Deny wins, then any Allow; with neither, nothing is allowed. A variable without a value leaves what
//! holds it without a match, in a Deny as in an Allow: a Deny on `topic/${iot:Certificate.Subject.CommonName}/*` does
//! not touch a certificate that has no CommonName. AWS documents the same, and warns of it.
//! (AWS IoT developer guide, "X.509 certificate AWS IoT Core policy variables")

mod action;
mod facts;
mod key;
mod thing;

use std::sync::Arc;

pub use action::IotAction;
pub use facts::ConnectionFacts;
pub use thing::AttachedThing;

use action::ActionSet;
use facts::Lookup;
use key::Key;

pub use crate::policy::MalformedPolicy;
use crate::policy::{self, Dialect, Effect, Statement};

pub use crate::quota::POLICY_DOCUMENT_CHARS_MAX as DOCUMENT_CHARS_MAX;

/// One policy version, ready to be judged; shared by every connection that it applies to.
#[derive(Debug)]
pub struct CompiledPolicy {
    name: Arc<str>,
    statements: Vec<CompiledStatement>,
}

#[derive(Debug)]
struct CompiledStatement {
    actions: ActionSet,
    statement: Statement<Key>,
}

impl CompiledPolicy {
    pub fn parse(name: &str, document: &str) -> Result<Self, MalformedPolicy> {
        let statements = policy::parse(document, Dialect::Iot, DOCUMENT_CHARS_MAX)?;
        let statements = statements
            .into_iter()
            .map(|statement: Statement<Key>| {
                let actions = ActionSet::of(|action| statement.covers_action(action.lower_case()));
                CompiledStatement { actions, statement }
            })
            .collect();
        Ok(Self { name: name.into(), statements })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Position of the first statement of this effect that speaks of the request.
    fn find(&self, effect: Effect, action: IotAction, resource: &str, lookup: &Lookup<'_>) -> Option<usize> {
        self.statements.iter().position(|CompiledStatement { actions, statement }| {
            statement.effect == effect
                && actions.contains(action)
                && statement.covers_resource(resource, lookup)
                && statement.conditions_hold(lookup)
        })
    }
}

/// `statement` is the position in the document, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The name is shared, so that saying yes allocates nothing.
    Allowed {
        policy: Arc<str>,
        statement: usize,
    },
    Denied {
        policy: String,
        statement: usize,
        sid: Option<String>,
    },
    NotAllowed,
}

impl Decision {
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// `resource` is a whole ARN: `arn:aws:iot:<region>:<account>:topic/<topic>` and so on. `things` are those that the
/// connection's certificate is attached to.
pub fn judge(
    policies: &[Arc<CompiledPolicy>],
    action: IotAction,
    resource: &str,
    facts: &ConnectionFacts,
    things: &[AttachedThing],
) -> Decision {
    let lookup = Lookup::new(facts, things);
    for policy in policies {
        if let Some(statement) = policy.find(Effect::Deny, action, resource, &lookup) {
            let sid = policy.statements.get(statement).and_then(|found| found.statement.sid.clone());
            return Decision::Denied { policy: policy.name.to_string(), statement, sid };
        }
    }
    for policy in policies {
        if let Some(statement) = policy.find(Effect::Allow, action, resource, &lookup) {
            return Decision::Allowed { policy: Arc::clone(&policy.name), statement };
        }
    }
    Decision::NotAllowed
}

#[cfg(test)]
mod tests;
