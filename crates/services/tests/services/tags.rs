use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, allow_all, ca, rule_input, with};

const TAG: &str = "iot:TagResource";
const UNTAG: &str = "iot:UntagResource";

fn arn(resource: &str) -> String {
    format!("arn:aws:iot:us-east-1:{ACCOUNT}:{resource}")
}

fn tag(key: &str, value: &str) -> Value {
    json!({ "Key": key, "Value": value })
}

async fn tags(world: &World, resource: &str) -> Value {
    world.done("iot:ListTagsForResource", json!({ "resourceArn": arn(resource) })).await["tags"].clone()
}

/// Each noun's creation with tags, the resource that comes of it, and the call that takes it away.
async fn nouns(world: &World) -> Vec<(&'static str, Value, String, &'static str, Value)> {
    let ca = ca("Factory");
    let id = ca.id().to_string();
    let list = json!([tag("team", "blue"), { "Key": "bare" }]);
    let register = with(world.registration(&ca).await, json!({ "tags": list, "setAsActive": null }));
    let policy = json!({ "policyName": "Fleet", "policyDocument": allow_all(), "tags": list });
    let rule = with(rule_input("r", "SELECT * FROM 'a'", "f"), json!({ "tags": "team=blue&bare" }));
    vec![
        (
            "iot:RegisterCACertificate",
            register,
            format!("cacert/{id}"),
            "iot:DeleteCACertificate",
            json!({ "certificateId": id }),
        ),
        ("iot:CreatePolicy", policy, "policy/Fleet".to_owned(), "iot:DeletePolicy", json!({ "policyName": "Fleet" })),
        ("iot:CreateTopicRule", rule, "rule/r".to_owned(), "iot:DeleteTopicRule", json!({ "ruleName": "r" })),
    ]
}

#[tokio::test]
async fn a_nouns_tags_are_made_changed_and_go_with_it() {
    let world = World::new();
    for (create, input, resource, remove, named) in nouns(&world).await {
        world.done(create, input.clone()).await;
        assert_eq!(tags(&world, &resource).await, json!([tag("bare", ""), tag("team", "blue")]), "{resource}");
        let more = json!({ "resourceArn": arn(&resource), "tags": [tag("team", "red"), tag("a b/\u{e9}", "1")] });
        assert_eq!(world.done(TAG, more).await, json!({}));
        let expected = json!([tag("a b/\u{e9}", "1"), tag("bare", ""), tag("team", "red")]);
        assert_eq!(tags(&world, &resource).await, expected);
        for _ in 0..2 {
            let less = json!({ "resourceArn": arn(&resource), "tagKeys": ["bare", "team", "never"] });
            assert_eq!(world.done(UNTAG, less).await, json!({}));
            assert_eq!(tags(&world, &resource).await, json!([tag("a b/\u{e9}", "1")]));
        }
        world.done(remove, named).await;
        let gone = json!({ "resourceArn": arn(&resource) });
        let words = "does not exist";
        world.refused("iot:ListTagsForResource", gone, "ResourceNotFoundException", words).await;
        // One of the same name that comes later has none of them.
        world.done(create, with(input, json!({ "tags": null }))).await;
        assert_eq!(tags(&world, &resource).await, json!([]));
    }
    assert_eq!(world.keys("iot/tags/"), Vec::<String>::new());
}

#[tokio::test]
async fn limits_and_refusals() {
    let world = World::new();
    let create = json!({ "policyName": "Fleet", "policyDocument": allow_all() });
    world.done("iot:CreatePolicy", create.clone()).await;
    let many = |range: std::ops::Range<i32>| range.map(|n| tag(&format!("k{n}"), "v")).collect::<Vec<_>>();
    let long = |length: usize| "\u{e9}".repeat(length);
    let (invalid, missing, limit) = ("InvalidRequestException", "ResourceNotFoundException", "LimitExceededException");
    let full = json!({ "resourceArn": arn("policy/Fleet"), "tags": many(0..50) });
    world.done(TAG, full.clone()).await;
    world.done(TAG, full.clone()).await;
    for (changes, code, words) in [
        (json!({ "tags": many(50..51) }), limit, "50 tags"),
        (json!({ "tags": [tag("aws:team", "v")] }), invalid, "aws:"),
        (json!({ "tags": [tag("Aws:team", "v")] }), invalid, "aws:"),
        (json!({ "tags": [tag("", "v")] }), invalid, "1 to 128"),
        (json!({ "tags": [tag(&long(129), "v")] }), invalid, "1 to 128"),
        (json!({ "tags": [tag("k1", &long(257))] }), invalid, "256"),
        (json!({ "tags": [tag("semi;colon", "v")] }), invalid, "letters"),
        (json!({ "tags": [tag("line\nfeed", "v")] }), invalid, "letters"),
        (json!({ "tags": [tag("k1", "a"), tag("k1", "b")] }), invalid, "once"),
        (json!({ "resourceArn": "Fleet" }), invalid, "not an ARN"),
        (json!({ "resourceArn": arn("cert/00") }), invalid, "cannot be tagged"),
        (json!({ "resourceArn": arn("policy/None") }), missing, "does not exist"),
        (json!({ "resourceArn": arn("policy/") }), missing, "does not exist"),
        (json!({ "resourceArn": arn("policy/Fleet").replace(ACCOUNT, "999999999999") }), missing, "does not exist"),
        (json!({ "resourceArn": arn("policy/Fleet").replace(":iot:", ":s3:") }), missing, "does not exist"),
    ] {
        world.refused(TAG, with(full.clone(), changes), code, words).await;
    }
    assert_eq!(tags(&world, "policy/Fleet").await.as_array().map(Vec::len), Some(50), "nothing has changed");
    world.done(TAG, with(full, json!({ "tags": [tag("k1", &long(256))] }))).await;
    let too_many = with(create, json!({ "policyName": "Other", "tags": many(0..51) }));
    world.refused("iot:CreatePolicy", too_many, invalid, "50 tags").await;
    let paged = json!({ "resourceArn": arn("policy/Fleet"), "nextToken": "x" });
    world.refused("iot:ListTagsForResource", paged, invalid, "nextToken").await;
}

/// `aws:RequestTag` and `aws:TagKeys` in a role's policy.
#[tokio::test]
async fn rights_may_hang_on_tags() {
    let world = World::new();
    let caller = world.role("caller").await;
    let allow = |action: &str, condition: Value| json!({ "Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition });
    let document = json!({ "Version": "2012-10-17", "Statement": [
        allow("iot:CreatePolicy", json!({ "StringEquals": { "aws:RequestTag/team": "blue" } })),
        allow("iot:TagResource", json!({ "StringEquals": { "aws:RequestTag/team": "blue" } })),
        allow("iot:UntagResource", json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["bare"] } })),
    ] });
    let input = json!({ "RoleName": "caller", "PolicyName": "p", "PolicyDocument": document.to_string() });
    world.done("iam:PutRolePolicy", input).await;
    let named = json!({ "policyName": "Fleet", "policyDocument": allow_all() });
    let resource = json!({ "resourceArn": arn("policy/Fleet") });
    for (operation, input, allowed) in [
        ("iot:CreatePolicy", with(named.clone(), json!({ "tags": [tag("team", "red")] })), false),
        ("iot:CreatePolicy", named.clone(), false),
        ("iot:CreatePolicy", with(named, json!({ "tags": [tag("team", "blue")] })), true),
        (TAG, with(resource.clone(), json!({ "tags": [tag("team", "red")] })), false),
        (TAG, with(resource.clone(), json!({ "tags": [tag("team", "blue"), tag("bare", "")] })), true),
        (UNTAG, with(resource.clone(), json!({ "tagKeys": ["bare", "team"] })), false),
        (UNTAG, with(resource, json!({ "tagKeys": ["bare"] })), true),
    ] {
        let answer = world.call_as(caller.clone(), operation, input.clone()).await;
        match answer {
            Ok(_) => assert!(allowed, "{operation} {input}"),
            Err(err) => assert!(!allowed && err.code == "AccessDeniedException", "{operation} {input}: {err}"),
        }
    }
}
