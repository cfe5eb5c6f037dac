use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, role_arn, trust, with};

fn policy(name: &str, document: &str) -> Value {
    json!({ "RoleName": "r", "PolicyName": name, "PolicyDocument": document })
}

#[tokio::test]
async fn roles_are_made_and_read() {
    let world = World::new();
    world.pass_ms(1000 - world.now_ms() % 1000 + 250);
    let input = json!({ "RoleName": "r", "Path": "/jitr/", "Description": "d", "AssumeRolePolicyDocument": trust() });
    let created = world.done("iam:CreateRole", input.clone()).await;
    assert_eq!(created, world.done("iam:GetRole", json!({ "RoleName": "r" })).await);
    let role = &created["Role"];
    for (member, expected) in [
        ("Arn", json!(format!("arn:aws:iam::{ACCOUNT}:role/jitr/r"))),
        ("Path", json!("/jitr/")),
        ("Description", json!("d")),
        ("MaxSessionDuration", json!(3600)),
    ] {
        assert_eq!(role[member], expected, "{member}");
    }
    assert!(role["AssumeRolePolicyDocument"].as_str().is_some_and(|text| text.starts_with("%7B%22")), "{role}");
    let date = role["CreateDate"].as_f64().expect("a date");
    assert!(date.fract() == 0.0, "{date} has whole seconds");

    world.refused("iam:CreateRole", input.clone(), "EntityAlreadyExists", "r already exists").await;
    let long = trust().replace("sts:AssumeRole", &format!("sts:{}", "x".repeat(2048)));
    let foreign = trust().replace("Principal", "Principle");
    for (changes, code, words) in [
        (json!({ "AssumeRolePolicyDocument": "{" }), "MalformedPolicyDocument", "line 1"),
        (json!({ "AssumeRolePolicyDocument": foreign }), "MalformedPolicyDocument", ""),
        (json!({ "AssumeRolePolicyDocument": long }), "LimitExceeded", "ACLSizePerRole: 2048"),
        (json!({ "PermissionsBoundary": "arn" }), "InvalidInput", "PermissionsBoundary"),
    ] {
        let changes = with(changes, json!({ "RoleName": "other" }));
        world.refused("iam:CreateRole", with(input.clone(), changes), code, words).await;
    }
    world.refused("iam:GetRole", json!({ "RoleName": "other" }), "NoSuchEntity", "other").await;
}

#[tokio::test]
async fn inline_policies_are_bounded_together() {
    let world = World::new();
    world.role("r").await;
    let document = |chars: usize, blanks: &str| {
        let resource = format!("arn:{}", "x".repeat(chars));
        let statement = json!({ "Effect": "Allow", "Action": "iot:*", "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": statement }).to_string() + blanks
    };
    let put = "iam:PutRolePolicy";
    world.done(put, policy("a", &document(5000, &" ".repeat(10_000)))).await;
    world.done(put, policy("b", &document(5000, ""))).await;
    // In the place of the old one, not beside it.
    world.done(put, policy("b", &document(5000, ""))).await;
    world.refused(put, policy("c", &document(500, "")), "LimitExceeded", "10240 bytes exceeded for role r").await;
    world.refused(put, policy("c", "{}"), "MalformedPolicyDocument", "").await;
    world.refused(put, policy("c", &trust()), "MalformedPolicyDocument", "").await;
    let missing = with(policy("c", &document(1, "")), json!({ "RoleName": "none" }));
    world.refused(put, missing, "NoSuchEntity", "none").await;
}

#[tokio::test]
async fn callers_are_named() {
    let world = World::new();
    let root = world.done("sts:GetCallerIdentity", json!({})).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:root");
    assert_eq!(root, json!({ "Account": ACCOUNT, "Arn": arn, "UserId": ACCOUNT }));
    let session = world.role("r").await;
    let answer = world.call_as(session, "sts:GetCallerIdentity", json!({})).await.expect("needs no right");
    assert_eq!(answer["Arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/session"));
    let role = world.done("iam:GetRole", json!({ "RoleName": "r" })).await;
    assert_eq!(role["Role"]["Arn"], role_arn("r"));
    let id = role["Role"]["RoleId"].as_str().expect("an id");
    assert_eq!(answer["UserId"], format!("{id}:session"));
}
