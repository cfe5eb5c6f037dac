//! Every variable of a certificate's contents, on certificates that have them.

use std::sync::Arc;

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::{ConnectionFacts, IotAction, allow, arn, compile, decide, facts};
use crate::x509::Certificate;

/// Attributes of a name by the policies' names, with their OIDs. (RFC 4519, RFC 5280 appendix A)
const ATTRIBUTES: [(&str, &[u64]); 13] = [
    ("DistinguishedNameQualifier", &[2, 5, 4, 46]),
    ("Country", &[2, 5, 4, 6]),
    ("Organization", &[2, 5, 4, 10]),
    ("OrganizationalUnit", &[2, 5, 4, 11]),
    ("State", &[2, 5, 4, 8]),
    ("CommonName", &[2, 5, 4, 3]),
    ("SerialNumber", &[2, 5, 4, 5]),
    ("Title", &[2, 5, 4, 12]),
    ("Surname", &[2, 5, 4, 4]),
    ("GivenName", &[2, 5, 4, 42]),
    ("Initials", &[2, 5, 4, 43]),
    ("Pseudonym", &[2, 5, 4, 65]),
    ("GenerationQualifier", &[2, 5, 4, 44]),
];

/// Self-signed, so that the issuer is called what the subject is.
fn certificate(params: CertificateParams) -> ConnectionFacts {
    let key = KeyPair::generate().unwrap();
    let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
    ConnectionFacts { certificate_id: certificate.id(), certificate: Arc::new(certificate), ..facts() }
}

fn named(name: &[(&[u64], String)]) -> ConnectionFacts {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (oid, value) in name {
        params.distinguished_name.push(DnType::CustomDnType(oid.to_vec()), DnValue::Utf8String(value.clone()));
    }
    certificate(params)
}

/// Whether the certificate may publish to `topic` where the policy has `variable`.
fn stands_for(facts: &ConnectionFacts, variable: &str, topic: &str) -> bool {
    let policy = compile(&allow("Publish", &format!("topic/${{{variable}}}")));
    decide(&[policy], IotAction::Publish, &arn(&format!("topic/{topic}")), facts, &[]).is_allowed()
}

#[test]
fn attributes_of_both_names() {
    let facts = named(&ATTRIBUTES.map(|(name, oid)| (oid, format!("of {name}"))));
    for (name, _) in ATTRIBUTES {
        for whose in ["Subject", "Issuer"] {
            let variable = format!("iot:Certificate.{whose}.{name}");
            assert!(stands_for(&facts, &variable, &format!("of {name}")), "{variable}");
            assert!(!stands_for(&facts, &variable, &format!("${{{variable}}}")), "{variable}");
        }
    }
    let serial = facts.certificate.serial_hex();
    assert!(stands_for(&facts, "iot:Certificate.SerialNumber", &serial));
    assert!(stands_for(&facts, "iot:CertificateId", &facts.certificate_id.to_string()));
    assert!(!stands_for(&facts, "iot:Certificate.Subject.Locality", "anything"), "no such variable");
}

#[test]
fn alternative_names_of_subject_and_issuer() {
    let mut params = CertificateParams::default();
    let text = |text: &str| Ia5String::try_from(text).unwrap();
    params.subject_alt_names = vec![
        SanType::Rfc822Name(text("a@example.com")),
        SanType::DnsName(text("device.example.com")),
        SanType::DnsName(text("other.example.com")),
        SanType::URI(text("urn:x:device")),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
    ];
    // GeneralNames of one rfc822Name, one dNSName, one URI and one iPAddress. (RFC 5280 section 4.2.1.6)
    let mut issuer = Vec::new();
    for (tag, value) in
        [(0x81, b"ca@example.com".as_slice()), (0x82, b"ca.example.com"), (0x86, b"urn:x:ca"), (0x87, &[192, 0, 2, 8])]
    {
        issuer.extend([tag, u8::try_from(value.len()).unwrap()]);
        issuer.extend(value);
    }
    issuer.splice(0..0, [0x30, u8::try_from(issuer.len()).unwrap()]);
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 18], issuer)];
    let facts = certificate(params);
    for (variable, value) in [
        ("Subject.AlternativeName.RFC822Name", "a@example.com"),
        ("Subject.AlternativeName.DNSName", "device.example.com"),
        ("Subject.AlternativeName.DNSName.1", "other.example.com"),
        ("Subject.AlternativeName.UniformResourceIdentifier", "urn:x:device"),
        ("Subject.AlternativeName.IPAddress", "192.0.2.7"),
        ("Issuer.AlternativeName.RFC822Name", "ca@example.com"),
        ("Issuer.AlternativeName.DNSName", "ca.example.com"),
        ("Issuer.AlternativeName.UniformResourceIdentifier", "urn:x:ca"),
        ("Issuer.AlternativeName.IPAddress", "192.0.2.8"),
    ] {
        assert!(stands_for(&facts, &format!("iot:Certificate.{variable}"), value), "{variable}");
    }
    assert!(!stands_for(&facts, "iot:Certificate.Issuer.AlternativeName.DirectoryName", ""));
}

/// (AWS IoT, "X.509 certificate policy variable limitations")
#[test]
fn limits() {
    const UNIT: &[u64] = &[2, 5, 4, 11];
    for (value, is_put_in_place) in [
        ("plain".to_owned(), true),
        ("a*".to_owned(), false),
        ("a$".to_owned(), false),
        ("a+".to_owned(), false),
        ("a?".to_owned(), false),
        ("a#".to_owned(), false),
        ("é".repeat(1024), true),
        ("é".repeat(1025), false),
    ] {
        let facts = named(&[(UNIT, value.clone())]);
        assert_eq!(
            stands_for(&facts, "iot:Certificate.Subject.OrganizationalUnit", &value),
            is_put_in_place,
            "{} characters: {value:.8}",
            value.chars().count()
        );
    }
}
