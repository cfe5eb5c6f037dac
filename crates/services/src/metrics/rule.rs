//! The rules engine.

use super::exposition::Exposition;
use super::tally::{Counter, Tally};

#[derive(Debug)]
pub struct RuleMetrics {
    /// A message on a topic that a rule listens to, once for each rule.
    pub topic_match: Counter,
    /// Rules whose WHERE was true.
    pub executed: Counter,
    /// Messages that a rule looked into and that are no JSON, once for each rule.
    pub parse_errors: Counter,
    /// Messages whose actions could not wait for their turn.
    pub throttled: Counter,
    actions: Tally<2>,
    error_actions: Tally<2>,
}

impl Default for RuleMetrics {
    fn default() -> Self {
        let known =
            || ["lambda", "republish"].into_iter().flat_map(|action| [["Failure", action], ["Success", action]]);
        Self {
            topic_match: Counter::default(),
            executed: Counter::default(),
            parse_errors: Counter::default(),
            throttled: Counter::default(),
            actions: Tally::of(known()),
            error_actions: Tally::of(known()),
        }
    }
}

impl RuleMetrics {
    pub(crate) fn action<T, E>(&self, action: &'static str, result: &Result<T, E>) {
        self.actions.add([if result.is_ok() { "Success" } else { "Failure" }, action]);
    }

    pub(crate) fn error_action<T, E>(&self, action: &'static str, result: &Result<T, E>) {
        self.error_actions.add([if result.is_ok() { "Success" } else { "Failure" }, action]);
    }

    /// `not_found`: Basic Ingest to rules that are not there.
    pub(super) fn show(&self, page: &mut Exposition, not_found: u64) {
        for (name, help, count) in [
            (
                "aws_iot_topic_match_total",
                "Messages on topics that rules listen to, once per rule (AWS: TopicMatch).",
                self.topic_match.value(),
            ),
            ("aws_iot_rules_executed_total", "Rules whose WHERE was true (AWS: RulesExecuted).", self.executed.value()),
            (
                "aws_iot_parse_error_total",
                "Messages that a rule looked into and that are no JSON (AWS: ParseError).",
                self.parse_errors.value(),
            ),
            (
                "aws_iot_rule_message_throttled_total",
                "Actions refused because too many wait for their functions (AWS: RuleMessageThrottled).",
                self.throttled.value(),
            ),
            (
                "aws_iot_rule_not_found_total",
                "Messages for rules by name that are not there (AWS: RuleNotFound).",
                not_found,
            ),
        ] {
            page.counter(name, help).sample(&[], count);
        }
        page.counter("aws_iot_rule_action_total", "Actions of rules, by outcome (AWS: Success, Failure).")
            .tally(["outcome", "action_type"], &self.actions);
        page.counter(
            "aws_iot_rule_error_action_total",
            "Error actions of rules, by outcome (AWS: ErrorActionSuccess, ErrorActionFailure).",
        )
        .tally(["outcome", "action_type"], &self.error_actions);
    }
}
