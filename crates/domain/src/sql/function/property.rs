//! The MQTT 5 properties of the message.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mqtt::packet::Property;

use crate::sql::evaluation::Evaluation;
use crate::sql::value::{Object, Value};

/// Undefined for a name that AWS does not have and a property that the message does not have; only the format is always
/// one or the other.
pub(super) fn get_mqtt_property(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let [name] = arguments else { return Value::Undefined };
    let Value::Text(name) = name.as_ref() else { return Value::Undefined };
    let found = |pick: fn(&Property) -> Option<String>| evaluation.input().properties.iter().find_map(pick);
    let text = match name.as_str() {
        "content_type" => found(|property| match property {
            Property::ContentType(text) => Some(text.clone()),
            _ => None,
        }),
        "response_topic" => found(|property| match property {
            Property::ResponseTopic(topic) => Some(topic.clone()),
            _ => None,
        }),
        "correlation_data" => found(|property| match property {
            Property::CorrelationData(data) => Some(STANDARD.encode(data)),
            _ => None,
        }),
        "format_indicator" => {
            let is_text = evaluation
                .input()
                .properties
                .iter()
                .any(|property| matches!(property, Property::PayloadFormatIndicator(1)));
            Some(if is_text { "UTF8_DATA" } else { "UNSPECIFIED_BYTES" }.to_owned())
        }
        _ => None,
    };
    text.map_or(Value::Undefined, Value::Text)
}

/// The values under a key, in their order; without a key all pairs, each an object.
pub(super) fn get_user_properties(evaluation: &Evaluation<'_>, arguments: &[Cow<'_, Value>]) -> Value {
    let pairs = evaluation.input().properties.iter().filter_map(|property| match property {
        Property::UserProperty((name, value)) => Some((name, value)),
        _ => None,
    });
    match arguments {
        [] => {
            let object = |(name, value): (&String, &String)| {
                let mut object = Object::default();
                object.insert(name, Value::text(value));
                Value::Object(object)
            };
            Value::Array(pairs.map(object).collect())
        }
        [key] => {
            let Value::Text(key) = key.as_ref() else { return Value::Undefined };
            let values: Vec<Value> =
                pairs.filter(|(name, _)| *name == key).map(|(_, value)| Value::text(value)).collect();
            if values.is_empty() { Value::Undefined } else { Value::Array(values) }
        }
        _ => Value::Undefined,
    }
}
