//! What its policies come to for one connection: all that does not depend on the topic is worked out beforehand.
//!
//! A connection's facts never change, and its things only with its certificate's standing. So conditions are judged
//! once, variables become text once, and of each resource only what follows the ARN's beginning is kept. What is left to
//! do for a message is to match its topic against a few globs, without an allocation. `judge` answers the same from
//! scratch; the tests hold one against the other.

use std::sync::Arc;

use mqtt::TopicFilter;
use mqtt::topic::MultiLevel;

use super::action::ActionSet;
use super::facts::Lookup;
use super::scope::ResourceKind;
use super::{AttachedThing, CompiledPolicy, ConnectionFacts, Decision, IotAction};
use crate::policy::{Budget, Effect, FilterTopics, Glob, Relation};

#[derive(Debug)]
pub struct Permissions {
    policies: Arc<[Arc<CompiledPolicy>]>,
    /// Denies first.
    rules: Box<[Rule]>,
}

/// One statement, for one kind of resource.
#[derive(Debug)]
struct Rule {
    actions: ActionSet,
    effect: Effect,
    policy: usize,
    statement: usize,
    /// Shared with the policy where it has no variables.
    subjects: Arc<[Glob]>,
}

impl Permissions {
    /// `things` are those that the connection's certificate is attached to.
    pub fn new(policies: &Arc<[Arc<CompiledPolicy>]>, facts: &ConnectionFacts, things: &[AttachedThing]) -> Self {
        let lookup = Lookup::of_connection(facts, things);
        let mut rules = Vec::new();
        for effect in [Effect::Deny, Effect::Allow] {
            for (policy, compiled) in policies.iter().enumerate() {
                let statements = compiled.statements.iter().enumerate();
                let statements = statements.filter(|(_, found)| found.statement.effect == effect);
                for (statement, found) in statements.filter(|(_, found)| found.statement.conditions_hold(&lookup)) {
                    let kinds = ResourceKind::ALL.map(|kind| (kind, found.actions.of_kind(kind)));
                    for (kind, actions) in kinds.into_iter().filter(|(_, actions)| !actions.is_empty()) {
                        let subjects = compiled.subjects(found, kind, &lookup);
                        rules.push(Rule { actions, effect, policy, statement, subjects });
                    }
                }
            }
        }
        rules.retain(|rule| !rule.subjects.is_empty());
        Self { policies: Arc::clone(policies), rules: rules.into() }
    }

    /// `subject` is a client id, a topic or a filter, as the action has it. Allocates nothing.
    pub fn allows(&self, action: IotAction, subject: &str) -> bool {
        self.deciding(action, subject).is_some_and(|rule| rule.effect == Effect::Allow)
    }

    /// The same, with what decided.
    pub fn judge(&self, action: IotAction, subject: &str) -> Decision {
        let Some(rule) = self.deciding(action, subject) else { return Decision::NotAllowed };
        let Some(policy) = self.policies.get(rule.policy) else { return Decision::NotAllowed };
        policy.decided(rule.effect, rule.statement)
    }

    /// Whether every topic that the filter matches may be received, so that no delivery for it needs a look. No means
    /// that each must be judged; it is no refusal.
    pub fn may_receive_all(&self, filter: &TopicFilter, multi_level: MultiLevel) -> bool {
        let topics = FilterTopics::new(filter, multi_level);
        let mut budget = Budget::new();
        for rule in self.rules.iter().filter(|rule| rule.actions.contains(IotAction::Receive)) {
            let mut relations = rule.subjects.iter().map(|glob| topics.relation(glob, &mut budget));
            match rule.effect {
                Effect::Deny if !relations.all(|relation| relation == Relation::Apart) => return false,
                Effect::Allow if relations.any(|relation| relation == Relation::Covered) => return true,
                _ => {}
            }
        }
        false
    }

    /// The rule that decides: the first of those that speak of the request.
    fn deciding(&self, action: IotAction, subject: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.actions.contains(action) && rule.subjects.iter().any(|glob| glob.matches(subject)))
    }
}
