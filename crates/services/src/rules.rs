//! The rules engine's rules: which of them a message fires. What they then do is in `rule_run`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::sql::{SqlError, Statement, Template};
use mqtt::{TopicFilter, TopicName};

use crate::iot::rule_action::ActionRecord;
use crate::iot::topic_rule::TopicRuleRecord;
use crate::republish::Republish;
use crate::{Error, Services};

/// A rule ready to run.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub arn: String,
    pub statement: Statement,
    pub actions: Vec<RuleAction>,
    /// Gets what the actions failed with.
    pub error_action: Option<RuleAction>,
}

#[derive(Debug)]
pub(crate) enum RuleAction {
    /// The function's ARN.
    Lambda(Template),
    Republish(Box<Republish>),
}

impl RuleAction {
    /// As the action is called in a rule.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Lambda(_) => "lambda",
            Self::Republish(_) => "republish",
        }
    }
}

/// Every enabled rule, replaced as a whole when one changes. AWS allows an account 1,000.
#[derive(Default)]
pub(crate) struct RuleSet {
    rules: ArcSwap<Enabled>,
    /// Held from the reading of the records to the new set, so that the older of two changes is not the last.
    reloading: Mutex<()>,
}

#[derive(Default)]
struct Enabled {
    /// A rule without FROM is not among them.
    by_filter: Vec<(TopicFilter, Arc<Rule>)>,
    /// For Basic Ingest.
    by_name: HashMap<String, Arc<Rule>>,
}

impl RuleSet {
    pub(crate) fn matching(&self, topic: &TopicName) -> Vec<Arc<Rule>> {
        let rules = &self.rules.load().by_filter;
        if rules.is_empty() {
            return Vec::new();
        }
        rules.iter().filter(|(filter, _)| filter.matches(topic.as_str())).map(|(_, rule)| rule.clone()).collect()
    }

    /// Whether a message on the topic would fire any.
    pub(crate) fn any_matches(&self, topic: &TopicName) -> bool {
        self.rules.load().by_filter.iter().any(|(filter, _)| filter.matches(topic.as_str()))
    }

    pub(crate) fn named(&self, name: &str) -> Option<Arc<Rule>> {
        self.rules.load().by_name.get(name).cloned()
    }
}

impl Services {
    /// After a commit that touched a rule, and at start.
    pub(crate) fn reload_rules(&self) -> Result<(), Error> {
        let _turn = self.inner.rules.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rules = Enabled::default();
        for (name, found) in self.find_all::<TopicRuleRecord>("iot/rule/")? {
            if found.value.rule_disabled {
                continue;
            }
            match self.compile_rule(name.clone(), &found.value) {
                Ok((filter, rule)) => {
                    rules.by_filter.extend(filter.map(|filter| (filter, rule.clone())));
                    rules.by_name.insert(name, rule);
                }
                Err(err) => {
                    tracing::error!(rule = %name, error = %err.message, "a stored rule does not parse; it does not run");
                }
            }
        }
        self.inner.rules.rules.store(Arc::new(rules));
        Ok(())
    }

    /// A rule without FROM has no filter: only Basic Ingest reaches it.
    fn compile_rule(
        &self,
        name: String,
        record: &TopicRuleRecord,
    ) -> Result<(Option<TopicFilter>, Arc<Rule>), SqlError> {
        let version = record.sql_version();
        let statement = Statement::parse(&record.sql, version)?;
        let filter = statement.topic_filter().cloned();
        let compile = |action: &ActionRecord| action.compile(version);
        let actions = record.actions.iter().map(compile).collect::<Result<_, _>>()?;
        let error_action = record.error_action.as_ref().map(compile).transpose()?;
        let arn = self.rule_arn(&name).to_string();
        Ok((filter, Arc::new(Rule { name, arn, statement, actions, error_action })))
    }
}
