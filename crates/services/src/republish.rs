//! The republish action: what a rule selects becomes a message of its own, under the rights of the action's role
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/republish-rule-action.html>).
//!
//! A rule may hear what it republishes, by mistake or by way of others. Every message that comes of another carries its
//! lineage: how deep it is, and how many the first of them may still cause. Beyond either the action fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use broker::{Message, Qos};
use bytes::Bytes;
use domain::Arn;
use domain::sql::{Input, RenderError, Template};
use domain::topic::{PAYLOAD_BYTES_MAX, check_republish};
use functions::RoleSession;
use mqtt::TopicName;

use crate::authorization::DeniedAs;
use crate::iot::topic_rule::RULES_SERVICE;
use crate::message_headers::MessageHeaders;
use crate::messages::Origin;
use crate::rules::Rule;
use crate::{Caller, Error, Services};

/// Republished messages one after the other: a rule that hears itself stops here.
const DEPTH_MAX: usize = 10;

/// Republished messages that one message may cause in all: ten rules that hear each other would make ten thousand million
/// in ten steps.
const DESCENDANTS_MAX: usize = 100;

#[derive(Debug)]
pub(crate) struct Republish {
    pub role_arn: String,
    pub topic: Template,
    /// Whether the topic was written with `$$`; any other may not begin with `$`.
    pub is_reserved: bool,
    pub qos: Qos,
    pub headers: HeaderTemplates,
}

#[derive(Debug, Default)]
pub(crate) struct HeaderTemplates {
    pub payload_format_indicator: Option<Template>,
    pub message_expiry: Option<Template>,
    pub content_type: Option<Template>,
    pub response_topic: Option<Template>,
    pub correlation_data: Option<Template>,
    pub user_properties: Vec<(Template, Template)>,
}

/// How a message came of others. The default is one that did not.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    depth: usize,
    /// Shared by all that came of one message.
    descendants: Arc<AtomicUsize>,
}

impl Lineage {
    fn child(&self) -> Result<Self, Error> {
        let refused = |what: String| {
            let message = format!("{what}. Do these rules hear what they republish?");
            Err(Error::new("RepublishLimitExceeded", message))
        };
        if self.depth >= DEPTH_MAX {
            return refused(format!("The message was republished {DEPTH_MAX} times already"));
        }
        if self.descendants.fetch_add(1, Ordering::Relaxed) >= DESCENDANTS_MAX {
            return refused(format!("One message has caused {DESCENDANTS_MAX} others already"));
        }
        Ok(Self { depth: self.depth + 1, descendants: self.descendants.clone() })
    }
}

impl Republish {
    /// Where the message would go; what an error names.
    pub(crate) fn topic(&self, input: &Input<'_>) -> Result<String, Error> {
        self.topic.render(input).map_err(not_rendered)
    }
}

impl Services {
    pub(crate) fn republish(
        &self,
        rule: &Rule,
        action: &Republish,
        topic: &str,
        payload: &Bytes,
        input: &Input<'_>,
        lineage: &Lineage,
    ) -> Result<(Message, Origin), Error> {
        if topic.starts_with('$') && !action.is_reserved {
            let message = format!("The topic {topic} is reserved; a rule that means it writes it with $$ in front.");
            return Err(invalid(message));
        }
        let topic = TopicName::parse(topic).map_err(|err| invalid(format!("The topic is refused: {err}.")))?;
        check_republish(topic.as_str()).map_err(invalid)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            let message = format!("The payload has {} bytes; {PAYLOAD_BYTES_MAX} are allowed.", payload.len());
            return Err(invalid(message));
        }
        let properties = action.headers.render(input)?.properties().map_err(invalid)?;
        self.iam().must_be_assumable_by(&action.role_arn, RULES_SERVICE, Some(&rule.arn))?;
        let session = RoleSession { role_arn: action.role_arn.clone(), session_name: rule.name.clone() };
        let op = self.op(Caller::Role(session));
        let arn = Arn::new("iot", self.region(), &self.config().account, &format!("topic/{topic}"));
        self.authorize(&op, "iot:Publish", arn.as_str(), DeniedAs::AccessDeniedException)?;
        let origin =
            Origin { principal: Some(self.caller_id(&op.caller)?), lineage: lineage.child()?, ..Origin::default() };
        Ok((Message { topic, payload: payload.clone(), qos: action.qos, retain: false, properties }, origin))
    }
}

impl HeaderTemplates {
    fn render(&self, input: &Input<'_>) -> Result<MessageHeaders, Error> {
        let render = |template: &Template| template.render(input).map_err(not_rendered);
        let optional = |template: &Option<Template>| template.as_ref().map(render).transpose();
        let expiry = optional(&self.message_expiry)?;
        let expiry_s = expiry.map(|text| text.trim().parse::<i64>()).transpose();
        let user = self.user_properties.iter();
        Ok(MessageHeaders {
            payload_format_indicator: optional(&self.payload_format_indicator)?,
            message_expiry_s: expiry_s.map_err(|_| invalid("messageExpiry is a number of seconds.".to_owned()))?,
            content_type: optional(&self.content_type)?,
            response_topic: optional(&self.response_topic)?,
            correlation_data: optional(&self.correlation_data)?,
            user_properties: user
                .map(|(name, value)| Ok((render(name)?, render(value)?)))
                .collect::<Result<_, Error>>()?,
        })
    }
}

pub(crate) fn not_rendered(err: RenderError) -> Error {
    invalid(err.to_string())
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}
