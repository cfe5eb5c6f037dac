//! Topic rules: which messages cause what.

use domain::sql::{SqlVersion, Statement};
use domain::{Arn, Timestamp};
use mqtt::TopicFilter;
use serde::{Deserialize, Serialize};
use store::Expect;

use super::Iot;
use super::page::{Order, Page, page_of};
use super::rule_action::ActionRecord;
use super::shapes::{
    CreateTopicRuleRequest, DeleteTopicRuleRequest, DisableTopicRuleRequest, EnableTopicRuleRequest,
    GetTopicRuleRequest, GetTopicRuleResponse, ListTopicRulesRequest, ListTopicRulesResponse, ReplaceTopicRuleRequest,
    TopicRule, TopicRuleListItem, TopicRulePayload,
};
use super::tag::{Tags, untagged};
use crate::record::{Stored, delete, put};
use crate::{Error, Op, Services};

const PREFIX: &str = "iot/rule/";

/// The rules engine, as trust policies and iam:PassRole name it.
pub(crate) const RULES_SERVICE: &str = "iot.amazonaws.com";

/// AWS's quotas: rules of an account, actions of a rule.
const RULES_MAX: usize = 1000;
const ACTIONS_MAX: usize = 10;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TopicRuleRecord {
    pub sql: String,
    sql_version: String,
    description: Option<String>,
    pub actions: Vec<ActionRecord>,
    #[serde(default)]
    pub error_action: Option<ActionRecord>,
    pub rule_disabled: bool,
    created_at: Timestamp,
}

impl Stored for TopicRuleRecord {
    const VERSION: u32 = 1;
}

impl TopicRuleRecord {
    pub(crate) fn sql_version(&self) -> SqlVersion {
        SqlVersion::parse(&self.sql_version).unwrap_or(SqlVersion::V2015_10_08)
    }

    fn statement(&self) -> Result<Statement, Error> {
        Statement::parse(&self.sql, self.sql_version()).map_err(|err| {
            let message = format!("{} (line {}, column {})", err.message, err.line, err.column);
            Error::new("SqlParseException", message)
        })
    }

    /// Checked as CreateTopicRule and ReplaceTopicRule need it.
    fn of(payload: TopicRulePayload, now: Timestamp) -> Result<Self, Error> {
        let sql_version = payload.aws_iot_sql_version.unwrap_or_else(|| "2015-10-08".to_owned());
        let Some(version) = SqlVersion::parse(&sql_version) else {
            let message = format!("{sql_version} is no awsIotSqlVersion; use 2015-10-08, 2016-03-23 or beta.");
            return Err(invalid(message));
        };
        if payload.actions.len() > ACTIONS_MAX {
            return Err(invalid(format!("A rule can have {ACTIONS_MAX} actions.")));
        }
        let read = |action, what| ActionRecord::read(action, version, what);
        let record = Self {
            sql: payload.sql,
            sql_version,
            description: payload.description,
            actions: payload
                .actions
                .into_iter()
                .map(|action| read(action, "Each entry of actions"))
                .collect::<Result<_, _>>()?,
            error_action: payload.error_action.map(|action| read(action, "errorAction")).transpose()?,
            rule_disabled: payload.rule_disabled == Some(true),
            created_at: now,
        };
        record.statement()?;
        Ok(record)
    }
}

impl Services {
    pub(crate) fn rule_arn(&self, name: &str) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("rule/{name}"))
    }
}

impl Iot {
    pub async fn create_topic_rule(&self, op: &Op, input: CreateTopicRuleRequest) -> Result<(), Error> {
        let name = input.rule_name;
        let arn = self.services.rule_arn(&name);
        let tags = Tags::of_header(input.tags.as_deref());
        let context = tags.as_ref().map(Tags::context).unwrap_or_default();
        self.authorize_with_tags(op, "iot:CreateTopicRule", arn.as_str(), &context)?;
        let tags = tags?;
        let record = TopicRuleRecord::of(input.topic_rule_payload, op.now)?;
        self.authorize_roles(op, &record)?;
        let services = &self.services;
        let key = format!("{PREFIX}{name}");
        services
            .transact(|| {
                let names = services.keys_below(PREFIX)?;
                if names.contains(&name) {
                    let message = format!("Rule already exists with name '{name}'.");
                    return Err(Error::new("ResourceAlreadyExistsException", message)
                        .with_member("resourceId", &name)
                        .with_member("resourceArn", arn.as_str()));
                }
                if names.len() >= RULES_MAX {
                    return Err(invalid(format!("An account can have {RULES_MAX} rules; delete one first.")));
                }
                let mut writes = vec![put(key.clone(), &record, Expect::Absent)];
                writes.extend(tags.write(&format!("rule/{name}")));
                Ok((writes, ()))
            })
            .await?;
        services.reload_rules()
    }

    /// All of the rule but its name and the time of its making. What is left out of the payload is left out of the rule.
    pub async fn replace_topic_rule(&self, op: &Op, input: ReplaceTopicRuleRequest) -> Result<(), Error> {
        let arn = self.services.rule_arn(&input.rule_name);
        self.authorize(op, "iot:ReplaceTopicRule", arn.as_str())?;
        let replacement = TopicRuleRecord::of(input.topic_rule_payload, op.now)?;
        self.authorize_roles(op, &replacement)?;
        self.change_rule(&input.rule_name, |record| {
            *record = TopicRuleRecord { created_at: record.created_at, ..replacement.clone() };
        })
        .await
    }

    pub async fn enable_topic_rule(&self, op: &Op, input: EnableTopicRuleRequest) -> Result<(), Error> {
        let arn = self.services.rule_arn(&input.rule_name);
        self.authorize(op, "iot:EnableTopicRule", arn.as_str())?;
        self.change_rule(&input.rule_name, |record| record.rule_disabled = false).await
    }

    pub async fn disable_topic_rule(&self, op: &Op, input: DisableTopicRuleRequest) -> Result<(), Error> {
        let arn = self.services.rule_arn(&input.rule_name);
        self.authorize(op, "iot:DisableTopicRule", arn.as_str())?;
        self.change_rule(&input.rule_name, |record| record.rule_disabled = true).await
    }

    /// Whoever makes a rule hands its roles to AWS IoT.
    fn authorize_roles(&self, op: &Op, record: &TopicRuleRecord) -> Result<(), Error> {
        let mut roles = record.actions.iter().chain(&record.error_action).filter_map(ActionRecord::role_arn);
        roles.try_for_each(|role_arn| self.services.authorize_pass_role(op, role_arn, RULES_SERVICE))
    }

    /// The next message finds the changed rule.
    async fn change_rule(&self, name: &str, change: impl Fn(&mut TopicRuleRecord)) -> Result<(), Error> {
        let services = &self.services;
        let key = format!("{PREFIX}{name}");
        services
            .transact(|| {
                let found = services.find::<TopicRuleRecord>(&key)?;
                let mut found = found.ok_or_else(|| missing(&services.rule_arn(name)))?;
                change(&mut found.value);
                Ok((vec![put(key.clone(), &found.value, Expect::Revision(found.revision))], ()))
            })
            .await?;
        services.reload_rules()
    }

    /// A rule that is not there answers 401 on AWS: the operation's model has no ResourceNotFoundException.
    pub async fn get_topic_rule(&self, op: &Op, input: GetTopicRuleRequest) -> Result<GetTopicRuleResponse, Error> {
        let name = input.rule_name;
        let arn = self.services.rule_arn(&name);
        self.authorize(op, "iot:GetTopicRule", arn.as_str())?;
        let found = self.services.find::<TopicRuleRecord>(&format!("{PREFIX}{name}"))?;
        let record = found.ok_or_else(|| missing(&arn))?.value;
        Ok(GetTopicRuleResponse {
            rule_arn: Some(arn.to_string()),
            rule: Some(TopicRule {
                rule_name: Some(name),
                sql: Some(record.sql),
                description: record.description,
                created_at: Some(record.created_at.into()),
                actions: Some(record.actions.iter().map(ActionRecord::to_shape).collect()),
                rule_disabled: Some(record.rule_disabled),
                aws_iot_sql_version: Some(record.sql_version),
                error_action: record.error_action.as_ref().map(ActionRecord::to_shape),
            }),
        })
    }

    pub async fn list_topic_rules(
        &self,
        op: &Op,
        input: ListTopicRulesRequest,
    ) -> Result<ListTopicRulesResponse, Error> {
        self.authorize(op, "iot:ListTopicRules", "*")?;
        let mut fitting = Vec::new();
        for (name, found) in self.services.find_all::<TopicRuleRecord>(PREFIX)? {
            let record = found.value;
            let filter = record.statement().ok().and_then(|statement| statement.topic_filter().cloned());
            let disabled_fits = input.rule_disabled.is_none_or(|disabled| disabled == record.rule_disabled);
            let topic_fits = input.topic.as_deref().is_none_or(|topic| touches(filter.as_ref(), topic));
            if disabled_fits && topic_fits {
                fitting.push((name.clone(), (name, record, filter)));
            }
        }
        let Page { items, next } = page_of(fitting, input.max_results, input.next_token.as_deref(), Order::Ascending)?;
        let rules = items
            .into_iter()
            .map(|(name, record, filter)| TopicRuleListItem {
                rule_arn: Some(self.services.rule_arn(&name).to_string()),
                rule_name: Some(name),
                topic_pattern: filter.map(|filter| filter.as_str().to_owned()),
                created_at: Some(record.created_at.into()),
                rule_disabled: Some(record.rule_disabled),
            })
            .collect();
        Ok(ListTopicRulesResponse { rules: Some(rules), next_token: next })
    }

    /// Deleting what is not there succeeds, as on AWS.
    pub async fn delete_topic_rule(&self, op: &Op, input: DeleteTopicRuleRequest) -> Result<(), Error> {
        let arn = self.services.rule_arn(&input.rule_name);
        self.authorize(op, "iot:DeleteTopicRule", arn.as_str())?;
        let key = format!("{PREFIX}{}", input.rule_name);
        let untagged = untagged(&format!("rule/{}", input.rule_name));
        self.services.commit(vec![delete(key, Expect::Anything), untagged]).await?;
        self.services.reload_rules()
    }
}

/// `topic` of ListTopicRules: rules whose filter is that text or matches that topic.
fn touches(filter: Option<&TopicFilter>, topic: &str) -> bool {
    filter.is_some_and(|filter| filter.as_str() == topic || filter.matches(topic))
}

fn missing(arn: &Arn) -> Error {
    Error::new("UnauthorizedException", format!("Access to TopicRule '{arn}' was denied"))
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}
