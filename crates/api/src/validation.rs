//! One JSON object against the tables: required members, types, lengths, patterns, enumerations, ranges.
//! The sentences are AWS's, as its SDKs' users know them.

use serde_json::{Map as Object, Value};
use services::Error;

use crate::errors::{Fault, fault};
use crate::limits::{ECHO_CHARACTERS_MAX, VIOLATIONS_MAX};
use crate::model::{Number, Service, Shape, Structure, Text};

pub fn check(service: &Service, shape: &Shape, input: &Value) -> Result<(), Error> {
    let mut check = Check { service, violations: Vec::new(), count: 0 };
    check.value("", shape, input).map_err(|wrong_type| fault(service, Fault::Malformed(wrong_type.0)))?;
    check.outcome()
}

/// Ends the check at once: AWS fails in reading such an input, before it looks at constraints.
struct WrongType(String);

struct Check<'a> {
    service: &'a Service,
    violations: Vec<String>,
    count: usize,
}

impl Check<'_> {
    fn value(&mut self, path: &str, shape: &Shape, value: &Value) -> Result<(), WrongType> {
        match (shape, value) {
            (Shape::Structure(structure), Value::Object(members)) => self.structure(path, structure, members)?,
            (Shape::List(list), Value::Array(elements)) => {
                self.length(path, &Echo::Json(value), elements.len() as u64, list.min, list.max);
                for (at, element) in elements.iter().enumerate() {
                    self.present(&format!("{path}.{}.member", at + 1), list.member, element)?;
                }
            }
            (Shape::Map(map), Value::Object(entries)) => {
                // Environment variables are such a map.
                self.length(path, &Echo::Hidden, entries.len() as u64, map.min, map.max);
                for (key, element) in entries {
                    let path = format!("{path}.{}", echoed(key));
                    self.value(&path, map.key, &Value::String(key.clone()))?;
                    self.present(&path, map.value, element)?;
                }
            }
            (Shape::String(text), Value::String(value)) => self.text(path, text, value),
            (Shape::Blob(text), Value::String(base64)) => {
                self.length(path, &Echo::Hidden, blob_bytes(base64), text.min, text.max);
            }
            (Shape::Integer(number), Value::Number(value)) => match value.as_i64() {
                Some(whole) if i32::try_from(whole).is_ok() => self.number(path, number, whole as f64, value),
                _ => return Err(wrong_type(path, "NUMBER_VALUE can not be converted to an Integer")),
            },
            (Shape::Long(number), Value::Number(value)) => match value.as_i64() {
                Some(whole) => self.number(path, number, whole as f64, value),
                None => return Err(wrong_type(path, "NUMBER_VALUE can not be converted to a Long")),
            },
            (Shape::Double(number), Value::Number(value)) => {
                self.number(path, number, value.as_f64().unwrap_or(f64::MAX), value);
            }
            (Shape::Boolean, Value::Bool(_)) | (Shape::Timestamp, Value::Number(_)) => {}
            (_, found) => return Err(wrong_type(path, &mismatch(shape, found))),
        }
        Ok(())
    }

    fn structure(
        &mut self,
        path: &str,
        structure: &Structure,
        members: &Object<String, Value>,
    ) -> Result<(), WrongType> {
        for member in structure.members {
            let path = joined(path, member.name);
            match members.get(member.name) {
                None | Some(Value::Null) if member.required => self.violated(&path, &Echo::Null, "must not be null"),
                None | Some(Value::Null) => {}
                Some(value) => self.value(&path, member.shape, value)?,
            }
        }
        Ok(())
    }

    /// An element of a list or map, which cannot be left out.
    fn present(&mut self, path: &str, shape: &Shape, value: &Value) -> Result<(), WrongType> {
        if value.is_null() {
            self.violated(path, &Echo::Null, "must not be null");
            return Ok(());
        }
        self.value(path, shape, value)
    }

    fn text(&mut self, path: &str, text: &Text, value: &str) {
        let echo = if text.sensitive { Echo::Hidden } else { Echo::Text(value) };
        self.length(path, &echo, value.chars().count() as u64, text.min, text.max);
        if !text.values.is_empty() && !text.values.contains(&value) {
            self.violated(path, &echo, &format!("must satisfy enum value set: [{}]", text.values.join(", ")));
        }
        // A value that is too long has been named already; matching it would only cost time.
        let fits = text.max.is_none_or(|max| value.len() as u64 <= max.saturating_mul(4));
        if let Some(pattern) = text.pattern.as_ref().filter(|pattern| fits && !pattern.matches(value)) {
            let demand = format!("must satisfy regular expression pattern: {}", pattern.quoted);
            self.violated(path, &echo, &demand);
        }
    }

    fn length(&mut self, path: &str, echo: &Echo<'_>, length: u64, min: Option<u64>, max: Option<u64>) {
        if let Some(min) = min.filter(|min| length < *min) {
            self.violated(path, echo, &format!("must have length greater than or equal to {min}"));
        }
        if let Some(max) = max.filter(|max| length > *max) {
            self.violated(path, echo, &format!("must have length less than or equal to {max}"));
        }
    }

    fn number(&mut self, path: &str, number: &Number, value: f64, shown: &serde_json::Number) {
        let shown = shown.to_string();
        if let Some(min) = number.min.filter(|min| value < *min as f64) {
            self.violated(path, &Echo::Text(&shown), &format!("must have value greater than or equal to {min}"));
        }
        if let Some(max) = number.max.filter(|max| value > *max as f64) {
            self.violated(path, &Echo::Text(&shown), &format!("must have value less than or equal to {max}"));
        }
    }

    fn violated(&mut self, path: &str, echo: &Echo<'_>, demand: &str) {
        self.count += 1;
        if self.violations.len() < VIOLATIONS_MAX {
            let shown = match echo {
                Echo::Null => "null".to_owned(),
                Echo::Hidden => "'***'".to_owned(),
                Echo::Text(text) => format!("'{}'", echoed(text)),
                Echo::Json(value) => format!("'{}'", echoed(&value.to_string())),
            };
            self.violations.push(format!("Value {shown} at '{path}' failed to satisfy constraint: Member {demand}"));
        }
    }

    fn outcome(self) -> Result<(), Error> {
        if self.count == 0 {
            return Ok(());
        }
        let noun = if self.count == 1 { "error" } else { "errors" };
        let text = format!("{} validation {noun} detected: {}", self.count, self.violations.join("; "));
        Err(fault(self.service, Fault::Invalid(text)))
    }
}

/// What a sentence quotes of a refused value.
enum Echo<'a> {
    Null,
    /// A secret, or bytes.
    Hidden,
    Text(&'a str),
    Json(&'a Value),
}

fn echoed(text: &str) -> String {
    match text.char_indices().nth(ECHO_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Members are quoted with a small first letter, whatever the model writes.
fn joined(path: &str, member: &str) -> String {
    let mut letters = member.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let member: String = first.into_iter().chain(letters).collect();
    if path.is_empty() { member } else { format!("{path}.{member}") }
}

fn blob_bytes(base64: &str) -> u64 {
    let padding = base64.bytes().rev().take(2).take_while(|byte| *byte == b'=').count() as u64;
    (base64.len() as u64 / 4 * 3).saturating_sub(padding)
}

fn wrong_type(path: &str, text: &str) -> WrongType {
    WrongType(if path.is_empty() { text.to_owned() } else { format!("{text} (at '{path}')") })
}

fn mismatch(shape: &Shape, found: &Value) -> String {
    let token = match found {
        Value::Array(_) => return "Start of list found where not expected.".to_owned(),
        Value::Object(_) => return "Start of structure or map found where not expected.".to_owned(),
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Null => "NULL_VALUE",
    };
    let wanted = match shape {
        Shape::Structure(_) | Shape::List(_) | Shape::Map(_) => return format!("Unexpected {token}"),
        Shape::String(_) => "a String",
        Shape::Blob(_) => "a Blob",
        Shape::Integer(_) => "an Integer",
        Shape::Long(_) => "a Long",
        Shape::Double(_) => "a Double",
        Shape::Boolean => "a Boolean",
        Shape::Timestamp => "a Timestamp",
    };
    format!("{token} can not be converted to {wanted}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;
    use crate::catalog;

    /// The error as `code: message`, or `fine`.
    fn outcome(service: &str, operation: &str, input: &Value) -> String {
        let service = catalog::service(service).expect("a service of the catalog");
        let operation = service.operation(operation).expect("an operation of the service");
        match check(service, operation.input.expect("an input"), input) {
            Ok(()) => "fine".to_owned(),
            Err(error) => format!("{}: {}", error.code, error.message),
        }
    }

    #[test]
    fn constraints_are_quoted_as_aws_does() {
        let id = "a".repeat(64);
        let long = "p".repeat(200);
        for (service, operation, input, expected) in [
            ("iot", "CreatePolicy", json!({"policyName": "p", "policyDocument": "{}"}), "fine".to_owned()),
            ("iot", "CreatePolicy", json!({"policyName": "a b", "policyDocument": "{}"}),
             "InvalidRequestException: 1 validation error detected: Value 'a b' at 'policyName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+".to_owned()),
            ("iot", "CreatePolicy", json!({"policyName": "p"}),
             "InvalidRequestException: 1 validation error detected: Value null at 'policyDocument' failed to satisfy constraint: Member must not be null".to_owned()),
            ("iot", "CreatePolicy", json!({"policyName": long, "policyDocument": null}),
             format!("InvalidRequestException: 2 validation errors detected: Value null at 'policyDocument' failed to satisfy constraint: Member must not be null; Value '{}...' at 'policyName' failed to satisfy constraint: Member must have length less than or equal to 128", "p".repeat(128))),
            ("iot", "UpdateCertificate", json!({"certificateId": id, "newStatus": "GONE"}),
             "InvalidRequestException: 1 validation error detected: Value 'GONE' at 'newStatus' failed to satisfy constraint: Member must satisfy enum value set: [ACTIVE, INACTIVE, REVOKED, PENDING_TRANSFER, REGISTER_INACTIVE, PENDING_ACTIVATION]".to_owned()),
            ("iot", "ListCertificates", json!({"pageSize": 251}),
             "InvalidRequestException: 1 validation error detected: Value '251' at 'pageSize' failed to satisfy constraint: Member must have value less than or equal to 250".to_owned()),
            ("iot", "CreateTopicRule", json!({"ruleName": "r", "topicRulePayload": {"sql": "SELECT 1", "actions": [{"lambda": {}}]}}),
             "InvalidRequestException: 1 validation error detected: Value null at 'topicRulePayload.actions.1.member.lambda.functionArn' failed to satisfy constraint: Member must not be null".to_owned()),
            ("lambda", "CreateFunction", json!({"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {}, "Timeout": "3"}),
             "SerializationException: STRING_VALUE can not be converted to an Integer (at 'timeout')".to_owned()),
            ("lambda", "CreateFunction", json!({"FunctionName": "f", "Role": "r", "Code": {}}),
             "ValidationException: 1 validation error detected: Value 'r' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+".to_owned()),
            ("lambda", "CreateFunction", json!({"Code": []}),
             "SerializationException: Start of list found where not expected. (at 'code')".to_owned()),
            ("iam", "GetRole", json!({"RoleName": ""}),
             "ValidationError: 2 validation errors detected: Value '' at 'roleName' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+".to_owned()),
            ("iam", "CreateRole", json!({"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [null]}),
             "ValidationError: 1 validation error detected: Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null".to_owned()),
            ("logs", "GetLogEvents", json!({"logStreamName": "a:b", "logGroupName": "g"}),
             "InvalidParameterException: 1 validation error detected: Value 'a:b' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*".to_owned()),
            ("logs", "GetLogEvents", json!([]), "SerializationException: Start of list found where not expected.".to_owned()),
        ] {
            assert_eq!(outcome(service, operation, &input), expected, "{input}");
        }
    }

    #[test]
    fn secrets_are_not_echoed() {
        let input = json!({
            "FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {},
            "Environment": {"Variables": {"bad-key": "hunter2"}},
        });
        let text = outcome("lambda", "CreateFunction", &input);
        assert!(text.contains("regular expression"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
