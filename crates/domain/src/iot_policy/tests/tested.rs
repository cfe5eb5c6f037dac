//! What TestAuthorization is answered from.

use std::sync::Arc;

use super::super::{AttachedThing, IotAction, TestedPrincipal, test};
use super::{arn, document, facts, parse};

fn names(policies: &[Arc<str>]) -> Vec<&str> {
    policies.iter().map(|name| &**name).collect()
}

#[test]
fn every_policy_says_something() {
    let statement = |effect: &str, resource: &str, condition: &str| {
        let text = format!(
            r#"{{"Effect":"{effect}","Action":["iot:Publish"],"Resource":"*:{resource}","Condition":{condition}}}"#
        );
        document(&text)
    };
    let policies: Vec<_> = [
        ("open", statement("Allow", "topic/*", "{}")),
        ("secret", statement("Deny", "topic/secret/*", "{}")),
        ("own", statement("Allow", "topic/${iot:ClientId}/*", r#"{"Bool":{"iot:Connection.Thing.IsAttached":true}}"#)),
        (
            "here",
            statement("Allow", "topic/*", r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"iot:New":true}}"#),
        ),
    ]
    .into_iter()
    .map(|(name, text)| Arc::new(parse(name, &text).unwrap()))
    .collect();
    let facts = facts();
    let of = |client_id: Option<&str>| TestedPrincipal {
        client_id: client_id.map(str::to_owned),
        certificate_id: facts.certificate_id,
        certificate: Arc::clone(&facts.certificate),
    };
    let thing = AttachedThing { name: "device-7".to_owned(), ..AttachedThing::default() };
    let ask = |topic: &str, client_id: Option<&str>| {
        let resource = arn(&format!("topic/{topic}"));
        test(&policies, IotAction::Publish, &resource, &of(client_id), std::slice::from_ref(&thing))
    };

    let outcome = ask("device-7/t", Some("device-7"));
    assert_eq!(names(&outcome.allowed_by), ["open", "own"]);
    assert!(outcome.denied_by.is_empty());
    assert_eq!(names(&outcome.silent), ["secret", "here"]);
    assert_eq!(outcome.missing, ["aws:SourceIp", "iot:New"]);

    let outcome = ask("secret/t", None);
    assert_eq!((names(&outcome.allowed_by), names(&outcome.denied_by)), (vec!["open"], vec!["secret"]));
    assert_eq!(outcome.missing, ["iot:ClientId", "aws:SourceIp", "iot:New"]);

    let other = test(&policies, IotAction::Connect, &arn("client/device-7"), &of(None), &[]);
    assert_eq!(names(&other.silent).len(), 4);
    assert!(other.missing.is_empty(), "no statement speaks of iot:Connect");
}
