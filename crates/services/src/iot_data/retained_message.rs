//! Retained messages as they are read over HTTPS. Publish and devices write them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::Retained;
use domain::Arn;
use mqtt::TopicName;
use mqtt::packet::{Properties, Property};
use serde_json::{Map, Value};

use super::IotData;
use super::shapes::{
    GetRetainedMessageRequest, GetRetainedMessageResponse, ListRetainedMessagesRequest, ListRetainedMessagesResponse,
    RetainedMessageSummary,
};
use crate::blob::Blob;
use crate::{Error, Op};

const PAGE_DEFAULT: usize = 25;
/// (ListRetainedMessages)
const PAGE_MAX: usize = 200;

impl IotData {
    pub async fn get_retained_message(
        &self,
        op: &Op,
        input: GetRetainedMessageRequest,
    ) -> Result<GetRetainedMessageResponse, Error> {
        let config = self.services.config();
        let arn = Arn::new("iot", &config.region, &config.account, &format!("topic/{}", input.topic));
        self.authorize(op, "iot:GetRetainedMessage", arn.as_str())?;
        self.retained_message(&input)
    }

    /// In the order of the topics.
    pub async fn list_retained_messages(
        &self,
        op: &Op,
        input: ListRetainedMessagesRequest,
    ) -> Result<ListRetainedMessagesResponse, Error> {
        self.authorize(op, "iot:ListRetainedMessages", "*")?;
        self.retained_messages(&input)
    }

    /// What follows once it is settled that the principal may.
    pub(super) fn retained_message(
        &self,
        input: &GetRetainedMessageRequest,
    ) -> Result<GetRetainedMessageResponse, Error> {
        let topic = TopicName::parse(&input.topic).map_err(|err| invalid(format!("The topic is refused: {err}.")))?;
        let Some(found) = self.services.inner.broker.retained(&topic) else {
            let message = format!("The topic {topic} has no retained message.");
            return Err(Error::new("ResourceNotFoundException", message));
        };
        Ok(GetRetainedMessageResponse {
            topic: Some(found.topic.as_str().to_owned()),
            qos: Some(qos_of(&found)),
            last_modified_time: Some(modified_ms(&found)),
            user_properties: user_properties(&found.properties),
            payload: Some(Blob(found.payload)),
        })
    }

    /// The same of the list.
    pub(super) fn retained_messages(
        &self,
        input: &ListRetainedMessagesRequest,
    ) -> Result<ListRetainedMessagesResponse, Error> {
        let size = input.max_results.map_or(PAGE_DEFAULT, |size| usize::try_from(size).unwrap_or(1));
        let size = size.clamp(1, PAGE_MAX);
        let after = input.next_token.as_deref().map(read_token).transpose()?;
        let mut found = self.services.inner.broker.retained_after(after.as_ref(), size + 1);
        let has_more = found.len() > size;
        found.truncate(size);
        let next_token = found.last().filter(|_| has_more).map(|last| URL_SAFE_NO_PAD.encode(last.topic.as_str()));
        let summary = |retained: &Retained| RetainedMessageSummary {
            topic: Some(retained.topic.as_str().to_owned()),
            payload_size: i64::try_from(retained.payload.len()).ok(),
            qos: Some(qos_of(retained)),
            last_modified_time: Some(modified_ms(retained)),
        };
        Ok(ListRetainedMessagesResponse { retained_topics: Some(found.iter().map(summary).collect()), next_token })
    }
}

fn qos_of(retained: &Retained) -> i32 {
    i32::from(retained.qos as u8)
}

fn modified_ms(retained: &Retained) -> i64 {
    i64::try_from(retained.stored_at_ms).unwrap_or(i64::MAX)
}

/// As Publish takes them: an array of objects with one member each.
fn user_properties(properties: &Properties) -> Option<Blob> {
    let list: Vec<Value> = properties
        .iter()
        .filter_map(|property| match property {
            Property::UserProperty((name, value)) => {
                Some(Value::Object(Map::from_iter([(name.clone(), Value::from(value.as_str()))])))
            }
            _ => None,
        })
        .collect();
    (!list.is_empty()).then(|| Blob(Value::Array(list).to_string().into()))
}

fn read_token(token: &str) -> Result<TopicName, Error> {
    let topic = URL_SAFE_NO_PAD.decode(token).ok().and_then(|topic| String::from_utf8(topic).ok());
    topic
        .and_then(|topic| TopicName::parse(&topic).ok())
        .ok_or_else(|| invalid("The nextToken is not one that a list answered.".to_owned()))
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}
