//! What fleet writes, `domain` reads; and each flaw is where a server will look for it.

use domain::x509::{Certificate, KeyKind, Validity, registration};
use fleet::{Ca, CertificateVersion, Device, DeviceSpec, Flaw, Key, KeyAlgorithm, Window};

const ALGORITHMS: [(KeyAlgorithm, KeyKind); 3] = [
    (KeyAlgorithm::EcP256, KeyKind::EcP256),
    (KeyAlgorithm::EcP384, KeyKind::EcP384),
    (KeyAlgorithm::Rsa2048, KeyKind::Rsa { bits: 2048 }),
];

fn spec(version: CertificateVersion, flaw: Option<Flaw>) -> DeviceSpec {
    DeviceSpec { version, flaw, ..DeviceSpec::new("device-1") }
}

#[test]
fn every_ca_signs_every_device_in_both_versions() {
    for (ca_algorithm, ca_kind) in &ALGORITHMS {
        let ca = Ca::new("Factory", *ca_algorithm).unwrap();
        assert_eq!(ca.certificate().key_kind(), ca_kind);
        assert_eq!(ca.certificate().is_ca(), Some(true));
        assert!(ca.certificate().is_issued_by(ca.certificate()));
        for (algorithm, kind) in &ALGORITHMS {
            let key = Key::generate(*algorithm).unwrap();
            for (version, number, is_ca) in
                [(CertificateVersion::V1, 1, None), (CertificateVersion::V3, 3, Some(false))]
            {
                let device = ca.issue_for(&spec(version, None), key.clone()).unwrap();
                let leaf = device.certificate().unwrap();
                assert_eq!((leaf.version(), leaf.is_ca(), leaf.key_kind()), (number, is_ca, kind));
                assert_eq!(leaf.subject().values("CommonName"), ["device-1"]);
                assert_eq!(leaf.issuer().to_text(), "CN=Factory");
                assert_eq!(leaf.validity_at(leaf.not_before()), Validity::Valid);
                assert_eq!(leaf.id(), device.id());
                assert!(leaf.unknown_critical_extensions().is_empty());
                assert!(leaf.is_issued_by(ca.certificate()), "{version:?} {kind} by {ca_kind}");
            }
        }
    }
}

#[test]
fn a_stolen_certificate_does_not_fit_the_key() {
    let device = Device::self_signed(&DeviceSpec::new("d")).unwrap();
    assert!(device.as_ca().is_ok());
    let stolen = device.with_key(Key::generate(KeyAlgorithm::EcP256).unwrap());
    assert_eq!(stolen.id(), device.id());
    assert!(stolen.as_ca().is_err());
}

#[test]
fn another_ca_of_the_same_name_does_not_count() {
    let ca = Ca::new("Factory", KeyAlgorithm::EcP256).unwrap();
    let twin = Ca::new("Factory", KeyAlgorithm::EcP256).unwrap();
    let leaf = ca.issue(&spec(CertificateVersion::V1, None)).unwrap().certificate().unwrap();
    assert!(leaf.is_issued_by(ca.certificate()));
    assert!(!leaf.is_issued_by(twin.certificate()));
    let renewed = Ca::with_key("Factory", ca.key().clone(), Window::days_from_now(10)).unwrap();
    assert_ne!(renewed.id(), ca.id());
    assert!(leaf.is_issued_by(renewed.certificate()));
    let other_name = Ca::with_key("Other", ca.key().clone(), Window::days_from_now(10)).unwrap();
    assert!(!leaf.is_issued_by(other_name.certificate()));
}

#[test]
fn intermediates_sign_too() {
    let root = Ca::new("Root", KeyAlgorithm::EcP256).unwrap();
    let intermediate = root.intermediate("Line 1", KeyAlgorithm::EcP256).unwrap();
    assert!(intermediate.certificate().is_issued_by(root.certificate()));
    let leaf = intermediate.issue(&spec(CertificateVersion::V1, None)).unwrap().certificate().unwrap();
    assert!(leaf.is_issued_by(intermediate.certificate()));
    assert!(!leaf.is_issued_by(root.certificate()));
}

#[test]
fn each_flaw_is_seen() {
    let ca = Ca::new("Factory", KeyAlgorithm::Rsa2048).unwrap();
    let issue = |flaw| ca.issue(&spec(CertificateVersion::V1, Some(flaw))).unwrap();

    let leaf = issue(Flaw::UnknownCriticalExtension).certificate().unwrap();
    assert_eq!(leaf.unknown_critical_extensions(), ["1.3.6.1.4.1.99999.1"]);
    assert!(leaf.is_issued_by(ca.certificate()));

    let leaf = issue(Flaw::TamperedSubject).certificate().unwrap();
    assert_eq!(leaf.subject().to_text(), "CN=somebody else");
    assert!(!leaf.is_issued_by(ca.certificate()));

    let error = issue(Flaw::TrailingBytes).certificate().unwrap_err().to_string();
    assert!(error.contains("2 bytes follow"), "{error}");

    let leaf = issue(Flaw::Sha1).certificate().unwrap();
    assert!(!leaf.is_signature_algorithm_accepted());
    assert!(!leaf.is_issued_by(ca.certificate()));
}

#[test]
fn windows() {
    let now = Window::days_from_now(1).not_before.plus_millis(86_400_000);
    for (window, validity) in [
        (Window::days_from_now(1), Validity::Valid),
        (Window::expired(), Validity::Expired),
        (Window::not_yet_valid(), Validity::NotYetValid),
    ] {
        let spec = DeviceSpec { window, ..DeviceSpec::new("d") };
        let leaf = Device::self_signed(&spec).unwrap().certificate().unwrap();
        assert_eq!(leaf.validity_at(now), validity);
    }
}

#[test]
fn a_ca_proves_itself_with_its_verification_certificate() {
    let code = "a".repeat(64);
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
        let ca = Ca::new("Factory", algorithm).unwrap();
        let pem = ca.verification_certificate_pem(&code).unwrap();
        let verification = Certificate::from_pem(&pem).unwrap();
        assert_eq!(verification.version(), 1);
        let now = ca.certificate().not_before().plus_millis(86_400_000);
        assert_eq!(registration::check(ca.certificate(), &verification, &code, now), Ok(()));
    }
}

#[test]
fn keys_and_chains_survive_as_pem() {
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
        let ca = Ca::new("Factory", algorithm).unwrap();
        let again = Ca::from_pem(&ca.certificate_pem(), &ca.key().pem()).unwrap();
        let device = again.issue(&DeviceSpec::new("d")).unwrap();
        let chain = Certificate::chain_from_pem(&device.chain_pem(&ca).unwrap()).unwrap();
        let [leaf, issuer] = chain.as_slice() else { panic!("{} certificates", chain.len()) };
        assert_eq!(leaf.id(), device.id());
        assert!(leaf.is_issued_by(issuer));
        assert_eq!(issuer, ca.certificate());
    }
    let (one, other) = (Ca::new("A", KeyAlgorithm::EcP256).unwrap(), Ca::new("B", KeyAlgorithm::EcP256).unwrap());
    assert!(Ca::from_pem(&one.certificate_pem(), &other.key().pem()).is_err());
}

#[test]
fn keys_as_openssl_writes_them() {
    let key = Key::generate(KeyAlgorithm::EcP256).unwrap();
    // `openssl ecparam -name prime256v1 -genkey` puts the curve's name in front.
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let again = Key::from_pem(&format!("{parameters}{}", key.pem())).unwrap();
    assert_eq!(again.pkcs8_der(), key.pkcs8_der());
    for pem in ["", "no key", parameters] {
        assert!(Key::from_pem(pem).is_err(), "{pem:?}");
    }
}
