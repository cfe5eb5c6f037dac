//! Every verb asks before it looks: a caller without the right learns nothing but which right it lacks.

use fleet::{Key, KeyAlgorithm};
use serde_json::{Value, json};
use services::Caller;

use crate::world::{
    ACCOUNT, World, ca, certificate_arn, device, function_arn, function_input, id_of, pem_of, policy_arn, role_arn,
    rule_input, trust, zip,
};

/// A verb, what it is called with, and the resource on which the right must be.
struct Case {
    operation: &'static str,
    input: Value,
    resource: String,
}

/// A world with one of each noun, and a call of every served verb on them.
async fn cases(world: &World) -> Vec<Case> {
    let (factory, next) = (world.registered_ca("Factory").await, ca("Next"));
    let device = self::device(&factory, "device-1");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let (ca_id, id) = (factory.id().to_string(), id_of(&device));
    world.activate(&id, "Fleet").await;
    let key = Key::generate(KeyAlgorithm::EcP256).expect("a key");
    let csr = key.signing_request_pem("device").expect("a request");
    let idle_ca = ca("Idle");
    let input = json!({ "caCertificate": idle_ca.certificate_pem(), "certificateMode": "SNI_ONLY" });
    world.done("iot:RegisterCACertificate", input).await;
    let [idle, more, most] = ["idle", "more", "most"].map(|name| self::device(&factory, name));
    world.done("iot:RegisterCertificate", json!({ "certificatePem": pem_of(&idle) })).await;
    let (idle_ca, idle) = (idle_ca.id().to_string(), id_of(&idle));
    world.function("f").await;
    world.done("iot:CreateTopicRule", rule_input("r", "SELECT * FROM 'a'", "missing")).await;
    let message = broker::Message {
        topic: mqtt::TopicName::parse("a").expect("a topic"),
        payload: bytes::Bytes::from_static(b"{}"),
        qos: mqtt::Qos::AtLeastOnce,
        retain: false,
        properties: mqtt::packet::Properties::new(),
    };
    world.services.accept(message, services::messages::Origin::default()).await.expect("accepted");

    let iot = |resource: &str| format!("arn:aws:iot:us-east-1:{ACCOUNT}:{resource}");
    let group = |stream: &str| format!("arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{stream}");
    let (any, cert, f) = ("*".to_owned(), certificate_arn(&id), function_arn("f"));
    let document = crate::world::allow_all();
    let permission = json!({
        "FunctionName": "f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
    });
    let grant = json!({ "RoleName": "caller", "PolicyName": "more", "PolicyDocument": document });
    let logs = "AWSIotLogsV2";
    let stream = json!({ "logGroupName": logs, "logStreamName": "r" });
    let attach = json!({ "policyName": "Fleet", "target": cert });
    let attach_principal = json!({ "policyName": "Fleet", "principal": cert });
    let version_2 = json!({ "policyName": "p", "policyVersionId": "2" });
    let dry_run = json!({ "FunctionName": "f", "InvocationType": "DryRun" });
    let new_role = json!({ "RoleName": "new", "AssumeRolePolicyDocument": trust() });
    let register = world.registration(&next).await;
    world.role("other").await;
    let rename = json!({ "RoleName": "other", "PolicyName": "named", "PolicyDocument": document });
    world.done("iam:PutRolePolicy", rename).await;
    world.done("iam:CreatePolicy", json!({ "PolicyName": "own", "PolicyDocument": document })).await;
    let (other, own) = (json!({ "RoleName": "other" }), policy_arn("own"));
    let inline = json!({ "RoleName": "other", "PolicyName": "named" });
    let trust_other = json!({ "RoleName": "other", "PolicyDocument": trust() });
    let attach_own = json!({ "RoleName": "other", "PolicyArn": own });
    let new_policy = json!({ "PolicyName": "new", "PolicyDocument": document });
    let version = json!({ "PolicyArn": own, "VersionId": "v1" });
    let iam = |resource: &str| format!("arn:aws:iam::{ACCOUNT}:{resource}");
    let table: Vec<(&'static str, Value, String)> = vec![
        ("iot:GetRegistrationCode", json!({}), any.clone()),
        ("iot:RegisterCACertificate", register, any.clone()),
        ("iot:DescribeCACertificate", json!({ "certificateId": ca_id }), iot(&format!("cacert/{ca_id}"))),
        ("iot:ListCACertificates", json!({}), any.clone()),
        ("iot:UpdateCACertificate", json!({ "certificateId": ca_id }), iot(&format!("cacert/{ca_id}"))),
        ("iot:DeleteRegistrationCode", json!({}), any.clone()),
        ("iot:DeleteCACertificate", json!({ "certificateId": idle_ca }), iot(&format!("cacert/{idle_ca}"))),
        ("iot:CreateKeysAndCertificate", json!({}), any.clone()),
        ("iot:CreateCertificateFromCsr", json!({ "certificateSigningRequest": csr }), any.clone()),
        ("iot:RegisterCertificate", json!({ "certificatePem": pem_of(&more) }), any.clone()),
        ("iot:RegisterCertificateWithoutCA", json!({ "certificatePem": pem_of(&most) }), any.clone()),
        ("iot:ListCertificatesByCA", json!({ "caCertificateId": ca_id }), any.clone()),
        ("iot:DeleteCertificate", json!({ "certificateId": idle }), certificate_arn(&idle)),
        ("iot:TagResource", json!({ "resourceArn": iot("rule/r"), "tags": [{ "Key": "k" }] }), iot("rule/r")),
        ("iot:UntagResource", json!({ "resourceArn": iot("rule/r"), "tagKeys": ["k"] }), iot("rule/r")),
        ("iot:ListTagsForResource", json!({ "resourceArn": iot("rule/r") }), iot("rule/r")),
        ("iot:DescribeCertificate", json!({ "certificateId": id.to_uppercase() }), cert.clone()),
        ("iot:ListCertificates", json!({}), any.clone()),
        ("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "INACTIVE" }), cert.clone()),
        ("iot:CreatePolicy", json!({ "policyName": "p", "policyDocument": document }), iot("policy/p")),
        ("iot:GetPolicy", json!({ "policyName": "Fleet" }), iot("policy/Fleet")),
        ("iot:AttachPolicy", attach.clone(), cert.clone()),
        ("iot:AttachPrincipalPolicy", attach_principal.clone(), cert.clone()),
        ("iot:ListAttachedPolicies", json!({ "target": cert }), cert.clone()),
        ("iot:ListPrincipalPolicies", json!({ "principal": cert }), cert.clone()),
        ("iot:ListTargetsForPolicy", json!({ "policyName": "Fleet" }), iot("policy/Fleet")),
        ("iot:ListPolicyPrincipals", json!({ "policyName": "Fleet" }), iot("policy/Fleet")),
        ("iot:DetachPolicy", attach, cert.clone()),
        ("iot:DetachPrincipalPolicy", attach_principal, cert.clone()),
        ("iot:ListPolicies", json!({}), any.clone()),
        ("iot:CreatePolicyVersion", json!({ "policyName": "p", "policyDocument": document }), iot("policy/p")),
        ("iot:ListPolicyVersions", json!({ "policyName": "p" }), iot("policy/p")),
        ("iot:GetPolicyVersion", version_2.clone(), iot("policy/p")),
        ("iot:SetDefaultPolicyVersion", version_2, iot("policy/p")),
        ("iot:DeletePolicyVersion", json!({ "policyName": "p", "policyVersionId": "1" }), iot("policy/p")),
        ("iot:DeletePolicy", json!({ "policyName": "p" }), iot("policy/p")),
        ("iot:CreateTopicRule", rule_input("new", "SELECT * FROM 'a'", "f"), iot("rule/new")),
        ("iot:GetTopicRule", json!({ "ruleName": "r" }), iot("rule/r")),
        ("iot:ListTopicRules", json!({}), any.clone()),
        ("iot:ReplaceTopicRule", rule_input("r", "SELECT * FROM 'b'", "f"), iot("rule/r")),
        ("iot:DisableTopicRule", json!({ "ruleName": "r" }), iot("rule/r")),
        ("iot:EnableTopicRule", json!({ "ruleName": "r" }), iot("rule/r")),
        ("iot:Publish", json!({ "topic": "b/c", "qos": 1 }), iot("topic/b/c")),
        ("iot:DeleteTopicRule", json!({ "ruleName": "new" }), iot("rule/new")),
        ("iot:CreateThing", json!({ "thingName": "t" }), iot("thing/t")),
        ("iot:DescribeThing", json!({ "thingName": "t" }), iot("thing/t")),
        ("iot:ListThings", json!({}), any.clone()),
        ("iot:UpdateThing", json!({ "thingName": "t" }), iot("thing/t")),
        ("iot:AttachThingPrincipal", json!({ "thingName": "t", "principal": cert }), cert.clone()),
        ("iot:ListThingPrincipals", json!({ "thingName": "t" }), iot("thing/t")),
        ("iot:ListPrincipalThings", json!({ "principal": cert }), cert.clone()),
        ("iot:DetachThingPrincipal", json!({ "thingName": "t", "principal": cert }), cert.clone()),
        ("iot:DeleteThing", json!({ "thingName": "t" }), iot("thing/t")),
        ("iot:DescribeEndpoint", json!({}), any.clone()),
        ("lambda:GetFunction", json!({ "FunctionName": "f" }), f.clone()),
        ("lambda:UpdateFunctionCode", json!({ "FunctionName": "f", "ZipFile": zip() }), f.clone()),
        ("lambda:InvokeFunction", dry_run, f.clone()),
        ("lambda:AddPermission", permission, f.clone()),
        ("lambda:GetPolicy", json!({ "FunctionName": "f" }), f.clone()),
        ("lambda:RemovePermission", json!({ "FunctionName": "f", "StatementId": "s" }), f.clone()),
        ("lambda:GetFunctionConfiguration", json!({ "FunctionName": "f" }), f.clone()),
        ("lambda:UpdateFunctionConfiguration", json!({ "FunctionName": "f", "Timeout": 5 }), f.clone()),
        ("lambda:ListFunctions", json!({}), any.clone()),
        ("lambda:PutFunctionEventInvokeConfig", json!({ "FunctionName": "f", "MaximumRetryAttempts": 0 }), f.clone()),
        (
            "lambda:UpdateFunctionEventInvokeConfig",
            json!({ "FunctionName": "f", "MaximumRetryAttempts": 1 }),
            f.clone(),
        ),
        ("lambda:GetFunctionEventInvokeConfig", json!({ "FunctionName": "f" }), f.clone()),
        ("lambda:ListFunctionEventInvokeConfigs", json!({ "FunctionName": "f" }), f.clone()),
        ("lambda:DeleteFunctionEventInvokeConfig", json!({ "FunctionName": "f" }), f.clone()),
        ("iam:CreateRole", new_role, role_arn("new")),
        ("iam:GetRole", json!({ "RoleName": "caller" }), role_arn("caller")),
        ("iam:PutRolePolicy", grant, role_arn("caller")),
        ("iam:ListRoles", json!({}), iam("role/")),
        ("iam:UpdateAssumeRolePolicy", trust_other, role_arn("other")),
        ("iam:GetRolePolicy", inline.clone(), role_arn("other")),
        ("iam:ListRolePolicies", other.clone(), role_arn("other")),
        ("iam:CreatePolicy", new_policy, policy_arn("new")),
        ("iam:GetPolicy", json!({ "PolicyArn": own }), own.clone()),
        ("iam:GetPolicyVersion", version, own.clone()),
        ("iam:ListPolicies", json!({}), iam("policy/")),
        ("iam:AttachRolePolicy", attach_own.clone(), role_arn("other")),
        ("iam:ListAttachedRolePolicies", other.clone(), role_arn("other")),
        ("iam:DetachRolePolicy", attach_own, role_arn("other")),
        ("iam:DeletePolicy", json!({ "PolicyArn": own }), own.clone()),
        ("iam:DeleteRolePolicy", inline, role_arn("other")),
        ("iam:DeleteRole", other, role_arn("other")),
        ("logs:CreateLogGroup", json!({ "logGroupName": "g" }), group("g:log-stream:")),
        ("logs:PutRetentionPolicy", json!({ "logGroupName": "g", "retentionInDays": 1 }), group("g:log-stream:")),
        ("logs:CreateLogStream", json!({ "logGroupName": "g", "logStreamName": "s" }), group("g:log-stream:s")),
        (
            "logs:PutLogEvents",
            json!({ "logGroupName": "g", "logStreamName": "s", "logEvents": [{ "timestamp": 1, "message": "m" }] }),
            group("g:log-stream:s"),
        ),
        ("logs:DeleteLogGroup", json!({ "logGroupName": "g" }), group("g:log-stream:")),
        ("logs:DescribeLogGroups", json!({}), group(":log-stream:")),
        ("logs:DescribeLogStreams", json!({ "logGroupName": logs }), group("AWSIotLogsV2:log-stream:")),
        ("logs:GetLogEvents", stream, group("AWSIotLogsV2:log-stream:r")),
        ("logs:FilterLogEvents", json!({ "logGroupName": logs }), group("AWSIotLogsV2:log-stream:")),
    ];
    let mut cases: Vec<Case> =
        table.into_iter().map(|(operation, input, resource)| Case { operation, input, resource }).collect();
    // At the end: the others need the function.
    let input = json!({ "FunctionName": "f" });
    cases.push(Case { operation: "lambda:DeleteFunction", input, resource: function_arn("f") });
    // Two rights: this one, and to pass the role.
    let input = function_input("new", &role_arn("role-of-f"));
    cases.push(Case { operation: "lambda:CreateFunction", input, resource: function_arn("new") });
    cases
}

async fn check_denied(world: &World, caller: &Caller, case: &Case, why: &str) {
    let answer = world.call_as(caller.clone(), case.operation, case.input.clone()).await;
    let Err(err) = answer else { panic!("{} was allowed", case.operation) };
    let code = match case.operation {
        "iot:Publish" => "ForbiddenException",
        operation if operation.starts_with("iam:") => "AccessDenied",
        _ => "AccessDeniedException",
    };
    assert_eq!(err.code, code, "{}: {err}", case.operation);
    let expected = format!(
        "User: arn:aws:sts::{ACCOUNT}:assumed-role/caller/session is not authorized to perform: {} on resource: {} {why}",
        case.operation, case.resource
    );
    assert_eq!(err.message, expected);
}

async fn allow(world: &World, statements: Value) {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    let input = json!({ "RoleName": "caller", "PolicyName": "p", "PolicyDocument": document.to_string() });
    world.done("iam:PutRolePolicy", input).await;
}

#[tokio::test]
async fn without_the_right_nothing_is_done() {
    let world = World::new();
    let caller = world.role("caller").await;
    for case in cases(&world).await {
        let why = format!("because no identity-based policy allows the {} action", case.operation);
        check_denied(&world, &caller, &case, &why).await;
        // The right on everything but this.
        allow(
            &world,
            json!([
                { "Effect": "Allow", "Action": "*", "Resource": "*" },
                { "Effect": "Deny", "Action": case.operation, "Resource": case.resource },
            ]),
        )
        .await;
        check_denied(&world, &caller, &case, "with an explicit deny in an identity-based policy").await;
        // The right to everything, elsewhere.
        allow(&world, json!([{ "Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::elsewhere" }])).await;
        check_denied(&world, &caller, &case, &why).await;
    }
}

#[tokio::test]
async fn with_the_one_right_it_is_done() {
    let world = World::new();
    let caller = world.role("caller").await;
    let pass = json!({ "Effect": "Allow", "Action": "iam:PassRole", "Resource": role_arn("role-of-f") });
    for case in cases(&world).await {
        let right = json!({ "Effect": "Allow", "Action": case.operation, "Resource": case.resource });
        let statements = match case.operation {
            "lambda:CreateFunction" => json!([right, pass]),
            _ => json!([right]),
        };
        allow(&world, statements).await;
        let answer = world.call_as(caller.clone(), case.operation, case.input.clone()).await;
        answer.unwrap_or_else(|err| panic!("{}: {err}", case.operation));
    }
}

/// What is not there is told only to those who may look.
#[tokio::test]
async fn a_missing_noun_is_no_secret_to_tell() {
    let world = World::new();
    let caller = world.role("caller").await;
    for (operation, input) in [
        ("iot:DescribeCACertificate", json!({ "certificateId": "zz" })),
        ("iot:UpdateCertificate", json!({ "certificateId": "zz", "newStatus": "ACTIVE" })),
        ("iot:GetPolicy", json!({ "policyName": "none" })),
        ("iot:GetTopicRule", json!({ "ruleName": "none" })),
        ("lambda:GetFunction", json!({ "FunctionName": "none" })),
        ("iam:GetRole", json!({ "RoleName": "none" })),
        ("logs:FilterLogEvents", json!({ "logGroupName": "none" })),
    ] {
        let err = world.call_as(caller.clone(), operation, input).await.expect_err("denied");
        assert!(err.code.starts_with("AccessDenied"), "{operation}: {err}");
    }
}

/// A session of a role that is gone has no rights left.
#[tokio::test]
async fn a_role_that_is_gone_may_nothing() {
    let world = World::new();
    let caller = world.role("caller").await;
    world.grant("caller", "*", "*").await;
    let input = json!({ "policyName": "none" });
    let allowed = world.call_as(caller.clone(), "iot:GetPolicy", input.clone()).await;
    assert_eq!(allowed.expect_err("there is none").code, "ResourceNotFoundException");
    let write = store::Write { key: b"iam/role/caller".to_vec(), value: None, expect: store::Expect::Anything };
    world.store.commit(vec![write]).await.expect("the role is deleted");
    let err = world.call_as(caller, "iot:GetPolicy", input).await.expect_err("denied");
    assert_eq!(err.code, "AccessDeniedException");
}

/// A deny from a date on begins at that date, and an allow until one ends.
#[tokio::test]
async fn rights_know_the_time() {
    let world = World::new();
    let caller = world.role("caller").await;
    let input = json!({ "policyName": "none" });
    for (effect, operator, key, value, expected) in [
        ("Deny", "DateGreaterThan", "aws:CurrentTime", "2026-01-01T00:00:00Z", "AccessDeniedException"),
        ("Deny", "DateGreaterThan", "aws:CurrentTime", "2222-01-01T00:00:00Z", "ResourceNotFoundException"),
        ("Deny", "NumericGreaterThan", "aws:EpochTime", "1", "AccessDeniedException"),
        ("Allow", "DateLessThan", "aws:CurrentTime", "2222-01-01T00:00:00Z", "ResourceNotFoundException"),
    ] {
        let document = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "iot:*", "Resource": "*" },
            { "Effect": effect, "Action": "iot:*", "Resource": "*", "Condition": { operator: { key: value } } },
        ] });
        let grant = json!({ "RoleName": "caller", "PolicyName": "p", "PolicyDocument": document.to_string() });
        world.done("iam:PutRolePolicy", grant).await;
        let err = world.call_as(caller.clone(), "iot:GetPolicy", input.clone()).await.expect_err("there is none");
        assert_eq!(err.code, expected, "{effect} {operator} {value}");
    }
}
