//! Certificates as OpenSSL writes them (see `certificates/README.md`), and bytes that are none.

use domain::Timestamp;
use domain::x509::registration::{RegistrationRefusal, check_ca};
use domain::x509::{Certificate, CertificateError, DER_BYTES_MAX, Validity};
use proptest::prelude::*;

const CA_RSA: &str = include_str!("certificates/ca_rsa.pem");
const CA_RSA1024: &str = include_str!("certificates/ca_rsa1024.pem");
const CA_P256: &str = include_str!("certificates/ca_p256.pem");
const CA_P384: &str = include_str!("certificates/ca_p384.pem");
const CA_P521: &str = include_str!("certificates/ca_p521.pem");
const CA_ED25519: &str = include_str!("certificates/ca_ed25519.pem");
const NOT_CA: &str = include_str!("certificates/not_ca.pem");
const LEAF_RSA_V1: &str = include_str!("certificates/leaf_rsa_v1.pem");
const LEAF_RSA_SHA1: &str = include_str!("certificates/leaf_rsa_sha1.pem");
const LEAF_RSA_SHA512: &str = include_str!("certificates/leaf_rsa_sha512.pem");
const LEAF_RSA_PSS32: &str = include_str!("certificates/leaf_rsa_pss32.pem");
const LEAF_RSA_PSS222: &str = include_str!("certificates/leaf_rsa_pss222.pem");
const LEAF_P256: &str = include_str!("certificates/leaf_p256.pem");
const LEAF_P384: &str = include_str!("certificates/leaf_p384.pem");
const LEAF_P521: &str = include_str!("certificates/leaf_p521.pem");
const LEAF_BY_RSA1024: &str = include_str!("certificates/leaf_by_rsa1024.pem");
const LEAF_SAN: &str = include_str!("certificates/leaf_san.pem");

fn read(pem: &str) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

#[test]
fn which_signatures_count() {
    for (name, leaf, issuer, issued) in [
        ("version 1 by RSA", LEAF_RSA_V1, CA_RSA, true),
        ("SHA-512", LEAF_RSA_SHA512, CA_RSA, true),
        ("PSS with a salt as long as the digest", LEAF_RSA_PSS32, CA_RSA, true),
        ("PSS with OpenSSL's longest salt", LEAF_RSA_PSS222, CA_RSA, false),
        ("SHA-1", LEAF_RSA_SHA1, CA_RSA, false),
        ("P-256", LEAF_P256, CA_P256, true),
        ("P-384 with SHA-256", LEAF_P384, CA_P384, true),
        ("P-521 with SHA-256", LEAF_P521, CA_P521, true),
        ("RSA 1024", LEAF_BY_RSA1024, CA_RSA1024, false),
        ("another CA", LEAF_P256, CA_RSA, false),
        ("a root by itself", CA_P256, CA_P256, true),
        ("Ed25519, which AWS does not take", CA_ED25519, CA_ED25519, false),
        ("a leaf as issuer", LEAF_P256, LEAF_P384, false),
    ] {
        assert_eq!(read(leaf).is_issued_by(&read(issuer)), issued, "{name}");
    }
}

#[test]
fn version_1_as_openssl_writes_it() {
    let leaf = read(LEAF_RSA_V1);
    assert_eq!(leaf.version(), 1);
    assert_eq!(leaf.is_ca(), None);
    assert_eq!(leaf.key_kind().to_string(), "RSA 2048");
    assert_eq!(leaf.signature_algorithm_oid(), "1.2.840.113549.1.1.11");
    assert_eq!(leaf.issuer().to_text(), "C=DE,O=Acme\\, Inc.,CN=Factory CA");
    assert_eq!(leaf.issuer(), read(CA_RSA).subject());
    for (attribute, values) in [
        ("CommonName", &["device-1"][..]),
        ("Country", &["DE"]),
        ("State", &["Bavaria"]),
        ("Organization", &["Acme"]),
        ("OrganizationalUnit", &["Line 1", "Line 2"]),
        ("SerialNumber", &["SN-42"]),
        ("Title", &[]),
    ] {
        assert_eq!(leaf.subject().values(attribute), values, "{attribute}");
    }
    assert!(leaf.alternative_names("DNSName").is_empty());
    assert_eq!(leaf.serial_hex().len(), 40);
    assert_eq!(Certificate::from_pem(&leaf.to_pem()), Ok(leaf.clone()));
    assert_eq!(Certificate::from_der(leaf.der()).map(|again| again.id()), Ok(leaf.id()));
}

#[test]
fn version_3_and_its_extensions() {
    let leaf = read(LEAF_SAN);
    assert_eq!((leaf.version(), leaf.is_ca()), (3, Some(false)));
    assert!(leaf.unknown_critical_extensions().is_empty());
    for (kind, values) in [
        ("DNSName", &["d1.example"][..]),
        ("RFC822Name", &["d@example.com"]),
        ("UniformResourceIdentifier", &["urn:dev:1"]),
        ("IPAddress", &["192.0.2.7", "2001:db8::1"]),
        ("DirectoryName", &["CN=dir name"]),
    ] {
        assert_eq!(leaf.alternative_names(kind), values, "{kind}");
    }
}

#[test]
fn both_ends_of_the_window_belong_to_it() {
    let leaf = read(LEAF_P256);
    let (from, to) = (leaf.not_before(), leaf.not_after());
    for (now, validity) in [
        (from.plus_millis(-1), Validity::NotYetValid),
        (from, Validity::Valid),
        (to, Validity::Valid),
        (to.plus_millis(999), Validity::Valid),
        (to.plus_millis(1000), Validity::Expired),
        (Timestamp::from_millis(i64::MIN), Validity::NotYetValid),
        (Timestamp::from_millis(i64::MAX), Validity::Expired),
    ] {
        assert_eq!(leaf.validity_at(now), validity, "{now:?}");
    }
}

#[test]
fn which_cas_may_be_registered() {
    for (name, pem, expected) in [
        ("RSA", CA_RSA, Ok(())),
        ("P-521", CA_P521, Ok(())),
        ("CA:FALSE", NOT_CA, Err(RegistrationRefusal::NotACa)),
        ("version 1", LEAF_P256, Err(RegistrationRefusal::NotACa)),
        ("weak key", CA_RSA1024, Err(RegistrationRefusal::CaKey("RSA 1024".to_owned()))),
        ("Ed25519", CA_ED25519, Err(RegistrationRefusal::CaKey("1.3.101.112".to_owned()))),
    ] {
        let ca = read(pem);
        assert_eq!(check_ca(&ca, ca.not_before()), expected, "{name}");
    }
    let ca = read(CA_RSA);
    let (from, to) = (ca.not_before(), ca.not_after());
    assert_eq!(check_ca(&ca, from.plus_millis(-1)), Err(RegistrationRefusal::CaNotYetValid(from)));
    assert_eq!(check_ca(&ca, to.plus_millis(1000)), Err(RegistrationRefusal::CaExpired(to)));
}

fn refused(der: &[u8], part: &str) {
    match Certificate::from_der(der) {
        Err(CertificateError::Der(text)) => assert!(text.contains(part), "{text}"),
        other => panic!("{other:?}, expected {part}"),
    }
}

#[test]
fn what_is_no_certificate() {
    let leaf = read(LEAF_P256);
    refused(&[], "not the DER");
    refused(b"hello", "not the DER");
    refused(&vec![0x30; DER_BYTES_MAX + 1], "are allowed");
    refused(&[leaf.der(), &[0]].concat(), "1 bytes follow");
    for length in 1..leaf.der().len() {
        assert!(Certificate::from_der(&leaf.der()[..length]).is_err(), "cut at {length}");
    }
}

/// The DER with a serial number of `count` bytes in place of its own, lengths mended.
fn with_serial(der: &[u8], count: usize) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let length = match content.len() {
            0..0x80 => vec![low],
            0x80..0x100 => vec![0x81, low],
            _ => vec![0x82, high, low],
        };
        [&[tag][..], &length, content].concat()
    }
    fn header(der: &[u8]) -> (usize, usize) {
        match der[1] {
            0x81 => (3, der[2].into()),
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            length => (2, length.into()),
        }
    }
    let (outer, _) = header(der);
    let (inner, signed_length) = header(&der[outer..]);
    let signed = &der[outer + inner..outer + inner + signed_length];
    let after_serial = 2 + usize::from(signed[1]);
    let signed = [&element(2, &vec![0x11; count])[..], &signed[after_serial..]].concat();
    element(0x30, &[&element(0x30, &signed)[..], &der[outer + inner + signed_length..]].concat())
}

#[test]
fn serial_numbers_are_bounded() {
    let leaf = read(LEAF_P256);
    assert!(Certificate::from_der(&with_serial(leaf.der(), 20)).is_ok());
    assert!(Certificate::from_der(&with_serial(leaf.der(), 64)).is_ok());
    refused(&with_serial(leaf.der(), 65), "serial number has 65 bytes");
    refused(&with_serial(leaf.der(), 40_000), "serial number has 40000 bytes");
}

#[test]
fn chains_are_bounded() {
    let chain = Certificate::chain_from_pem(&format!("{LEAF_RSA_V1}{CA_RSA}")).unwrap();
    assert_eq!(chain.iter().map(Certificate::version).collect::<Vec<_>>(), [1, 3]);
    assert!(Certificate::from_pem(&format!("{LEAF_P256}{CA_P256}")).is_err());
    assert_eq!(Certificate::chain_from_pem(&LEAF_P256.repeat(10)).map(|chain| chain.len()), Ok(10));
    assert!(Certificate::chain_from_pem(&LEAF_P256.repeat(11)).is_err());
}

/// Whatever a certificate says can be asked for without a panic.
fn ask_all(certificate: &Certificate) {
    let _ = certificate.subject().to_text();
    let _ = certificate.issuer().to_text();
    let _ = certificate.serial_hex();
    let _ = certificate.key_kind().to_string();
    let _ = certificate.alternative_names("DirectoryName");
    let _ = certificate.validity_at(certificate.not_after());
    let _ = certificate.is_issued_by(certificate);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_certificates_never_panic_and_prove_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        san in any::<bool>(),
    ) {
        let original = read(if san { LEAF_SAN } else { LEAF_P256 });
        let mut der = original.der().to_vec();
        for (index, byte) in &changes {
            let at = index.index(der.len());
            der[at] = *byte;
        }
        if let Ok(damaged) = Certificate::from_der(&der) {
            ask_all(&damaged);
            if der != original.der() {
                prop_assert!(!damaged.is_issued_by(&read(CA_P256)));
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(der in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Certificate::from_der(&der);
    }

    #[test]
    fn any_text_never_panics(text in "(-----BEGIN CERTIFICATE-----\n)?[A-Za-z0-9+/=\r\n -]{0,200}(-----END CERTIFICATE-----)?") {
        let _ = Certificate::chain_from_pem(&text);
    }
}
