//! `docs/conformance.md` names tests; those must be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// `file::test`, as the page writes it, for every test function in the sources: a `mod.rs` goes by its folder's name.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = match path.file_stem() {
                Some(stem) if stem == "mod" => folder.file_name(),
                stem => stem,
            };
            let stem = stem.expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a source file");
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(|name| format!("{stem}::{name}")));
        }
    }
}

#[test]
fn the_page_names_tests_that_exist() {
    let mut found = BTreeSet::new();
    for folder in ["crates/mqtt", "crates/broker", "crates/gateway", "crates/api", "tests/tests"] {
        tests_in(&Path::new(REPOSITORY).join(folder), &mut found);
    }
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/conformance.md")).expect("the page");
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect();
    assert!(named.len() > 80, "only {} tests are named", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| **name != "file::test" && !found.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/conformance.md names tests that do not exist: {missing:?}");
}

#[test]
fn every_row_says_what_covers_it() {
    let page = fs::read_to_string(Path::new(REPOSITORY).join("docs/conformance.md")).expect("the page");
    for line in page.lines().filter(|line| line.starts_with("| MQTT-")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let says = ["`", "open", "deviates", "does not apply", "see MQTT-"];
        assert!(cells.len() == 3 && says.iter().any(|word| cells[2].contains(word)), "{line}");
    }
}
