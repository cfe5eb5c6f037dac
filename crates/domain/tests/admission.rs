//! Every verdict of admission, by tables.

use domain::admission::{
    CaStatus, CandidateCa, CertificateMode, CertificateStatus, Refusal, RegisteredLeaf, ServerName, Verdict,
};
use domain::x509::Certificate;
use domain::x509::registration::{self, RegistrationRefusal};
use domain::{CertificateId, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[derive(Clone, Copy)]
struct Days {
    from: i64,
    to: i64,
}

const VALID: Days = Days { from: -10, to: 10 };
const OVER: Days = Days { from: -20, to: -10 };
const AHEAD: Days = Days { from: 10, to: 20 };

fn params(name: &str, days: Days) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = NOW.plus_millis(days.from * DAY).to_utc().unwrap();
    params.not_after = NOW.plus_millis(days.to * DAY).to_utc().unwrap();
    params
}

struct Ca {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn ca(name: &str, days: Days) -> Ca {
    ca_with_key(name, days, KeyPair::generate().unwrap())
}

fn ca_with_key(name: &str, days: Days, key: KeyPair) -> Ca {
    let mut params = params(name, days);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
    Ca { certificate, issuer: Issuer::new(params, key) }
}

impl Ca {
    fn issue(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        Certificate::from_der(params.signed_by(&key, &self.issuer).unwrap().der()).unwrap()
    }

    fn leaf(&self, days: Days) -> Certificate {
        self.issue(params("device", days))
    }

    fn key(&self) -> KeyPair {
        KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap()
    }

    fn id(&self) -> CertificateId {
        self.certificate.id()
    }

    fn candidate(&self, status: CaStatus, auto_registration: bool) -> CandidateCa<'_> {
        let mode = CertificateMode::Default;
        CandidateCa { id: self.id(), certificate: &self.certificate, status, auto_registration, mode }
    }
}

/// Without a server name, which certificates in the mode DEFAULT need not bring.
fn judge(
    leaf: &Certificate,
    registered: Option<&RegisteredLeaf>,
    issuers: &[CandidateCa<'_>],
    now: Timestamp,
) -> Verdict {
    domain::admission::judge(leaf, registered, issuers, ServerName::Absent, now)
}

fn refuse(refusal: Refusal, ca: Option<CertificateId>) -> Verdict {
    Verdict::Refuse { refusal, ca }
}

#[test]
fn a_registered_leaf_goes_by_its_status() {
    // Its CA may have been deactivated or deleted since: no issuer is looked at.
    let factory = ca("Factory", VALID);
    let leaf = factory.leaf(VALID);
    let certificate = leaf.id();
    for ca in [Some(factory.id()), None] {
        for (status, verdict) in [
            (CertificateStatus::Active, Verdict::Admit { ca }),
            (CertificateStatus::PendingActivation, Verdict::StillPending { ca }),
            (CertificateStatus::Inactive, refuse(Refusal::Inactive { certificate }, ca)),
            (CertificateStatus::RegisterInactive, refuse(Refusal::Inactive { certificate }, ca)),
            (CertificateStatus::Revoked, refuse(Refusal::Revoked { certificate }, ca)),
            (CertificateStatus::PendingTransfer, refuse(Refusal::PendingTransfer { certificate }, ca)),
        ] {
            let registered = RegisteredLeaf { status, mode: CertificateMode::Default, ca };
            for issuers in [&[][..], &[factory.candidate(CaStatus::Inactive, false)]] {
                assert_eq!(judge(&leaf, Some(&registered), issuers, NOW), verdict, "{}", status.as_str());
            }
        }
    }
}

#[test]
fn a_registered_leaf_must_be_in_its_window() {
    let factory = ca("Factory", VALID);
    let ca = Some(factory.id());
    for status in [CertificateStatus::Active, CertificateStatus::PendingActivation] {
        let registered = RegisteredLeaf { status, mode: CertificateMode::Default, ca };
        let leaf = factory.leaf(OVER);
        let expired = refuse(Refusal::Expired { not_after: leaf.not_after() }, ca);
        assert_eq!(judge(&leaf, Some(&registered), &[], NOW), expired);
        let leaf = factory.leaf(AHEAD);
        let not_yet = refuse(Refusal::NotYetValid { not_before: leaf.not_before() }, ca);
        assert_eq!(judge(&leaf, Some(&registered), &[], NOW), not_yet);
    }
    // A new certificate is needed in any case: REVOKED says so more plainly.
    let leaf = factory.leaf(OVER);
    let registered = RegisteredLeaf { status: CertificateStatus::Revoked, mode: CertificateMode::Default, ca };
    assert_eq!(judge(&leaf, Some(&registered), &[], NOW), refuse(Refusal::Revoked { certificate: leaf.id() }, ca));
}

#[test]
fn an_unknown_leaf_goes_by_its_issuer() {
    let factory = ca("Factory", VALID);
    let id = factory.id();
    let expired = ca_with_key("Factory", OVER, factory.key());
    let ahead = ca_with_key("Factory", AHEAD, factory.key());
    let leaf = factory.leaf(VALID);
    let unknown = refuse(Refusal::UnknownIssuer { issuer: "CN=Factory".to_owned() }, None);
    let outside = |ca: &Ca| {
        let (not_before, not_after) = (ca.certificate.not_before(), ca.certificate.not_after());
        refuse(Refusal::IssuerExpired { ca: ca.id(), not_before, not_after }, Some(ca.id()))
    };
    for (issuers, verdict) in [
        (vec![], unknown.clone()),
        (vec![factory.candidate(CaStatus::Active, true)], Verdict::RegisterPending { ca: id }),
        (vec![factory.candidate(CaStatus::Active, false)], refuse(Refusal::AutoRegistrationOff { ca: id }, Some(id))),
        (vec![factory.candidate(CaStatus::Inactive, true)], refuse(Refusal::IssuerInactive { ca: id }, Some(id))),
        (vec![factory.candidate(CaStatus::Inactive, false)], refuse(Refusal::IssuerInactive { ca: id }, Some(id))),
        (vec![expired.candidate(CaStatus::Active, true)], outside(&expired)),
        (vec![ahead.candidate(CaStatus::Active, true)], outside(&ahead)),
        (
            vec![expired.candidate(CaStatus::Inactive, true)],
            refuse(Refusal::IssuerInactive { ca: expired.id() }, Some(expired.id())),
        ),
    ] {
        assert_eq!(judge(&leaf, None, &issuers, NOW), verdict, "{issuers:?}");
    }
}

#[test]
fn name_and_signature_must_both_match() {
    let factory = ca("Factory", VALID);
    let twin = ca("Factory", VALID);
    let renamed = ca_with_key("Other", VALID, factory.key());
    let leaf = factory.leaf(VALID);
    let unknown = refuse(Refusal::UnknownIssuer { issuer: "CN=Factory".to_owned() }, None);
    for other in [&twin, &renamed] {
        assert_eq!(judge(&leaf, None, &[other.candidate(CaStatus::Active, true)], NOW), unknown);
    }
    let both = [twin.candidate(CaStatus::Active, true), factory.candidate(CaStatus::Active, true)];
    assert_eq!(judge(&leaf, None, &both, NOW), Verdict::RegisterPending { ca: factory.id() });

    let self_signed = ca("Factory", VALID).certificate;
    assert_eq!(judge(&self_signed, None, &both, NOW), unknown);

    // A root admits no leaf of its intermediate.
    let mut below = params("Line 1", VALID);
    below.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let line = below.signed_by(&key, &factory.issuer).unwrap();
    let line = Ca { certificate: Certificate::from_der(line.der()).unwrap(), issuer: Issuer::new(below, key) };
    let leaf = line.leaf(VALID);
    let root_only = refuse(Refusal::UnknownIssuer { issuer: "CN=Line 1".to_owned() }, None);
    assert_eq!(judge(&leaf, None, &both, NOW), root_only);
    let registered = [line.candidate(CaStatus::Active, true)];
    assert_eq!(judge(&leaf, None, &registered, NOW), Verdict::RegisterPending { ca: line.id() });
}

#[test]
fn among_certificates_of_one_ca_the_best_serves() {
    let factory = ca("Factory", VALID);
    let renewed = ca_with_key("Factory", Days { from: -5, to: 15 }, factory.key());
    let expired = ca_with_key("Factory", OVER, factory.key());
    let leaf = factory.leaf(VALID);
    let best = renewed.candidate(CaStatus::Active, true);
    let others = [
        factory.candidate(CaStatus::Inactive, true),
        expired.candidate(CaStatus::Active, true),
        factory.candidate(CaStatus::Active, false),
    ];
    for other in others {
        for issuers in [[best, other], [other, best]] {
            assert_eq!(judge(&leaf, None, &issuers, NOW), Verdict::RegisterPending { ca: renewed.id() });
        }
    }
    // Without it the one that needs the smallest change is named.
    let without = [others[0], others[1], others[2]];
    let off = refuse(Refusal::AutoRegistrationOff { ca: factory.id() }, Some(factory.id()));
    assert_eq!(judge(&leaf, None, &without, NOW), off);
}

#[test]
fn sni_only_wants_the_endpoints_name() {
    let factory = ca("Factory", VALID);
    let (leaf, ca) = (factory.leaf(VALID), Some(factory.id()));
    let (default, sni_only) = (CertificateMode::Default, CertificateMode::SniOnly);
    for name in ServerName::ALL {
        let missing = |verdict: Verdict| match name {
            ServerName::Endpoint => verdict,
            _ => refuse(Refusal::ServerNameNeeded { sent: name }, ca),
        };
        for (status, verdict) in [
            (CertificateStatus::Active, missing(Verdict::Admit { ca })),
            (CertificateStatus::PendingActivation, missing(Verdict::StillPending { ca })),
            (CertificateStatus::Revoked, refuse(Refusal::Revoked { certificate: leaf.id() }, ca)),
        ] {
            let registered = RegisteredLeaf { status, mode: sni_only, ca };
            assert_eq!(domain::admission::judge(&leaf, Some(&registered), &[], name, NOW), verdict, "{name:?}");
        }
        let issuer = |mode, auto| CandidateCa { mode, ..factory.candidate(CaStatus::Active, auto) };
        let registers = Verdict::RegisterPending { ca: factory.id() };
        for (issuers, verdict) in [
            (vec![issuer(sni_only, true)], missing(registers.clone())),
            (vec![issuer(default, true)], registers.clone()),
            (vec![issuer(sni_only, true), issuer(default, true)], registers),
            (vec![issuer(sni_only, false)], refuse(Refusal::AutoRegistrationOff { ca: factory.id() }, ca)),
        ] {
            assert_eq!(domain::admission::judge(&leaf, None, &issuers, name, NOW), verdict, "{name:?} {issuers:?}");
        }
    }
}

#[test]
fn an_unknown_leaf_must_be_sound() {
    let factory = ca("Factory", VALID);
    let id = factory.id();
    let issuers = [factory.candidate(CaStatus::Active, true)];
    let ask = |leaf: &Certificate| judge(leaf, None, &issuers, NOW);

    let leaf = factory.leaf(OVER);
    assert_eq!(ask(&leaf), refuse(Refusal::Expired { not_after: leaf.not_after() }, Some(id)));
    let leaf = factory.leaf(AHEAD);
    assert_eq!(ask(&leaf), refuse(Refusal::NotYetValid { not_before: leaf.not_before() }, Some(id)));

    let mut with_extension = params("device", VALID);
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    with_extension.custom_extensions.push(extension.clone());
    assert_eq!(ask(&factory.issue(with_extension.clone())), Verdict::RegisterPending { ca: id });
    extension.set_criticality(true);
    with_extension.custom_extensions = vec![extension];
    let leaf = factory.issue(with_extension);
    let Verdict::Refuse { refusal: Refusal::MalformedCertificate(text), ca } = ask(&leaf) else {
        panic!("{:?}", ask(&leaf))
    };
    assert!(text.contains("1.3.6.1.4.1.99999.1") && ca == Some(id), "{text}");
    let registered = RegisteredLeaf { status: CertificateStatus::Active, mode: CertificateMode::Default, ca };
    assert!(matches!(judge(&leaf, Some(&registered), &issuers, NOW), Verdict::Refuse { .. }));

    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let leaf = params("device", VALID).signed_by(&key, &factory.issuer).unwrap();
    let verdict = ask(&Certificate::from_der(leaf.der()).unwrap());
    assert!(matches!(verdict, Verdict::Refuse { refusal: Refusal::MalformedCertificate(_), .. }), "{verdict:?}");

    // CA:TRUE on a leaf is nothing to AWS; it gains nothing by it.
    let mut as_ca = params("device", VALID);
    as_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(ask(&factory.issue(as_ca)), Verdict::RegisterPending { ca: id });
}

#[test]
fn sha1_is_refused_by_its_name() {
    let leaf = Certificate::from_pem(include_str!("certificates/leaf_rsa_sha1.pem")).unwrap();
    let verdict = judge(&leaf, None, &[], leaf.not_before());
    let Verdict::Refuse { refusal: Refusal::MalformedCertificate(text), ca: None } = verdict else {
        panic!("{verdict:?}")
    };
    assert!(text.contains("1.2.840.113549.1.1.5"), "{text}");
}

#[test]
fn a_verification_certificate_proves_the_ca() {
    let factory = ca("Factory", VALID);
    let twin = ca("Factory", VALID);
    let code = "0123456789abcdef".repeat(4);
    let proof = |signer: &Ca, name: &str, days| signer.issue(params(name, days));
    let refused = Err(RegistrationRefusal::RegistrationCode);
    let check = |verification: &Certificate| registration::check(&factory.certificate, verification, &code, NOW);
    assert_eq!(check(&proof(&factory, &code, VALID)), Ok(()));
    assert_eq!(check(&proof(&factory, "something else", VALID)), refused);
    assert_eq!(check(&proof(&factory, &code[..63], VALID)), refused);
    assert_eq!(check(&proof(&factory, &format!("{code}0"), VALID)), refused);
    assert_eq!(check(&proof(&twin, &code, VALID)), Err(RegistrationRefusal::VerificationNotSignedByCa));
    let late = proof(&factory, &code, OVER);
    assert_eq!(check(&late), Err(RegistrationRefusal::VerificationExpired(late.not_after())));
    let early = proof(&factory, &code, AHEAD);
    assert_eq!(check(&early), Err(RegistrationRefusal::VerificationNotYetValid(early.not_before())));
    let mut two_names = params(&code, VALID);
    two_names.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "another");
    assert_eq!(check(&factory.issue(two_names)), refused);
}

#[test]
fn statuses_are_read_as_written() {
    for status in CertificateStatus::ALL {
        assert_eq!(CertificateStatus::parse(status.as_str()), Some(status));
    }
    for text in ["", "active", "ENABLED"] {
        assert_eq!(CertificateStatus::parse(text), None);
    }
}

/// One of each; whoever adds a refusal adds it here.
fn every_refusal() -> Vec<Refusal> {
    let id = CertificateId::of_der(b"x");
    let text = || "because".to_owned();
    vec![
        Refusal::NoClientCertificate,
        Refusal::MalformedCertificate(text()),
        Refusal::NotYetValid { not_before: NOW },
        Refusal::Expired { not_after: NOW },
        Refusal::UnknownIssuer { issuer: text() },
        Refusal::IssuerInactive { ca: id },
        Refusal::IssuerExpired { ca: id, not_before: NOW, not_after: NOW },
        Refusal::AutoRegistrationOff { ca: id },
        Refusal::ServerNameNeeded { sent: ServerName::Absent },
        Refusal::RegisteredNow { certificate: id },
        Refusal::PendingActivation { certificate: id },
        Refusal::Inactive { certificate: id },
        Refusal::Revoked { certificate: id },
        Refusal::PendingTransfer { certificate: id },
        Refusal::HandshakeTimeout,
        Refusal::TlsFailed(text()),
        Refusal::AlpnRefused(text()),
        Refusal::WebSocketRefused(text()),
        Refusal::SignatureRefused(text()),
        Refusal::NotActive { certificate: id },
        Refusal::ConnectTimeout,
        Refusal::MalformedConnect(text()),
        Refusal::ClientIdRefused(text()),
        Refusal::NoPolicy { certificate: id },
        Refusal::PolicyDenies { action: text(), resource: text(), policy: text(), statement: 0, sid: Some(text()) },
        Refusal::PolicyDoesNotAllow { action: text(), resource: text() },
        Refusal::IamDoesNotAllow { caller: text(), action: text(), resource: text(), why: text() },
        Refusal::TakenOver,
        Refusal::Disconnected,
        Refusal::WebSocketTooOld,
        Refusal::KeepAliveTimeout,
        Refusal::ProtocolError(text()),
        Refusal::PublishRefused(text()),
        Refusal::RightLost(text()),
        Refusal::ServerShutdown,
        Refusal::Overloaded(text()),
        Refusal::ClientIdThrottled(text()),
        Refusal::Internal(text()),
    ]
}

#[test]
fn every_refusal_has_its_code_and_its_sentence() {
    let mut codes = std::collections::HashSet::new();
    for refusal in every_refusal() {
        let code = refusal.code();
        assert!(codes.insert(code), "{code} stands for two refusals");
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
        let sentence = refusal.sentence();
        assert!(sentence.starts_with(|first: char| first.is_uppercase()), "{code}: {sentence}");
        assert!(sentence.contains(": "), "{code} does not say what to do: {sentence}");
        assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{code}: {sentence}");
    }
}

#[test]
fn sentences_name_the_id_and_the_command() {
    let id = CertificateId::of_der(b"x");
    for (refusal, part) in [
        (
            Refusal::IssuerInactive { ca: id },
            format!("aws iot update-ca-certificate --certificate-id {id} --new-status ACTIVE"),
        ),
        (
            Refusal::AutoRegistrationOff { ca: id },
            format!("aws iot update-ca-certificate --certificate-id {id} --new-auto-registration-status ENABLE"),
        ),
        (
            Refusal::Inactive { certificate: id },
            format!("aws iot update-certificate --certificate-id {id} --new-status ACTIVE"),
        ),
        (Refusal::NoPolicy { certificate: id }, format!("aws iot describe-certificate --certificate-id {id}")),
    ] {
        let sentence = refusal.sentence();
        assert!(sentence.contains(&part), "{sentence}");
    }
}

#[test]
fn what_strangers_wrote_is_shown_harmless_and_bounded() {
    let hostile = format!("a\r\nb\u{1b}[2J\u{202e}{}", "x".repeat(10_000));
    let denies = Refusal::PolicyDenies {
        action: "iot:Connect".to_owned(),
        resource: hostile.clone(),
        policy: "P".to_owned(),
        statement: 3,
        sid: None,
    };
    for refusal in [
        denies,
        Refusal::UnknownIssuer { issuer: hostile.clone() },
        Refusal::MalformedConnect(hostile.clone()),
        Refusal::ClientIdRefused(hostile),
    ] {
        let sentence = refusal.sentence();
        assert!(sentence.len() < 1000, "{}", sentence.len());
        assert!(!sentence.contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{sentence:?}");
    }
}
