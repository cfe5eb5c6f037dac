//! rest-json: members in the path, the query string, the headers and a JSON body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as Object, Value, json};
use services::Error;

use crate::errors;
use crate::form;
use crate::json;
use crate::message::{Answer, Head};
use crate::model::{Location, Member, Operation, Service, Shape};

const CONTENT_TYPE: &str = "application/json";

/// The input's JSON object; the sentence says what does not parse.
pub fn input(
    operation: &Operation,
    labels: &[(&'static str, String)],
    head: &Head,
    body: &[u8],
) -> Result<Value, String> {
    let members = operation.input.map(Shape::members).unwrap_or_default();
    let pairs = form::pairs(&head.query).ok_or("The query string does not decode")?;
    let mut object = Object::new();
    for member in members {
        let value = match member.location {
            Location::Uri(name) => {
                let label = labels.iter().find(|(label, _)| *label == name);
                label.map(|(_, text)| scalar(member, text)).transpose()?
            }
            Location::Query(name) => from_query(member, name, &pairs)?,
            Location::Header(name) => head.header(name).map(|text| scalar(member, text)).transpose()?,
            Location::Payload => payload(member, body)?,
            Location::Body | Location::StatusCode => None,
        };
        if let Some(value) = value {
            object.insert(member.name.to_owned(), value);
        }
    }
    add_body(members, body, &mut object)?;
    Ok(Value::Object(object))
}

/// Only what the model places in the body is taken from there: it cannot overrule the path.
fn add_body(members: &[Member], body: &[u8], object: &mut Object<String, Value>) -> Result<(), String> {
    let mut in_body = members.iter().filter(|member| member.location == Location::Body).peekable();
    if in_body.peek().is_none() || body.is_empty() {
        return Ok(());
    }
    let Value::Object(mut sent) = json::parsed(body)? else {
        return Err("The request body is not a JSON object".to_owned());
    };
    for member in in_body {
        if let Some(value) = sent.remove(member.name) {
            object.insert(member.name.to_owned(), value);
        }
    }
    Ok(())
}

fn payload(member: &Member, body: &[u8]) -> Result<Option<Value>, String> {
    if body.is_empty() {
        return Ok(None);
    }
    Ok(Some(match member.shape {
        Shape::Blob(_) => Value::String(STANDARD.encode(body)),
        Shape::String(_) => Value::String(String::from_utf8_lossy(body).into_owned()),
        _ => json::parsed(body)?,
    }))
}

fn from_query(member: &Member, name: &str, pairs: &[(String, String)]) -> Result<Option<Value>, String> {
    let mut values = pairs.iter().filter(|(pair, _)| pair == name).map(|(_, value)| value);
    match member.shape {
        Shape::List(_) => {
            let list: Vec<Value> = values.map(|value| Value::String(value.clone())).collect();
            Ok((!list.is_empty()).then_some(Value::Array(list)))
        }
        _ => values.next().map(|text| scalar(member, text)).transpose(),
    }
}

/// A text of path, query string or header as the JSON that the shape asks for.
fn scalar(member: &Member, text: &str) -> Result<Value, String> {
    let value = match member.shape {
        Shape::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Shape::Integer(_) | Shape::Long(_) => text.parse::<i64>().ok().map(Value::from),
        Shape::Double(_) | Shape::Timestamp => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
        }
        _ => Some(Value::String(text.to_owned())),
    };
    value.ok_or_else(|| format!("'{}' has a value that can not be converted to its type", member.name))
}

pub fn answer(operation: &Operation, output: Value) -> Result<Answer, &'static str> {
    let mut answer = Answer::new(operation.status, CONTENT_TYPE, "");
    let members = operation.output.map(Shape::members).unwrap_or_default();
    let Value::Object(mut output) = output else {
        return if operation.output.is_none() { Ok(answer) } else { Err("an output is an object") };
    };
    let mut payload = None;
    for member in members.iter().filter(|member| member.location != Location::Body) {
        let Some(value) = output.remove(member.name) else { continue };
        match (member.location, &value) {
            (Location::Header(name), _) => answer = answer.with(name, text(&value)),
            (Location::StatusCode, Value::Number(status)) => {
                answer.status = status.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(answer.status);
            }
            (Location::Payload, Value::String(base64)) if matches!(member.shape, Shape::Blob(_)) => {
                payload = Some(STANDARD.decode(base64).map_err(|_| "a blob is base64")?);
            }
            (Location::Payload, Value::String(text)) => payload = Some(text.clone().into_bytes()),
            (Location::Payload, value) => payload = Some(value.to_string().into_bytes()),
            _ => {}
        }
    }
    let has_payload = members.iter().any(|member| member.location == Location::Payload);
    answer.body = match payload {
        Some(bytes) => bytes.into(),
        // AWS answers some operations with more than their models say: Publish says OK.
        None if has_payload || output.is_empty() && operation.output.is_none() => "".into(),
        None => Value::Object(output).to_string().into(),
    };
    Ok(answer)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub fn error(service: &Service, error: &Error, request_id: &str) -> Answer {
    let status = errors::status(service, error);
    let shape = errors::shape(service, errors::public_code(service, error));
    let mut body = Object::new();
    if shape.is_some_and(|shape| shape.has_type) {
        body.insert("Type".to_owned(), json!(if status < 500 { "User" } else { "Service" }));
    }
    let message_member = shape.map_or("message", |shape| shape.message_member);
    body.insert(message_member.to_owned(), json!(errors::public_message(error, request_id)));
    for (name, value) in &error.members {
        body.insert((*name).to_owned(), json!(value));
    }
    Answer::new(status, CONTENT_TYPE, Value::Object(body).to_string())
        .with("x-amzn-errortype", errors::public_code(service, error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use services::Error;

    use super::{answer, error, input};
    use crate::catalog;
    use crate::message::Head;
    use crate::route::{Found, find};

    /// Method and target, headers, body, and the operation's object or the sentence.
    fn read(service: &str, request: &str, headers: &[(&str, &str)], body: &str) -> String {
        let service = catalog::service(service).expect("a service of the catalog");
        let (method, target) = request.split_once(' ').expect("method and target");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let head = Head { method: method.into(), path: path.into(), query: query.into(), headers };
        match find(service, method, path, query) {
            Some(Found::Operation { operation, labels }) => match input(operation, &labels, &head, body.as_bytes()) {
                Ok(object) => format!("{} {object}", operation.name),
                Err(sentence) => sentence,
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn members_come_from_where_the_model_says() {
        for (service, request, headers, body, expected) in [
            (
                "iot",
                "POST /policies/p%2Dq",
                &[][..],
                r#"{"policyDocument":"{}","policyName":"other"}"#,
                r#"CreatePolicy {"policyDocument":"{}","policyName":"p-q"}"#,
            ),
            (
                "iot",
                "POST /cacertificate?setAsActive=true&allowAutoRegistration=True",
                &[],
                r#"{"caCertificate":"x"}"#,
                r#"RegisterCACertificate {"allowAutoRegistration":true,"caCertificate":"x","setAsActive":true}"#,
            ),
            (
                "iot",
                "POST /cacertificate?setAsActive=maybe",
                &[],
                "",
                "'setAsActive' has a value that can not be converted to its type",
            ),
            (
                "iot",
                "PUT /principal-policies/p",
                &[("x-amzn-iot-principal", "arn:x")],
                "",
                r#"AttachPrincipalPolicy {"policyName":"p","principal":"arn:x"}"#,
            ),
            (
                "iot",
                "GET /certificates?pageSize=7&isAscendingOrder=false&unknown=1",
                &[],
                "",
                r#"ListCertificates {"ascendingOrder":false,"pageSize":7}"#,
            ),
            (
                "iot",
                "POST /rules/r",
                &[],
                r#"{"sql":"SELECT 1","actions":[]}"#,
                r#"CreateTopicRule {"ruleName":"r","topicRulePayload":{"actions":[],"sql":"SELECT 1"}}"#,
            ),
            ("iot", "POST /rules/r", &[], "", r#"CreateTopicRule {"ruleName":"r"}"#),
            ("iot", "POST /policies/p", &[], "[]", "The request body is not a JSON object"),
            (
                "iot",
                "POST /policies/p",
                &[],
                "{",
                "The request body is not valid JSON: EOF while parsing an object at line 1 column 1",
            ),
            (
                "lambda",
                "POST /2015-03-31/functions/f/invocations",
                &[("x-amz-invocation-type", "Event")],
                "{\"a\":1}",
                r#"Invoke {"FunctionName":"f","InvocationType":"Event","Payload":"eyJhIjoxfQ=="}"#,
            ),
        ] {
            assert_eq!(read(service, request, headers, body), expected, "{request}");
        }
    }

    #[test]
    fn outputs_go_where_the_model_says() {
        let lambda = catalog::service("lambda").expect("a service");
        let iot = catalog::service("iot").expect("a service");
        let output =
            json!({"StatusCode": 202, "FunctionError": "Unhandled", "ExecutedVersion": "$LATEST", "Payload": "e30="});
        let invoke = answer(lambda.operation("Invoke").expect("an operation"), output).expect("an answer");
        assert_eq!((invoke.status, &invoke.body[..]), (202, &b"{}"[..]));
        assert!(invoke.headers.contains(&("x-amz-function-error".into(), "Unhandled".into())), "{:?}", invoke.headers);
        let create = answer(lambda.operation("CreateFunction").expect("an operation"), json!({"FunctionName": "f"}));
        let create = create.expect("an answer");
        assert_eq!((create.status, &create.body[..]), (201, &br#"{"FunctionName":"f"}"#[..]));
        let attach = answer(iot.operation("AttachPolicy").expect("an operation"), Value::Null).expect("an answer");
        assert_eq!((attach.status, attach.body.len()), (200, 0));
    }

    #[test]
    fn errors_have_their_services_body() {
        let mut exists = Error::new("ResourceAlreadyExistsException", "there");
        exists.members.push(("resourceId", "p".to_owned()));
        for (service, wrong, status, body) in [
            ("iot", exists, 409, r#"{"message":"there","resourceId":"p"}"#),
            ("lambda", Error::new("ResourceNotFoundException", "no"), 404, r#"{"Message":"no","Type":"User"}"#),
            ("lambda", Error::new("ServiceException", "oh"), 500, r#"{"Message":"oh","Type":"Service"}"#),
            ("lambda", Error::new("AccessDeniedException", "no"), 403, r#"{"message":"no"}"#),
        ] {
            let service = catalog::service(service).expect("a service");
            let answer = error(service, &wrong, "id-1");
            assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (status, body));
            assert_eq!(answer.headers, [("x-amzn-errortype".to_owned(), wrong.code.to_owned())]);
        }
    }
}
