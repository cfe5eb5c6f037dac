use std::sync::Arc;

use proptest::prelude::proptest;

use super::{
    AttachedThing, CompiledPolicy, ConnectionFacts, DOCUMENT_CHARS_MAX, Decision, IotAction, MalformedPolicy,
    Permissions, ResourceScope, judge,
};
use crate::x509::Certificate;

mod agreement;
mod certificates;
mod tested;

/// C=CN, O=Example Corp, OU=first, OU=second, title=a+b, CN=device-7, DNS:device.example.com; self-signed, EC P-256.
const DEVICE: &str = "\
-----BEGIN CERTIFICATE-----
MIICQzCCAeigAwIBAgIUJ00Gk8GIt0mvxhBh9Vgl6sV2FgswCgYIKoZIzj0EAwIw
ZjELMAkGA1UEBhMCQ04xFTATBgNVBAoMDEV4YW1wbGUgQ29ycDEOMAwGA1UECwwF
Zmlyc3QxDzANBgNVBAsMBnNlY29uZDEMMAoGA1UEDAwDYStiMREwDwYDVQQDDAhk
ZXZpY2UtNzAgFw0yNjExMjMyMzM0NDZaGA8yMTI2MTAzMDIzMzQ0NlowZjELMAkG
A1UEBhMCQ04xFTATBgNVBAoMDEV4YW1wbGUgQ29ycDEOMAwGA1UECwwFZmlyc3Qx
DzANBgNVBAsMBnNlY29uZDEMMAoGA1UEDAwDYStiMREwDwYDVQQDDAhkZXZpY2Ut
NzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDAz99uFmUVOEkMP4M1vgv7pA4c/
DbM0/+YbMz9pMuW1y15BrgzEOvfcwf5DEqUFl5UbZE3wJ/kZJrseKKHsknijcjBw
MB0GA1UdDgQWBBR/pkTpEBekSg7P07RNJPCt8oncVzAfBgNVHSMEGDAWgBR/pkTp
EBekSg7P07RNJPCt8oncVzAPBgNVHRMBAf8EBTADAQH/MB0GA1UdEQQWMBSCEmRl
dmljZS5leGFtcGxlLmNvbTAKBggqhkjOPQQDAgNJADBGAiEAtWgLrKKZECHPdmAm
zVSJzFskmmE9gccjRcUKSiaORLsCIQCZmPxv3oqKesjXh7p4fFfkl96LBywWJnS8
W/rH3eal9A==
-----END CERTIFICATE-----
";

fn facts() -> ConnectionFacts {
    let certificate = Certificate::from_pem(DEVICE).unwrap();
    ConnectionFacts {
        client_id: "device-7".to_owned(),
        certificate_id: certificate.id(),
        certificate: Arc::new(certificate),
        source_ip: Some("::ffff:10.1.2.3".parse().unwrap()),
        domain_name: Some("iot.example.com".to_owned()),
        connect_attributes: Vec::new(),
        last_will_topic_arn: None,
    }
}

fn scope() -> Arc<ResourceScope> {
    Arc::new(ResourceScope::new(&"cn-north-1".parse().unwrap(), &"123456789012".parse().unwrap()))
}

fn parse(name: &str, document: &str) -> Result<CompiledPolicy, MalformedPolicy> {
    CompiledPolicy::parse(name, document, &scope())
}

fn compile(document: &str) -> Arc<CompiledPolicy> {
    Arc::new(parse("p", document).unwrap_or_else(|malformed| panic!("{malformed}: {document}")))
}

/// Asks on the whole ARN, and the connection's permissions where the ARN is one that they can be asked about.
fn decide(
    policies: &[Arc<CompiledPolicy>],
    action: IotAction,
    resource: &str,
    facts: &ConnectionFacts,
    things: &[AttachedThing],
) -> Decision {
    let decision = judge(policies, action, resource, facts, things);
    if let Some(subject) = action.kind().and_then(|kind| resource.strip_prefix(scope().prefix(kind))) {
        let permissions = Permissions::new(&policies.into(), facts, things);
        assert_eq!(permissions.judge(action, subject), decision, "{action:?} {resource}");
        assert_eq!(permissions.allows(action, subject), decision.is_allowed());
    }
    decision
}

fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// Allows `action` on `resource`, both after their prefixes, in China's partition.
fn allow(action: &str, resource: &str) -> String {
    let resource = if resource == "*" { "*".to_owned() } else { arn(resource) };
    document(&format!(r#"{{"Effect":"Allow","Action":"iot:{action}","Resource":"{resource}"}}"#))
}

fn arn(resource: &str) -> String {
    format!("arn:aws-cn:iot:cn-north-1:123456789012:{resource}")
}

#[test]
fn actions_and_resources() {
    use IotAction::{Connect, GetRetainedMessage, ListRetainedMessages, Publish, Receive, RetainPublish, Subscribe};
    let facts = facts();
    let about_nothing = scope().arn(ListRetainedMessages, "");
    assert_eq!(about_nothing, "*");
    for (resource, expected) in [("*", true), ("topic/*", false)] {
        let policy = compile(&allow("ListRetainedMessages", resource));
        let decision = decide(std::slice::from_ref(&policy), ListRetainedMessages, &about_nothing, &facts, &[]);
        assert_eq!(decision.is_allowed(), expected, "{resource}");
    }
    for (allowed, resource, action, asked, expected) in [
        ("*", "*", Connect, "client/x", true),
        ("Connect", "client/*", Connect, "client/x", true),
        ("connect", "client/*", Connect, "client/x", true),
        ("Connect", "client/*", Publish, "client/x", false),
        ("P*", "topic/a", Publish, "topic/a", true),
        ("P*", "topic/a", RetainPublish, "topic/a", false),
        ("*Publish", "topic/a", RetainPublish, "topic/a", true),
        ("GetRetainedMessage", "topic/a", GetRetainedMessage, "topic/a", true),
        ("Publish", "topic/a", GetRetainedMessage, "topic/a", false),
        ("Publish", "topic/a/*", Publish, "topic/a/b/c", true),
        ("Publish", "topic/a/*", Publish, "topic/a/", true),
        ("Publish", "topic/a/*", Publish, "topic/a", false),
        ("Publish", "topic/a/?/c", Publish, "topic/a/b/c", true),
        ("Publish", "topic/a/?/c", Publish, "topic/a/bb/c", false),
        ("Publish", "topic/a/*/c", Publish, "topic/a/b/b/c", true),
        ("Publish", "topic/JITR", Publish, "topic/jitr", false),
        // MQTT's wildcards are plain characters here.
        ("Publish", "topic/a/#", Publish, "topic/a/b", false),
        ("Publish", "topic/a/#", Publish, "topic/a/#", true),
        ("Receive", "topic/a/+", Receive, "topic/a/b", false),
        ("Subscribe", "topicfilter/a/#", Subscribe, "topicfilter/a/#", true),
        ("Subscribe", "topicfilter/a/#", Subscribe, "topicfilter/a/b", false),
        ("Subscribe", "topicfilter/a/*", Subscribe, "topicfilter/a/#", true),
        ("Subscribe", "topicfilter/*", Subscribe, "topicfilter/#", true),
        ("Subscribe", "topicfilter/a/+/b", Subscribe, "topicfilter/a/x/b", false),
        ("Subscribe", "topicfilter/$share/*/a", Subscribe, "topicfilter/$share/g/a", true),
        ("Subscribe", "topicfilter/a/${*}", Subscribe, "topicfilter/a/b", false),
        ("Publish", "topic/a", Publish, "topicfilter/a", false),
        ("Subscribe", "topicfilter/a", Subscribe, "topicfilter/$share/g/a", false),
        ("Subscribe", "topicfilter/$share/g/*", Subscribe, "topicfilter/$share/g/a/#", true),
        ("Receive", "topic/a/*", Receive, "topic/a/b", true),
        // The guide writes these with parentheses, IAM with braces.
        ("Subscribe", "topicfilter/a/$(*)", Subscribe, "topicfilter/a/*", true),
        ("Subscribe", "topicfilter/a/$(*)", Subscribe, "topicfilter/a/b", false),
        ("Publish", "topic/${?}/${$}", Publish, "topic/?/$", true),
        ("Publish", "topic/${?}/x", Publish, "topic/a/x", false),
        // Variables.
        ("Connect", "client/${iot:ClientId}", Connect, "client/device-7", true),
        ("Connect", "client/${iot:clientid}", Connect, "client/device-7", true),
        ("Connect", "client/${iot:ClientId}", Connect, "client/other", false),
        ("Publish", "topic/${aws:SourceIp}", Publish, "topic/10.1.2.3", true),
        ("Publish", "topic/${iot:DomainName}", Publish, "topic/iot.example.com", true),
        ("Publish", "topic/${iot:Certificate.AvailableKeys}", Publish, "topic/iot:Certificate.SerialNumber", false),
        ("Publish", "topic/${iot:Certificate.Subject.CommonName}/*", Publish, "topic/device-7/t", true),
        ("Publish", "topic/${iot:Certificate.Issuer.CommonName}/*", Publish, "topic/device-7/t", true),
        ("Publish", "topic/${iot:Certificate.Subject.OrganizationalUnit}", Publish, "topic/first", true),
        ("Publish", "topic/${iot:Certificate.Subject.OrganizationalUnit.1}", Publish, "topic/second", true),
        ("Publish", "topic/${iot:Certificate.Subject.OrganizationalUnit.2}", Publish, "topic/second", false),
        ("Publish", "topic/${iot:Certificate.Subject.OrganizationalUnit.0}", Publish, "topic/first", false),
        ("Publish", "topic/${iot:Certificate.Subject.OrganizationalUnit.List}", Publish, "topic/first", false),
        (
            "Publish",
            "topic/${iot:Certificate.Subject.AlternativeName.DNSName}",
            Publish,
            "topic/device.example.com",
            true,
        ),
        ("Publish", "topic/${iot:Certificate.Subject.Title}", Publish, "topic/a+b", false),
        ("Publish", "topic/${iot:Certificate.Subject.Surname}", Publish, "topic/", false),
        ("Publish", "topic/${iot:Connection.Thing.ThingName}", Publish, "topic/device-7", false),
        ("Publish", "topic/${iot:Nothing}", Publish, "topic/${iot:Nothing}", false),
    ] {
        let policy = compile(&allow(allowed, resource));
        let decision = decide(&[policy], action, &arn(asked), &facts, &[]);
        assert_eq!(decision.is_allowed(), expected, "iot:{allowed} on {resource}, asked {action:?} {asked}");
    }
    let id = allow("Publish", "topic/${iot:CertificateId}/${iot:Certificate.SerialNumber}");
    let asked = arn(&format!("topic/{}/{}", facts.certificate_id, facts.certificate.serial_hex()));
    assert!(decide(&[compile(&id)], Publish, &asked, &facts, &[]).is_allowed());
    let other_region = asked.replace("cn-north-1", "cn-northwest-1");
    assert!(!decide(&[compile(&id)], Publish, &other_region, &facts, &[]).is_allowed());
}

#[test]
fn a_client_id_with_wildcards_matches_itself_only() {
    let policy = compile(&allow("*", "*/${iot:ClientId}"));
    for (client_id, asked, expected) in [
        ("*", "client/*", true),
        ("*", "client/x", false),
        ("?", "client/?", true),
        ("?", "client/x", false),
        // AWS puts `+` in place too and says to guard iot:Connect.
        ("+", "topicfilter/+", true),
        // Of a request by HTTPS, which no client makes.
        ("", "client/", false),
        ("${iot:ClientId}", "client/${iot:ClientId}", true),
    ] {
        let facts = ConnectionFacts { client_id: client_id.to_owned(), ..facts() };
        let decision = decide(std::slice::from_ref(&policy), IotAction::Connect, &arn(asked), &facts, &[]);
        assert_eq!(decision.is_allowed(), expected, "{client_id:?} asks {asked}");
    }
}

#[test]
fn the_decision_names_policy_and_statement() {
    let open = parse("open", &allow("*", "*")).unwrap();
    let mixed = document(
        r#"{"Effect":"Allow","Action":"iot:Connect","Resource":"*"},
           {"Sid":"NoSecrets","Effect":"Deny","Action":["iot:Publish","iot:Receive"],"Resource":"*:topic/secret/*"},
           {"Effect":"Deny","Action":"iot:Publish","Resource":"*:topic/${iot:Certificate.Subject.Surname}"}"#,
    );
    let mixed = Arc::new(parse("mixed", &mixed).unwrap());
    let both = [Arc::new(open), Arc::clone(&mixed)];
    let allowed = |policy: &str, statement| Decision::Allowed { policy: policy.into(), statement };
    let denied = Decision::Denied { policy: "mixed".to_owned(), statement: 1, sid: Some("NoSecrets".to_owned()) };
    for (policies, action, asked, expected) in [
        (both.as_slice(), IotAction::Publish, "topic/secret/a", denied.clone()),
        (&both, IotAction::Receive, "topic/secret/a", denied.clone()),
        (&both, IotAction::Subscribe, "topicfilter/secret/a", allowed("open", 0)),
        // The certificate has no surname: that Deny touches nobody.
        (&both, IotAction::Publish, "topic/", allowed("open", 0)),
        (&both[1..], IotAction::Connect, "client/x", allowed("mixed", 0)),
        (&both[1..], IotAction::Publish, "topic/a", Decision::NotAllowed),
        (&both[1..], IotAction::Publish, "topic/secret/a", denied),
        (&[], IotAction::Connect, "client/x", Decision::NotAllowed),
    ] {
        assert_eq!(decide(policies, action, &arn(asked), &facts(), &[]), expected, "{action:?} {asked}");
    }
}

#[test]
fn conditions() {
    let plain = facts();
    let will = ConnectionFacts {
        connect_attributes: vec!["PersistentConnect", "LastWill"],
        last_will_topic_arn: Some(arn("topic/will/device-7")),
        ..facts()
    };
    let persistent = ConnectionFacts { connect_attributes: vec!["PersistentConnect"], ..facts() };
    let v6 = ConnectionFacts { source_ip: Some("2001:db8::7".parse().unwrap()), ..facts() };
    let hidden = ConnectionFacts { source_ip: None, ..facts() };
    let cases: &[(&str, &ConnectionFacts, bool)] = &[
        (r#""ForAllValues:StringEquals":{"iot:ConnectAttributes":[]}"#, &plain, true),
        (r#""ForAllValues:StringEquals":{"iot:ConnectAttributes":[]}"#, &persistent, false),
        (r#""ForAllValues:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}"#, &persistent, true),
        (r#""ForAllValues:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}"#, &will, false),
        (r#""ForAnyValue:StringEquals":{"iot:ConnectAttributes":["LastWill"]}"#, &will, true),
        (r#""ForAnyValue:StringEquals":{"iot:ConnectAttributes":["LastWill"]}"#, &plain, false),
        (r#""ForAnyValue:StringNotEquals":{"iot:ConnectAttributes":["LastWill"]}"#, &will, true),
        (r#""StringNotEquals":{"iot:ConnectAttributes":["LastWill"]}"#, &will, false),
        (r#""Null":{"iot:ConnectAttributes":"true"}"#, &plain, true),
        (r#""Null":{"iot:ConnectAttributes":true}"#, &will, false),
        (r#""Null":{"iot:LastWillTopic":false}"#, &will, true),
        (
            r#""ArnEquals":{"iot:LastWillTopic":"arn:aws-cn:iot:*:123456789012:topic/will/${iot:ClientId}"}"#,
            &will,
            true,
        ),
        (r#""ArnEquals":{"iot:LastWillTopic":"arn:aws-cn:iot:*:topic/will/*"}"#, &will, true),
        (r#""ArnLike":{"iot:LastWillTopic":"arn:aws-cn:*:a:b:topic/*"}"#, &will, false),
        (r#""ArnLike":{"iot:LastWillTopic":"arn:aws-cn:iot:*:123456789012:topic/will/*"}"#, &plain, false),
        (r#""ArnLikeIfExists":{"iot:LastWillTopic":"arn:aws-cn:iot:*:123456789012:topic/x"}"#, &plain, true),
        (r#""ArnLikeIfExists":{"iot:LastWillTopic":"arn:aws-cn:iot:*:123456789012:topic/x"}"#, &will, false),
        (r#""ArnNotLike":{"iot:LastWillTopic":"arn:aws-cn:iot:*:123456789012:topic/x"}"#, &plain, true),
        (r#""IpAddress":{"aws:SourceIp":["192.0.2.0/24","10.0.0.0/8"]}"#, &plain, true),
        (r#""IpAddress":{"aws:SourceIp":"10.1.2.3"}"#, &plain, true),
        (r#""IpAddress":{"aws:SourceIp":"10.1.2.4"}"#, &plain, false),
        (r#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, &plain, true),
        (r#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, &v6, false),
        (r#""IpAddress":{"aws:SourceIp":"2001:db8::/32"}"#, &v6, true),
        (r#""IpAddress":{"aws:SourceIp":"::/0"}"#, &v6, true),
        (r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, &hidden, false),
        (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, &plain, false),
        (r#""NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, &hidden, true),
        (r#""StringEquals":{"iot:Certificate.Subject.Organization":["AnyCompany","Example Corp"]}"#, &plain, true),
        (r#""StringEquals":{"iot:Certificate.Subject.Organization":"example corp"}"#, &plain, false),
        (r#""StringEqualsIgnoreCase":{"iot:Certificate.Subject.Organization":"example corp"}"#, &plain, true),
        (r#""StringNotEqualsIgnoreCase":{"iot:Certificate.Subject.Organization":"EXAMPLE CORP"}"#, &plain, false),
        (r#""StringEquals":{"iot:Certificate.Subject.Organization":"Example*"}"#, &plain, false),
        (r#""StringLike":{"iot:Certificate.Subject.Organization":"Example*"}"#, &plain, true),
        (r#""StringNotLike":{"iot:Certificate.Subject.Organization":"Example*"}"#, &plain, false),
        (r#""StringEquals":{"iot:Certificate.Subject.CommonName":"${iot:ClientId}"}"#, &plain, true),
        (r#""StringNotEquals":{"iot:ClientId":"${iot:Certificate.Subject.Surname}"}"#, &plain, false),
        (r#""ForAnyValue:StringEquals":{"iot:Certificate.Subject.OrganizationalUnit.List":"second"}"#, &plain, true),
        (r#""ForAllValues:StringEquals":{"iot:Certificate.Subject.OrganizationalUnit.List":"second"}"#, &plain, false),
        (r#""Bool":{"iot:Connection.Thing.IsAttached":"true"}"#, &plain, false),
        (r#""Bool":{"iot:Connection.Thing.IsAttached":"false"}"#, &plain, true),
        (r#""StringEquals":{"iot:DomainName":"iot.example.com"}"#, &plain, true),
        (r#""StringLike":{"iot:DomainName":"*.example.org"}"#, &plain, false),
        (
            r#""ForAnyValue:StringEquals":{"iot:Certificate.AvailableKeys":"iot:Certificate.Subject.CommonName"}"#,
            &plain,
            true,
        ),
        (
            r#""ForAnyValue:StringLike":{"iot:Certificate.AvailableKeys":"iot:Certificate.Subject.Surname*"}"#,
            &plain,
            false,
        ),
        (r#""StringEquals":{"iot:ClientId":"device-7"},"IpAddress":{"aws:SourceIp":"192.0.2.1"}"#, &plain, false),
        ("", &plain, true),
    ];
    for (condition, facts, expected) in cases {
        let text = document(&format!(
            r#"{{"Effect":"Allow","Action":"iot:Connect","Resource":"*","Condition":{{{condition}}}}}"#
        ));
        let decision = decide(&[compile(&text)], IotAction::Connect, &arn("client/x"), facts, &[]);
        assert_eq!(decision.is_allowed(), *expected, "{condition}");
    }
}

#[test]
fn variables_are_of_the_newer_language() {
    for (version, expected) in
        [(r#""Version":"2012-10-17","#, true), (r#""Version":"2008-10-17","#, false), ("", false)]
    {
        let text = format!(
            r#"{{{version}"Statement":{{"Effect":"Allow","Action":"iot:Connect","Resource":"*:client/${{iot:ClientId}}"}}}}"#
        );
        let decision = decide(&[compile(&text)], IotAction::Connect, &arn("client/device-7"), &facts(), &[]);
        assert_eq!(decision.is_allowed(), expected, "{text}");
    }
}

#[test]
fn what_is_malformed_and_where() {
    let cases = [
        ("", "not valid JSON", (1, 1)),
        ("{", "not valid JSON", (1, 1)),
        ("[]", "must be an object, not a list", (1, 1)),
        ("{}", "no \"Statement\"", (1, 1)),
        ("{\n  \"Statement\": [\n}", "not valid JSON", (3, 1)),
        ("{}\nx", "not valid JSON: trailing", (2, 1)),
        ("{\"Version\": \"2012\",\"Statement\":[]}", "unknown version \"2012\"", (1, 13)),
        ("{\"Statement\":[]}", "is empty", (1, 14)),
        ("{\"Statement\": 1}", "a statement must be an object, not a number", (1, 15)),
        ("{\"é\": 1, \"statement\": 2}", "unknown element \"é\"", (1, 2)),
        ("{\"Id\": \"é\", \"statement\": []}", "did you mean \"Statement\"?", (1, 13)),
        ("{\n\"Statement\": [{\n\"Effect\": \"allow\"}]}", "unknown Effect \"allow\"", (3, 11)),
        ("{\"Statement\": {\"Action\": \"*\"}}", "no \"Effect\"", (1, 15)),
        ("{\"Statement\": {\"Effect\": \"Allow\"}}", "no \"Action\"", (1, 15)),
        ("{\"Statement\": {\"Effect\": \"Allow\",\n \"Effect\": \"Deny\"}}", "\"Effect\" is given twice", (2, 2)),
        ("{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"Connect\"}}", "names no service", (1, 45)),
        ("{\"Statement\": {\"Effect\": \"Allow\", \"Action\": [\"*\", 7]}}", "a string, not a number", (1, 51)),
        ("{\"Statement\": {\"Effect\": \"Allow\", \"Action\": []}}", "\"Action\" is empty", (1, 45)),
        ("{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"*\"}}", "no \"Resource\"", (1, 15)),
        ("{\"Statement\": {\"NotAction\": \"*\"}}", "\"NotAction\" is not allowed here", (1, 16)),
        ("{\"Statement\": {\"NotResource\": \"*\"}}", "\"NotResource\" is not allowed here", (1, 16)),
        ("{\"Statement\": {\"Principal\": \"*\"}}", "\"Principal\" is not allowed here", (1, 16)),
        ("[[[[[[[[[1]]]]]]]]]", "levels deep", (1, 9)),
    ];
    for (text, expected, place) in cases {
        let malformed = parse("p", text).unwrap_err();
        assert!(malformed.message.contains(expected), "{text}: {malformed}");
        assert_eq!((malformed.line, malformed.column), place, "{text}: {malformed}");
    }
}

#[test]
fn malformed_resources_and_conditions() {
    for (resource, condition, expected) in [
        ("topic/a", "{}", "neither an ARN nor"),
        ("arn:x:${iot:ClientId", "{}", "without its"),
        ("*", "[]", "\"Condition\" must be an object"),
        ("*", r#"{"StringEqual":{}}"#, "unknown condition operator \"StringEqual\""),
        ("*", r#"{"stringequals":{}}"#, "did you mean \"StringEquals\"?"),
        ("*", r#"{"ForSomeValues:StringEquals":{}}"#, "neither \"ForAllValues:\""),
        ("*", r#"{"NullIfExists":{}}"#, "unknown condition operator"),
        ("*", r#"{"StringEquals":{"k":{}}}"#, "must be a string, not an object"),
        ("*", r#"{"StringEquals":{"k":[["v"]]}}"#, "must be a string, not a list"),
        ("*", r#"{"NumericEquals":{"k":"seven"}}"#, "not a number"),
        ("*", r#"{"DateEquals":{"k":"tomorrow"}}"#, "not a date"),
        ("*", r#"{"Bool":{"k":"yes"}}"#, "neither true nor false"),
        ("*", r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#, "not an address"),
        ("*", r#"{"StringEquals":{"k":"1","k":"2"}}"#, "\"k\" is given twice"),
    ] {
        let text =
            document(&format!(r#"{{"Effect":"Allow","Action":"*","Resource":"{resource}","Condition":{condition}}}"#));
        let malformed = parse("p", &text).unwrap_err();
        assert!(malformed.message.contains(expected), "{resource} {condition}: {malformed}");
    }
}

#[test]
fn blanks_do_not_count() {
    let short = allow("Connect", "*");
    let ink = short.chars().filter(|character| !character.is_whitespace()).count();
    let padded =
        |extra: usize| short.replace("\"*\"", &format!("\"*{}\"", "x".repeat(DOCUMENT_CHARS_MAX - ink + extra)));
    let blanks = "\n ".repeat(DOCUMENT_CHARS_MAX);
    assert!(parse("p", &(blanks + &padded(0))).is_ok());
    assert!(parse("p", &padded(1)).unwrap_err().message.contains("2048"));
    assert!(parse("p", &" ".repeat(1 << 20)).unwrap_err().message.contains("bytes"));
    assert!(parse("p", &"[".repeat(DOCUMENT_CHARS_MAX)).is_err());
}

proptest! {
    #[test]
    fn any_text_parses_or_says_where(text in "\\PC{0,80}") {
        let _ = parse("p", &text);
    }

    /// Cut and spliced at any character, a good document parses or names a place inside itself.
    #[test]
    fn a_damaged_document_is_refused_in_place(cut in 0usize..250, drop in 0usize..8, insert in "[\\[\\]{}\",:0x* \\\\$é\n]{0,4}") {
        let good = document(
            r#"{"Sid":"é","Effect":"Allow","Action":["iot:Connect"],"Resource":"*:${iot:ClientId}",
               "Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8"]},"Null":{"k":true}}}"#,
        );
        let mut characters: Vec<char> = good.chars().collect();
        let start = cut.min(characters.len());
        let end = (start + drop).min(characters.len());
        characters.splice(start..end, insert.chars());
        let damaged: String = characters.into_iter().collect();
        if let Err(malformed) = parse("p", &damaged) {
            let line = damaged.split('\n').nth(malformed.line - 1).expect("the line exists");
            assert!(malformed.column <= line.chars().count() + 1, "{malformed} in {damaged}");
        }
    }
}

#[test]
fn things_of_the_connection() {
    let thing = |name: &str, is_exclusive| AttachedThing {
        name: name.to_owned(),
        type_name: Some("pump".to_owned()),
        attributes: [("hall".to_owned(), "7".to_owned()), ("Hall".to_owned(), "8".to_owned())].into(),
        is_exclusive,
    };
    // The certificate's things, what a policy allows to connect as, and whether `device-7` (the client id) may.
    let by_client_id = vec![thing("other", false), thing("device-7", false)];
    for (things, pattern, expected) in [
        (&by_client_id, "client/${iot:Connection.Thing.ThingName}", true),
        (&by_client_id, "client/${IOT:connection.thing.thingname}", true),
        (&vec![thing("other", false)], "client/${iot:Connection.Thing.ThingName}", false),
        (&vec![thing("other", true)], "client/${iot:Connection.Thing.ThingName}", false),
        (&vec![], "client/${iot:Connection.Thing.ThingName}", false),
        (&by_client_id, "client/device-${iot:Connection.Thing.Attributes[hall]}", true),
        (&by_client_id, "client/device-${iot:Connection.Thing.Attributes[Hall]}", false),
        (&by_client_id, "client/device-${iot:Connection.Thing.Attributes[floor]}", false),
        (&vec![thing("other", true)], "client/device-${iot:Connection.Thing.Attributes[hall]}", true),
    ] {
        let policy = compile(&allow("Connect", pattern));
        let decision = decide(&[policy], IotAction::Connect, &arn("client/device-7"), &facts(), things);
        assert_eq!(decision.is_allowed(), expected, "{pattern} {things:?}");
    }
    for (things, condition, expected) in [
        (&by_client_id, r#"{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}"#, true),
        (&vec![], r#"{"Bool":{"iot:Connection.Thing.IsAttached":"true"}}"#, false),
        (&vec![], r#"{"Bool":{"iot:Connection.Thing.IsAttached":"false"}}"#, true),
        (&by_client_id, r#"{"StringEquals":{"iot:Connection.Thing.ThingTypeName":"pump"}}"#, true),
        (&by_client_id, r#"{"StringEquals":{"iot:Connection.Thing.Attributes[hall]":"7"}}"#, true),
        (&vec![], r#"{"StringEquals":{"iot:Connection.Thing.ThingTypeName":"pump"}}"#, false),
    ] {
        let text = format!(r#"{{"Effect":"Allow","Action":"iot:Connect","Resource":"*","Condition":{condition}}}"#);
        let policy = compile(&document(&text));
        let decision = decide(&[policy], IotAction::Connect, &arn("client/device-7"), &facts(), things);
        assert_eq!(decision.is_allowed(), expected, "{condition} {things:?}");
    }
}
