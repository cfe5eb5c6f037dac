//! The rules engine: which rules a message fires, and the rows that their actions become.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use broker::Message;
use domain::sql::{Input, Outcome, Statement};
use mqtt::{TopicFilter, TopicName};

use crate::invocation::InvocationRow;
use crate::iot::topic_rule::{ActionRecord, TopicRuleRecord};
use crate::messages::Origin;
use crate::{Error, Services, random};

/// A rule ready to run.
#[derive(Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub arn: String,
    pub statement: Statement,
    pub actions: Vec<ActionRecord>,
}

/// Every enabled rule, replaced as a whole when one changes. AWS allows an account 1,000.
#[derive(Default)]
pub(crate) struct RuleSet {
    rules: ArcSwap<Vec<(TopicFilter, Arc<Rule>)>>,
    /// Held from the reading of the records to the new set, so that the older of two changes is not the last.
    reloading: Mutex<()>,
}

impl RuleSet {
    pub(crate) fn matching(&self, topic: &TopicName) -> Vec<Arc<Rule>> {
        let rules = self.rules.load();
        if rules.is_empty() {
            return Vec::new();
        }
        rules.iter().filter(|(filter, _)| filter.matches(topic.as_str())).map(|(_, rule)| rule.clone()).collect()
    }
}

impl Services {
    /// After a commit that touched a rule, and at start.
    pub(crate) fn reload_rules(&self) -> Result<(), Error> {
        let _turn = self.inner.rules.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rules = Vec::new();
        for (name, found) in self.find_all::<TopicRuleRecord>("iot/rule/")? {
            if found.value.rule_disabled {
                continue;
            }
            let statement = match Statement::parse(&found.value.sql, found.value.sql_version()) {
                Ok(statement) => statement,
                Err(err) => {
                    tracing::error!(rule = %name, error = %err.message, "a stored rule does not parse; it does not run");
                    continue;
                }
            };
            let Some(filter) = statement.topic_filter().cloned() else { continue };
            let arn = self.rule_arn(&name).to_string();
            rules.push((filter, Arc::new(Rule { name, arn, statement, actions: found.value.actions })));
        }
        self.inner.rules.rules.store(Arc::new(rules));
        Ok(())
    }

    /// One row for each action of each rule whose WHERE is true. What cannot run is logged and dropped, as AWS does.
    pub(crate) fn rows_of(&self, rules: &[Arc<Rule>], message: &Message, origin: &Origin) -> Vec<InvocationRow> {
        let now = self.now();
        let trace_id = random::uuid();
        let input = Input {
            topic: message.topic.as_str(),
            payload: &message.payload,
            client_id: origin.client_id.as_deref(),
            principal: origin.principal.as_deref(),
            account: &self.config().account,
            timestamp: now,
            trace_id: &trace_id,
        };
        let mut rows = Vec::new();
        for rule in rules {
            let Outcome::Emit(payload) = rule.statement.evaluate(&input) else { continue };
            for action in &rule.actions {
                let ActionRecord::Lambda { function_arn } = action;
                match self.lambda().admits_rule(function_arn, &rule.arn) {
                    Ok(()) => rows.push(InvocationRow::new(function_arn, &payload, &rule.name, now)),
                    Err(err) => self.action_failed(rule, function_arn, &err),
                }
            }
        }
        rows
    }

    fn action_failed(&self, rule: &Rule, function_arn: &str, err: &Error) {
        tracing::warn!(rule = %rule.name, function = %function_arn, error = %err, "a rule's lambda action could not run");
        let line = serde_json::json!({
            "eventType": "RuleExecution",
            "status": "Failure",
            "logLevel": "ERROR",
            "ruleName": rule.name,
            "ruleAction": "LambdaAction",
            "resources": { "FunctionArn": function_arn },
            "details": err.message,
            "reason": err.code,
        });
        self.logs().append("AWSIotLogsV2", &rule.name, self.now(), &line.to_string());
    }
}
