use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, allow_all, policy_arn, with};

const BASIC: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

fn attachment(policy_arn: &str) -> Value {
    json!({ "RoleName": "r", "PolicyArn": policy_arn })
}

fn new_policy(name: &str) -> Value {
    json!({ "PolicyName": name, "PolicyDocument": allow_all() })
}

#[tokio::test]
async fn policies_are_made_read_and_deleted() {
    let world = World::new();
    let input =
        with(new_policy("p"), json!({ "Path": "/team/", "Description": "d", "Tags": [{ "Key": "k", "Value": "v" }] }));
    let created = world.done("iam:CreatePolicy", input.clone()).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/team/p");
    assert_eq!(created["Policy"]["Arn"], arn);
    assert!(created["Policy"]["PolicyId"].as_str().is_some_and(|id| id.starts_with("ANPA") && id.len() == 21));
    let got = world.done("iam:GetPolicy", json!({ "PolicyArn": arn })).await;
    for (member, expected) in [
        ("PolicyName", json!("p")),
        ("Path", json!("/team/")),
        ("Description", json!("d")),
        ("DefaultVersionId", json!("v1")),
        ("AttachmentCount", json!(0)),
        ("IsAttachable", json!(true)),
        ("Tags", json!([{ "Key": "k", "Value": "v" }])),
    ] {
        assert_eq!(got["Policy"][member], expected, "{member}");
    }
    let version = world.done("iam:GetPolicyVersion", json!({ "PolicyArn": arn, "VersionId": "v1" })).await;
    let version = &version["PolicyVersion"];
    assert_eq!((&version["VersionId"], &version["IsDefaultVersion"]), (&json!("v1"), &json!(true)));
    assert!(version["Document"].as_str().is_some_and(|text| text.starts_with("%7B")), "{version}");

    let long = allow_all().replace("iot:*", &format!("iot:{}", "x".repeat(6144)));
    for (changes, code, words) in [
        (json!({ "PolicyName": "P" }), "EntityAlreadyExists", "A policy called P already exists."),
        (json!({ "PolicyName": "q", "PolicyDocument": "[]" }), "MalformedPolicyDocument", ""),
        (json!({ "PolicyName": "q", "PolicyDocument": long }), "LimitExceeded", "PolicySize: 6144"),
    ] {
        world.refused("iam:CreatePolicy", with(input.clone(), changes), code, words).await;
    }
    world.refused("iam:GetPolicyVersion", json!({ "PolicyArn": arn, "VersionId": "v2" }), "NoSuchEntity", "v2").await;
    for (arn, code) in [
        (policy_arn("p"), "NoSuchEntity"),
        (format!("arn:aws:iam::{ACCOUNT}:policy/team/other"), "NoSuchEntity"),
        ("arn:aws:iam::210987654321:policy/team/p".to_owned(), "NoSuchEntity"),
        ("arn:aws-cn:iam::aws:policy/AdministratorAccess".to_owned(), "NoSuchEntity"),
        ("arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned(), "NoSuchEntity"),
        (format!("arn:aws:iam::{ACCOUNT}:role/team/p"), "InvalidInput"),
        ("AWSLambdaBasicExecutionRole".to_owned(), "InvalidInput"),
    ] {
        world.refused("iam:GetPolicy", json!({ "PolicyArn": arn }), code, &arn).await;
        world.refused("iam:DeletePolicy", json!({ "PolicyArn": arn }), code, &arn).await;
    }
    world.refused("iam:DeletePolicy", json!({ "PolicyArn": BASIC }), "AccessDenied", "outside your own account").await;
    world.done("iam:DeletePolicy", json!({ "PolicyArn": arn })).await;
    world.refused("iam:GetPolicy", json!({ "PolicyArn": arn }), "NoSuchEntity", "was not found").await;
}

#[tokio::test]
async fn policies_are_listed_by_scope_and_use() {
    let world = World::new();
    world.role("r").await;
    for (name, path) in [("b", "/"), ("a", "/x/")] {
        world.done("iam:CreatePolicy", with(new_policy(name), json!({ "Path": path, "Description": "d" }))).await;
    }
    world.done("iam:AttachRolePolicy", attachment(&policy_arn("b"))).await;
    world.done("iam:AttachRolePolicy", attachment(BASIC)).await;
    let names = async |input: Value| -> Vec<String> {
        let answer = world.done("iam:ListPolicies", input).await;
        let policies = answer["Policies"].as_array().expect("policies").clone();
        assert!(policies.iter().all(|policy| policy.get("Description").is_none()), "lists show no descriptions");
        policies.iter().filter_map(|policy| Some(policy["PolicyName"].as_str()?.to_owned())).collect()
    };
    assert_eq!(names(json!({ "Scope": "Local" })).await, ["a", "b"]);
    assert_eq!(names(json!({ "Scope": "Local", "PathPrefix": "/x/" })).await, ["a"]);
    assert_eq!(names(json!({ "OnlyAttached": true })).await, ["AWSLambdaBasicExecutionRole", "b"]);
    assert_eq!(names(json!({ "OnlyAttached": true, "Scope": "AWS" })).await, ["AWSLambdaBasicExecutionRole"]);
    assert_eq!(names(json!({ "PolicyUsageFilter": "PermissionsBoundary" })).await, [""; 0]);
    let all = names(json!({})).await;
    assert!(all.len() > 10 && all.is_sorted(), "{all:?}");
    let service_roles = names(json!({ "Scope": "AWS", "PathPrefix": "/service-role/" })).await;
    assert!(
        service_roles.contains(&"AWSIoTRuleActions".to_owned())
            && !service_roles.contains(&"AWSIoTFullAccess".to_owned())
    );
    let mut paged = Vec::new();
    let mut input = json!({ "MaxItems": 3 });
    loop {
        let answer = world.done("iam:ListPolicies", input.clone()).await;
        let policies = answer["Policies"].as_array().expect("policies").clone();
        paged.extend(policies.iter().filter_map(|policy| Some(policy["PolicyName"].as_str()?.to_owned())));
        match answer.get("Marker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => break,
        }
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn attached_policies_give_rights() {
    let world = World::new();
    let caller = world.role("r").await;
    world.done("iam:CreatePolicy", new_policy("p")).await;
    let arn = policy_arn("p");
    let may = async || match world.call_as(caller.clone(), "iot:GetPolicy", json!({ "policyName": "none" })).await {
        Err(err) => err.code != "AccessDeniedException",
        Ok(_) => true,
    };
    assert!(!may().await);
    world.done("iam:AttachRolePolicy", attachment(&arn)).await;
    world.done("iam:AttachRolePolicy", attachment(&arn)).await;
    assert!(may().await);
    assert_eq!(world.done("iam:GetPolicy", json!({ "PolicyArn": arn })).await["Policy"]["AttachmentCount"], 1);
    world.refused("iam:DeletePolicy", json!({ "PolicyArn": arn }), "DeleteConflict", "attached to entities").await;
    world.refused("iam:DeleteRole", json!({ "RoleName": "r" }), "DeleteConflict", "must detach all policies").await;
    world.done("iam:DetachRolePolicy", attachment(&arn)).await;
    assert!(!may().await);
    world.refused("iam:DetachRolePolicy", attachment(&arn), "NoSuchEntity", &arn).await;
    world.done("iam:AttachRolePolicy", attachment("arn:aws:iam::aws:policy/AWSIoTFullAccess")).await;
    assert!(may().await);

    for (arn, code) in [(policy_arn("none"), "NoSuchEntity"), ("a-name-of-twenty-chars".to_owned(), "InvalidInput")] {
        world.refused("iam:AttachRolePolicy", attachment(&arn), code, &arn).await;
    }
    let nobody = with(attachment(&arn), json!({ "RoleName": "none" }));
    world.refused("iam:AttachRolePolicy", nobody, "NoSuchEntity", "none").await;
}

#[tokio::test]
async fn ten_policies_hang_on_a_role() {
    let world = World::new();
    world.role("r").await;
    world.done("iam:AttachRolePolicy", attachment(BASIC)).await;
    for n in 0..9 {
        world.done("iam:CreatePolicy", with(new_policy(&format!("p{n}")), json!({ "Path": "/team/" }))).await;
        world.done("iam:AttachRolePolicy", attachment(&policy_arn(&format!("team/p{n}")))).await;
    }
    world.done("iam:CreatePolicy", new_policy("more")).await;
    let refusal = "Cannot exceed quota for PoliciesPerRole: 10";
    world.refused("iam:AttachRolePolicy", attachment(&policy_arn("more")), "LimitExceeded", refusal).await;
    world.done("iam:AttachRolePolicy", attachment(BASIC)).await;
    let list = "iam:ListAttachedRolePolicies";
    let listed = world.done(list, json!({ "RoleName": "r", "MaxItems": 2 })).await;
    assert_eq!(
        listed["AttachedPolicies"],
        json!([
            { "PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC },
            { "PolicyName": "p0", "PolicyArn": policy_arn("team/p0") },
        ])
    );
    let rest = world.done(list, json!({ "RoleName": "r", "Marker": listed["Marker"] })).await;
    assert_eq!(rest["AttachedPolicies"].as_array().map(Vec::len), Some(8));
    for (prefix, count) in [("/team/", 9), ("/service-role/", 1), ("/none/", 0)] {
        let listed = world.done(list, json!({ "RoleName": "r", "PathPrefix": prefix })).await;
        assert_eq!(listed["AttachedPolicies"].as_array().map(Vec::len), Some(count), "{prefix}");
    }
}

/// A condition on the attached policy, as AWS's guide to delegating administration writes it.
#[tokio::test]
async fn which_policy_may_be_attached_can_be_limited() {
    let world = World::new();
    let caller = world.role("admin").await;
    world.role("r").await;
    let document = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "iam:*RolePolicy", "Resource": "*",
        "Condition": { "ArnEquals": { "iam:PolicyARN": BASIC } } } });
    let grant = json!({ "RoleName": "admin", "PolicyName": "p", "PolicyDocument": document.to_string() });
    world.done("iam:PutRolePolicy", grant).await;
    world.call_as(caller.clone(), "iam:AttachRolePolicy", attachment(BASIC)).await.expect("allowed");
    let other = attachment("arn:aws:iam::aws:policy/AdministratorAccess");
    let refusal = world.call_as(caller, "iam:AttachRolePolicy", other).await.expect_err("not allowed");
    assert_eq!(refusal.code, "AccessDenied");
}
