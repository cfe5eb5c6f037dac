//! json-1.1: the operation in `X-Amz-Target`, everything else in a JSON body.

use serde_json::{Map as Object, Value, json};
use services::Error;

use crate::errors;
use crate::json;
use crate::message::Answer;
use crate::model::Service;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The operation that a target names: `Logs_20140328.DescribeLogGroups`.
pub fn operation<'a>(service: &Service, target: &'a str) -> Option<&'a str> {
    target.strip_prefix(service.target_prefix)?.strip_prefix('.')
}

pub fn input(body: &[u8]) -> Result<Value, String> {
    if body.is_empty() { Ok(Value::Object(Object::new())) } else { json::parsed(body) }
}

pub fn answer(output: &Value) -> Answer {
    let body = if output.is_null() { String::new() } else { output.to_string() };
    Answer::new(200, CONTENT_TYPE, body)
}

pub fn error(service: &Service, error: &Error, request_id: &str) -> Answer {
    let mut body = Object::new();
    body.insert("__type".to_owned(), json!(errors::public_code(service, error)));
    body.insert("message".to_owned(), json!(errors::public_message(error, request_id)));
    for (name, value) in &error.members {
        body.insert((*name).to_owned(), json!(value));
    }
    Answer::new(errors::status(service, error), CONTENT_TYPE, Value::Object(body).to_string())
}

#[cfg(test)]
mod tests {
    use services::Error;

    use super::{error, operation};
    use crate::catalog;

    #[test]
    fn the_target_names_the_operation() {
        let logs = catalog::service("logs").expect("a service");
        for (target, expected) in [
            ("Logs_20140328.DescribeLogGroups", Some("DescribeLogGroups")),
            ("Logs_20140328", None),
            ("DynamoDB_20120810.ListTables", None),
            ("", None),
        ] {
            assert_eq!(operation(logs, target), expected, "{target}");
        }
    }

    #[test]
    fn errors_name_their_type() {
        let logs = catalog::service("logs").expect("a service");
        let answer =
            error(logs, &Error::new("ResourceNotFoundException", "The specified log group does not exist."), "id-1");
        assert_eq!(answer.status, 400);
        assert_eq!(
            String::from_utf8_lossy(&answer.body),
            r#"{"__type":"ResourceNotFoundException","message":"The specified log group does not exist."}"#
        );
    }
}
