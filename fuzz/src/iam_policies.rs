//! An IAM policy: `action resource principal source` on the first line, the document on the rest. Each document is tried
//! as a role's and as a function's.

use domain::iam::{Decision, Kind, PolicyDocument, Principal, Request, judge_identity, judge_resource};

use crate::parts::{line, words};

const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

pub fn iam_policies(data: &[u8]) {
    let (first, document) = line(data);
    let (Ok(first), Ok(document)) = (std::str::from_utf8(first), std::str::from_utf8(document)) else { return };
    let [action, resource, principal, source] = words(first);
    let context = [("aws:SourceArn", source), ("aws:SourceAccount", "123456789012"), ("aws:username", principal)];
    let request = Request { action, resource, context: &context };

    if let Some(policy) = parsed(document, Kind::Identity) {
        let decision = judge_identity(std::slice::from_ref(&policy), &request);
        let twice = judge_identity(&[policy.clone(), policy.clone()], &request);
        assert_eq!(decision, twice, "saying it twice changes nothing");
        let deny_all = parsed(DENY_ALL, Kind::Identity).expect("a policy");
        assert_eq!(judge_identity(&[policy, deny_all], &request), Decision::DeniedExplicitly);
    }
    if let Some(policy) = parsed(document, Kind::Resource) {
        for who in [Principal::Service(principal), Principal::Aws(principal)] {
            let decision = judge_resource(&policy, who, &request);
            assert_eq!(decision, judge_resource(&policy, who, &request), "the same each time");
        }
    }
}

fn parsed(document: &str, kind: Kind) -> Option<PolicyDocument> {
    match PolicyDocument::parse(document, kind) {
        Ok(policy) => Some(policy),
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 1024, "{sentence}");
            None
        }
    }
}
