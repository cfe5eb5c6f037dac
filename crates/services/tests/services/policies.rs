use domain::admission::ServerName;
use serde_json::json;
use services::connection::Connecting;

use crate::world::{ACCOUNT, World, allow_all, certificate_arn, device, id_of, pages};

#[tokio::test]
async fn policies_are_made_and_read() {
    let world = World::new();
    let input = json!({ "policyName": "Fleet", "policyDocument": allow_all() });
    let created = world.done("iot:CreatePolicy", input.clone()).await;
    let arn = format!("arn:aws:iot:us-east-1:{ACCOUNT}:policy/Fleet");
    let expected = json!({
        "policyName": "Fleet", "policyArn": arn, "policyDocument": allow_all(), "policyVersionId": "1",
    });
    assert_eq!(created, expected);
    let read = world.done("iot:GetPolicy", json!({ "policyName": "Fleet" })).await;
    assert_eq!(read["policyDocument"], allow_all());
    assert_eq!(read["defaultVersionId"], "1");

    let long = allow_all().replace("iot:*", &format!("iot:{}", "x".repeat(2048)));
    for (name, document, code, words) in [
        ("Fleet", allow_all(), "ResourceAlreadyExistsException", "name already exists (name=Fleet)"),
        ("Broken", "{\n  \"Version\": 1".to_owned(), "MalformedPolicyException", "line 2"),
        ("Empty", "{}".to_owned(), "MalformedPolicyException", "malformed"),
        ("Long", long, "MalformedPolicyException", "2048"),
    ] {
        let input = json!({ "policyName": name, "policyDocument": document });
        world.refused("iot:CreatePolicy", input, code, words).await;
    }
    let tagged = json!({ "policyName": "T", "policyDocument": allow_all(), "tags": [{ "Key": "aws:k" }] });
    world.refused("iot:CreatePolicy", tagged, "InvalidRequestException", "aws:").await;
    world.refused("iot:GetPolicy", json!({ "policyName": "None" }), "ResourceNotFoundException", "not found").await;
}

#[tokio::test]
async fn refusals_of_attach() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    world.done("iot:CreatePolicy", json!({ "policyName": "Fleet", "policyDocument": allow_all() })).await;
    let target = certificate_arn(&id_of(&device));
    let (missing, invalid) = ("ResourceNotFoundException", "InvalidRequestException");
    for (policy, target, code) in [
        ("None", target.clone(), missing),
        ("Fleet", certificate_arn(&"00".repeat(32)), missing),
        ("Fleet", target.replace(ACCOUNT, "999999999999"), missing),
        ("Fleet", target.replace("us-east-1", "eu-west-1"), missing),
        ("Fleet", target.replace("cert/", "cert/zz"), missing),
        ("Fleet", "certificate".to_owned(), invalid),
        ("Fleet", format!("arn:aws:iot:us-east-1:{ACCOUNT}:thinggroup/all"), invalid),
    ] {
        let by_target = json!({ "policyName": policy, "target": target });
        world.refused("iot:AttachPolicy", by_target, code, "").await;
        let by_principal = json!({ "policyName": policy, "principal": target });
        world.refused("iot:AttachPrincipalPolicy", by_principal, code, "").await;
    }
    assert_eq!(world.keys("iot/attached/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_has_ten_policies() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let target = certificate_arn(&id_of(&device));
    for n in 0..11 {
        let name = format!("p{n:02}");
        world.done("iot:CreatePolicy", json!({ "policyName": name, "policyDocument": allow_all() })).await;
    }
    for n in 0..10 {
        let name = format!("p{n:02}");
        // The older name does the same, and twice is as good as once.
        world.done("iot:AttachPolicy", json!({ "policyName": name, "target": target })).await;
        world.done("iot:AttachPrincipalPolicy", json!({ "policyName": name, "principal": target })).await;
    }
    let eleventh = json!({ "policyName": "p10", "target": target });
    world.refused("iot:AttachPolicy", eleventh, "LimitExceededException", "10").await;
    world.done("iot:AttachPolicy", json!({ "policyName": "p03", "target": target })).await;

    let input = json!({ "target": target, "pageSize": 4 });
    let pages = pages(&world, "iot:ListAttachedPolicies", input, "policies", "nextMarker").await;
    let names: Vec<Vec<&str>> =
        pages.iter().map(|page| page.iter().filter_map(|policy| policy["policyName"].as_str()).collect()).collect();
    assert_eq!(names, [vec!["p00", "p01", "p02", "p03"], vec!["p04", "p05", "p06", "p07"], vec!["p08", "p09"]]);
}

/// A fleet's functions attach the same policy to as many certificates at once; nobody waits for anybody.
#[tokio::test]
async fn one_policy_is_attached_to_many_at_once() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    world.done("iot:CreatePolicy", json!({ "policyName": "Fleet", "policyDocument": allow_all() })).await;
    let mut targets = Vec::new();
    for n in 0..40 {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        targets.push(certificate_arn(&id_of(&device)));
    }
    let calls: Vec<_> = targets
        .iter()
        .map(|target| {
            let services = world.services.clone();
            let op = services.op(world.root());
            let input = json!({ "policyName": "Fleet", "target": target });
            let input = serde_json::from_value(input).expect("an input");
            tokio::spawn(async move { services.iot().attach_policy(&op, input).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("attached");
    }
    assert_eq!(world.keys("iot/target/Fleet/").len(), targets.len());
}

/// `iot:Publish` on the will's topic, and `iot:RetainPublish` beside it where the will is to be retained.
#[tokio::test]
async fn a_will_is_judged_at_connect() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    for (actions, will, is_allowed) in [
        (&["iot:Connect"][..], None, true),
        (&["iot:Connect"], Some(false), false),
        (&["iot:Connect", "iot:Publish"], Some(false), true),
        (&["iot:Connect", "iot:Publish"], Some(true), false),
        (&["iot:Connect", "iot:RetainPublish"], Some(true), false),
        (&["iot:Connect", "iot:Publish", "iot:RetainPublish"], Some(true), true),
    ] {
        let device = device(&ca, "device");
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        let (id, name) = (id_of(&device), services::uuid());
        let document = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": actions, "Resource": "*" }] });
        world.done("iot:CreatePolicy", json!({ "policyName": name, "policyDocument": document.to_string() })).await;
        world.done("iot:AttachPolicy", json!({ "policyName": name, "target": certificate_arn(&id) })).await;
        world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "ACTIVE" })).await;
        let connecting = Connecting {
            facts: world.facts(&device, "d"),
            server_name: ServerName::Absent,
            will_topic: will.map(|_| "w".to_owned()),
            retains_will: will == Some(true),
        };
        let admitted = world.services.connect(&connecting).await;
        assert_eq!(admitted.is_ok(), is_allowed, "{actions:?} {will:?}: {:?}", admitted.err());
    }
}
