//! AssumeRole: who is let in, what the session may do, and when it ends.

use std::net::IpAddr;
use std::time::Duration;

use domain::iot_policy::IotAction;
use serde_json::{Value, json};
use services::signed_connection::{Signer, WillOfSigner};
use services::{Caller, InvalidCredentials, Via};

use crate::world::{ACCOUNT, World, role_arn, with};

/// A role with this trust policy's statements.
async fn role(world: &World, name: &str, trust: Value) {
    let document = json!({ "Version": "2012-10-17", "Statement": trust }).to_string();
    let input = json!({ "RoleName": name, "AssumeRolePolicyDocument": document, "MaxSessionDuration": 7200 });
    world.done("iam:CreateRole", input).await;
}

fn trusting(principal: &str) -> Value {
    json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"] })
}

fn asked(name: &str) -> Value {
    json!({ "RoleArn": role_arn(name), "RoleSessionName": "s" })
}

/// Who the credentials of an answer stand for.
fn caller_of(world: &World, answer: &Value) -> Result<Caller, InvalidCredentials> {
    let key = &answer["Credentials"];
    let (id, token) = (key["AccessKeyId"].as_str().expect("an id"), key["SessionToken"].as_str().expect("a token"));
    world.services.credentials(id, Some(token)).map(|credential| credential.caller)
}

async fn assumed(world: &World, input: Value) -> Caller {
    let answer = world.done("sts:AssumeRole", input).await;
    caller_of(world, &answer).expect("good credentials")
}

/// Whether the caller may make the IoT policy `name`; the policy is there or not afterwards.
async fn may(world: &World, caller: &Caller, name: &str) -> Result<(), String> {
    match world.call_as(caller.clone(), "iot:GetPolicy", json!({ "policyName": name })).await {
        Err(err) if err.code == "AccessDeniedException" => Err(err.message),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn a_session_has_the_roles_rights_until_it_ends() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    world.grant("r", "iot:GetPolicy", "*").await;
    let answer = world.done("sts:AssumeRole", asked("r")).await;
    let id = world.done("iam:GetRole", json!({ "RoleName": "r" })).await["Role"]["RoleId"].clone();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s");
    let user = json!({ "Arn": arn, "AssumedRoleId": format!("{}:s", id.as_str().expect("an id")) });
    assert_eq!(answer["AssumedRoleUser"], user);
    assert_eq!(answer.get("PackedPolicySize"), None);
    let key = &answer["Credentials"];
    assert!(key["AccessKeyId"].as_str().is_some_and(|id| id.starts_with("ASIA") && id.len() == 20), "{key}");
    assert_eq!(key["SecretAccessKey"].as_str().map(str::len), Some(40));
    let expiration = key["Expiration"].as_f64().expect("a date");
    assert_eq!(expiration, (world.now_ms() / 1000 + 3600) as f64);

    let caller = caller_of(&world, &answer).expect("good credentials");
    may(&world, &caller, "any").await.expect("the role may");
    let who = world.call_as(caller.clone(), "sts:GetCallerIdentity", json!({})).await.expect("needs no right");
    assert_eq!(who, json!({ "Account": ACCOUNT, "Arn": arn, "UserId": user["AssumedRoleId"] }));
    let denied = world.call_as(caller, "iot:ListCertificates", json!({})).await.expect_err("not a right of the role");
    assert!(denied.message.starts_with(&format!("User: {arn} is not authorized")), "{denied}");

    let world = world.reopen().await;
    assert!(caller_of(&world, &answer).is_ok(), "a restart ends no session");
    world.pass_ms(3600 * 1000 - 1000);
    assert!(caller_of(&world, &answer).is_ok());
    world.pass_ms(1000);
    assert_eq!(caller_of(&world, &answer), Err(InvalidCredentials::Expired));
}

#[tokio::test]
async fn credentials_are_a_key_and_its_own_token() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    let unknown = Err(InvalidCredentials::Unknown);
    let look = |id: &str, token: Option<&str>| world.services.credentials(id, token).map(|_| ());
    assert_eq!(look("ASIAAAAAAAAAAAAAAAAA", Some("dG9rZW4=")), unknown, "before there is a sealing key");
    let [one, two] = [world.done("sts:AssumeRole", asked("r")).await, world.done("sts:AssumeRole", asked("r")).await];
    let part = |answer: &Value, name: &str| answer["Credentials"][name].as_str().expect("text").to_owned();
    let (id, token) = (part(&one, "AccessKeyId"), part(&one, "SessionToken"));
    assert_eq!(look(&id, Some(&token)), Ok(()));
    assert_eq!(look("AKIAROOT", None), Ok(()));
    for (id, token) in [
        (id.as_str(), None),
        (id.as_str(), Some(part(&two, "SessionToken"))),
        (id.as_str(), Some(String::new())),
        (id.as_str(), Some("no base64".to_owned())),
        ("AKIAROOT", Some(token.clone())),
        ("AKIAOTHER", None),
    ] {
        assert_eq!(look(id, token.as_deref()), unknown, "{id} {token:?}");
    }
    for position in (0..token.len()).step_by(7) {
        let mut changed = token.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(look(&id, Some(&changed)), unknown, "a change at {position}");
    }
}

#[tokio::test]
async fn a_role_that_is_gone_ends_its_sessions() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    let answer = world.done("sts:AssumeRole", asked("r")).await;
    world.done("iam:DeleteRole", json!({ "RoleName": "r" })).await;
    assert_eq!(caller_of(&world, &answer), Err(InvalidCredentials::Unknown));
    role(&world, "r", trusting(ACCOUNT)).await;
    assert_eq!(caller_of(&world, &answer), Err(InvalidCredentials::Unknown), "another role of the same name");
}

#[tokio::test]
async fn the_trust_policy_decides() {
    let world = World::new();
    let caller = world.role("caller").await;
    world.role("somebody").await;
    let session_arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/caller/session");
    let condition = |operator: &str, key: &str, value: &str| {
        with(trusting(ACCOUNT), json!({ "Condition": { operator: { key: value } } }))
    };
    let lambda =
        json!({ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" });
    let but_caller = json!({ "Effect": "Deny", "Principal": { "AWS": role_arn("caller") }, "Action": "sts:*" });
    // Trust, what is asked besides, may the root, may a role without rights, may it with sts:AssumeRole.
    for (trust, more, expected) in [
        (trusting(ACCOUNT), json!({}), [true, false, true]),
        (trusting(&format!("arn:aws:iam::{ACCOUNT}:root")), json!({}), [true, false, true]),
        (trusting("*"), json!({}), [true, true, true]),
        (trusting(&role_arn("caller")), json!({}), [false, true, true]),
        (trusting(&session_arn), json!({}), [false, true, true]),
        (trusting(&role_arn("somebody")), json!({}), [false, false, false]),
        (trusting("210987654321"), json!({}), [false, false, false]),
        (lambda, json!({}), [false, false, false]),
        (json!([trusting("*"), but_caller]), json!({}), [true, false, false]),
        (condition("StringEquals", "sts:ExternalId", "e-1"), json!({}), [false, false, false]),
        (condition("StringEquals", "sts:ExternalId", "e-1"), json!({ "ExternalId": "e-2" }), [false, false, false]),
        (condition("StringEquals", "sts:ExternalId", "e-1"), json!({ "ExternalId": "e-1" }), [true, false, true]),
        (condition("StringLike", "sts:RoleSessionName", "s*"), json!({}), [true, false, true]),
        (condition("StringLike", "sts:RoleSessionName", "t*"), json!({}), [false, false, false]),
        (condition("ArnEquals", "aws:PrincipalArn", &role_arn("caller")), json!({}), [false, false, true]),
        (condition("StringEquals", "aws:PrincipalType", "Account"), json!({}), [true, false, false]),
        (condition("DateGreaterThan", "aws:CurrentTime", "2001-01-01T00:00:00Z"), json!({}), [true, false, true]),
    ] {
        role(&world, "target", trust.clone()).await;
        let input = with(asked("target"), more.clone());
        let mut outcomes = Vec::new();
        outcomes.push(world.call("sts:AssumeRole", input.clone()).await);
        outcomes.push(world.call_as(caller.clone(), "sts:AssumeRole", input.clone()).await);
        world.grant("caller", "sts:AssumeRole", &role_arn("target")).await;
        outcomes.push(world.call_as(caller.clone(), "sts:AssumeRole", input.clone()).await);
        let may: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(may, expected, "{trust} {more}");
        for (outcome, arn) in
            outcomes.into_iter().zip([format!("arn:aws:iam::{ACCOUNT}:root"), session_arn.clone(), session_arn.clone()])
        {
            let Err(err) = outcome else { continue };
            let resource = role_arn("target");
            let message = format!("User: {arn} is not authorized to perform: sts:AssumeRole on resource: {resource}");
            assert_eq!((err.code, err.message), ("AccessDenied", message));
        }
        world.done("iam:DeleteRolePolicy", json!({ "RoleName": "caller", "PolicyName": "p" })).await;
        world.done("iam:DeleteRole", json!({ "RoleName": "target" })).await;
    }
    world.refused("sts:AssumeRole", asked("target"), "AccessDenied", "sts:AssumeRole on resource").await;
}

#[tokio::test]
async fn the_callers_own_policies_may_forbid_it() {
    let world = World::new();
    let caller = world.role("caller").await;
    role(&world, "target", trusting(&role_arn("caller"))).await;
    world.call_as(caller.clone(), "sts:AssumeRole", asked("target")).await.expect("named by the trust policy");
    let deny =
        json!({ "Version": "2012-10-17", "Statement": { "Effect": "Deny", "Action": "sts:*", "Resource": "*" } });
    let input = json!({ "RoleName": "caller", "PolicyName": "deny", "PolicyDocument": deny.to_string() });
    world.done("iam:PutRolePolicy", input).await;
    let refusal = world.call_as(caller, "sts:AssumeRole", asked("target")).await.expect_err("forbidden");
    assert_eq!(refusal.code, "AccessDenied");
}

fn allowing(action: &str, resource: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": action, "Resource": resource } })
        .to_string()
}

#[tokio::test]
async fn session_policies_only_take_away() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    world.grant("r", "iot:*", "arn:aws:iot:*:*:policy/A*").await;
    let to = |policy: &str| allowing("iot:GetPolicy", &format!("arn:aws:iot:us-east-1:{ACCOUNT}:policy/{policy}"));
    world.done("iam:CreatePolicy", json!({ "PolicyName": "managed", "PolicyDocument": to("Ab*") })).await;
    let managed = format!("arn:aws:iam::{ACCOUNT}:policy/managed");
    let read_only = "arn:aws:iam::aws:policy/AWSIoTConfigReadOnlyAccess";
    let deny = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "*", "Resource": "*:policy/Abc" }] });
    // Session policies, and whether the policies Abc, Aca and B may be read.
    for (more, expected) in [
        (json!({}), [true, true, false]),
        (json!({ "Policy": to("Abc") }), [true, false, false]),
        (json!({ "Policy": to("*") }), [true, true, false]),
        (json!({ "Policy": allowing("s3:*", "*") }), [false, false, false]),
        (json!({ "Policy": deny.to_string() }), [false, true, false]),
        (json!({ "PolicyArns": [{ "arn": managed }] }), [true, false, false]),
        (json!({ "PolicyArns": [{ "arn": read_only }] }), [true, true, false]),
        (json!({ "PolicyArns": [{ "arn": managed }], "Policy": to("Aca") }), [true, true, false]),
    ] {
        let answer = world.done("sts:AssumeRole", with(asked("r"), more.clone())).await;
        let size = answer["PackedPolicySize"].as_i64();
        assert_eq!(size.is_some_and(|size| (1..=100).contains(&size)), more != json!({}), "{more}");
        let caller = caller_of(&world, &answer).expect("good credentials");
        for (policy, expected) in ["Abc", "Aca", "B"].into_iter().zip(expected) {
            assert_eq!(may(&world, &caller, policy).await.is_ok(), expected, "{policy} under {more}");
        }
    }
    let caller = assumed(&world, with(asked("r"), json!({ "Policy": to("Abc") }))).await;
    let why = may(&world, &caller, "Aca").await.expect_err("not allowed");
    assert!(why.ends_with("because no session policy allows the iot:GetPolicy action"), "{why}");
    let caller = assumed(&world, with(asked("r"), json!({ "Policy": deny.to_string() }))).await;
    let why = may(&world, &caller, "Abc").await.expect_err("not allowed");
    assert!(why.ends_with("with an explicit deny in a session policy"), "{why}");
    let caller = assumed(&world, with(asked("r"), json!({ "PolicyArns": [{ "arn": managed }] }))).await;
    world.done("iam:DeletePolicy", json!({ "PolicyArn": managed })).await;
    may(&world, &caller, "Abc").await.expect_err("what limited it is gone");
}

#[tokio::test]
async fn what_cannot_be_asked() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    let long = allowing("iot:*", &format!("arn:{}", "x".repeat(2048)));
    let arns = |count: usize| json!(vec![json!({ "arn": "arn:aws:iam::aws:policy/IAMFullAccess" }); count]);
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    for (more, code, words) in [
        (json!({ "DurationSeconds": 7201 }), "ValidationError", "exceeds the MaxSessionDuration set for this role"),
        (json!({ "Policy": "{" }), "MalformedPolicyDocument", "line 1"),
        (json!({ "Policy": long }), "PackedPolicyTooLarge", "2048"),
        (json!({ "PolicyArns": arns(11) }), "ValidationError", "at most 10"),
        (json!({ "PolicyArns": [{ "arn": "arn:aws:iam::aws:policy/None" }] }), "ValidationError", "does not exist"),
        (json!({ "PolicyArns": [{ "arn": "twenty characters or so" }] }), "ValidationError", "not valid"),
        (json!({ "SerialNumber": "arn:aws:iam::1:mfa/x", "TokenCode": "123456" }), "AccessDenied", "MultiFactor"),
        (json!({ "Tags": [tag("a", "1"), tag("A", "2")] }), "InvalidParameterValue", "Duplicate tag keys"),
        (json!({ "Tags": [tag("a", "1")], "TransitiveTagKeys": ["b"] }), "InvalidParameterValue", "transitive"),
        (json!({ "Tags": [tag("a", &"x".repeat(1024))] }), "PackedPolicyTooLarge", "tags"),
        (json!({ "ProvidedContexts": [{}] }), "ValidationError", "ProvidedContexts"),
    ] {
        world.refused("sts:AssumeRole", with(asked("r"), more), code, words).await;
    }
    world.done("sts:AssumeRole", with(asked("r"), json!({ "DurationSeconds": 7200 }))).await;
    role(&world, "next", trusting("*")).await;
    let caller = assumed(&world, asked("r")).await;
    let chained = with(asked("next"), json!({ "DurationSeconds": 3601 }));
    let err = world.call_as(caller, "sts:AssumeRole", chained).await.expect_err("an hour at most");
    assert!(err.code == "ValidationError" && err.message.contains("role chaining"), "{err}");
}

#[tokio::test]
async fn the_largest_token_fits_a_header() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    let policy = allowing("iot:*", "*").replace("iot:*", &format!("iot:{}", "\u{ff}".repeat(1900)));
    let tags: Vec<Value> =
        (0..50).map(|n| json!({ "Key": format!("{n:02}"), "Value": "\u{20ac}".repeat(6) })).collect();
    let name = "s".repeat(64);
    let input = json!({ "RoleArn": role_arn("r"), "RoleSessionName": name, "Policy": policy, "Tags": tags, "SourceIdentity": name });
    let answer = world.done("sts:AssumeRole", input).await;
    let token = answer["Credentials"]["SessionToken"].as_str().expect("a token");
    assert!(token.len() <= domain::sigv4::SESSION_TOKEN_BYTES_MAX, "{} bytes", token.len());
    assert!(caller_of(&world, &answer).is_ok());
}

/// Tags and the source identity go with a session, and on to the next where they are to.
#[tokio::test]
async fn tags_and_source_identity_are_handed_on() {
    let world = World::new();
    role(&world, "first", trusting(ACCOUNT)).await;
    role(&world, "second", trusting("*")).await;
    let tags = json!([{ "Key": "team", "Value": "blue" }, { "Key": "shift", "Value": "night" }]);
    let input = with(asked("first"), json!({ "Tags": tags, "TransitiveTagKeys": ["team"], "SourceIdentity": "ann" }));
    let first = assumed(&world, input).await;
    let second = world.call_as(first.clone(), "sts:AssumeRole", asked("second")).await.expect("trusted");
    assert_eq!(second["SourceIdentity"], "ann");
    let second = caller_of(&world, &second).expect("good credentials");
    let document = |key: &str, value: &str| {
        let statement = json!({ "Effect": "Allow", "Action": "iot:GetPolicy", "Resource": "*",
            "Condition": { "StringEquals": { key: value } } });
        json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
    };
    for (key, value, expected) in [
        ("aws:PrincipalTag/team", "blue", [true, true]),
        ("aws:PrincipalTag/team", "red", [false, false]),
        ("aws:PrincipalTag/shift", "night", [true, false]),
        ("aws:SourceIdentity", "ann", [true, true]),
        ("aws:MultiFactorAuthPresent", "false", [true, true]),
    ] {
        for ((name, caller), expected) in [("first", &first), ("second", &second)].into_iter().zip(expected) {
            let input = json!({ "RoleName": name, "PolicyName": "p", "PolicyDocument": document(key, value) });
            world.done("iam:PutRolePolicy", input).await;
            assert_eq!(may(&world, caller, "any").await.is_ok(), expected, "{name}: {key} {value}");
        }
    }
    for (more, code) in [
        (json!({ "SourceIdentity": "bob" }), "AccessDenied"),
        (json!({ "Tags": [{ "Key": "Team", "Value": "red" }] }), "InvalidParameterValue"),
    ] {
        let input = with(asked("second"), more);
        let err = world.call_as(first.clone(), "sts:AssumeRole", input).await.expect_err("cannot be changed");
        assert_eq!(err.code, code, "{err}");
    }
    // The right to tag is one of its own.
    role(&world, "plain", json!({ "Effect": "Allow", "Principal": { "AWS": ACCOUNT }, "Action": "sts:AssumeRole" }))
        .await;
    for (more, action) in
        [(json!({ "Tags": tags }), "sts:TagSession"), (json!({ "SourceIdentity": "a" }), "sts:SetSourceIdentity")]
    {
        world.refused("sts:AssumeRole", with(asked("plain"), more), "AccessDenied", action).await;
    }
}

/// How AWS's guide revokes the sessions of a role: deny what was issued before now.
#[tokio::test]
async fn sessions_are_revoked_by_their_age() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    world.grant("r", "iot:*", "*").await;
    let old = assumed(&world, asked("r")).await;
    world.pass_ms(2000);
    let before = domain::Timestamp::from_millis(world.now_ms() - 1000).to_rfc3339();
    let deny = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": before } } } });
    let input = json!({ "RoleName": "r", "PolicyName": "AWSRevokeOlderSessions", "PolicyDocument": deny.to_string() });
    world.done("iam:PutRolePolicy", input).await;
    let new = assumed(&world, asked("r")).await;
    may(&world, &old, "any").await.expect_err("revoked");
    may(&world, &new, "any").await.expect("issued since");
}

/// Of a connection that was signed for, as a WebSocket is.
#[tokio::test]
async fn a_signed_connection_is_judged_by_iam_as_it_is_at_the_moment() {
    let world = World::new();
    role(&world, "r", trusting(ACCOUNT)).await;
    let caller = assumed(&world, asked("r")).await;
    let via = Via { source_ip: IpAddr::from([127, 0, 0, 1]), is_tls: true };
    let signer = Signer { caller, via };
    let services = &world.services;
    let connect =
        async |will| services.connect_signed(&signer, "c", will).await.map_err(|refused| refused.refusal.code());
    assert_eq!(connect(None).await.err(), Some("IAM_DOES_NOT_ALLOW"));
    world.grant("r", "iot:Connect", &format!("arn:aws:iot:us-east-1:{ACCOUNT}:client/c")).await;
    let mut admitted = connect(None).await.expect("the role may");
    assert!(admitted.principal.starts_with("AROA") && admitted.principal.ends_with(":s"), "{}", admitted.principal);
    let will = |retain| Some(WillOfSigner { topic: "gone", retain });
    assert_eq!(connect(will(false)).await.err(), Some("IAM_DOES_NOT_ALLOW"), "a will is a message");
    assert!(services.judge_signer(&signer, IotAction::Publish, "t").is_err());
    admitted.changes.mark_unchanged();
    let publish = json!({
        "Version": "2012-10-17",
        "Statement": { "Effect": "Allow", "Action": "iot:Publish", "Resource": "*" },
    });
    let input = json!({ "RoleName": "r", "PolicyName": "publishes", "PolicyDocument": publish.to_string() });
    world.done("iam:PutRolePolicy", input).await;
    assert!(admitted.changes.has_changed().expect("the services live"), "whoever is connected hears of it");
    services.judge_signer(&signer, IotAction::Publish, "t").expect("it may now");
    connect(will(false)).await.expect("and so may the will");
    assert_eq!(connect(will(true)).await.err(), Some("IAM_DOES_NOT_ALLOW"), "but not stay behind");
    assert_eq!(services.signer_lasts(&signer), Some(Duration::from_secs(3600)));
    world.pass_ms(3600 * 1000);
    assert_eq!(services.signer_lasts(&signer), Some(Duration::ZERO));
    assert_eq!(services.signer_stands(&signer).map_err(|why| why.code()), Err("RIGHT_LOST"));
    let root = Signer { caller: world.root(), via };
    assert_eq!((services.signer_lasts(&root), services.signer_stands(&root)), (None, Ok(())));
    services.judge_signer(&root, IotAction::Publish, "t").expect("the root may do everything");
}
