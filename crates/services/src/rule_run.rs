//! What rules make of one message: rows for functions, and messages of their own.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::Message;
use bytes::Bytes;
use domain::Timestamp;
use domain::sql::{Input, Outcome};
use serde_json::{Value, json};

use crate::invocation::InvocationRow;
use crate::messages::Origin;
use crate::republish::not_rendered;
use crate::rules::{Rule, RuleAction};
use crate::{Error, Services, random};

/// What is to be done for one message.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    pub rows: Vec<InvocationRow>,
    pub republished: Vec<(Message, Origin)>,
}

/// An action that could not run.
struct Failure {
    action: &'static str,
    /// The function's ARN or the topic; what is known of it.
    resource: String,
    error: Error,
}

/// One rule over one message.
struct Run<'a> {
    rule: &'a Rule,
    input: &'a Input<'a>,
    origin: &'a Origin,
    now: Timestamp,
}

impl Services {
    /// Every action of each rule whose WHERE is true. What cannot run is logged, told to the rule's errorAction, and
    /// dropped, as AWS does.
    pub(crate) fn fire(&self, rules: &[Arc<Rule>], message: &Message, origin: &Origin) -> Fired {
        let now = self.now();
        let trace_id = random::uuid();
        let mut fired = Fired::default();
        let metrics = &self.metrics().rules;
        metrics.topic_match.add(rules.len() as u64);
        for rule in rules {
            let input = Input {
                topic: message.topic.as_str(),
                payload: &message.payload,
                client_id: origin.client_id.as_deref(),
                principal: origin.principal.as_deref(),
                account: &self.config().account,
                timestamp: now,
                trace_id: &trace_id,
                properties: &message.properties,
                seed: random::bytes(),
            };
            let evaluated = rule.statement.evaluate(&input);
            metrics.parse_errors.add(evaluated.is_unreadable.into());
            let Outcome::Emit(payload) = evaluated.outcome else { continue };
            metrics.executed.add(1);
            let run = Run { rule, input: &input, origin, now };
            let mut failures = Vec::new();
            for action in &rule.actions {
                let result = self.run_action(&run, action, &payload, &mut fired);
                metrics.action(action.name(), &result);
                if let Err(failure) = result {
                    self.log_failure(&run, &failure);
                    failures.push(failure);
                }
            }
            if let (Some(error_action), false) = (&rule.error_action, failures.is_empty()) {
                let document: Bytes = error_document(&run, &failures).to_string().into();
                let input = Input { payload: &document, ..input.clone() };
                let run = Run { input: &input, ..run };
                let result = self.run_action(&run, error_action, &document, &mut fired);
                metrics.error_action(error_action.name(), &result);
                if let Err(failure) = result {
                    self.log_failure(&run, &failure);
                }
            }
        }
        fired
    }

    fn run_action(
        &self,
        run: &Run<'_>,
        action: &RuleAction,
        payload: &Bytes,
        fired: &mut Fired,
    ) -> Result<(), Failure> {
        // Templates draw their own chance: what SELECT has drawn does not come again.
        let input = Input { seed: random::bytes(), ..run.input.clone() };
        match action {
            RuleAction::Lambda(function_arn) => {
                let failure =
                    |resource: &str, error| Failure { action: "LambdaAction", resource: resource.to_owned(), error };
                let function_arn = function_arn.render(&input).map_err(|err| failure("", not_rendered(err)))?;
                self.lambda()
                    .admits_rule(&function_arn, &run.rule.arn)
                    .map_err(|error| failure(&function_arn, error))?;
                fired.rows.push(InvocationRow::new(&function_arn, payload, &run.rule.name, run.now));
            }
            RuleAction::Republish(republish) => {
                let failure =
                    |resource: &str, error| Failure { action: "RepublishAction", resource: resource.to_owned(), error };
                let topic = republish.topic(&input).map_err(|error| failure("", error))?;
                let message = self
                    .republish(run.rule, republish, &topic, payload, &input, &run.origin.lineage)
                    .map_err(|error| failure(&topic, error))?;
                fired.republished.push(message);
            }
        }
        Ok(())
    }

    fn log_failure(&self, run: &Run<'_>, failure: &Failure) {
        let Failure { action, resource, error } = failure;
        // Quoted: a template may have put a device's own text there, line breaks and all.
        let why = error.to_string();
        tracing::warn!(
            connection = run.origin.connection,
            client_id = run.origin.client_id,
            certificate_id = run.origin.certificate_id(),
            rule = %run.rule.name,
            %action,
            resource,
            why,
            "an action of a rule could not run"
        );
        let name = if *action == "LambdaAction" { "FunctionArn" } else { "RepublishTopic" };
        let line = json!({
            "eventType": "RuleExecution",
            "status": "Failure",
            "logLevel": "ERROR",
            "traceId": run.input.trace_id,
            "clientId": client_id(run),
            "topicName": run.input.topic,
            "ruleName": run.rule.name,
            "ruleAction": action,
            "resources": { name: resource },
            "details": error.message,
            "reason": error.code,
        });
        self.logs().append("AWSIotLogsV2", &run.rule.name, run.now, &line.to_string());
    }
}

/// One for each rule and message, whatever the number of actions that failed.
/// (<https://docs.aws.amazon.com/iot/latest/developerguide/rule-error-handling.html>)
fn error_document(run: &Run<'_>, failures: &[Failure]) -> Value {
    let shown = |failure: &Failure| {
        let Failure { action, resource, error } = failure;
        let (kind, topic) = (action.trim_end_matches("Action").to_lowercase(), run.input.topic);
        json!({
            "failedAction": action,
            "failedResource": resource,
            "errorMessage": format!("{}. Message arrived on: {topic}, Action: {kind}", error.message.trim_end_matches('.')),
        })
    };
    json!({
        "ruleName": run.rule.name,
        "topic": run.input.topic,
        "cloudwatchTraceId": run.input.trace_id,
        "clientId": client_id(run),
        "base64OriginalPayload": STANDARD.encode(run.input.payload),
        "failures": failures.iter().map(shown).collect::<Vec<_>>(),
    })
}

fn client_id<'a>(run: &Run<'a>) -> &'a str {
    run.origin.client_id.as_deref().unwrap_or("n/a")
}
