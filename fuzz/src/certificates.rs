//! A certificate as a device presents it or an operator registers it: DER, PEM, or a PEM chain whose second certificate
//! plays the CA.

use domain::Timestamp;
use domain::admission::{
    CaStatus, CandidateCa, CertificateMode, CertificateStatus, RegisteredLeaf, ServerName, Verdict, judge,
};
use domain::x509::{Certificate, CertificateError, PEM_CHARS_MAX, Validity, registration};

/// Within the corpus's certificates' validity.
const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);
const CODE: &str = "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef";

pub fn certificates(data: &[u8]) {
    if !data.starts_with(b"-----") {
        check_outcome(&Certificate::from_der(data));
        if let Ok(certificate) = Certificate::from_der(data) {
            assert_eq!(certificate.der(), data);
            check(&certificate, &certificate);
        }
        return;
    }
    let Ok(pem) = std::str::from_utf8(data) else { return };
    let chain = Certificate::chain_from_pem(pem);
    let one = Certificate::from_pem(pem);
    check_outcome(&one);
    let Ok(chain) = chain else {
        assert!(one.is_err(), "a chain that is refused holds no certificate");
        return;
    };
    assert!(pem.len() <= PEM_CHARS_MAX);
    assert_eq!(one.is_ok(), chain.len() == 1);
    let leaf = chain.first().expect("a chain has a leaf");
    check(leaf, chain.get(1).unwrap_or(leaf));
}

fn check_outcome(outcome: &Result<Certificate, CertificateError>) {
    if let Err(error) = outcome {
        let sentence = error.to_string();
        assert!(!sentence.is_empty() && sentence.len() < 1024, "{sentence}");
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
    }
}

fn check(leaf: &Certificate, ca: &Certificate) {
    let pem = leaf.to_pem();
    if pem.len() <= PEM_CHARS_MAX {
        assert_eq!(Certificate::from_pem(&pem).as_ref(), Ok(leaf), "what is handed out can be registered");
    }
    for name in [leaf.subject(), leaf.issuer()] {
        let text = name.to_text();
        assert!(text.len() < 1024 && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(leaf.serial_hex().len() <= 128);
    check_admission(leaf, ca);
    // Whatever it says, it must not be taken for a CA without saying so, nor as proof without the code.
    if registration::check(ca, leaf, CODE, NOW).is_ok() {
        assert_eq!(ca.is_ca(), Some(true));
        assert_eq!(leaf.subject().values("CommonName"), [CODE]);
        assert!(leaf.is_issued_by(ca));
    }
}

fn check_admission(leaf: &Certificate, ca: &Certificate) {
    let is_sound = leaf.validity_at(NOW) == Validity::Valid
        && leaf.key_kind().is_accepted()
        && leaf.unknown_critical_extensions().is_empty();
    let candidate = |status, auto_registration| {
        let mode = CertificateMode::Default;
        CandidateCa { id: ca.id(), certificate: ca, status, auto_registration, mode }
    };
    let unknown = judge(leaf, None, &[candidate(CaStatus::Active, true)], ServerName::Absent, NOW);
    let registers = matches!(unknown, Verdict::RegisterPending { .. });
    let may = is_sound && leaf.is_issued_by(ca) && ca.validity_at(NOW) == Validity::Valid;
    assert_eq!(registers, may, "{unknown:?}");
    for (status, auto) in [(CaStatus::Inactive, true), (CaStatus::Active, false)] {
        assert!(matches!(
            judge(leaf, None, &[candidate(status, auto)], ServerName::Absent, NOW),
            Verdict::Refuse { .. }
        ));
    }
    for status in CertificateStatus::ALL {
        let registered = RegisteredLeaf { status, mode: CertificateMode::Default, ca: None };
        let verdict = judge(leaf, Some(&registered), &[], ServerName::Absent, NOW);
        let comes_in = matches!(verdict, Verdict::Admit { .. });
        assert_eq!(comes_in, is_sound && status == CertificateStatus::Active, "{status:?}: {verdict:?}");
        if let Verdict::Refuse { refusal, .. } = verdict {
            let sentence = refusal.sentence();
            assert!(sentence.len() < 4096 && !sentence.chars().any(char::is_control), "{sentence:?}");
        }
    }
}
