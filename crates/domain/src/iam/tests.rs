use super::{
    Decision, Kind, Permission, PolicyDocument, Principal, Request, Trust, judge_identity, judge_resource, judge_trust,
};
use crate::Partition;

const ROLE: &str = "arn:aws-cn:iam::123456789012:role/service/jitr";
const SESSION: &str = "arn:aws-cn:sts::123456789012:assumed-role/jitr/activate";

fn statement(body: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{{body}}}]}}"#)
}

#[track_caller]
fn check(policies: &[&str], cases: &[(&str, &str, Decision)]) {
    let policies: Vec<_> = policies.iter().map(|text| PolicyDocument::parse(text, Kind::Identity).unwrap()).collect();
    for (action, resource, expected) in cases {
        let context = [("aws:PrincipalAccount", "123456789012"), ("aws:username", "ann*")];
        let request = Request { action, resource, context: &context };
        assert_eq!(judge_identity(&policies, &request), *expected, "{action} on {resource}");
    }
}

#[test]
fn identity_policies() {
    use Decision::{Allowed, DeniedExplicitly, NotAllowed};
    // The role of the walkthrough, in China.
    let jitr = statement(
        r#""Effect":"Allow","Resource":["arn:aws-cn:logs:*:*:*","*"],
           "Action":["logs:Create*","logs:PutLogEvents","iot:UpdateCertificate","iot:CreatePolicy"]"#,
    );
    let certificate = "arn:aws-cn:iot:cn-north-1:123456789012:cert/0a1b";
    check(
        &[&jitr],
        &[
            ("iot:UpdateCertificate", certificate, Allowed),
            ("IOT:updatecertificate", certificate, Allowed),
            ("iot:CreatePolicy", "*", Allowed),
            ("logs:CreateLogGroup", "arn:aws-cn:logs:cn-north-1:123456789012:log-group:x:*", Allowed),
            ("iot:UpdateCACertificate", certificate, NotAllowed),
            ("logs:DeleteLogGroup", "*", NotAllowed),
        ],
    );
    let deny = statement(r#""Effect":"Deny","Action":"iot:*","Resource":"*:cert/0a*""#);
    check(
        &[&jitr, &deny],
        &[
            ("iot:UpdateCertificate", certificate, DeniedExplicitly),
            ("iot:UpdateCertificate", "arn:aws-cn:iot:cn-north-1:123456789012:cert/ff", Allowed),
        ],
    );
    check(
        &[&statement(r#""Effect":"Allow","NotAction":"iam:*","NotResource":"arn:aws:s3:::secret/*""#)],
        &[
            ("s3:GetObject", "arn:aws:s3:::open/a", Allowed),
            ("s3:GetObject", "arn:aws:s3:::secret/a", NotAllowed),
            ("iam:CreateRole", "arn:aws:s3:::open/a", NotAllowed),
        ],
    );
    // A value with a wildcard is compared as it is; a fallback stands in for a missing key.
    check(
        &[&statement(
            r#""Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b/${aws:username}","arn:aws:s3:::t/${aws:PrincipalTag/team, 'none'}"]"#,
        )],
        &[
            ("s3:GetObject", "arn:aws:s3:::b/ann*", Allowed),
            ("s3:GetObject", "arn:aws:s3:::b/anna", NotAllowed),
            ("s3:GetObject", "arn:aws:s3:::t/none", Allowed),
        ],
    );
    check(
        &[&statement(r#""Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:missing}""#)],
        &[("s3:GetObject", "arn:aws:s3:::b/x", NotAllowed)],
    );
}

#[test]
fn trust_policies_say_who_may_assume() {
    let cases = [
        (r#"{"Service":"lambda.amazonaws.com"}"#, Principal::Service("lambda.amazonaws.com"), true),
        (r#"{"Service":"lambda.amazonaws.com.cn"}"#, Principal::Service("lambda.amazonaws.com"), true),
        (
            r#"{"Service":["ec2.amazonaws.com","lambda.amazonaws.com"]}"#,
            Principal::Service("lambda.amazonaws.com.cn"),
            true,
        ),
        (r#"{"Service":"iot.amazonaws.com"}"#, Principal::Service("lambda.amazonaws.com"), false),
        (r#"{"Service":"lambda.amazonaws.com"}"#, Principal::Aws(ROLE), false),
        (r#""*""#, Principal::Service("lambda.amazonaws.com"), true),
        (r#"{"AWS":"*"}"#, Principal::Aws(SESSION), true),
        (r#"{"AWS":"123456789012"}"#, Principal::Aws(SESSION), true),
        (r#"{"AWS":"210987654321"}"#, Principal::Aws(SESSION), false),
        (r#"{"AWS":"arn:aws-cn:iam::123456789012:root"}"#, Principal::Aws(ROLE), true),
        (r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, Principal::Aws(ROLE), false),
        (r#"{"AWS":"arn:aws-cn:iam::123456789012:role/service/jitr"}"#, Principal::Aws(SESSION), true),
        (r#"{"AWS":"arn:aws-cn:iam::123456789012:role/other"}"#, Principal::Aws(SESSION), false),
        (r#"{"Federated":"cognito-identity.amazonaws.com"}"#, Principal::Aws(ROLE), false),
    ];
    for (principal, caller, expected) in cases {
        let json = statement(&format!(r#""Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole""#));
        let policy = PolicyDocument::parse(&json, Kind::Resource).unwrap();
        let request = Request { action: "sts:AssumeRole", resource: ROLE, context: &[] };
        let decision = judge_resource(&policy, caller, &request);
        assert_eq!(decision == Decision::Allowed, expected, "{principal} {caller:?}");
    }
}

#[test]
fn trust_is_by_name_or_by_account() {
    const ROOT: &str = "arn:aws-cn:iam::123456789012:root";
    let deny = format!(r#",{{"Effect":"Deny","Principal":{{"AWS":"{SESSION}"}},"Action":"sts:*"}}"#);
    for (principal, more, caller, expected) in [
        (r#"{"AWS":"123456789012"}"#, "", SESSION, Trust::ByAccount),
        (r#"{"AWS":"123456789012"}"#, "", ROOT, Trust::ByAccount),
        (r#"{"AWS":"arn:aws-cn:iam::123456789012:root"}"#, "", SESSION, Trust::ByAccount),
        (r#"{"AWS":"arn:aws-cn:iam::123456789012:role/service/jitr"}"#, "", SESSION, Trust::ByName),
        (
            r#"{"AWS":["123456789012","arn:aws-cn:sts::123456789012:assumed-role/jitr/activate"]}"#,
            "",
            SESSION,
            Trust::ByName,
        ),
        (r#"{"AWS":"arn:aws-cn:sts::123456789012:assumed-role/jitr/other"}"#, "", SESSION, Trust::Refused),
        (r#""*""#, "", SESSION, Trust::ByName),
        (r#""*""#, deny.as_str(), SESSION, Trust::Refused),
        (r#"{"AWS":"210987654321"}"#, "", SESSION, Trust::Refused),
        (r#"{"Service":"lambda.amazonaws.com"}"#, "", SESSION, Trust::Refused),
    ] {
        let json = format!(
            r#"{{"Version":"2012-10-17","Statement":[
                {{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}{more}]}}"#
        );
        let policy = PolicyDocument::parse(&json, Kind::Resource).unwrap();
        let request = Request { action: "sts:AssumeRole", resource: ROLE, context: &[] };
        assert_eq!(judge_trust(&policy, caller, &request), expected, "{json} {caller}");
    }
}

#[test]
fn a_permission_lets_one_rule_in() {
    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:activate";
    const RULE: &str = "arn:aws:iot:us-east-1:123456789012:rule/jitr";
    let permission = Permission {
        statement_id: "iot-rule_1",
        action: "lambda:InvokeFunction",
        principal: "iot.amazonaws.com",
        source_arn: Some(RULE),
        source_account: Some("123456789012"),
    };
    let statement = permission.to_statement(FUNCTION, Partition::Aws).unwrap();
    let document = serde_json::json!({ "Version": "2012-10-17", "Id": "default", "Statement": [statement] });
    let policy = PolicyDocument::parse(&document.to_string(), Kind::Resource).unwrap();
    for (service, rule, account, expected) in [
        ("iot.amazonaws.com", RULE, "123456789012", true),
        ("iot.amazonaws.com", "arn:aws:iot:us-east-1:123456789012:rule/other", "123456789012", false),
        ("iot.amazonaws.com", RULE, "210987654321", false),
        ("s3.amazonaws.com", RULE, "123456789012", false),
    ] {
        let context = [("aws:SourceArn", rule), ("aws:SourceAccount", account)];
        let request = Request { action: "lambda:InvokeFunction", resource: FUNCTION, context: &context };
        let decision = judge_resource(&policy, Principal::Service(service), &request);
        assert_eq!(decision == Decision::Allowed, expected, "{service} {rule} {account}");
    }
    for (principal, expected) in [
        ("iot.amazonaws.com", Some(serde_json::json!({ "Service": "iot.amazonaws.com" }))),
        ("123456789012", Some(serde_json::json!({ "AWS": "arn:aws-cn:iam::123456789012:root" }))),
        (ROLE, Some(serde_json::json!({ "AWS": ROLE }))),
        ("*", Some(serde_json::json!("*"))),
        ("iot", None),
        ("", None),
    ] {
        let permission = Permission { principal, source_arn: None, source_account: None, ..permission };
        let statement = permission.to_statement(FUNCTION, Partition::AwsCn).ok();
        assert_eq!(statement.as_ref().map(|statement| statement["Principal"].clone()), expected, "{principal}");
        assert!(statement.is_none_or(|statement| statement.get("Condition").is_none()));
    }
}

#[test]
fn what_is_malformed_and_where() {
    let cases = [
        (
            Kind::Identity,
            r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#,
            "\"Principal\" is not allowed here",
        ),
        (Kind::Identity, r#""Effect":"Allow","Action":"*""#, "no \"Resource\""),
        (Kind::Identity, r#""Sid":"a-b","Effect":"Allow","Action":"*","Resource":"*""#, "letters and digits"),
        (Kind::Identity, r#""Effect":"Allow","Action":"*","NotAction":"*","Resource":"*""#, "both \"Action\" and"),
        (Kind::Resource, r#""Effect":"Allow","Action":"*""#, "no \"Principal\""),
        (Kind::Resource, r#""Effect":"Allow","Principal":"me","Action":"*""#, "\"Principal\" must be"),
        (Kind::Resource, r#""Effect":"Allow","Principal":{},"Action":"*""#, "\"Principal\" must be"),
        (Kind::Resource, r#""Effect":"Allow","Principal":{"AWS":"me"},"Action":"*""#, "neither an account id nor"),
        (Kind::Resource, r#""Effect":"Deny","NotPrincipal":"*","Action":"*""#, "\"NotPrincipal\" is not allowed here"),
    ];
    for (kind, body, expected) in cases {
        let malformed = PolicyDocument::parse(&statement(body), kind).unwrap_err();
        assert!(malformed.message.contains(expected), "{body}: {malformed}");
        assert_eq!(malformed.line, 1);
    }
    let twice = r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},
        {"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let malformed = PolicyDocument::parse(twice, Kind::Identity).unwrap_err();
    assert_eq!((malformed.line, malformed.column), (3, 9), "{malformed}");
    let long = statement(&format!(r#""Effect":"Allow","Action":"*","Resource":"arn:{}""#, "x".repeat(10_240)));
    assert!(PolicyDocument::parse(&long, Kind::Identity).unwrap_err().message.contains("10240"));
}
