//! Versions of policies, and what live connections feel of a change.

use domain::iot_policy::{Decision, IotAction};
use serde_json::{Value, json};

use crate::world::{World, allow_all, certificate_arn, device, id_of, pages};

const VERSION: &str = "iot:CreatePolicyVersion";

fn deny_publish() -> String {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:*", "Resource": "*" },
        { "Effect": "Deny", "Action": "iot:Publish", "Resource": "*" },
    ] })
    .to_string()
}

fn version(policy: &str, id: &str) -> Value {
    json!({ "policyName": policy, "policyVersionId": id })
}

/// Ids and which one is the default, as ListPolicyVersions tells them.
async fn versions(world: &World, policy: &str) -> Vec<(String, bool)> {
    let answer = world.done("iot:ListPolicyVersions", json!({ "policyName": policy })).await;
    let versions = answer["policyVersions"].as_array().expect("a list").iter();
    let shown =
        |version: &Value| Some((version["versionId"].as_str()?.to_owned(), version["isDefaultVersion"].as_bool()?));
    versions.filter_map(shown).collect()
}

fn listed(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(id, is_default)| ((*id).to_owned(), *is_default)).collect()
}

#[tokio::test]
async fn versions_are_made_chosen_and_deleted() {
    let world = World::new();
    world.done("iot:CreatePolicy", json!({ "policyName": "Fleet", "policyDocument": allow_all() })).await;
    let input = json!({ "policyName": "Fleet", "policyDocument": deny_publish() });
    let made = world.done(VERSION, input.clone()).await;
    assert_eq!((&made["policyVersionId"], &made["isDefaultVersion"]), (&json!("2"), &json!(false)));
    assert_eq!(made["policyDocument"], deny_publish());
    let defaults = json!({ "policyName": "Fleet", "policyDocument": deny_publish(), "setAsDefault": true });
    assert_eq!(world.done(VERSION, defaults).await["isDefaultVersion"], true);
    assert_eq!(versions(&world, "Fleet").await, listed(&[("3", true), ("2", false), ("1", false)]));
    let read = world.done("iot:GetPolicy", json!({ "policyName": "Fleet" })).await;
    assert_eq!((&read["defaultVersionId"], &read["policyDocument"]), (&json!("3"), &json!(deny_publish())));

    for _ in 0..2 {
        world.done(VERSION, input.clone()).await;
    }
    world.refused(VERSION, input.clone(), "VersionsLimitExceededException", "(5)").await;
    world.refused("iot:DeletePolicyVersion", version("Fleet", "3"), "DeleteConflictException", "default").await;
    // The highest one goes, and its id does not come back: not after a restart either.
    world.done("iot:DeletePolicyVersion", version("Fleet", "5")).await;
    let world = world.reopen().await;
    assert_eq!(world.done(VERSION, input).await["policyVersionId"], "6");
    world.done("iot:SetDefaultPolicyVersion", version("Fleet", "1")).await;
    let shown = world.done("iot:GetPolicyVersion", version("Fleet", "1")).await;
    assert_eq!((&shown["isDefaultVersion"], &shown["policyDocument"]), (&json!(true), &json!(allow_all())));
    assert_eq!(shown["policyName"], "Fleet");
    let shown = world.done("iot:GetPolicyVersion", version("Fleet", "6")).await;
    assert_eq!(shown["isDefaultVersion"], false);

    world.refused("iot:DeletePolicy", json!({ "policyName": "Fleet" }), "DeleteConflictException", "versions").await;
    for id in ["2", "3", "4", "6"] {
        world.done("iot:DeletePolicyVersion", version("Fleet", id)).await;
    }
    world.done("iot:DeletePolicy", json!({ "policyName": "Fleet" })).await;
    world.refused("iot:GetPolicy", json!({ "policyName": "Fleet" }), "ResourceNotFoundException", "not found").await;
}

#[tokio::test]
async fn refusals_about_versions() {
    let world = World::new();
    world.done("iot:CreatePolicy", json!({ "policyName": "Fleet", "policyDocument": allow_all() })).await;
    let missing = "ResourceNotFoundException";
    for operation in ["iot:GetPolicyVersion", "iot:SetDefaultPolicyVersion", "iot:DeletePolicyVersion"] {
        world.refused(operation, version("None", "1"), missing, "Policy not found").await;
        for id in ["2", "0", "99999999999999999999"] {
            world.refused(operation, version("Fleet", id), missing, "version").await;
        }
    }
    for operation in ["iot:ListPolicyVersions", "iot:DeletePolicy", "iot:ListTargetsForPolicy"] {
        world.refused(operation, json!({ "policyName": "None" }), missing, "Policy not found").await;
    }
    let input = |name: &str, document: &str| json!({ "policyName": name, "policyDocument": document });
    world.refused(VERSION, input("None", &allow_all()), missing, "Policy not found").await;
    world.refused(VERSION, input("Fleet", "{\n1"), "MalformedPolicyException", "line 2").await;
}

#[tokio::test]
async fn policies_are_listed_in_the_order_of_their_making() {
    let world = World::new();
    for name in ["c", "a", "b"] {
        world.done("iot:CreatePolicy", json!({ "policyName": name, "policyDocument": allow_all() })).await;
        world.pass_ms(1000);
    }
    for (ascending, expected) in [(json!(true), ["c", "a", "b"]), (json!(false), ["b", "a", "c"])] {
        let input = json!({ "ascendingOrder": ascending, "pageSize": 2 });
        let pages = pages(&world, "iot:ListPolicies", input, "policies", "nextMarker").await;
        assert_eq!(pages.len(), 2);
        let names: Vec<&str> = pages.iter().flatten().filter_map(|policy| policy["policyName"].as_str()).collect();
        assert_eq!(names, expected);
        assert_eq!(pages[0][1]["policyArn"], "arn:aws:iot:us-east-1:123456789012:policy/a");
    }
}

#[tokio::test]
async fn attachments_are_listed_from_both_sides_and_end() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let mut arns = Vec::new();
    for n in 0..3 {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        world.activate(&id_of(&device), "Fleet").await;
        arns.push(certificate_arn(&id_of(&device)));
        world.pass_ms(1000);
    }
    world.done("iot:CreatePolicy", json!({ "policyName": "Another", "policyDocument": allow_all() })).await;
    world.done("iot:AttachPolicy", json!({ "policyName": "Another", "target": arns[0] })).await;

    let input = json!({ "policyName": "Fleet", "pageSize": 2 });
    let targets = pages(&world, "iot:ListTargetsForPolicy", input, "targets", "nextMarker").await;
    assert_eq!(targets.concat(), arns);
    let input = json!({ "policyName": "Fleet", "pageSize": 1, "ascendingOrder": false });
    let principals = pages(&world, "iot:ListPolicyPrincipals", input, "principals", "nextMarker").await;
    assert_eq!(principals.concat(), arns.iter().rev().cloned().collect::<Vec<_>>());
    for (ascending, expected) in [(true, ["Fleet", "Another"]), (false, ["Another", "Fleet"])] {
        let input = json!({ "principal": arns[0], "ascendingOrder": ascending, "pageSize": 1 });
        let policies = pages(&world, "iot:ListPrincipalPolicies", input, "policies", "nextMarker").await.concat();
        let names: Vec<&str> = policies.iter().filter_map(|policy| policy["policyName"].as_str()).collect();
        assert_eq!(names, expected);
    }

    let attached = "attached to one or more principals";
    world.refused("iot:DeletePolicy", json!({ "policyName": "Fleet" }), "DeleteConflictException", attached).await;
    let by_target = |policy: &str, arn: &str| json!({ "policyName": policy, "target": arn });
    let by_principal = |policy: &str, arn: &str| json!({ "policyName": policy, "principal": arn });
    for _ in 0..2 {
        // Twice is as good as once.
        world.done("iot:DetachPolicy", by_target("Fleet", &arns[0])).await;
        world.done("iot:DetachPrincipalPolicy", by_principal("Fleet", &arns[1])).await;
    }
    world.done("iot:DetachPolicy", by_target("None", &arns[0])).await;
    let nobody = certificate_arn(&"00".repeat(32));
    world.refused("iot:DetachPolicy", by_target("Fleet", &nobody), "InvalidRequestException", "Invalid Target").await;
    let missing = "ResourceNotFoundException";
    world.refused("iot:DetachPrincipalPolicy", by_principal("Fleet", &nobody), missing, "certificate").await;
    world.refused("iot:DetachPrincipalPolicy", by_principal("None", &arns[0]), missing, "Policy").await;
    world.refused("iot:ListPrincipalPolicies", json!({ "principal": nobody }), missing, "certificate").await;
    world.refused("iot:DetachPolicy", by_target("Fleet", "x"), "InvalidRequestException", "not an ARN").await;
    let left = world.done("iot:ListTargetsForPolicy", json!({ "policyName": "Fleet" })).await;
    assert_eq!(left["targets"], json!([arns[2]]));
    world.done("iot:DetachPolicy", by_target("Fleet", &arns[2])).await;
    world.done("iot:DeletePolicy", json!({ "policyName": "Fleet" })).await;
    assert_eq!(world.keys("iot/target/").len(), 1);
}

/// A connection's standing is new before the caller has its answer.
#[tokio::test]
async fn live_connections_feel_a_change_at_once() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let (first, second) = (device(&ca, "first"), device(&ca, "second"));
    for (device, policy) in [(&first, "Fleet"), (&second, "Other")] {
        world.connect(device, "d").await.expect_err("registered, not admitted");
        world.activate(&id_of(device), policy).await;
    }
    let mut cell = world.connect(&first, "first").await.expect("admitted").standing;
    let other = world.connect(&second, "second").await.expect("admitted").standing;
    let facts = world.facts(&first, "first");
    let mut judged = |case: &str| {
        assert!(cell.has_changed().expect("the services are there"), "{case}");
        let standing = cell.borrow_and_update().clone();
        standing.permissions(&facts).judge(IotAction::Publish, "a")
    };
    let input = json!({ "policyName": "Fleet", "policyDocument": deny_publish(), "setAsDefault": true });
    world.done(VERSION, input).await;
    assert!(matches!(judged("a new default"), Decision::Denied { .. }));
    world.done("iot:SetDefaultPolicyVersion", version("Fleet", "1")).await;
    assert!(matches!(judged("the old default again"), Decision::Allowed { .. }));
    let target = certificate_arn(&id_of(&first));
    world.done("iot:DetachPolicy", json!({ "policyName": "Fleet", "target": target })).await;
    assert_eq!(judged("detached"), Decision::NotAllowed);
    world.done("iot:AttachPolicy", json!({ "policyName": "Fleet", "target": target })).await;
    assert!(matches!(judged("attached"), Decision::Allowed { .. }));
    world.done("iot:DetachPrincipalPolicy", json!({ "policyName": "Fleet", "principal": target })).await;
    assert_eq!(judged("detached by the older name"), Decision::NotAllowed);
    assert!(!other.has_changed().expect("the services are there"), "another policy's connections have their peace");
}

/// A policy that is deleted while a fleet's functions attach it is either attached or gone, never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_not_deleted_under_an_attachment() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let mut targets = Vec::new();
    for n in 0..8 {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        targets.push(certificate_arn(&id_of(&device)));
    }
    for round in 0..20 {
        let policy = format!("p{round}");
        world.done("iot:CreatePolicy", json!({ "policyName": policy, "policyDocument": allow_all() })).await;
        let target = &targets[round % targets.len()];
        let attach = json!({ "policyName": policy, "target": target });
        let attaching = world.call("iot:AttachPolicy", attach.clone());
        let deleting = world.call("iot:DeletePolicy", json!({ "policyName": policy }));
        let (attached, deleted) = tokio::join!(attaching, deleting);
        let outcome = (attached.map_err(|err| err.code), deleted.map_err(|err| err.code));
        let kept = (Ok(Value::Null), Err("DeleteConflictException"));
        let gone = (Err("ResourceNotFoundException"), Ok(Value::Null));
        assert!(outcome == kept || outcome == gone, "{outcome:?}");
        let left = usize::from(outcome == kept);
        assert_eq!(world.keys(&format!("iot/target/{policy}/")).len(), left);
        if outcome == kept {
            world.done("iot:DetachPolicy", attach).await;
        }
    }
}
