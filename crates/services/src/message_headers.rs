//! The MQTT 5 properties that those may give a message who write them as text: iot-data's callers and republish actions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mqtt::TopicName;
use mqtt::packet::{Properties, Property};

/// Each text. AWS bounds the packet, whose properties and payload share 128 KB.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// The longest that a message may be kept. (AWS IoT Core message broker limits)
const EXPIRY_S_MAX: i64 = 604_800;

#[derive(Clone, Debug, Default)]
pub(crate) struct MessageHeaders {
    /// `UTF8_DATA` or `UNSPECIFIED_BYTES`.
    pub payload_format_indicator: Option<String>,
    pub message_expiry_s: Option<i64>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    /// In base64.
    pub correlation_data: Option<String>,
    pub user_properties: Vec<(String, String)>,
}

impl MessageHeaders {
    /// In the order of the standard's table. The sentence says which of them is wrong.
    pub(crate) fn properties(self) -> Result<Properties, String> {
        let mut properties = Properties::new();
        match self.payload_format_indicator.as_deref() {
            Some("UTF8_DATA") => properties.push(Property::PayloadFormatIndicator(1)),
            Some("UNSPECIFIED_BYTES") => properties.push(Property::PayloadFormatIndicator(0)),
            Some(_) => return Err("payloadFormatIndicator is UTF8_DATA or UNSPECIFIED_BYTES.".to_owned()),
            None => {}
        }
        if let Some(expiry_s) = self.message_expiry_s {
            // AWS takes 0 for 1.
            let taken = u32::try_from(expiry_s.max(1)).ok().filter(|_| (0..=EXPIRY_S_MAX).contains(&expiry_s));
            let wrong = || format!("messageExpiry is a number of seconds, at most {EXPIRY_S_MAX}.");
            properties.push(Property::MessageExpiryIntervalS(taken.ok_or_else(wrong)?));
        }
        if let Some(content_type) = self.content_type {
            properties.push(Property::ContentType(bounded("contentType", content_type)?));
        }
        if let Some(topic) = self.response_topic {
            let topic = bounded("responseTopic", topic)?;
            TopicName::parse(&topic).map_err(|err| format!("responseTopic is refused: {err}."))?;
            properties.push(Property::ResponseTopic(topic));
        }
        if let Some(data) = self.correlation_data {
            let data = STANDARD.decode(bounded("correlationData", data)?);
            let data = data.map_err(|_| "correlationData is not base64.".to_owned())?;
            properties.push(Property::CorrelationData(data.into()));
        }
        for (name, value) in self.user_properties {
            let pair = (bounded("userProperties", name)?, bounded("userProperties", value)?);
            properties.push(Property::UserProperty(pair));
        }
        Ok(properties)
    }
}

fn bounded(name: &str, text: String) -> Result<String, String> {
    if text.len() > TEXT_BYTES_MAX || text.contains('\0') {
        return Err(format!("{name} holds text of at most {TEXT_BYTES_MAX} bytes without U+0000."));
    }
    Ok(text)
}
