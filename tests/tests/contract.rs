//! The service models as a contract: what they forbid, sent for every served operation, is refused in AWS's words. So is
//! every operation for a caller without rights.

use std::path::{Path, PathBuf};

use landfall_tests::Server;
use serde_json::Value;

const SCRIPT: &str = include_str!("data/contract.py");

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Service and operation of every line of `operations.txt` without `pending`.
fn served() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(models().join("operations.txt")).expect("the list of operations");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter_map(|words| <[String; 2]>::try_from(words).ok()).map(|[service, name]| (service, name)).collect()
}

/// Operations whose input has no member, or only one that may be any text: the model forbids a topic nothing.
const WITHOUT_INPUT: &[&str] =
    &["GetRegistrationCode", "DeleteRegistrationCode", "GetCallerIdentity", "GetRetainedMessage"];

#[test]
fn what_the_models_forbid_is_refused() {
    let server = Server::start();
    let outcome = server.aws().python(&format!("MODELS = {:?}\n{SCRIPT}", models().display().to_string()));
    for (list, what) in
        [("wrong", "answers are not AWS's"), ("allowed", "operations are open to a role without rights")]
    {
        let found: Vec<&str> = outcome[list].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(found.is_empty(), "{} {what}:\n{}", found.len(), found.join("\n"));
    }
    for (service, operation) in served() {
        let sent = outcome["sent"][&service][&operation].as_object().map_or(0, serde_json::Map::len);
        let has_input = !WITHOUT_INPUT.contains(&operation.as_str());
        assert_eq!(sent > 0, has_input, "{service} {operation}: nothing was sent");
    }
}
