//! Publish: a message from a caller with a signature instead of a connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::{Message, Qos};
use bytes::Bytes;
use domain::Arn;
use domain::topic::{BasicIngest, PAYLOAD_BYTES_MAX, check_publish, check_retain};
use mqtt::TopicName;
use serde::Serialize;
use serde_json::Value;

use super::IotData;
use super::shapes::PublishRequest;
use crate::message_headers::MessageHeaders;
use crate::messages::Origin;
use crate::{Error, Op};

/// All user properties of a message, as they are written.
const USER_PROPERTIES_BYTES_MAX: usize = 8 * 1024;

/// What AWS answers, though the model has no output for the operation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub message: &'static str,
    pub trace_id: String,
}

impl IotData {
    /// Enters where a device's message does: rules fire, subscribers hear. Answers when a QoS 1 message may be
    /// acknowledged.
    pub async fn publish(&self, op: &Op, input: PublishRequest) -> Result<Published, Error> {
        let config = self.services.config();
        let arn = Arn::new("iot", &config.region, &config.account, &format!("topic/{}", input.topic));
        self.authorize(op, "iot:Publish", arn.as_str())?;
        if input.retain == Some(true) {
            self.authorize(op, "iot:RetainPublish", arn.as_str())?;
        }
        let principal = self.services.caller_id(&op.caller)?;
        self.publish_authorized(input, principal, &op.request_id).await
    }

    /// What follows once it is settled that the principal may.
    pub(super) async fn publish_authorized(
        &self,
        mut input: PublishRequest,
        principal: String,
        request_id: &str,
    ) -> Result<Published, Error> {
        let is_reserved = input.topic.starts_with('$') && BasicIngest::of(&input.topic).is_none();
        if let (true, Err(why)) = (is_reserved, check_publish(&input.topic)) {
            return Err(Error::new("ForbiddenException", why));
        }
        let topic = TopicName::parse(&input.topic).map_err(|err| invalid(format!("The topic is refused: {err}.")))?;
        check_publish(topic.as_str()).map_err(invalid)?;
        let retain = input.retain == Some(true);
        if retain {
            check_retain(topic.as_str()).map_err(invalid)?;
        }
        let in_rate = self.services.rates().publish_in(1, self.services.now());
        in_rate.map_err(|exceeded| Error::new("ThrottlingException", exceeded.sentence()))?;
        let properties = headers_of(&mut input)?.properties().map_err(invalid)?;
        let payload = input.payload.map_or_else(Bytes::new, |payload| payload.0);
        if payload.len() > PAYLOAD_BYTES_MAX {
            let message = format!("The payload has {} bytes; {PAYLOAD_BYTES_MAX} are allowed.", payload.len());
            return Err(Error::new("RequestEntityTooLargeException", message));
        }
        let qos = if input.qos == Some(1) { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let message = Message { topic, payload, qos, retain, properties };
        let principal = Some(principal);
        self.services.accept(message, Origin { client_id: None, principal, ..Origin::default() }).await?;
        Ok(Published { message: "OK", trace_id: request_id.to_owned() })
    }
}

fn headers_of(input: &mut PublishRequest) -> Result<MessageHeaders, Error> {
    Ok(MessageHeaders {
        payload_format_indicator: input.payload_format_indicator.take(),
        message_expiry_s: input.message_expiry,
        content_type: input.content_type.take(),
        response_topic: input.response_topic.take(),
        correlation_data: input.correlation_data.take(),
        user_properties: input.user_properties.as_deref().map_or(Ok(Vec::new()), user_properties)?,
    })
}

/// A JSON array of objects with one member each. It travels in a header as base64; functions give the array itself.
fn user_properties(text: &str) -> Result<Vec<(String, String)>, Error> {
    let wrong =
        || invalid("userProperties is a JSON array of objects such as [{\"name\": \"value\"}], in base64.".to_owned());
    if text.len() > USER_PROPERTIES_BYTES_MAX {
        return Err(invalid(format!(
            "userProperties has {} bytes; {USER_PROPERTIES_BYTES_MAX} are allowed.",
            text.len()
        )));
    }
    let decoded = if text.trim_start().starts_with('[') { Ok(text.as_bytes().to_vec()) } else { STANDARD.decode(text) };
    let mut list: Value = serde_json::from_slice(&decoded.map_err(|_| wrong())?).map_err(|_| wrong())?;
    // boto3 makes JSON of what it is given, a text that is JSON already included.
    if let Value::String(inner) = &list {
        list = serde_json::from_str(inner).map_err(|_| wrong())?;
    }
    let pairs: Vec<serde_json::Map<String, Value>> = serde_json::from_value(list).map_err(|_| wrong())?;
    pairs
        .into_iter()
        .flatten()
        .map(|(name, value)| match value {
            // What JSON can write and MQTT cannot: subscribers would have to hang up on it [MQTT-1.5.4-2].
            Value::String(value) if !name.contains('\0') && !value.contains('\0') => Ok((name, value)),
            _ => Err(wrong()),
        })
        .collect()
}

fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_properties_in_both_forms() {
        let pairs = [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())];
        let list = r#"[{"a": "1"}, {"a": "2"}]"#;
        for text in [list.to_owned(), STANDARD.encode(list), STANDARD.encode(Value::from(list).to_string())] {
            assert_eq!(user_properties(&text).expect("properties"), pairs);
        }
        for text in ["%", "{}", "[1]", r#"[{"a": 1}]"#, "bm90IGpzb24=", r#"[{"a": "\u0000"}]"#, r#"[{"\u0000": ""}]"#] {
            assert_eq!(user_properties(text).expect_err(text).code, "InvalidRequestException");
        }
    }
}
