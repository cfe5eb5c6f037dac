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

#[tokio::test]
async fn roles_are_listed_and_deleted() {
    let world = World::new();
    for (name, path) in [("b", "/"), ("a", "/team/x/"), ("c", "/team/"), ("d", "/te/")] {
        let input = json!({ "RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust(),
            "Tags": [{ "Key": "k", "Value": "v" }] });
        world.done("iam:CreateRole", input).await;
    }
    for (input, expected) in [
        (json!({}), vec!["a", "b", "c", "d"]),
        (json!({ "PathPrefix": "/team/" }), vec!["a", "c"]),
        (json!({ "PathPrefix": "/te" }), vec!["a", "c", "d"]),
        (json!({ "PathPrefix": "/none/" }), vec![]),
    ] {
        let answer = world.done("iam:ListRoles", input.clone()).await;
        let roles = answer["Roles"].as_array().expect("roles");
        let names: Vec<&str> = roles.iter().filter_map(|role| role["RoleName"].as_str()).collect();
        assert_eq!(names, expected, "{input}");
        assert!(roles.iter().all(|role| role.get("Tags").is_none()), "lists show no tags");
        assert_eq!(answer["IsTruncated"], false);
    }
    let first = world.done("iam:ListRoles", json!({ "MaxItems": 3 })).await;
    assert_eq!(first["IsTruncated"], true);
    let rest = world.done("iam:ListRoles", json!({ "MaxItems": 3, "Marker": first["Marker"] })).await;
    assert_eq!((rest["Roles"][0]["RoleName"].clone(), rest.get("Marker")), (json!("d"), None));
    world.refused("iam:ListRoles", json!({ "Marker": "?" }), "ValidationError", "Marker").await;

    world.done("iam:DeleteRole", json!({ "RoleName": "d" })).await;
    world.refused("iam:DeleteRole", json!({ "RoleName": "d" }), "NoSuchEntity", "name d cannot be found").await;
    world
        .refused(
            "iam:CreateRole",
            json!({ "RoleName": "A", "AssumeRolePolicyDocument": trust() }),
            "EntityAlreadyExists",
            "Role with name A already exists.",
        )
        .await;
    let twice = json!([{ "Key": "k", "Value": "1" }, { "Key": "K", "Value": "2" }]);
    world
        .refused(
            "iam:CreateRole",
            json!({ "RoleName": "t", "AssumeRolePolicyDocument": trust(), "Tags": twice }),
            "InvalidInput",
            "Duplicate tag keys",
        )
        .await;
}

#[tokio::test]
async fn roles_have_a_quota() {
    let world = World::new();
    world.role("r0").await;
    let record = world.store.get(b"iam/role/r0").expect("the store reads").expect("the role");
    let writes = (1..1000).map(|n| store::Write {
        key: format!("iam/role/r{n}").into_bytes(),
        value: Some(record.value.clone()),
        expect: store::Expect::Absent,
    });
    world.store.commit(writes.collect()).await.expect("committed");
    let input = json!({ "RoleName": "more", "AssumeRolePolicyDocument": trust() });
    world.refused("iam:CreateRole", input, "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000").await;
}

#[tokio::test]
async fn inline_policies_are_read_and_deleted() {
    let world = World::new();
    world.role("r").await;
    let document = crate::world::allow_all();
    for name in ["b", "a", "c"] {
        world.done("iam:PutRolePolicy", policy(name, &document)).await;
    }
    let named = |name: &str| json!({ "RoleName": "r", "PolicyName": name });
    let got = world.done("iam:GetRolePolicy", named("a")).await;
    let encoded = got["PolicyDocument"].as_str().expect("a document");
    assert!(encoded.starts_with("%7B%22Statement%22%3A%5B"), "{encoded}");
    let listed = world.done("iam:ListRolePolicies", json!({ "RoleName": "r", "MaxItems": 2 })).await;
    assert_eq!((&listed["PolicyNames"], &listed["IsTruncated"]), (&json!(["a", "b"]), &json!(true)));
    world.refused("iam:DeleteRole", json!({ "RoleName": "r" }), "DeleteConflict", "must delete policies first").await;
    for name in ["a", "b", "c"] {
        world.done("iam:DeleteRolePolicy", named(name)).await;
    }
    for verb in ["iam:GetRolePolicy", "iam:DeleteRolePolicy"] {
        world.refused(verb, named("a"), "NoSuchEntity", "The role policy with name a cannot be found.").await;
        let elsewhere = json!({ "RoleName": "none", "PolicyName": "a" });
        world.refused(verb, elsewhere, "NoSuchEntity", "The role with name none cannot be found.").await;
    }
    world.done("iam:DeleteRole", json!({ "RoleName": "r" })).await;
}

#[tokio::test]
async fn a_trust_policy_is_replaced() {
    let world = World::new();
    world.role("r").await;
    let change = |document: &str| json!({ "RoleName": "r", "PolicyDocument": document });
    let update = "iam:UpdateAssumeRolePolicy";
    world.done(update, change(&trust().replace("lambda", "iot"))).await;
    let role = world.done("iam:GetRole", json!({ "RoleName": "r" })).await;
    assert!(role["Role"]["AssumeRolePolicyDocument"].as_str().is_some_and(|text| text.contains("iot.amazonaws.com")));
    let refusal = world.call("lambda:CreateFunction", crate::world::function_input("f", &role_arn("r"))).await;
    assert!(refusal.is_err(), "Lambda may no longer take it");
    world.refused(update, change("{}"), "MalformedPolicyDocument", "Statement").await;
    let long = trust().replace("sts:AssumeRole", &format!("sts:{}", "x".repeat(2048)));
    world.refused(update, change(&long), "LimitExceeded", "ACLSizePerRole").await;
    world.refused(update, with(change(&trust()), json!({ "RoleName": "none" })), "NoSuchEntity", "none").await;
}

/// AWS takes no trust policy that names somebody of the account who is not there.
#[tokio::test]
async fn trusted_principals_must_exist() {
    let world = World::new();
    world.role("there").await;
    for (principal, is_taken) in [
        (ACCOUNT.to_owned(), true),
        (format!("arn:aws:iam::{ACCOUNT}:root"), true),
        (role_arn("there"), true),
        (format!("arn:aws:sts::{ACCOUNT}:assumed-role/there/any"), true),
        ("arn:aws:iam::210987654321:user/anybody".to_owned(), true),
        (role_arn("missing"), false),
        (role_arn("path/there"), false),
        (format!("arn:aws:sts::{ACCOUNT}:assumed-role/missing/any"), false),
        (format!("arn:aws:iam::{ACCOUNT}:user/ann"), false),
        (format!("arn:aws-cn:iam::{ACCOUNT}:root"), false),
    ] {
        let trust = trust().replace("\"Service\":\"lambda.amazonaws.com\"", &format!("\"AWS\":\"{principal}\""));
        assert!(trust.contains(&principal), "{trust}");
        let (update, input) = ("iam:UpdateAssumeRolePolicy", json!({ "RoleName": "there", "PolicyDocument": trust }));
        if is_taken {
            world.done(update, input).await;
        } else {
            let words = format!("Invalid principal in policy: \"AWS\":\"{principal}\"");
            world.refused(update, input, "MalformedPolicyDocument", &words).await;
        }
    }
}
