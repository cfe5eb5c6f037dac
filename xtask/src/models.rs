//! Reduces botocore's service models to what `models/operations.txt` names: those operations and the shapes they
//! reach, without documentation. Of every other operation the name and the route stay, so that it can be answered by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

const METADATA: &[&str] = &[
    "apiVersion",
    "endpointPrefix",
    "jsonVersion",
    "protocol",
    "serviceId",
    "signingName",
    "targetPrefix",
    "xmlNamespace",
];
const SHAPE: &[&str] = &[
    "box",
    "enum",
    "error",
    "exception",
    "fault",
    "flattened",
    "key",
    "locationName",
    "max",
    "member",
    "members",
    "min",
    "pattern",
    "payload",
    "required",
    "sensitive",
    "streaming",
    "timestampFormat",
    "type",
    "union",
    "value",
];
/// Enums that stay open: what is not among the values is refused by the verb, in the service's own words.
const OPEN: &[&str] = &[
    // CreateFunction answers InvalidParameterValueException, and new runtimes come each year.
    "Runtime",
];
const REFERENCE: &[&str] =
    &["flattened", "location", "locationName", "queryName", "shape", "streaming", "timestampFormat"];

/// One line of `operations.txt`.
pub struct Served {
    pub name: String,
    pub pending: bool,
}

/// The services in the order of the file, each with its operations.
pub fn operations(root: &Path) -> Result<Vec<(String, Vec<Served>)>, String> {
    let text = read(&root.join("models/operations.txt"))?;
    let mut services: Vec<(String, Vec<Served>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (service, served) = match words.as_slice() {
            [service] => (service, None),
            [service, name] => (service, Some(Served { name: (*name).to_owned(), pending: false })),
            [service, name, "pending"] => (service, Some(Served { name: (*name).to_owned(), pending: true })),
            _ => return Err(format!("models/operations.txt: `{line}` is not `service Operation [pending]`")),
        };
        if services.last().is_none_or(|(last, _)| last != service) {
            services.push(((*service).to_owned(), Vec::new()));
        }
        if let (Some(served), Some((_, operations))) = (served, services.last_mut()) {
            operations.push(served);
        }
    }
    Ok(services)
}

pub fn reduce_all(root: &Path, data: &Path) -> Result<(), String> {
    let source = format!("botocore {}", botocore_version(data)?);
    for (service, served) in operations(root)? {
        let full = load(data, &service)?;
        let names: BTreeSet<&str> = served.iter().map(|operation| operation.name.as_str()).collect();
        let mut reduced = reduce(&full, &names).map_err(|problem| format!("{service}: {problem}"))?;
        reduced.insert("source".to_owned(), json!(source));
        let mut text = serde_json::to_string_pretty(&Value::Object(reduced)).map_err(|error| error.to_string())?;
        text.push('\n');
        let path = root.join(format!("models/{service}.json"));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn botocore_version(data: &Path) -> Result<String, String> {
    let text = read(&data.join("../__init__.py"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("__version__ = '")?.strip_suffix('\''))
        .map(str::to_owned)
        .ok_or_else(|| format!("{} is not botocore's data directory: no __version__ beside it", data.display()))
}

/// The newest version of a service's model; gzip is left to `gunzip`.
fn load(data: &Path, service: &str) -> Result<Value, String> {
    let folder = data.join(service);
    let mut versions: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    versions.sort();
    let newest = versions.pop().ok_or_else(|| format!("{} is empty", folder.display()))?;
    let path = newest.join("service-2.json.gz");
    let output = Command::new("gunzip").arg("-c").arg(&path).output().map_err(|error| format!("gunzip: {error}"))?;
    if !output.status.success() {
        return Err(format!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", path.display()))
}

fn reduce(full: &Value, names: &BTreeSet<&str>) -> Result<Map<String, Value>, String> {
    let all = full["operations"].as_object().ok_or("no operations")?;
    if let Some(unknown) = names.iter().find(|name| !all.contains_key(**name)) {
        return Err(format!("the model has no operation {unknown}"));
    }
    let mut shapes = BTreeMap::new();
    let mut operations = Map::new();
    let mut others = Map::new();
    for (name, operation) in all {
        if names.contains(name.as_str()) {
            operations.insert(name.clone(), reduced_operation(full, operation, &mut shapes));
        } else {
            let http = &operation["http"];
            let route = format!("{} {}", text_of(&http["method"]), text_of(&http["requestUri"]));
            others.insert(name.clone(), json!(route));
        }
    }
    let mut reduced = Map::new();
    reduced.insert("metadata".to_owned(), kept(&full["metadata"], METADATA));
    reduced.insert("operations".to_owned(), Value::Object(operations));
    reduced.insert("otherOperations".to_owned(), Value::Object(others));
    reduced.insert("shapes".to_owned(), Value::Object(shapes.into_iter().collect()));
    Ok(reduced)
}

fn reduced_operation(full: &Value, operation: &Value, shapes: &mut BTreeMap<String, Value>) -> Value {
    let mut reduced = Map::new();
    reduced.insert("http".to_owned(), kept(&operation["http"], &["method", "requestUri", "responseCode"]));
    for (key, members) in [("input", &["shape"][..]), ("output", &["shape", "resultWrapper"][..])] {
        if let Some(reference) = operation.get(key) {
            reach(full, reference, shapes);
            reduced.insert(key.to_owned(), kept(reference, members));
        }
    }
    let errors = operation["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    for error in errors {
        reach(full, error, shapes);
    }
    reduced.insert("errors".to_owned(), errors.iter().map(|error| error["shape"].clone()).collect());
    Value::Object(reduced)
}

/// Adds the shape that `reference` names, and all it reaches, to `shapes`.
fn reach(full: &Value, reference: &Value, shapes: &mut BTreeMap<String, Value>) {
    let name = text_of(&reference["shape"]);
    if shapes.contains_key(&name) {
        return;
    }
    let shape = &full["shapes"][&name];
    let Value::Object(mut reduced) = kept(shape, SHAPE) else { return };
    if OPEN.contains(&name.as_str()) {
        reduced.remove("enum");
    }
    shapes.insert(name.clone(), Value::Null);
    if let Some(members) = shape["members"].as_object() {
        let mut kept_members = Map::new();
        for (member, reference) in members {
            reach(full, reference, shapes);
            kept_members.insert(member.clone(), kept(reference, REFERENCE));
        }
        reduced.insert("members".to_owned(), Value::Object(kept_members));
    }
    for part in ["member", "key", "value"] {
        if let Some(reference) = shape.get(part) {
            reach(full, reference, shapes);
            reduced.insert(part.to_owned(), kept(reference, REFERENCE));
        }
    }
    shapes.insert(name, Value::Object(reduced));
}

fn kept(value: &Value, keys: &[&str]) -> Value {
    let object = value.as_object().cloned().unwrap_or_default();
    let members: BTreeMap<String, Value> = object.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
    Value::Object(members.into_iter().collect())
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
