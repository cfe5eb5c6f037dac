//! An IoT policy: `client-id topic` on the first line, the document on the rest.

use std::sync::Arc;

use domain::iot_policy::{CompiledPolicy, ConnectionFacts, Decision, IotAction, Permissions, ResourceScope, judge};
use domain::x509::Certificate;
use mqtt::TopicFilter;
use mqtt::topic::MultiLevel;

use crate::parts::{line, words};

/// Its subject has a name with every character that a policy reads.
const CERTIFICATE: &str = include_str!("../corpus/certificates/leaf-ec.pem");

pub fn iot_policies(data: &[u8]) {
    let (first, document) = line(data);
    let (Ok(first), Ok(document)) = (std::str::from_utf8(first), std::str::from_utf8(document)) else { return };
    let scope =
        ResourceScope::new(&"us-east-1".parse().expect("a region"), &"123456789012".parse().expect("an account"));
    let scope = Arc::new(scope);
    let policy = match CompiledPolicy::parse("p", document, &scope) {
        Ok(policy) => Arc::new(policy),
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 1024, "{sentence}");
            return;
        }
    };
    let [client_id, topic] = words(first);
    let certificate = Certificate::chain_from_pem(CERTIFICATE).expect("a certificate").remove(0);
    let facts = ConnectionFacts {
        client_id: client_id.to_owned(),
        certificate_id: certificate.id(),
        certificate: Arc::new(certificate),
        source_ip: Some("192.0.2.7".parse().expect("an address")),
        domain_name: None,
        connect_attributes: vec!["PersistentConnect"],
        last_will_topic_arn: None,
    };
    let denies_all = CompiledPolicy::parse(
        "d",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
        &scope,
    );
    let denies_all = Arc::new(denies_all.expect("a policy"));
    let permissions = Permissions::new(&[Arc::clone(&policy)].as_slice().into(), &facts, &[]);
    if let Ok(filter) = TopicFilter::parse(topic)
        && permissions.may_receive_all(&filter, MultiLevel::WithParent)
        && filter.matches(client_id)
    {
        assert!(permissions.allows(IotAction::Receive, client_id), "{filter} brings {client_id}");
    }
    for (action, name) in [
        (IotAction::Connect, client_id),
        (IotAction::Publish, topic),
        (IotAction::Subscribe, topic),
        (IotAction::Receive, topic),
    ] {
        let resource = scope.arn(action, name);
        let decision = judge(std::slice::from_ref(&policy), action, &resource, &facts, &[]);
        assert_eq!(decision, permissions.judge(action, name), "what was worked out beforehand is the same");
        // Nothing that a document says outweighs a deny, and what it denies it denies beside any other.
        let beside = judge(&[Arc::clone(&policy), Arc::clone(&denies_all)], action, &resource, &facts, &[]);
        assert!(matches!(beside, Decision::Denied { .. }), "{beside:?}");
        assert_eq!(judge(&[], action, &resource, &facts, &[]), Decision::NotAllowed);
    }
}
