//! Rules that publish, and rules whose actions fail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::Claim;
use mqtt::packet::Property;
use mqtt::{Qos, TopicFilter};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, function_arn, role_arn, with};

fn listen(world: &World, filter: &str) -> Claim {
    let claim = world.broker.claim("listener");
    claim.subscribe(TopicFilter::parse(filter).expect("a filter"), Qos::AtLeastOnce);
    claim
}

/// Topics and payloads of what has arrived.
fn heard(claim: &Claim) -> Vec<(String, String)> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    std::iter::from_fn(|| claim.try_next_delivery())
        .map(|delivery| (delivery.message.topic.to_string(), text(&delivery.message.payload)))
        .collect()
}

fn one(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

/// A role that the rules engine may take, with the right to publish to these topics.
async fn publisher(world: &World, name: &str, topics: &str) {
    let trust = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Service": "iot.amazonaws.com" }, "Action": "sts:AssumeRole" } });
    let role = json!({ "RoleName": name, "AssumeRolePolicyDocument": trust.to_string() });
    world.done("iam:CreateRole", role).await;
    world.grant(name, "iot:Publish", &format!("arn:aws:iot:us-east-1:{ACCOUNT}:topic/{topics}")).await;
}

fn republish(role: &str, topic: &str) -> Value {
    json!({ "republish": { "roleArn": role_arn(role), "topic": topic } })
}

async fn rule(world: &World, name: &str, sql: &str, actions: Value, more: Value) {
    let payload = with(json!({ "sql": sql, "actions": actions, "awsIotSqlVersion": "2016-03-23" }), more);
    world.done("iot:CreateTopicRule", json!({ "ruleName": name, "topicRulePayload": payload })).await;
}

async fn publish(world: &World, topic: &str, payload: &str) {
    let input = json!({ "topic": topic, "qos": 1, "payload": STANDARD.encode(payload) });
    world.done("iot:Publish", input).await;
}

/// `details` of the rule's log lines.
async fn failures(world: &World, rule: &str) -> Vec<String> {
    let input = json!({ "logGroupName": "AWSIotLogsV2", "logStreamNames": [rule] });
    let events = world.done("logs:FilterLogEvents", input).await["events"].clone();
    let lines = events.as_array().expect("a list").iter().filter_map(|event| event["message"].as_str());
    let parsed = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    parsed.filter_map(|line| Some(line["details"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn what_is_selected_is_republished() {
    let world = World::new();
    publisher(&world, "out", "*").await;
    let headers = json!({
        "contentType": "${type}", "correlationData": "${encode(id, 'base64')}", "messageExpiry": "${20 + 40}",
        "payloadFormatIndicator": "UTF8_DATA", "responseTopic": "answers/${id}",
        "userProperties": [{ "key": "from", "value": "${topic(1)}" }],
    });
    let with_headers = json!({ "republish": {
        "roleArn": role_arn("out"), "topic": "out/${id}", "qos": 1, "headers": headers } });
    let actions = json!([with_headers, republish("out", "$$aws/things/${id}/shadow/update")]);
    rule(
        &world,
        "r",
        "SELECT temperature AS t, clientid() AS c FROM 'in/#' WHERE temperature > 20",
        actions.clone(),
        json!({}),
    )
    .await;
    let read = world.done("iot:GetTopicRule", json!({ "ruleName": "r" })).await;
    assert_eq!(read["rule"]["actions"], actions, "read as written");

    let claim = listen(&world, "out/#");
    claim.subscribe(TopicFilter::parse("$aws/#").expect("a filter"), Qos::AtLeastOnce);
    publish(&world, "in/a", r#"{"id":"d1","temperature":20,"type":"text/plain"}"#).await;
    assert_eq!(heard(&claim), [], "WHERE is not true");
    publish(&world, "in/a", r#"{"id":"d1","temperature":21,"type":"text/plain"}"#).await;
    let first = claim.try_next_delivery().expect("a message");
    assert_eq!((first.message.topic.as_str(), first.qos), ("out/d1", Qos::AtLeastOnce));
    assert_eq!(&first.message.payload[..], br#"{"t":21,"c":"n/a"}"#);
    let expected = [
        Property::PayloadFormatIndicator(1),
        Property::ContentType("text/plain".to_owned()),
        Property::ResponseTopic("answers/d1".to_owned()),
        Property::CorrelationData("d1".into()),
        Property::UserProperty(("from".to_owned(), "in".to_owned())),
    ];
    assert!(first.message.properties.iter().eq(&expected), "{:?}", first.message.properties);
    assert!(first.message.expires_at_ms(0).is_some_and(|ms| (50_000..=60_000).contains(&ms)), "a minute to live");
    let second = claim.try_next_delivery().expect("a message");
    assert_eq!((second.message.topic.as_str(), second.qos), ("$aws/things/d1/shadow/update", Qos::AtMostOnce));
    assert_eq!(heard(&claim), []);
}

/// The action's role must trust the rules engine and allow the topic; templates must come to a topic.
#[tokio::test]
async fn what_may_not_be_republished_is_logged() {
    let world = World::new();
    publisher(&world, "narrow", "allowed/*").await;
    world.role("forlambda").await;
    world.grant("forlambda", "iot:Publish", "*").await;
    for (name, role, topic, said) in [
        ("denied", "narrow", "elsewhere", "not authorized to perform: iot:Publish on resource"),
        ("untrusted", "forlambda", "allowed/x", "iot.amazonaws.com is not authorized to perform: sts:AssumeRole"),
        ("norole", "missing", "allowed/x", "sts:AssumeRole"),
        ("undefined", "narrow", "allowed/${missing.member}", "${missing.member} has no value"),
        ("wildcard", "narrow", "allowed/${wild}", "must not contain"),
        ("reserved", "narrow", "${dollar}", "is reserved"),
        ("events", "narrow", "$$aws/${events}/x", "own events"),
    ] {
        rule(&world, name, "SELECT * FROM 'in'", json!([republish(role, topic)]), json!({})).await;
        let claim = listen(&world, "allowed/#");
        publish(&world, "in", r##"{"wild":"#","dollar":"$aws/things/x/shadow/update","events":"events"}"##).await;
        let logged = failures(&world, name).await;
        assert!(logged.len() == 1 && logged[0].contains(said), "{name}: {logged:?}");
        assert_eq!(heard(&claim), [], "{name}");
        world.done("iot:DeleteTopicRule", json!({ "ruleName": name })).await;
    }
}

/// A trust policy may speak of the one rule that may take the role.
#[tokio::test]
async fn a_role_can_trust_one_rule() {
    let world = World::new();
    publisher(&world, "out", "*").await;
    let trust = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Service": "iot.amazonaws.com" }, "Action": "sts:AssumeRole",
        "Condition": { "ArnEquals": { "aws:SourceArn": format!("arn:aws:iot:us-east-1:{ACCOUNT}:rule/trusted") } } } });
    let input = json!({ "RoleName": "out", "PolicyDocument": trust.to_string() });
    world.done("iam:UpdateAssumeRolePolicy", input).await;
    for name in ["trusted", "other"] {
        rule(&world, name, "SELECT * FROM 'in'", json!([republish("out", &format!("out/{name}"))]), json!({})).await;
    }
    let claim = listen(&world, "out/#");
    publish(&world, "in", "{}").await;
    assert_eq!(heard(&claim), [one("out/trusted", "{}")]);
}

#[tokio::test]
async fn rules_that_hear_themselves_come_to_an_end() {
    let world = World::new();
    publisher(&world, "out", "*").await;
    // One rule, one after the other.
    rule(&world, "echo", "SELECT * FROM 'echo'", json!([republish("out", "echo")]), json!({})).await;
    let claim = listen(&world, "echo");
    publish(&world, "echo", "{}").await;
    assert_eq!(heard(&claim).len(), 1 + 10);
    assert!(failures(&world, "echo").await[0].contains("republished 10 times"), "it says why");
    // The next message has its own ten.
    publish(&world, "echo", "{}").await;
    assert_eq!(heard(&claim).len(), 1 + 10);

    // Ten for each.
    let ten = Value::Array(vec![republish("out", "flood"); 10]);
    rule(&world, "flood", "SELECT * FROM 'flood'", ten, json!({ "errorAction": republish("out", "flood") })).await;
    let claim = listen(&world, "flood");
    publish(&world, "flood", "{}").await;
    assert_eq!(heard(&claim).len(), 1 + 100);
    assert!(failures(&world, "flood").await.iter().any(|line| line.contains("caused 100 others")));
}

#[tokio::test]
async fn the_error_action_is_told_once_of_all_failures() {
    let world = World::new();
    publisher(&world, "out", "errors/*").await;
    let lambda = json!({ "lambda": { "functionArn": function_arn("missing") } });
    let actions = json!([lambda, republish("out", "denied"), republish("out", "errors/none/${missing}")]);
    let error_action = json!({ "errorAction": republish("out", "errors/${topic()}/${ruleName}") });
    rule(&world, "r", "SELECT a FROM 'in'", actions, error_action.clone()).await;
    let read = world.done("iot:GetTopicRule", json!({ "ruleName": "r" })).await;
    assert_eq!(read["rule"]["errorAction"], error_action["errorAction"]);
    let claim = listen(&world, "errors/#");
    publish(&world, "in", r#"{"a":1}"#).await;
    let heard = heard(&claim);
    let [(topic, document)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(topic, "errors/in/r");
    let document: Value = serde_json::from_str(document).expect("JSON");
    assert_eq!((&document["ruleName"], &document["topic"]), (&json!("r"), &json!("in")));
    assert_eq!((&document["clientId"], document["cloudwatchTraceId"].is_string()), (&json!("n/a"), true));
    assert_eq!(document["base64OriginalPayload"], STANDARD.encode(r#"{"a":1}"#));
    let failures = document["failures"].as_array().expect("a list");
    for (failure, (action, resource, said)) in failures.iter().zip([
        ("LambdaAction", function_arn("missing"), "Function not found"),
        ("RepublishAction", "denied".to_owned(), "iot:Publish"),
        ("RepublishAction", String::new(), "has no value"),
    ]) {
        assert_eq!((&failure["failedAction"], &failure["failedResource"]), (&json!(action), &json!(resource)));
        let message = failure["errorMessage"].as_str().expect("a sentence");
        assert!(message.contains(said) && message.contains("Message arrived on: in"), "{message}");
    }
    assert_eq!(failures.len(), 3);

    // A function hears it as well, in the same form; and nothing is told where nothing failed.
    world.function("alarm").await;
    let permission = json!({
        "FunctionName": "alarm", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
    });
    world.done("lambda:AddPermission", permission).await;
    let alarm = json!({ "errorAction": { "lambda": { "functionArn": function_arn("alarm") } } });
    rule(&world, "fails", "SELECT * FROM 'fails'", json!([republish("out", "denied")]), alarm.clone()).await;
    rule(&world, "works", "SELECT * FROM 'works'", json!([republish("out", "errors/x")]), alarm).await;
    publish(&world, "works", "{}").await;
    assert_eq!(world.keys("invocation/"), Vec::<String>::new());
    publish(&world, "fails", "no json").await;
    assert_eq!(world.keys("invocation/").len(), 1);
}

/// Whoever makes a rule hands its roles to AWS IoT.
#[tokio::test]
async fn making_a_rule_takes_the_right_to_pass_its_roles() {
    let world = World::new();
    publisher(&world, "out", "*").await;
    let caller = world.role("caller").await;
    world.grant("caller", "iot:*", "*").await;
    let plain = json!({ "ruleName": "r", "topicRulePayload": { "sql": "SELECT * FROM 'a'", "actions": [] } });
    let mut by_action = plain.clone();
    by_action["topicRulePayload"]["actions"] = json!([republish("out", "b")]);
    let mut by_error = plain.clone();
    by_error["topicRulePayload"]["errorAction"] = republish("out", "b");
    world.call_as(caller.clone(), "iot:CreateTopicRule", plain).await.expect("no role is passed");
    for input in [&by_action, &by_error] {
        for operation in ["iot:ReplaceTopicRule", "iot:CreateTopicRule"] {
            let err = world.call_as(caller.clone(), operation, input.clone()).await.expect_err("denied");
            assert_eq!(err.code, "AccessDeniedException");
            assert!(err.message.contains("iam:PassRole") && err.message.contains("role/out"), "{err}");
        }
    }
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:*", "Resource": "*" },
        { "Effect": "Allow", "Action": "iam:PassRole", "Resource": role_arn("out"),
          "Condition": { "StringEquals": { "iam:PassedToService": "iot.amazonaws.com" } } } ] });
    let grant = json!({ "RoleName": "caller", "PolicyName": "p", "PolicyDocument": document.to_string() });
    world.done("iam:PutRolePolicy", grant).await;
    for input in [by_action, by_error] {
        world.call_as(caller.clone(), "iot:ReplaceTopicRule", input).await.expect("passed");
    }
}
