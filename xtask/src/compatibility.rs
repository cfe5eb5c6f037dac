//! `docs/aws-compatibility.md`: the tables of operations, between two marks, from the models and from what the black-box
//! tests call. The rest of the page is written by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::codegen::model::Model;
use crate::codegen::names::snake;
use crate::models;

const PAGE: &str = "docs/aws-compatibility.md";
const BEGIN: &str = "<!-- operations: written by `cargo xtask compatibility` -->\n";
const END: &str = "<!-- end of operations -->\n";

/// The services as people know them.
const TITLES: &[(&str, &str)] = &[
    ("iot", "AWS IoT"),
    ("iot-data", "AWS IoT data plane"),
    ("lambda", "AWS Lambda"),
    ("iam", "IAM"),
    ("sts", "STS"),
    ("logs", "CloudWatch Logs"),
];

pub fn write(root: &Path) -> Result<(), String> {
    let path = root.join(PAGE);
    let page = read(&path)?;
    fs::write(&path, renewed(root, &page)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn renewed(root: &Path, page: &str) -> Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| format!("{PAGE} has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{PAGE} has no line {END}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", tables(root)?))
}

fn tables(root: &Path) -> Result<String, String> {
    let calls = Calls::read(root)?;
    let remarks = remarks(root)?;
    let mut text = String::new();
    for (service, served) in models::operations(root)? {
        let model = Model::read(root, &service, &served)?;
        let title = TITLES.iter().find(|(name, _)| *name == service).map_or(service.as_str(), |(_, title)| title);
        text.push_str(&format!("\n### {title}\n\n| operation | served | called in tests by |\n|---|---|---|\n"));
        let is_served = |name: &String| !model.pending.contains(name);
        for name in model.operations.keys().filter(|name| is_served(name)) {
            let remark = remarks.iter().find(|remark| remark.service == service && remark.operation == *name);
            let served = remark.map_or("yes".to_owned(), |remark| format!("partly: {}", remark.text));
            let clients: Vec<&str> = calls.clients(&service, name).into_iter().collect();
            text.push_str(&format!("| {name} | {served} | {} |\n", clients.join(", ")));
        }
        let others: Vec<&str> = model
            .other_operations
            .keys()
            .chain(model.operations.keys().filter(|name| !is_served(name)))
            .map(String::as_str)
            .collect();
        text.push_str(&format!("\nNot served, and refused by name ({}): {}.\n", others.len(), others.join(", ")));
    }
    text.push('\n');
    Ok(text)
}

/// One line of `models/remarks.txt`: what an operation does not do that AWS does.
struct Remark {
    service: String,
    operation: String,
    text: String,
}

fn remarks(root: &Path) -> Result<Vec<Remark>, String> {
    let lines = read(&root.join("models/remarks.txt"))?;
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let wrong = || format!("models/remarks.txt: `{line}` is not `service Operation: remark`");
            let (operation, text) = line.split_once(": ").ok_or_else(wrong)?;
            let (service, operation) = operation.split_once(' ').ok_or_else(wrong)?;
            Ok(Remark { service: service.to_owned(), operation: operation.to_owned(), text: text.to_owned() })
        })
        .collect()
}

/// What the sources of the black-box tests call.
struct Calls(Vec<(PathBuf, String)>);

impl Calls {
    fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        for folder in ["tests/src", "tests/tests"] {
            collect(&root.join(folder), &mut files)?;
        }
        Ok(Self(files))
    }

    /// The kinds of real clients that call the operation.
    fn clients(&self, service: &str, operation: &str) -> BTreeSet<&'static str> {
        let snake = snake(operation);
        let kebab = snake.replace('_', "-");
        let variable = match service {
            "lambda" => "lambda_",
            "iot-data" => "iot_data",
            other => other,
        };
        let mut letters = operation.chars();
        let camel: String = letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect();
        let forms = [
            ("py", "boto3", format!("{variable}.{snake}")),
            ("py", "boto3", format!("{variable}.get_paginator('{snake}')")),
            ("rs", "aws CLI", format!("\"{service}\", \"{kebab}\"")),
            ("rs", "aws CLI", format!("aws {service} {kebab}")),
            ("js", "JavaScript SDK v2", format!("{variable}.{camel}(")),
            ("mjs", "JavaScript SDK v3", format!("{variable}.send(new {operation}Command")),
            ("js", "JavaScript SDK v3", format!("{variable}.send(new {operation}Command")),
        ];
        let mut clients = BTreeSet::new();
        for (path, text) in &self.0 {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            for (of, client, form) in &forms {
                if extension == *of && holds_word(text, form) {
                    clients.insert(*client);
                }
            }
        }
        clients
    }
}

/// `get_policy` is not called where `get_policy_version` is.
fn holds_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let after = text.get(at + word.len()..).and_then(|rest| rest.chars().next());
        let before = text.get(..at).and_then(|rest| rest.chars().next_back());
        let continues =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || "_-".contains(letter));
        !(continues(before) || word.ends_with(char::is_alphanumeric) && continues(after))
    })
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            // A call that is written over several lines is one call.
            files.push((path, text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Calls, PAGE, holds_word, models, remarks, renewed};

    #[test]
    fn the_page_is_what_the_models_and_the_tests_give() {
        let root = crate::root();
        let page = std::fs::read_to_string(root.join(PAGE)).expect("the page is there");
        let renewed = renewed(&root, &page).expect("the models and tests are readable");
        assert!(page == renewed, "{PAGE} is not current: run `cargo xtask compatibility`");
    }

    #[test]
    fn every_operation_that_is_served_is_called_by_a_real_client() {
        let root = crate::root();
        let calls = Calls::read(&root).expect("the tests are readable");
        let mut uncalled = Vec::new();
        for (service, operations) in models::operations(&root).expect("the list is readable") {
            for operation in operations.iter().filter(|operation| !operation.pending) {
                if calls.clients(&service, &operation.name).is_empty() {
                    uncalled.push(format!("{service} {}", operation.name));
                }
            }
        }
        assert!(uncalled.is_empty(), "no black-box test calls: {}", uncalled.join(", "));
    }

    #[test]
    fn remarks_are_about_operations_that_are_served() {
        let root = crate::root();
        let served = models::operations(&root).expect("the list is readable");
        for remark in remarks(&root).expect("the remarks are readable") {
            let operations = served.iter().filter(|(service, _)| *service == remark.service);
            let mut names = operations.flat_map(|(_, operations)| operations).filter(|operation| !operation.pending);
            let operation = format!("{} {}", remark.service, remark.operation);
            assert!(names.any(|served| served.name == remark.operation), "{operation} is not served");
        }
    }

    #[test]
    fn words_end_where_they_end() {
        for (text, word, expected) in [
            ("iot.get_policy(", "iot.get_policy", true),
            ("iot.get_policy_version(", "iot.get_policy", false),
            ("myiot.get_policy(", "iot.get_policy", false),
            ("case('x', iot.get_policy, a=1)", "iot.get_policy", true),
        ] {
            assert_eq!(holds_word(text, word), expected, "{text}");
        }
    }
}
