//! Publish: a message from a caller with a signature instead of a connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker::{Message, Qos};
use bytes::Bytes;
use domain::Arn;
use domain::topic::{PAYLOAD_BYTES_MAX, check_publish};
use mqtt::TopicName;
use mqtt::packet::{Properties, Property};
use serde::Serialize;
use serde_json::Value;

use super::IotData;
use super::shapes::PublishRequest;
use crate::messages::Origin;
use crate::{Error, Op};

/// All user properties of a message together, and each text among the other properties. AWS bounds the packet, whose
/// properties and payload share 128 KB.
const PROPERTIES_BYTES_MAX: usize = 8 * 1024;

/// The longest that a message may be kept. (AWS IoT Core message broker limits)
const EXPIRY_S_MAX: i64 = 604_800;

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
        if input.topic.starts_with('$') {
            let why = check_publish(&input.topic).err().unwrap_or_default();
            return Err(Error::new("ForbiddenException", why));
        }
        let topic = TopicName::parse(&input.topic).map_err(|err| invalid(format!("The topic is refused: {err}.")))?;
        check_publish(topic.as_str()).map_err(invalid)?;
        if input.retain == Some(true) {
            return Err(invalid("Retained messages are not served yet; publish without retain.".to_owned()));
        }
        let properties = properties_of(&input)?;
        let payload = input.payload.map_or_else(Bytes::new, |payload| payload.0);
        if payload.len() > PAYLOAD_BYTES_MAX {
            let message = format!("The payload has {} bytes; {PAYLOAD_BYTES_MAX} are allowed.", payload.len());
            return Err(Error::new("RequestEntityTooLargeException", message));
        }
        let qos = if input.qos == Some(1) { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let message = Message { topic, payload, qos, retain: false, properties };
        let principal = Some(self.services.caller_id(&op.caller)?);
        self.services.accept(message, Origin { client_id: None, principal }).await?;
        Ok(Published { message: "OK", trace_id: op.request_id.clone() })
    }
}

/// In the order of the standard's table.
fn properties_of(input: &PublishRequest) -> Result<Properties, Error> {
    let mut properties = Properties::new();
    match input.payload_format_indicator.as_deref() {
        Some("UTF8_DATA") => properties.push(Property::PayloadFormatIndicator(1)),
        Some(_) => properties.push(Property::PayloadFormatIndicator(0)),
        None => {}
    }
    if let Some(expiry_s) = input.message_expiry {
        // AWS takes 0 for 1.
        let expiry_s = u32::try_from(expiry_s.max(1)).ok().filter(|_| (0..=EXPIRY_S_MAX).contains(&expiry_s));
        let wrong = || invalid(format!("messageExpiry is a number of seconds, at most {EXPIRY_S_MAX}."));
        properties.push(Property::MessageExpiryIntervalS(expiry_s.ok_or_else(wrong)?));
    }
    if let Some(content_type) = &input.content_type {
        properties.push(Property::ContentType(bounded("contentType", content_type)?.to_owned()));
    }
    if let Some(topic) = &input.response_topic {
        bounded("responseTopic", topic)?;
        TopicName::parse(topic).map_err(|err| invalid(format!("responseTopic is refused: {err}.")))?;
        properties.push(Property::ResponseTopic(topic.clone()));
    }
    if let Some(data) = &input.correlation_data {
        let data = STANDARD.decode(bounded("correlationData", data)?);
        let data = data.map_err(|_| invalid("correlationData is not base64.".to_owned()))?;
        properties.push(Property::CorrelationData(data.into()));
    }
    if let Some(user) = &input.user_properties {
        for (name, value) in user_properties(bounded("userProperties", user)?)? {
            properties.push(Property::UserProperty((name, value)));
        }
    }
    Ok(properties)
}

/// A JSON array of objects with one member each. It travels in a header as base64; functions give the array itself.
fn user_properties(text: &str) -> Result<Vec<(String, String)>, Error> {
    let wrong =
        || invalid("userProperties is a JSON array of objects such as [{\"name\": \"value\"}], in base64.".to_owned());
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

fn bounded<'a>(name: &str, text: &'a str) -> Result<&'a str, Error> {
    if text.len() > PROPERTIES_BYTES_MAX || text.contains('\0') {
        return Err(invalid(format!("{name} is a text of at most {PROPERTIES_BYTES_MAX} bytes without U+0000.")));
    }
    Ok(text)
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
