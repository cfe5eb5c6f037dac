//! "Would this be allowed?", asked without a connection. (TestAuthorization)

use std::sync::Arc;

use super::facts::{Lookup, TestedPrincipal};
use super::{AttachedThing, CompiledPolicy, IotAction};
use crate::policy::{Context, Effect};

/// What each policy says of one request: every one is in one list, or in both of the first two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestOutcome {
    pub allowed_by: Vec<Arc<str>>,
    pub denied_by: Vec<Arc<str>>,
    /// Those that have no statement about the request.
    pub silent: Vec<Arc<str>>,
    /// Variables and condition keys that a statement about the action asks for and that have no value here, by name,
    /// each once.
    pub missing: Vec<String>,
}

/// `resource` is a whole ARN.
pub fn test(
    policies: &[Arc<CompiledPolicy>],
    action: IotAction,
    resource: &str,
    principal: &TestedPrincipal,
    things: &[AttachedThing],
) -> TestOutcome {
    let lookup = Lookup::of_test(principal, things);
    let mut outcome = TestOutcome::default();
    for policy in policies {
        let is_allowed = policy.find(Effect::Allow, action, resource, &lookup).is_some();
        let is_denied = policy.find(Effect::Deny, action, resource, &lookup).is_some();
        let name = || Arc::clone(&policy.name);
        outcome.allowed_by.extend(is_allowed.then(name));
        outcome.denied_by.extend(is_denied.then(name));
        outcome.silent.extend((!is_allowed && !is_denied).then(name));
        let about = policy.statements.iter().filter(|found| found.actions.contains(action));
        for key in about.flat_map(|found| found.statement.keys()).filter(|key| lookup.is_missing(key)) {
            let name = key.to_string();
            if !outcome.missing.contains(&name) {
                outcome.missing.push(name);
            }
        }
    }
    outcome
}

impl Lookup<'_> {
    fn is_missing(&self, key: &<Self as Context>::Key) -> bool {
        self.values(key).as_slice().is_none_or(<[&str]>::is_empty)
    }
}
