//! The query protocol: a form goes in, XML comes out.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};
use services::Error;

use crate::errors;
use crate::form;
use crate::message::{Answer, Head};
use crate::model::{List, Map, Operation, Service, Shape};
use crate::xml;

const CONTENT_TYPE: &str = "text/xml";

/// The namespace of errors of what is no service of the catalog.
const NO_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// The parameters of query string and body, by name.
pub struct Form(BTreeMap<String, String>);

impl Form {
    pub fn read(head: &Head, body: &[u8]) -> Result<Self, String> {
        let body = std::str::from_utf8(body).map_err(|_| "The request body is not UTF-8")?;
        let mut form = BTreeMap::new();
        for text in [head.query.as_str(), body] {
            form.extend(form::pairs(text).ok_or("The form does not decode, or has too many parameters")?);
        }
        Ok(Self(form))
    }

    pub fn action(&self) -> Option<&str> {
        self.0.get("Action").map(String::as_str)
    }

    pub fn version(&self) -> &str {
        self.0.get("Version").map(String::as_str).unwrap_or_default()
    }

    pub fn input(&self, operation: &Operation) -> Result<Value, String> {
        let mut object = Object::new();
        for member in operation.input.map(Shape::members).unwrap_or_default() {
            if let Some(value) = self.value(member.name, member.shape)? {
                object.insert(member.name.to_owned(), value);
            }
        }
        Ok(Value::Object(object))
    }

    /// `None` if no parameter bears the name or lies below it, which also ends the recursion into shapes.
    fn value(&self, name: &str, shape: &Shape) -> Result<Option<Value>, String> {
        match shape {
            Shape::Structure(_) | Shape::List(_) | Shape::Map(_) if !self.has_below(name) => Ok(None),
            Shape::Structure(structure) => {
                let mut object = Object::new();
                for member in structure.members {
                    if let Some(value) = self.value(&format!("{name}.{}", member.name), member.shape)? {
                        object.insert(member.name.to_owned(), value);
                    }
                }
                Ok(Some(Value::Object(object)))
            }
            Shape::List(list) => self.list(name, list).map(Some),
            Shape::Map(map) => self.map(name, map).map(Some),
            _ => self.0.get(name).map(|text| scalar(name, shape, text)).transpose(),
        }
    }

    fn has_below(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.0.range(prefix.clone()..).next().is_some_and(|(next, _)| next.starts_with(&prefix))
    }

    /// `Tags.member.1`, `Tags.member.2`, ... up to the first gap.
    fn list(&self, name: &str, list: &List) -> Result<Value, String> {
        let stem = if list.flattened { name.to_owned() } else { format!("{name}.{}", list.tag) };
        let mut elements = Vec::new();
        while let Some(element) = self.value(&format!("{stem}.{}", elements.len() + 1), list.member)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn map(&self, name: &str, map: &Map) -> Result<Value, String> {
        let mut entries = Object::new();
        for number in 1_usize.. {
            let entry = format!("{name}.entry.{number}");
            let Some(key) = self.0.get(&format!("{entry}.key")) else { break };
            let value = self.value(&format!("{entry}.value"), map.value)?;
            entries.insert(key.clone(), value.unwrap_or(Value::Null));
        }
        Ok(Value::Object(entries))
    }
}

fn scalar(name: &str, shape: &Shape, text: &str) -> Result<Value, String> {
    let value = match shape {
        Shape::Boolean => match text {
            "true" => Some(json!(true)),
            "false" => Some(json!(false)),
            _ => None,
        },
        Shape::Integer(_) | Shape::Long(_) => text.parse::<i64>().ok().map(Value::from),
        Shape::Double(_) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Shape::Timestamp => xml::seconds(text).map(Value::from),
        _ => Some(json!(text)),
    };
    value.ok_or_else(|| format!("The value of {name} can not be converted to its type"))
}

pub fn answer(service: &Service, operation: &Operation, output: &Value, request_id: &str) -> Answer {
    let mut result = String::new();
    if let Some(shape) = operation.output {
        xml::element(&mut result, operation.result_wrapper.unwrap_or(operation.name), shape, output);
    }
    let (name, namespace) = (operation.name, service.xml_namespace);
    let body = format!(
        "<{name}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\
         </{name}Response>",
        xml::escaped(request_id),
    );
    Answer::new(operation.status, CONTENT_TYPE, body)
}

pub fn error(service: &Service, error: &Error, request_id: &str) -> Answer {
    let status = errors::status(service, error);
    let namespace = if service.xml_namespace.is_empty() { NO_NAMESPACE } else { service.xml_namespace };
    let body = format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{}</RequestId></ErrorResponse>",
        if status < 500 { "Sender" } else { "Receiver" },
        xml::escaped(errors::public_code(service, error)),
        xml::escaped(&errors::public_message(error, request_id)),
        xml::escaped(request_id),
    );
    Answer::new(status, CONTENT_TYPE, body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use services::Error;

    use super::{Form, answer, error};
    use crate::catalog;
    use crate::message::Head;

    fn head(query: &str) -> Head {
        Head { method: "POST".into(), path: "/".into(), query: query.into(), headers: Vec::new() }
    }

    fn read(body: &str) -> String {
        let iam = catalog::service("iam").expect("a service");
        let form = match Form::read(&head(""), body.as_bytes()) {
            Ok(form) => form,
            Err(sentence) => return sentence,
        };
        let Some(operation) = form.action().and_then(|action| iam.operation(action)) else { return "nothing".into() };
        form.input(operation).map_or_else(|sentence| sentence, |input| input.to_string())
    }

    #[test]
    fn forms_become_objects() {
        for (body, expected) in [
            ("Action=GetRole&Version=2010-05-08&RoleName=r%2B1", r#"{"RoleName":"r+1"}"#),
            (
                "Action=CreateRole&RoleName=r&MaxSessionDuration=3600&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.3.Key=x",
                r#"{"MaxSessionDuration":3600,"RoleName":"r","Tags":[{"Key":"k","Value":"v"}]}"#,
            ),
            (
                "Action=CreateRole&MaxSessionDuration=long",
                "The value of MaxSessionDuration can not be converted to its type",
            ),
            ("Action=Nothing", "nothing"),
            ("", "nothing"),
            ("Action=GetRole&RoleName=%ff", "The form does not decode, or has too many parameters"),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn outputs_become_xml() {
        let iam = catalog::service("iam").expect("a service");
        let get_role = iam.operation("GetRole").expect("an operation");
        let role =
            json!({"Role": {"RoleName": "a&b", "CreateDate": 1476414436.704, "Tags": [{"Key": "k", "Value": "v"}]}});
        let text = answer(iam, get_role, &role, "id-1");
        assert_eq!(
            String::from_utf8_lossy(&text.body),
            "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role>\
             <CreateDate>2016-10-14T03:07:16.704Z</CreateDate><RoleName>a&amp;b</RoleName>\
             <Tags><member><Key>k</Key><Value>v</Value></member></Tags></Role></GetRoleResult>\
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetRoleResponse>"
        );
    }

    #[test]
    fn errors_are_xml() {
        let iam = catalog::service("iam").expect("a service");
        let text = error(iam, &Error::new("NoSuchEntity", "no <role>"), "id-1");
        assert_eq!(text.status, 404);
        assert_eq!(
            String::from_utf8_lossy(&text.body),
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
             <Code>NoSuchEntity</Code><Message>no &lt;role&gt;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(body in "(Action=CreateRole&)?[A-Za-z.=&%0-9]{0,200}") {
            let _ = read(&body);
        }
    }
}
