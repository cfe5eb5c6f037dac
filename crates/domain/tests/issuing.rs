//! Certificate signing requests, and the certificates that are issued for them.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::{Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::x509::issuing::{self, Statement};
use domain::x509::{Certificate, CertificateRequest, KeyKind};
use rcgen::{CertificateParams, DnType, KeyPair};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn request(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["not-granted.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::OrganizationName, "Factory");
    params.distinguished_name.push(DnType::CommonName, "device");
    params.serialize_request(key).unwrap().der().to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn read(der: &[u8]) -> Result<CertificateRequest, String> {
    CertificateRequest::from_pem(&pem("CERTIFICATE REQUEST", der)).map_err(|error| error.to_string())
}

#[test]
fn keys_and_names_of_requests() {
    for (algorithm, kind) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::EcP256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::EcP384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::EcP521),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa { bits: 2048 }),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = request(&key);
        let read = read(&der).unwrap();
        assert_eq!(read.key_kind(), &kind);
        assert_eq!(read.subject().values("CommonName"), ["device"]);
        assert_eq!(read.subject().values("Organization"), ["Factory"]);
        let older = pem("NEW CERTIFICATE REQUEST", &der);
        assert_eq!(CertificateRequest::from_pem(&older), Ok(read));
    }
}

#[test]
fn what_is_no_request() {
    let der = request(&KeyPair::generate().unwrap());
    let flipped = |at: usize| {
        let mut der = der.clone();
        der[at] ^= 1;
        der
    };
    let ed25519 = request(&KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let name = der.windows(6).position(|window| window == b"device").unwrap();
    for (der, words) in [
        (Vec::new(), "not the DER"),
        (vec![0x30, 0], "not the DER"),
        (der[..der.len() - 1].to_vec(), "not the DER"),
        ([&der[..], &[0]].concat(), "follow"),
        (flipped(der.len() - 1), "private key of its public key"),
        (flipped(name), "private key of its public key"),
        (ed25519, "is not RSA"),
    ] {
        let error = read(&der).unwrap_err();
        assert!(error.contains(words), "{words}: {error}");
    }
    let long = format!("{}{}", pem("CERTIFICATE REQUEST", &der), "x".repeat(4096));
    assert!(CertificateRequest::from_pem(&long).unwrap_err().to_string().contains("4096 are allowed"));
}

/// No byte of a request may be changed without its being refused, or read as the very same request.
#[test]
fn every_byte_is_signed() {
    let der = request(&KeyPair::generate().unwrap());
    let good = read(&der).unwrap();
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 0x55;
        if let Ok(other) = read(&changed) {
            assert_eq!(other, good, "byte {at}");
        }
    }
}

#[test]
fn a_certificate_is_what_was_asked_for() {
    let issuer = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let issuer_spki: PublicKeyX509Der<'_> = issuer.public_key().as_der().unwrap();
    let request = read(&request(&KeyPair::generate().unwrap())).unwrap();
    let statement = |serial| Statement {
        serial,
        subject: request.subject().der(),
        spki: request.spki_der(),
        issuer_spki: issuer_spki.as_ref(),
        now: NOW,
    };
    let issue = |serial| {
        let signed = statement(serial).signed_part().unwrap();
        let mut signature = vec![0; issuer.public_modulus_len()];
        issuer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).unwrap();
        Certificate::from_der(&issuing::certificate(&signed, &signature)).unwrap()
    };
    // A device's certificate for the issuer's own key: what signs is asked by `is_signed_by`.
    let as_issuer = {
        let own = Statement { spki: issuer_spki.as_ref(), ..statement([7; 20]) }.signed_part().unwrap();
        Certificate::from_der(&issuing::certificate(&own, &[1])).unwrap()
    };
    for (serial, shown) in [([0; 20], "40"), ([0xff; 20], "7f"), ([0x81; 20], "41")] {
        let made = issue(serial);
        assert!(made.is_signed_by(&as_issuer));
        assert!(made.serial_hex().starts_with(shown) && made.serial_hex().len() == 40, "{}", made.serial_hex());
        assert_eq!((made.subject(), made.spki_der()), (request.subject(), request.spki_der()));
        assert_eq!(made.issuer().to_text(), "O=Landfall,CN=Landfall issuing CA");
        assert_eq!((made.version(), made.is_ca()), (3, Some(false)));
        assert_eq!(made.not_before(), NOW.plus_millis(-120_000));
        assert_eq!(made.not_after().to_rfc3339(), "2049-12-31T23:59:59Z");
        assert!(made.alternative_names("DNSName").is_empty(), "extensions are not granted");
        assert!(made.unknown_critical_extensions().is_empty());
    }
}

#[test]
fn keys_come_out_as_aws_writes_them() {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = issuing::rsa_private_key_pem(pkcs8.as_ref()).unwrap();
    assert!(text.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && text.ends_with("-----END RSA PRIVATE KEY-----\n"));
    let lines: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let again = RsaKeyPair::from_der(&STANDARD.decode(lines).unwrap()).unwrap();
    assert_eq!(again.public_key().as_ref(), key.public_key().as_ref());
    for no_key in [&[][..], &[0x30, 0], &[0x30, 3, 2, 1, 0]] {
        assert_eq!(issuing::rsa_private_key_pem(no_key), None);
    }
}
