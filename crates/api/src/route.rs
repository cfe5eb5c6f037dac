//! From method and path to an operation of a rest-json service.

use crate::form;
use crate::model::{Operation, Service};

#[derive(Debug)]
pub enum Found {
    Operation {
        operation: &'static Operation,
        /// The path's labels, decoded: `("policyName", "p")`.
        labels: Vec<(&'static str, String)>,
    },
    /// AWS has it, Landfall does not.
    Other(&'static str),
}

/// `path` and `query` are raw. `None` if AWS has no such route either.
pub fn find(service: &'static Service, method: &str, path: &str, query: &str) -> Option<Found> {
    let segments: Vec<&str> = segments(path).collect();
    // A signature covers the path without its dot segments: with them, the same signature would name another operation.
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return None;
    }
    let served = service
        .operations
        .iter()
        .filter(|operation| operation.method == method)
        .filter_map(|operation| Some((rank(operation.path, &segments, query)?, Ok(operation))));
    let others = service
        .others
        .iter()
        .filter(|other| other.method == method)
        .filter_map(|other| Some((rank(other.path, &segments, query)?, Err(other.name))));
    let (_, best) = served.chain(others).max_by_key(|(rank, _)| *rank)?;
    match best {
        Ok(operation) => Some(Found::Operation { operation, labels: labels(operation.path, &segments)? }),
        Err(name) => Some(Found::Other(name)),
    }
}

/// A trailing slash says nothing: older SDKs write Lambda's paths with one.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

/// How well a template fits: literals before labels, the earlier ones first; a literal query part beats none.
fn rank(template: &str, segments: &[&str], query: &str) -> Option<(u64, bool)> {
    let (template, literal_query) =
        template.split_once('?').map_or((template, None), |(path, query)| (path, Some(query)));
    if literal_query.is_some_and(|literal| !query.split('&').any(|part| part == literal)) {
        return None;
    }
    let mut rank = 0_u64;
    let mut left = segments.iter();
    for part in self::segments(template) {
        let segment = left.next()?;
        rank <<= 1;
        match label(part) {
            Some(_) if segment.is_empty() => return None,
            Some(Label { greedy: true, .. }) => return Some((rank << left.count().min(32), literal_query.is_some())),
            Some(_) => {}
            None if part == *segment => rank |= 1,
            None => return None,
        }
    }
    left.next().is_none().then_some((rank, literal_query.is_some()))
}

fn labels(template: &'static str, segments: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let template = template.split_once('?').map_or(template, |(path, _)| path);
    let mut labels = Vec::new();
    for (at, part) in self::segments(template).enumerate() {
        if let Some(Label { name, greedy }) = label(part) {
            let rest = segments.get(at..)?;
            let text = if greedy { rest.join("/") } else { (*rest.first()?).to_owned() };
            labels.push((name, form::decoded(&text)?));
        }
    }
    Some(labels)
}

struct Label<'a> {
    name: &'a str,
    /// `{arn+}` takes the rest of the path.
    greedy: bool,
}

fn label(part: &str) -> Option<Label<'_>> {
    let name = part.strip_prefix('{')?.strip_suffix('}')?;
    match name.strip_suffix('+') {
        Some(name) => Some(Label { name, greedy: true }),
        None => Some(Label { name, greedy: false }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Found, find};
    use crate::catalog;

    /// What was found, as text: `CreatePolicy policyName=p`, or `(DeletePolicy)` for one not served.
    fn found(service: &str, request: &str) -> String {
        let service = catalog::service(service).expect("a service of the catalog");
        let (method, target) = request.split_once(' ').expect("method and path");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match find(service, method, path, query) {
            None => "nothing".to_owned(),
            Some(Found::Other(name)) => format!("({name})"),
            Some(Found::Operation { operation, labels }) => {
                let labels: String = labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                format!("{}{labels}", operation.name)
            }
        }
    }

    #[test]
    fn routes() {
        for (service, request, expected) in [
            ("iot", "GET /registrationcode", "GetRegistrationCode"),
            ("iot", "POST /policies/Policy_1", "CreatePolicy policyName=Policy_1"),
            (
                "iot",
                "POST /attached-policies/arn%3Aaws%3Aiot%3Ax%3A1%3Acert%2Fab",
                "ListAttachedPolicies target=arn:aws:iot:x:1:cert/ab",
            ),
            ("iot", "PUT /policies/Policy_1", "nothing"),
            ("iot", "POST /policies/", "nothing"),
            ("iot", "POST /policies/%ff", "nothing"),
            ("iot", "PUT /jobs/j", "(CreateJob)"),
            ("iot", "DELETE /destinations/arn:aws:iot:x:1:ruledestination/vpc/1", "(DeleteTopicRuleDestination)"),
            ("iot", "GET /", "nothing"),
            ("iot", "DELETE /policies/p/version/..", "nothing"),
            ("iot", "GET /policies/./", "nothing"),
            ("iot", "DELETE /destinations/arn:aws:iot:x:1:ruledestination/../../certificates/1", "nothing"),
            ("lambda", "POST /2015-03-31/functions/", "CreateFunction"),
            ("lambda", "POST /2015-03-31/functions/f/invocations", "Invoke FunctionName=f"),
            ("lambda", "GET /2018-10-31/layers?find=LayerVersion&Arn=x", "(GetLayerVersionByArn)"),
            ("lambda", "GET /2018-10-31/layers", "(ListLayers)"),
            (
                "lambda",
                "GET /2019-09-30/functions/f/provisioned-concurrency?List=ALL",
                "(ListProvisionedConcurrencyConfigs)",
            ),
            ("iot-data", "POST /topics/a%2Fb", "Publish topic=a/b"),
            ("iot-data", "GET /retainedMessage/a%2Fb", "GetRetainedMessage topic=a/b"),
        ] {
            assert_eq!(found(service, request), expected, "{request}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "[/a-z{}%+?0-9]{0,80}", query in "[a-z=&%]{0,20}") {
            let service = catalog::service("iot").expect("a service of the catalog");
            let _ = find(service, "GET", &path, &query);
        }
    }
}
