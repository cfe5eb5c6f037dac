//! IoT policies: parse, compile once per version, judge without looking anything up.
//!
//! An explicit Deny wins, then any Allow; with neither, nothing is allowed. A variable without a value leaves what
//! holds it without a match, in a Deny as in an Allow: a Deny on `topic/${iot:Certificate.Subject.CommonName}/*` does
//! not touch a certificate that has no CommonName. AWS documents the same, and warns of it.
//! (AWS IoT developer guide, "X.509 certificate AWS IoT Core policy variables")
//!
//! A live connection asks its `Permissions`, which know everything but the topic; `judge` and `test` take a whole ARN.

mod action;
mod facts;
mod key;
mod permissions;
mod scope;
mod test;
mod thing;

use std::sync::Arc;

pub use action::IotAction;
pub use facts::{ConnectionFacts, TestedPrincipal};
pub use permissions::Permissions;
pub use scope::ResourceScope;
pub use test::{TestOutcome, test};
pub use thing::AttachedThing;

use action::ActionSet;
use facts::Lookup;
use key::Key;
use scope::ResourceKind;

pub use crate::policy::MalformedPolicy;
use crate::policy::{self, Dialect, Effect, Glob, Statement};

pub use crate::quota::POLICY_DOCUMENT_CHARS_MAX as DOCUMENT_CHARS_MAX;

/// One policy version, ready to be judged; shared by every connection that it applies to.
#[derive(Debug)]
pub struct CompiledPolicy {
    name: Arc<str>,
    scope: Arc<ResourceScope>,
    statements: Vec<CompiledStatement>,
}

#[derive(Debug)]
struct CompiledStatement {
    actions: ActionSet,
    statement: Statement<Key>,
    subjects: Subjects,
}

/// What a statement's resources leave for client ids, topics and filters once the ARN's beginning is matched.
#[derive(Debug)]
enum Subjects {
    /// By kind, for whatever connection: the resources have no variables.
    Fixed([Arc<[Glob]>; ResourceKind::ALL.len()]),
    OfConnection,
}

impl CompiledPolicy {
    /// `scope` is where the requests come from that it will judge.
    pub fn parse(name: &str, document: &str, scope: &Arc<ResourceScope>) -> Result<Self, MalformedPolicy> {
        let statements = policy::parse(document, Dialect::Iot, DOCUMENT_CHARS_MAX)?;
        let statements = statements.into_iter().map(|statement| CompiledStatement::new(statement, scope)).collect();
        Ok(Self { name: name.into(), scope: Arc::clone(scope), statements })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Position of the first statement of this effect that speaks of the request.
    fn find(&self, effect: Effect, action: IotAction, resource: &str, lookup: &Lookup<'_>) -> Option<usize> {
        self.statements.iter().position(|CompiledStatement { actions, statement, .. }| {
            statement.effect == effect
                && actions.contains(action)
                && statement.covers_resource(resource, lookup)
                && statement.conditions_hold(lookup)
        })
    }

    fn subjects(&self, found: &CompiledStatement, kind: ResourceKind, lookup: &Lookup<'_>) -> Arc<[Glob]> {
        match &found.subjects {
            Subjects::Fixed(by_kind) => by_kind.get(kind as usize).map(Arc::clone).unwrap_or_default(),
            Subjects::OfConnection => subjects(&found.statement.resolve_resources(lookup), self.scope.prefix(kind)),
        }
    }

    fn decided(&self, effect: Effect, statement: usize) -> Decision {
        match effect {
            Effect::Allow => Decision::Allowed { policy: Arc::clone(&self.name), statement },
            Effect::Deny => {
                let sid = self.statements.get(statement).and_then(|found| found.statement.sid.clone());
                Decision::Denied { policy: self.name.to_string(), statement, sid }
            }
        }
    }
}

impl CompiledStatement {
    fn new(statement: Statement<Key>, scope: &Arc<ResourceScope>) -> Self {
        let actions = ActionSet::of(|action| statement.covers_action(action.lower_case()));
        let subjects = if statement.has_variable_resources() {
            Subjects::OfConnection
        } else {
            let resources = statement.resolve_resources(&Lookup::of_nobody());
            Subjects::Fixed(ResourceKind::ALL.map(|kind| subjects(&resources, scope.prefix(kind))))
        };
        Self { actions, statement, subjects }
    }
}

fn subjects(resources: &[Glob], prefix: &str) -> Arc<[Glob]> {
    resources.iter().flat_map(|resource| resource.after(prefix)).collect()
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
    let lookup = Lookup::of_connection(facts, things);
    for effect in [Effect::Deny, Effect::Allow] {
        for policy in policies {
            if let Some(statement) = policy.find(effect, action, resource, &lookup) {
                return policy.decided(effect, statement);
            }
        }
    }
    Decision::NotAllowed
}

#[cfg(test)]
mod tests;
