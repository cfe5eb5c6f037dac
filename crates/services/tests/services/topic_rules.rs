use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, function_arn, pages, role_arn, rule_input, with};

const CREATE: &str = "iot:CreateTopicRule";

fn payload(changes: Value) -> Value {
    let payload = json!({ "sql": "SELECT * FROM 'a'", "actions": [lambda("f")] });
    json!({ "ruleName": "r", "topicRulePayload": with(payload, changes) })
}

fn lambda(name: &str) -> Value {
    json!({ "lambda": { "functionArn": function_arn(name) } })
}

#[tokio::test]
async fn refusals_of_create() {
    let world = World::new();
    let invalid = "InvalidRequestException";
    let republish = |topic: &str| json!({ "republish": { "roleArn": role_arn("r"), "topic": topic } });
    let two = with(lambda("f"), republish("t"));
    let s3 = json!({ "s3": { "roleArn": role_arn("r"), "bucketName": "b", "key": "k" } });
    let no_role = json!({ "republish": { "roleArn": "r", "topic": "t" } });
    let header = json!({ "republish": { "roleArn": role_arn("r"), "topic": "t", "headers": { "contentType": "${" } } });
    let eleven = vec![lambda("f"); 11];
    for (changes, code, words) in [
        (json!({ "sql": "SELECT *\nFORM 'a'" }), "SqlParseException", "line 2"),
        (json!({ "sql": "" }), "SqlParseException", "line 1"),
        (json!({ "awsIotSqlVersion": "1999-01-01" }), invalid, "1999-01-01"),
        (json!({ "errorAction": s3 }), invalid, "s3 is not served yet"),
        (json!({ "errorAction": {} }), invalid, "errorAction names what to do"),
        (json!({ "actions": [s3] }), invalid, "s3 is not served yet"),
        (json!({ "actions": [two] }), invalid, "one action"),
        (json!({ "actions": [no_role] }), invalid, "not the ARN of a role"),
        (json!({ "actions": [republish("a/+")] }), invalid, "topic is refused"),
        (json!({ "actions": [republish("")] }), invalid, "topic is refused"),
        (json!({ "actions": [republish("$aws/things/x/shadow/update")] }), invalid, "begin it with $$: $$aws/things"),
        (json!({ "actions": [republish("$$aws/events/x")] }), invalid, "own events"),
        (json!({ "actions": [republish("$$aws/things/x/jobs/get")] }), invalid, "Jobs"),
        (json!({ "actions": [republish("1/2/3/4/5/6/7/8/9")] }), invalid, "8 slashes"),
        (json!({ "actions": [republish("a/${topic(}")] }), invalid, "template is wrong"),
        (json!({ "actions": [header] }), invalid, "template is wrong"),
        (json!({ "actions": [{}] }), invalid, "lambda"),
        (json!({ "actions": [{ "lambda": { "functionArn": "f" } }] }), invalid, "not the ARN"),
        (json!({ "actions": eleven }), invalid, "10 actions"),
    ] {
        world.refused(CREATE, payload(changes), code, words).await;
    }
    let tagged = with(payload(json!({})), json!({ "tags": "aws:k=v" }));
    world.refused(CREATE, tagged, invalid, "aws:").await;
    assert_eq!(world.keys("iot/rule/"), Vec::<String>::new());

    world.done(CREATE, payload(json!({}))).await;
    let err = world.refused(CREATE, payload(json!({})), "ResourceAlreadyExistsException", "'r'").await;
    let arn = format!("arn:aws:iot:us-east-1:{ACCOUNT}:rule/r");
    assert_eq!(err.members, [("resourceId", "r".to_owned()), ("resourceArn", arn)]);
}

#[tokio::test]
async fn rules_are_read_and_deleted() {
    let world = World::new();
    let input = payload(json!({ "description": "d", "ruleDisabled": true }));
    world.done(CREATE, input).await;
    let read = world.done("iot:GetTopicRule", json!({ "ruleName": "r" })).await;
    for (member, expected) in [
        ("sql", json!("SELECT * FROM 'a'")),
        ("description", json!("d")),
        ("ruleDisabled", json!(true)),
        ("awsIotSqlVersion", json!("2015-10-08")),
        ("actions", json!([lambda("f")])),
    ] {
        assert_eq!(read["rule"][member], expected, "{member}");
    }
    for _ in 0..2 {
        world.done("iot:DeleteTopicRule", json!({ "ruleName": "r" })).await;
    }
    // AWS has no 404 for it.
    world.refused("iot:GetTopicRule", json!({ "ruleName": "r" }), "UnauthorizedException", "rule/r").await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = World::new();
    for (name, filter) in [("a", "one"), ("b", "one/+"), ("c", "one/#"), ("d", "two"), ("e", "$aws/events/#")] {
        world.done(CREATE, rule_input(name, &format!("SELECT * FROM '{filter}'"), "f")).await;
    }
    let off = json!({ "ruleName": "off", "topicRulePayload": {
        "sql": "SELECT * FROM 'one'", "actions": [], "ruleDisabled": true,
    } });
    world.done(CREATE, off).await;
    for (input, expected) in [
        (json!({}), vec!["a", "b", "c", "d", "e", "off"]),
        (json!({ "topic": "one/+" }), vec!["b", "c"]),
        (json!({ "topic": "one/x" }), vec!["b", "c"]),
        (json!({ "topic": "two" }), vec!["d"]),
        (json!({ "topic": "three" }), vec![]),
        (json!({ "ruleDisabled": true }), vec!["off"]),
    ] {
        for size in [2, 100] {
            let input = with(input.clone(), json!({ "maxResults": size }));
            let pages = pages(&world, "iot:ListTopicRules", input.clone(), "rules", "nextToken").await;
            let names: Vec<&str> = pages.iter().flatten().filter_map(|rule| rule["ruleName"].as_str()).collect();
            assert_eq!(names, expected, "{input}");
        }
    }
    world.refused("iot:ListTopicRules", json!({ "nextToken": "%" }), "InvalidRequestException", "marker").await;
}

#[tokio::test]
async fn rules_are_replaced_switched_off_and_on() {
    let world = World::new();
    world.done(CREATE, payload(json!({ "description": "d" }))).await;
    let rule = || async { world.done("iot:GetTopicRule", json!({ "ruleName": "r" })).await["rule"].clone() };
    let created_at = rule().await["createdAt"].clone();
    world.pass_ms(5000);
    let replacement = json!({ "sql": "SELECT a FROM 'b'", "actions": [lambda("g")], "awsIotSqlVersion": "2016-03-23" });
    world.done("iot:ReplaceTopicRule", payload(replacement)).await;
    let replaced = rule().await;
    assert_eq!((&replaced["sql"], &replaced["actions"]), (&json!("SELECT a FROM 'b'"), &json!([lambda("g")])));
    assert_eq!((&replaced["createdAt"], &replaced["awsIotSqlVersion"]), (&created_at, &json!("2016-03-23")));
    assert_eq!(replaced["description"], Value::Null, "what is left out is gone");
    for _ in 0..2 {
        world.done("iot:DisableTopicRule", json!({ "ruleName": "r" })).await;
        assert_eq!(rule().await["ruleDisabled"], true);
    }
    for _ in 0..2 {
        world.done("iot:EnableTopicRule", json!({ "ruleName": "r" })).await;
        assert_eq!(rule().await["ruleDisabled"], false);
    }
    let broken = payload(json!({ "sql": "SELECT" }));
    world.refused("iot:ReplaceTopicRule", broken, "SqlParseException", "line 1").await;
    assert_eq!(rule().await["sql"], "SELECT a FROM 'b'", "a refused replacement changes nothing");
    let missing = with(payload(json!({})), json!({ "ruleName": "none" }));
    for operation in ["iot:ReplaceTopicRule", "iot:EnableTopicRule", "iot:DisableTopicRule"] {
        world.refused(operation, missing.clone(), "UnauthorizedException", "rule/none").await;
    }
}
