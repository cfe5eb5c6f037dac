//! The little XML that the query protocol answers with.

use domain::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::Shape;

/// Appends `<name>...</name>`; nothing for null.
pub fn element(out: &mut String, name: &str, shape: &Shape, value: &Value) {
    if value.is_null() {
        return;
    }
    if let (Shape::List(list), Value::Array(elements)) = (shape, value)
        && list.flattened
    {
        elements.iter().for_each(|value| element(out, name, list.member, value));
        return;
    }
    out.push_str(&format!("<{name}>"));
    content(out, shape, value);
    out.push_str(&format!("</{name}>"));
}

fn content(out: &mut String, shape: &Shape, value: &Value) {
    match (shape, value) {
        (Shape::Structure(structure), Value::Object(members)) => {
            for member in structure.members {
                if let Some(value) = members.get(member.name) {
                    element(out, member.name, member.shape, value);
                }
            }
        }
        (Shape::List(list), Value::Array(elements)) => {
            elements.iter().for_each(|value| element(out, list.tag, list.member, value));
        }
        (Shape::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                out.push_str(&format!("<entry><key>{}</key>", escaped(key)));
                element(out, "value", map.value, value);
                out.push_str("</entry>");
            }
        }
        (Shape::Timestamp, Value::Number(seconds)) => out.push_str(&moment(seconds)),
        (_, Value::String(text)) => out.push_str(&escaped(text)),
        (_, other) => out.push_str(&escaped(&other.to_string())),
    }
}

fn moment(seconds: &serde_json::Number) -> String {
    let millis = (seconds.as_f64().unwrap_or_default() * 1000.0).round();
    // A float beyond the range of an integer becomes its nearest end.
    Timestamp::from_millis(millis as i64).to_rfc3339()
}

/// The reverse: `2026-11-23T22:31:56Z` as seconds since the epoch.
pub fn seconds(text: &str) -> Option<f64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some((moment.unix_timestamp_nanos() / 1_000_000) as f64 / 1000.0)
}

/// Characters that XML 1.0 does not have become U+FFFD.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As references: a parser folds the first, and a terminal may obey the others.
            '\r' | '\u{7f}'..='\u{9f}' => out.push_str(&format!("&#x{:X};", u32::from(letter))),
            '\t' | '\n' => out.push(letter),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, seconds};

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b>&\"\r\n\u{1}é\u{7f}\u{9b}"), "a&lt;b&gt;&amp;&quot;&#xD;\n\u{fffd}é&#x7F;&#x9B;");
    }

    #[test]
    fn moments_are_read() {
        assert_eq!(seconds("2016-10-14T03:07:16.704Z"), Some(1_476_414_436.704));
        assert_eq!(seconds("yesterday"), None);
    }
}
