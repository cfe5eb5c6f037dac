//! `crates/services/src/<service>/shapes.rs`: the structures of the model as serde structs.
//!
//! A required member of an input is a plain field, because the tables refuse a request without it before it is
//! deserialised; everything else is an `Option`.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Model, Reference, Shape};
use super::names::{camel, identifier, pascal, snake};

/// What the file must import, found while rendering.
#[derive(Default)]
struct Imports {
    map: bool,
    blob: bool,
    epoch_seconds: bool,
}

pub fn render(model: &Model) -> Result<String, String> {
    let (inputs, outputs) = model.reached()?;
    let purposes = purposes(model);
    let mut imports = Imports::default();
    let mut structs = String::new();
    for name in inputs.union(&outputs) {
        let shape = model.shape(name)?;
        if shape.kind == "structure" {
            if let Some(purpose) = purposes.get(name) {
                structs.push_str(&format!("/// {purpose}\n"));
            }
            structs.push_str(&structure(model, name, shape, inputs.contains(name), &mut imports)?);
        }
    }
    Ok(format!("{}{structs}", header(&imports)))
}

fn header(imports: &Imports) -> String {
    let mut header = String::new();
    if imports.map {
        header.push_str("use std::collections::BTreeMap;\n\n");
    }
    header.push_str("use serde::{Deserialize, Serialize};\n\n");
    if imports.blob {
        header.push_str("use crate::blob::Blob;\n");
    }
    if imports.epoch_seconds {
        header.push_str("use crate::epoch_seconds::EpochSeconds;\n");
    }
    header.push('\n');
    header
}

/// What the structures at the top are for.
fn purposes(model: &Model) -> BTreeMap<&str, String> {
    let mut purposes: BTreeMap<&str, String> = BTreeMap::new();
    for (operation, definition) in &model.operations {
        for (role, reference) in [("takes", &definition.input), ("answers", &definition.output)] {
            if let Some(reference) = reference {
                purposes
                    .entry(&reference.shape)
                    .and_modify(|purpose| {
                        purpose.truncate(purpose.len().saturating_sub(1));
                        purpose.push_str(&format!(", `{operation}` {role} it."));
                    })
                    .or_insert_with(|| format!("`{operation}` {role} it."));
            }
        }
    }
    purposes
}

fn structure(
    model: &Model,
    name: &str,
    shape: &Shape,
    in_input: bool,
    imports: &mut Imports,
) -> Result<String, String> {
    let renaming = if shape.members.keys().all(|member| member.starts_with(|first: char| first.is_ascii_uppercase())) {
        ("PascalCase", pascal as fn(&str) -> String)
    } else {
        ("camelCase", camel as fn(&str) -> String)
    };
    let mut fields = String::new();
    for (member, reference) in &shape.members {
        check_name(name, member, reference)?;
        let plain = rust_type(model, reference, imports)?;
        let boxed =
            if model.embeds(&reference.shape, name, &mut BTreeSet::new())? { format!("Box<{plain}>") } else { plain };
        let wire = snake(member);
        if renaming.1(&wire) != *member {
            fields.push_str(&format!("#[serde(rename = \"{member}\")]\n"));
        }
        let field = identifier(member);
        if in_input && shape.required.contains(member) {
            fields.push_str(&format!("pub {field}: {boxed},\n"));
        } else {
            fields.push_str("#[serde(skip_serializing_if = \"Option::is_none\")]\n");
            fields.push_str(&format!("pub {field}: Option<{boxed}>,\n"));
        }
    }
    let derive = "#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]\n";
    if fields.is_empty() {
        return Ok(format!("{derive}pub struct {name} {{}}\n\n"));
    }
    Ok(format!("{derive}#[serde(rename_all = \"{}\")]\npub struct {name} {{\n{fields}}}\n\n", renaming.0))
}

/// The shapes are keyed by the model's member names; a body that used other names would need a translation.
fn check_name(structure: &str, member: &str, reference: &Reference) -> Result<(), String> {
    match (&reference.location, &reference.location_name) {
        (None, Some(name)) if name != member => {
            Err(format!("{structure}.{member} is `{name}` in the body: the shapes do not know how to rename"))
        }
        _ => Ok(()),
    }
}

fn rust_type(model: &Model, reference: &Reference, imports: &mut Imports) -> Result<String, String> {
    let shape = model.shape(&reference.shape)?;
    let inner = |reference: &Option<Reference>, imports: &mut Imports| match reference {
        Some(reference) => rust_type(model, reference, imports),
        None => Err("a list or map without its member".to_owned()),
    };
    Ok(match shape.kind.as_str() {
        "structure" => reference.shape.clone(),
        "list" => format!("Vec<{}>", inner(&shape.member, imports)?),
        "map" => {
            imports.map = true;
            format!("BTreeMap<{}, {}>", inner(&shape.key, imports)?, inner(&shape.value, imports)?)
        }
        "string" => "String".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "float" | "double" => "f64".to_owned(),
        "timestamp" => {
            imports.epoch_seconds = true;
            "EpochSeconds".to_owned()
        }
        "blob" => {
            imports.blob = true;
            "Blob".to_owned()
        }
        other => return Err(format!("{}: type `{other}` is not known here", reference.shape)),
    })
}
