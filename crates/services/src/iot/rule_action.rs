//! What a rule does with a message, as it is stored and as AWS writes it.

use domain::Arn;
use domain::sql::{SqlError, SqlVersion, Template};
use domain::topic::check_republish;
use mqtt::TopicName;
use serde::{Deserialize, Serialize};

use super::shapes::{Action, LambdaAction, MqttHeaders, RepublishAction, UserProperty};
use crate::Error;
use crate::republish::{HeaderTemplates, Republish};
use crate::rules::RuleAction;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ActionRecord {
    Lambda { function_arn: String },
    Republish { role_arn: String, topic: String, qos: Option<i32>, headers: Option<HeadersRecord> },
}

/// Each may be a substitution template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeadersRecord {
    payload_format_indicator: Option<String>,
    message_expiry: Option<String>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    user_properties: Vec<(String, String)>,
}

impl ActionRecord {
    /// `what` names the place in the payload: an action, or the errorAction.
    pub(super) fn read(action: Action, version: SqlVersion, what: &str) -> Result<Self, Error> {
        let Action { lambda, republish, .. } = action.clone();
        let others = Action { lambda: None, republish: None, ..action };
        if others != Action::default() {
            let named = serde_json::to_value(&others).ok();
            let name = named.as_ref().and_then(|value| value.as_object()?.keys().next().cloned()).unwrap_or_default();
            return Err(invalid(format!("The action {name} is not served yet; lambda and republish are.")));
        }
        let record = match (lambda, republish) {
            (Some(lambda), None) => Self::Lambda { function_arn: lambda.function_arn },
            (None, Some(republish)) => Self::of_republish(republish),
            (Some(_), Some(_)) => return Err(invalid(format!("{what} holds one action."))),
            (None, None) => {
                let example = "{\"lambda\": {\"functionArn\": \"...\"}}";
                return Err(invalid(format!("{what} names what to do: {example}.")));
            }
        };
        record.check(version)?;
        Ok(record)
    }

    fn of_republish(republish: RepublishAction) -> Self {
        let headers = republish.headers.map(|headers| HeadersRecord {
            payload_format_indicator: headers.payload_format_indicator,
            message_expiry: headers.message_expiry,
            content_type: headers.content_type,
            response_topic: headers.response_topic,
            correlation_data: headers.correlation_data,
            user_properties: headers
                .user_properties
                .unwrap_or_default()
                .into_iter()
                .map(|property| (property.key, property.value))
                .collect(),
        });
        Self::Republish { role_arn: republish.role_arn, topic: republish.topic, qos: republish.qos, headers }
    }

    pub(super) fn to_shape(&self) -> Action {
        match self {
            Self::Lambda { function_arn } => {
                Action { lambda: Some(LambdaAction { function_arn: function_arn.clone() }), ..Action::default() }
            }
            Self::Republish { role_arn, topic, qos, headers } => {
                let republish = RepublishAction {
                    role_arn: role_arn.clone(),
                    topic: topic.clone(),
                    qos: *qos,
                    headers: headers.as_ref().map(HeadersRecord::to_shape),
                };
                Action { republish: Some(republish), ..Action::default() }
            }
        }
    }

    /// The role under which the action works.
    pub(super) fn role_arn(&self) -> Option<&str> {
        match self {
            Self::Lambda { .. } => None,
            Self::Republish { role_arn, .. } => Some(role_arn),
        }
    }

    pub(crate) fn compile(&self, version: SqlVersion) -> Result<RuleAction, SqlError> {
        Ok(match self {
            Self::Lambda { function_arn } => RuleAction::Lambda(Template::parse(function_arn, version)?),
            Self::Republish { role_arn, topic, qos, headers } => {
                // `$$` stands for the `$` of a reserved topic.
                let is_reserved = topic.starts_with("$$");
                let topic = if is_reserved { topic.get(1..).unwrap_or_default() } else { topic };
                RuleAction::Republish(Box::new(Republish {
                    role_arn: role_arn.clone(),
                    topic: Template::parse(topic, version)?,
                    is_reserved,
                    qos: if *qos == Some(1) { mqtt::Qos::AtLeastOnce } else { mqtt::Qos::AtMostOnce },
                    headers: headers.as_ref().map(|headers| headers.compile(version)).transpose()?.unwrap_or_default(),
                }))
            }
        })
    }

    /// What can be known before there is a message.
    fn check(&self, version: SqlVersion) -> Result<(), Error> {
        let action = self.compile(version).map_err(|err| {
            let message = format!("A substitution template is wrong: {} (column {})", err.message, err.column);
            invalid(message)
        })?;
        match (self, action) {
            (Self::Lambda { function_arn }, RuleAction::Lambda(template)) => {
                let is_function = |arn: &Arn| {
                    let parts = arn.parts();
                    parts.service == "lambda" && parts.resource.starts_with("function:")
                };
                let good = Arn::parse(function_arn).ok().filter(is_function).is_some();
                if template.constant().is_some() && !good {
                    return Err(invalid(format!("{function_arn} is not the ARN of a Lambda function.")));
                }
            }
            (Self::Republish { role_arn, topic, .. }, RuleAction::Republish(republish)) => {
                check_role(role_arn)?;
                if topic.starts_with('$') && !topic.starts_with("${") && !republish.is_reserved {
                    let message = format!("To republish to a reserved topic, begin it with $$: ${topic}.");
                    return Err(invalid(message));
                }
                if let Some(topic) = republish.topic.constant() {
                    TopicName::parse(topic).map_err(|err| invalid(format!("The topic is refused: {err}.")))?;
                    check_republish(topic).map_err(invalid)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl HeadersRecord {
    fn to_shape(&self) -> MqttHeaders {
        let user = self.user_properties.iter();
        let user: Vec<UserProperty> =
            user.map(|(key, value)| UserProperty { key: key.clone(), value: value.clone() }).collect();
        MqttHeaders {
            payload_format_indicator: self.payload_format_indicator.clone(),
            message_expiry: self.message_expiry.clone(),
            content_type: self.content_type.clone(),
            response_topic: self.response_topic.clone(),
            correlation_data: self.correlation_data.clone(),
            user_properties: (!user.is_empty()).then_some(user),
        }
    }

    fn compile(&self, version: SqlVersion) -> Result<HeaderTemplates, SqlError> {
        let template = |text: &Option<String>| text.as_deref().map(|text| Template::parse(text, version)).transpose();
        let user = self.user_properties.iter();
        Ok(HeaderTemplates {
            payload_format_indicator: template(&self.payload_format_indicator)?,
            message_expiry: template(&self.message_expiry)?,
            content_type: template(&self.content_type)?,
            response_topic: template(&self.response_topic)?,
            correlation_data: template(&self.correlation_data)?,
            user_properties: user
                .map(|(key, value)| Ok((Template::parse(key, version)?, Template::parse(value, version)?)))
                .collect::<Result<_, SqlError>>()?,
        })
    }
}

fn check_role(role_arn: &str) -> Result<(), Error> {
    let is_role = |arn: &Arn| arn.parts().service == "iam" && arn.parts().resource.starts_with("role/");
    match Arn::parse(role_arn).ok().filter(is_role) {
        Some(_) => Ok(()),
        None => Err(invalid(format!("{role_arn} is not the ARN of a role."))),
    }
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}
