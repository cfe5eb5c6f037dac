//! `crates/api/src/generated/<service>.rs`: operations, their members with locations and constraints, errors, and the
//! names and routes of what is not served.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Model, Reference, Shape};
use super::names::snake;
use super::patterns::translated;

pub fn render(model: &Model) -> Result<String, String> {
    let names = static_names(model)?;
    let mut text = String::new();
    for (name, constant) in &names {
        let shape = model.shape(name)?;
        text.push_str(&format!("static {constant}: Shape = {};\n\n", definition(model, name, shape, &names)?));
    }
    let operations = operations(model, &names)?;
    let head = format!("{}{operations}{}{}{text}", service(model), others(model), errors(model)?);
    Ok(format!("{}{head}", imports(&head)))
}

fn imports(text: &str) -> String {
    let used: Vec<&str> = [
        "BOOLEAN",
        "ErrorShape",
        "INTEGER",
        "LONG",
        "List",
        "Location",
        "Map",
        "Member",
        "Number",
        "Operation",
        "Other",
        "Pattern",
        "Protocol",
        "STRING",
        "Service",
        "Shape",
        "Structure",
        "TIMESTAMP",
        "Text",
    ]
    .into_iter()
    .filter(|name| {
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == *name)
    })
    .collect();
    format!("use crate::model::{{{}}};\n\n", used.join(", "))
}

fn service(model: &Model) -> String {
    let metadata = &model.metadata;
    let protocol = match metadata.protocol.as_str() {
        "rest-json" => "RestJson",
        "json" => "Json",
        other => {
            if other == "query" {
                "Query"
            } else {
                "Unknown"
            }
        }
    };
    format!(
        "pub static SERVICE: Service = Service {{ name: {:?}, protocol: Protocol::{protocol}, \
         target_prefix: {:?}, xml_namespace: {:?}, operations: OPERATIONS, others: OTHERS, errors: ERRORS }};\n\n",
        model.service, metadata.target_prefix, metadata.xml_namespace,
    )
}

fn operations(model: &Model, names: &BTreeMap<String, String>) -> Result<String, String> {
    let mut text = String::from("static OPERATIONS: &[Operation] = &[\n");
    for (name, operation) in &model.operations {
        let structure = |reference: &Option<Reference>| match reference {
            Some(reference) => format!("Some({})", shape_reference(model, &reference.shape, names)),
            None => "None".to_owned(),
        };
        text.push_str(&format!(
            "Operation {{ name: {name:?}, method: {:?}, path: {:?}, input: {}, output: {}, result_wrapper: {:?}, \
             status: {} }},\n",
            operation.http.method,
            operation.http.request_uri,
            structure(&operation.input),
            structure(&operation.output),
            operation.output.as_ref().and_then(|output| output.result_wrapper.as_deref()),
            operation.http.response_code.unwrap_or(200),
        ));
    }
    text.push_str("];\n\n");
    Ok(text)
}

fn others(model: &Model) -> String {
    let mut text = String::from("static OTHERS: &[Other] = &[\n");
    for (name, route) in &model.other_operations {
        let (method, path) = route.split_once(' ').unwrap_or(("POST", "/"));
        text.push_str(&format!("Other {{ name: {name:?}, method: {method:?}, path: {path:?} }},\n"));
    }
    text.push_str("];\n\n");
    text
}

fn errors(model: &Model) -> Result<String, String> {
    let mut text = String::from("static ERRORS: &[ErrorShape] = &[\n");
    for (name, shape) in model.shapes.iter().filter(|(_, shape)| shape.exception) {
        let error = shape.error.as_ref();
        let status = error.and_then(|error| error.http_status_code).unwrap_or(if shape.fault { 500 } else { 400 });
        let code = error.and_then(|error| error.code.as_deref()).unwrap_or(name);
        let message = shape.members.keys().find(|member| member.eq_ignore_ascii_case("message"));
        let message = message.map_or("message", String::as_str);
        text.push_str(&format!(
            "ErrorShape {{ name: {name:?}, code: {code:?}, status: {status}, message_member: {message:?}, \
             has_type: {} }},\n",
            shape.members.contains_key("Type"),
        ));
    }
    text.push_str("];\n\n");
    Ok(text)
}

/// The shapes that need a static of their own: those that are not a plain scalar.
fn static_names(model: &Model) -> Result<BTreeMap<String, String>, String> {
    let (inputs, outputs) = model.reached()?;
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for name in inputs.union(&outputs) {
        let shape = model.shape(name)?;
        // What only goes out is not checked: its scalars need no bounds.
        let bounds_matter = inputs.contains(name) || scalar(shape).is_none();
        if bounds_matter && plain(shape).is_none() {
            let wanted = snake(name).to_ascii_uppercase();
            let free = (1..)
                .map(|number| if number == 1 { wanted.clone() } else { format!("{wanted}_{number}") })
                .find(|candidate| !taken.contains(candidate) && plain_name(candidate).is_none())
                .ok_or("no free name")?;
            taken.insert(free.clone());
            names.insert((*name).to_owned(), free);
        }
    }
    Ok(names)
}

/// A name that a shape must not take: the generated file has it already.
fn plain_name(name: &str) -> Option<()> {
    let taken = ["BOOLEAN", "ERRORS", "INTEGER", "LONG", "OPERATIONS", "OTHERS", "SERVICE", "STRING", "TIMESTAMP"];
    taken.contains(&name).then_some(())
}

/// The shared static of an unconstrained scalar.
fn plain(shape: &Shape) -> Option<&'static str> {
    let free = shape.min.is_none() && shape.max.is_none() && shape.pattern.is_none() && shape.values.is_empty();
    scalar(shape).filter(|_| free && !shape.sensitive)
}

fn scalar(shape: &Shape) -> Option<&'static str> {
    match shape.kind.as_str() {
        "timestamp" => Some("TIMESTAMP"),
        "boolean" => Some("BOOLEAN"),
        "string" => Some("STRING"),
        "integer" => Some("INTEGER"),
        "long" => Some("LONG"),
        _ => None,
    }
}

fn shape_reference(model: &Model, name: &str, names: &BTreeMap<String, String>) -> String {
    match names.get(name) {
        Some(constant) => format!("&{constant}"),
        None => format!("&{}", model.shapes.get(name).and_then(scalar).unwrap_or("STRING")),
    }
}

fn definition(model: &Model, name: &str, shape: &Shape, names: &BTreeMap<String, String>) -> Result<String, String> {
    let (min, max) = (integral(shape.min), integral(shape.max));
    let inner = |reference: &Option<Reference>| match reference {
        Some(reference) => Ok(shape_reference(model, &reference.shape, names)),
        None => Err(format!("{name} lacks its member")),
    };
    Ok(match shape.kind.as_str() {
        "structure" => structure(model, shape, names)?,
        "list" => {
            let tag = shape.member.as_ref().and_then(|member| member.location_name.as_deref()).unwrap_or("member");
            format!(
                "Shape::List(List {{ member: {}, tag: {tag:?}, flattened: {}, min: {min}, max: {max} }})",
                inner(&shape.member)?,
                shape.flattened,
            )
        }
        "map" => {
            format!(
                "Shape::Map(Map {{ key: {}, value: {}, min: {min}, max: {max} }})",
                inner(&shape.key)?,
                inner(&shape.value)?
            )
        }
        "string" => format!(
            "Shape::String(Text {{ min: {min}, max: {max}, pattern: {}, values: &{:?}, sensitive: {} }})",
            pattern(shape),
            shape.values,
            shape.sensitive,
        ),
        "blob" => format!(
            "Shape::Blob(Text {{ min: {min}, max: {max}, pattern: None, values: &[], sensitive: {} }})",
            shape.sensitive
        ),
        "integer" | "long" => {
            let variant = if shape.kind == "long" { "Long" } else { "Integer" };
            format!("Shape::{variant}(Number {{ min: {min}, max: {max} }})")
        }
        "float" | "double" => format!("Shape::Double(Number {{ min: {min}, max: {max} }})"),
        other => return Err(format!("{name}: type `{other}` is not known here")),
    })
}

fn structure(model: &Model, shape: &Shape, names: &BTreeMap<String, String>) -> Result<String, String> {
    let mut members = String::new();
    for (member, reference) in &shape.members {
        let wire = reference.location_name.as_deref().unwrap_or(member);
        let location = match reference.location.as_deref() {
            Some("uri") => format!("Location::Uri({wire:?})"),
            Some("querystring") => format!("Location::Query({wire:?})"),
            Some("header") => format!("Location::Header({:?})", wire.to_ascii_lowercase()),
            Some("statusCode") => "Location::StatusCode".to_owned(),
            Some(other) => return Err(format!("location `{other}` is not known here")),
            None if shape.payload.as_deref() == Some(member) => "Location::Payload".to_owned(),
            None => "Location::Body".to_owned(),
        };
        members.push_str(&format!(
            "Member {{ name: {member:?}, required: {}, location: {location}, shape: {} }},\n",
            shape.required.contains(member),
            shape_reference(model, &reference.shape, names),
        ));
    }
    Ok(format!("Shape::Structure(Structure {{ members: &[{members}] }})"))
}

fn pattern(shape: &Shape) -> String {
    match &shape.pattern {
        None => "None".to_owned(),
        // A pattern that anything matches is no constraint.
        Some(java) if java == ".*" || java == "[\\s\\S]*" => "None".to_owned(),
        Some(java) => format!("Some(Pattern::new({java:?}, {:?}))", translated(java)),
    }
}

/// Bounds in the models are whole numbers, some written as `1.0`.
fn integral(bound: Option<f64>) -> String {
    match bound {
        Some(bound) => format!("Some({})", bound as i64),
        None => "None".to_owned(),
    }
}
