//! The house's arrows point down only: the crates' dependencies are those of ARCHITECTURE.md's table and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const CRATES: [&str; 10] =
    ["mqtt", "domain", "store", "broker", "functions", "services", "gateway", "api", "fleet", "landfall"];

/// The table's rows: `| `crate` | owns | may import | must never know |`.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let page = std::fs::read_to_string(root).expect("ARCHITECTURE.md is there");
    let mut allowed = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, imports, ..] = cells.as_slice() else { continue };
        let name = name.trim_matches('`');
        if CRATES.contains(&name) {
            let named = |text: &str| {
                CRATES.into_iter().filter(|known| text.contains(&format!("`{known}`"))).map(str::to_owned).collect()
            };
            let imports = if *imports == "all" { CRATES.map(str::to_owned).into() } else { named(imports) };
            allowed.insert(name.to_owned(), imports);
        }
    }
    allowed
}

fn actual() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut actual = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        if !CRATES.contains(&name) {
            continue;
        }
        let imports = package["dependencies"].as_array().expect("dependencies").iter();
        let imports = imports
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| CRATES.contains(name))
            .map(str::to_owned);
        actual.insert(name.to_owned(), imports.collect());
    }
    actual
}

#[test]
fn dependencies_are_those_of_the_table() {
    let (allowed, actual) = (allowed(), actual());
    assert_eq!(allowed.keys().collect::<Vec<_>>(), actual.keys().collect::<Vec<_>>(), "every crate has a row");
    for (name, imports) in &actual {
        let extra: Vec<&String> = imports.difference(&allowed[name]).collect();
        assert!(
            extra.is_empty(),
            "{name} imports {extra:?}: change the design in ARCHITECTURE.md first, with its decision"
        );
    }
}

#[test]
fn the_pure_crates_have_no_async_and_no_sockets() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
    for name in ["mqtt", "domain"] {
        let manifest = std::fs::read_to_string(format!("{root}/{name}/Cargo.toml")).expect("a manifest");
        // What only the tests use is not linked.
        let linked = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for impure in ["tokio", "hyper", "rustls.workspace", "redb", "fjall"] {
            assert!(!linked.contains(impure), "{name} must not know {impure}");
        }
    }
}
