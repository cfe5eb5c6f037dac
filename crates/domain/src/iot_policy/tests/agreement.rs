//! What is worked out beforehand against what is judged from scratch, over policies, topics and filters made at random.

use std::sync::Arc;

use mqtt::TopicFilter;
use mqtt::topic::MultiLevel;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::super::{CompiledPolicy, ConnectionFacts, IotAction, Permissions, judge};
use super::{compile, decide, document, facts, scope};

/// The connection's client id, which the policies' variable stands for.
const CLIENT_ID: &str = "ab";

fn connection() -> ConnectionFacts {
    ConnectionFacts { client_id: CLIENT_ID.to_owned(), ..facts() }
}

/// Resources that begin in all the ways that still are ARNs, and end in few characters, so that they meet.
fn resource() -> impl Strategy<Value = String> {
    let begins = prop_oneof![
        6 => "arn:aws-cn:iot:cn-north-1:123456789012:(topic|topicfilter|client)/",
        1 => "\\*(topic/|:)?",
        1 => "arn:aws-cn:iot:(\\*|cn-\\*-1):(\\*|123456789012):(topic/|\\*/|t\\*)",
        1 => "arn:aws-cn:iot:cn-north-1:123456789012:topi\\?/",
        1 => "arn:aws-cn:iot:cn-north-1:999999999999:topic/",
    ];
    let piece = prop_oneof![
        8 => "[ab/]",
        3 => "[*?]",
        1 => "\\$\\{iot:ClientId\\}",
        1 => "\\$\\{iot:Certificate\\.Subject\\.Surname\\}",
        1 => "\\$\\{\\*\\}|\\$\\(\\?\\)|[+#]",
    ];
    (begins, proptest::collection::vec(piece, 0..6)).prop_map(|(begins, pieces)| begins + &pieces.concat())
}

fn statement() -> impl Strategy<Value = String> {
    let effect = prop_oneof![3 => "Allow", 1 => "Deny"];
    let actions = "iot:\\*|iot:Publish|iot:Re\\*|iot:Receive|iot:Subscribe|iot:Connect";
    let condition = prop_oneof![
        4 => "\\{\\}",
        1 => r#"\{"StringEquals":\{"iot:ClientId":"(ab|x)"\}\}"#,
        1 => r#"\{"Bool":\{"iot:Connection\.Thing\.IsAttached":"(true|false)"\}\}"#,
    ];
    (effect, actions, proptest::collection::vec(resource(), 1..4), condition).prop_map(
        |(effect, action, resources, condition)| {
            let resources = resources.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",");
            format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":[{resources}],"Condition":{condition}}}"#)
        },
    )
}

fn policies() -> impl Strategy<Value = Vec<Arc<CompiledPolicy>>> {
    let document = proptest::collection::vec(statement(), 1..4).prop_map(|statements| document(&statements.join(",")));
    proptest::collection::vec(document.prop_map(|text| compile(&text)), 1..3)
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![3 => "a|b|ab|aa|", 2 => "\\+"];
    (proptest::collection::vec(level, 1..4), any::<bool>(), any::<bool>()).prop_filter_map(
        "a filter",
        |(levels, has_rest, is_shared)| {
            let share = if is_shared { "$share/g/" } else { "" };
            let rest = if has_rest { "/#" } else { "" };
            TopicFilter::parse(&format!("{share}{}{rest}", levels.join("/"))).ok()
        },
    )
}

/// Every topic of up to `length` characters out of four.
fn topics(length: usize) -> Vec<String> {
    let mut topics = vec![String::new()];
    let mut last = topics.clone();
    for _ in 0..length {
        last = last.iter().flat_map(|topic| ["a", "b", "/", "x"].map(|end| format!("{topic}{end}"))).collect();
        topics.extend_from_slice(&last);
    }
    topics
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn on_every_request(policies in policies(), subject in "[abx/+#*?]{0,5}") {
        for action in IotAction::ALL {
            // `decide` asks both, and they must agree on the decision and on what decided.
            decide(&policies, action, &scope().arn(action, &subject), &connection(), &[]);
        }
    }

    /// The one thing that must never be: a topic that is delivered unasked and that a policy does not let through.
    #[test]
    fn what_is_never_asked_is_always_allowed(policies in policies(), filter in filter(), has_parent: bool) {
        let multi_level = if has_parent { MultiLevel::WithParent } else { MultiLevel::BelowParent };
        let permissions = Permissions::new(&policies.as_slice().into(), &connection(), &[]);
        if permissions.may_receive_all(&filter, multi_level) {
            for topic in topics(4).iter().filter(|topic| filter.matches_with(topic, multi_level)) {
                let resource = scope().arn(IotAction::Receive, topic);
                let decision = judge(&policies, IotAction::Receive, &resource, &connection(), &[]);
                assert!(decision.is_allowed(), "{filter} brings {topic}: {decision:?}");
            }
        }
    }
}

#[test]
fn common_policies_are_recognised() {
    let statement = |effect: &str, resource: &str| {
        let prefix = "arn:aws-cn:iot:cn-north-1:123456789012";
        format!(r#"{{"Effect":"{effect}","Action":"iot:Receive","Resource":"{prefix}:{resource}"}}"#)
    };
    let allow = |resource: &str| statement("Allow", resource);
    for (statements, filter, expected) in [
        (allow("*"), "#", true),
        (allow("topic/*"), "a/+/c", true),
        (allow("topic/${iot:ClientId}/*"), "ab/#", true),
        (allow("topic/${iot:ClientId}/*"), "ac/#", false),
        (allow("topic/a/*"), "a/#", true),
        (allow("topic/a/b"), "a/b", true),
        (allow("topic/a/b"), "a/+", false),
        (allow("topic/a/#"), "a/#", false),
        (allow("topicfilter/*"), "a", false),
        (allow("topic/*") + "," + &statement("Deny", "topic/secret/*"), "a/#", true),
        (allow("topic/*") + "," + &statement("Deny", "topic/secret/*"), "+/x", false),
        (allow("topic/*") + "," + &statement("Deny", "topic/*"), "a", false),
        (allow("topic/*"), "$share/g/a/#", true),
    ] {
        let policies = [compile(&document(&statements))];
        let permissions = Permissions::new(&policies.as_slice().into(), &connection(), &[]);
        let filter = TopicFilter::parse(filter).unwrap();
        assert_eq!(permissions.may_receive_all(&filter, MultiLevel::BelowParent), expected, "{filter} {statements}");
    }
}
