//! A reduced service model, typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::models::Served;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    #[serde(skip)]
    pub service: String,
    /// Operations whose verb is not written yet.
    #[serde(skip)]
    pub pending: BTreeSet<String>,
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    /// Name, and method and path.
    pub other_operations: BTreeMap<String, String>,
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub protocol: String,
    #[serde(default)]
    pub target_prefix: String,
    #[serde(default)]
    pub xml_namespace: String,
}

#[derive(Deserialize)]
pub struct Operation {
    pub http: Http,
    pub input: Option<Reference>,
    pub output: Option<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub result_wrapper: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
}

#[derive(Deserialize)]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub members: BTreeMap<String, Reference>,
    #[serde(default)]
    pub required: Vec<String>,
    pub member: Option<Reference>,
    pub key: Option<Reference>,
    pub value: Option<Reference>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default)]
    pub flattened: bool,
    pub payload: Option<String>,
    #[serde(default)]
    pub exception: bool,
    /// An exception that is the server's fault.
    #[serde(default)]
    pub fault: bool,
    pub error: Option<Exception>,
}

impl Model {
    pub fn read(root: &Path, service: &str, served: &[Served]) -> Result<Self, String> {
        let path = root.join(format!("models/{service}.json"));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut model: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        model.service = service.to_owned();
        model.pending =
            served.iter().filter(|operation| operation.pending).map(|operation| operation.name.clone()).collect();
        let listed: BTreeSet<&str> = served.iter().map(|operation| operation.name.as_str()).collect();
        if !model.operations.keys().map(String::as_str).eq(listed.iter().copied()) {
            return Err(format!("models/{service}.json and models/operations.txt differ: run `cargo xtask models`"));
        }
        Ok(model)
    }

    pub fn shape(&self, name: &str) -> Result<&Shape, String> {
        self.shapes.get(name).ok_or_else(|| format!("no shape {name}"))
    }

    /// Every shape that an input reaches, and every one that an output reaches.
    pub fn reached(&self) -> Result<(BTreeSet<&str>, BTreeSet<&str>), String> {
        let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::new());
        for operation in self.operations.values() {
            if let Some(input) = &operation.input {
                self.reach(&input.shape, &mut inputs)?;
            }
            if let Some(output) = &operation.output {
                self.reach(&output.shape, &mut outputs)?;
            }
        }
        Ok((inputs, outputs))
    }

    fn reach<'a>(&'a self, name: &'a str, found: &mut BTreeSet<&'a str>) -> Result<(), String> {
        if found.insert(name) {
            for reference in self.shape(name)?.references() {
                self.reach(&reference.shape, found)?;
            }
        }
        Ok(())
    }

    /// Whether a value of the structure `from` would hold one of `to` directly, without a list or map between.
    pub fn embeds(&self, from: &str, to: &str, seen: &mut BTreeSet<String>) -> Result<bool, String> {
        if from == to {
            return Ok(true);
        }
        let shape = self.shape(from)?;
        if shape.kind != "structure" || !seen.insert(from.to_owned()) {
            return Ok(false);
        }
        for reference in shape.members.values() {
            if self.embeds(&reference.shape, to, seen)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Shape {
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.members.values().chain(&self.member).chain(&self.key).chain(&self.value)
    }
}
