use fleet::{Ca, CertificateVersion, Device, DeviceSpec, Key, KeyAlgorithm, Window};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, World, ca, pages, with};

const REGISTER: &str = "iot:RegisterCACertificate";

#[tokio::test]
async fn a_ca_is_described_as_it_was_registered() {
    let world = World::new();
    let ca = ca("Factory");
    let answer = world.done(REGISTER, world.registration(&ca).await).await;
    let arn = format!("arn:aws:iot:us-east-1:{ACCOUNT}:cacert/{}", ca.id());
    assert_eq!(answer, json!({ "certificateArn": arn, "certificateId": ca.id().to_string() }));
    let described = world.done("iot:DescribeCACertificate", id(&ca)).await;
    let description = &described["certificateDescription"];
    for (member, expected) in [
        ("certificateArn", json!(arn)),
        ("status", json!("ACTIVE")),
        ("autoRegistrationStatus", json!("ENABLE")),
        ("certificateMode", json!("DEFAULT")),
        ("certificatePem", json!(ca.certificate_pem())),
        ("ownedBy", json!(ACCOUNT)),
        ("customerVersion", json!(1)),
    ] {
        assert_eq!(description[member], expected, "{member}");
    }
}

#[tokio::test]
async fn refusals_of_register() {
    let world = World::new();
    let (ours, other) = (ca("Ours"), ca("Other"));
    let good = world.registration(&ours).await;
    let foreign = world.registration(&other).await;
    let verified = |by: &Ca, code: &str| json!(by.verification_certificate_pem(code).expect("a certificate"));
    let expired = Ca::with_window("Old", KeyAlgorithm::EcP256, Window::expired()).expect("a CA");
    let early = Ca::with_window("New", KeyAlgorithm::EcP256, Window::not_yet_valid()).expect("a CA");
    let leaf = |version| {
        let spec = DeviceSpec { version, ..DeviceSpec::new("no CA") };
        json!(Device::self_signed(&spec).expect("a device").certificate_pem().expect("PEM"))
    };
    let old_proof = ours.issue(&DeviceSpec { window: Window::expired(), ..DeviceSpec::new(code_of(&world).await) });
    let old_proof = json!(old_proof.expect("a device").certificate_pem().expect("PEM"));
    let (invalid, validation) = ("InvalidRequestException", "CertificateValidationException");
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({ "caCertificate": "-----BEGIN NOTHING-----" }), invalid, "CA certificate"),
        (json!({ "verificationCertificate": "x" }), invalid, "verification certificate"),
        (json!({ "verificationCertificate": null }), invalid, "required when certificateMode is DEFAULT"),
        (json!({ "certificateMode": "SNI_ONLY" }), invalid, "must not be given"),
        (json!({ "certificateMode": "BOTH" }), invalid, "BOTH"),
        (json!({ "registrationConfig": { "templateName": "t" } }), invalid, "registrationConfig"),
        (json!({ "tags": [{ "Key": "aws:k" }] }), invalid, "aws:"),
        (json!({ "caCertificate": leaf(CertificateVersion::V3) }), validation, "basicConstraints extension as true"),
        (json!({ "caCertificate": leaf(CertificateVersion::V1) }), validation, "basicConstraints extension as true"),
        (json!({ "verificationCertificate": foreign["verificationCertificate"] }), validation, "not signed by"),
        (json!({ "caCertificate": expired.certificate_pem() }), validation, "expired"),
        (json!({ "caCertificate": early.certificate_pem() }), validation, "not valid before"),
        (json!({ "verificationCertificate": old_proof }), validation, "verification certificate expired"),
        (
            json!({ "verificationCertificate": verified(&ours, "another code") }),
            "RegistrationCodeValidationException",
            "registration code",
        ),
    ];
    for (changes, code, words) in cases {
        world.refused(REGISTER, with(good.clone(), changes), code, words).await;
    }
    assert_eq!(world.keys("iot/ca"), Vec::<String>::new(), "a refused CA leaves nothing behind");

    world.done(REGISTER, good.clone()).await;
    let err = world.refused(REGISTER, good, "ResourceAlreadyExistsException", "already exists").await;
    assert_eq!(err.members.first(), Some(&("resourceId", ours.id().to_string())));
}

async fn code_of(world: &World) -> String {
    let answer = world.done("iot:GetRegistrationCode", json!({})).await;
    answer["registrationCode"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn the_code_stays_the_same_and_is_needed() {
    let world = World::new();
    let ca = ca("Eager");
    let guess = json!({
        "caCertificate": ca.certificate_pem(),
        "verificationCertificate": ca.verification_certificate_pem(&"0".repeat(64)).expect("a certificate"),
    });
    world.refused(REGISTER, guess, "RegistrationCodeValidationException", "registration code").await;
    let code = code_of(&world).await;
    assert!(code.len() == 64 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
    assert_eq!(code_of(&world).await, code);
    let world = world.reopen().await;
    assert_eq!(code_of(&world).await, code);
}

#[tokio::test]
async fn sni_only_needs_no_proof_and_starts_inactive_unless_told() {
    let world = World::new();
    let ca = ca("Many accounts");
    world.done(REGISTER, json!({ "caCertificate": ca.certificate_pem(), "certificateMode": "SNI_ONLY" })).await;
    let described = world.done("iot:DescribeCACertificate", id(&ca)).await;
    let description = &described["certificateDescription"];
    let members = ["certificateMode", "status", "autoRegistrationStatus"].map(|member| description[member].clone());
    assert_eq!(members, [json!("SNI_ONLY"), json!("INACTIVE"), json!("DISABLE")]);
}

#[tokio::test]
async fn ten_cas_may_have_one_subject() {
    let world = World::new();
    let mut inputs = Vec::new();
    for _ in 0..12 {
        inputs.push(world.registration(&ca("Same")).await);
    }
    // At once, so that a count before the commit would let more in.
    let answers: Vec<_> = {
        let calls = inputs.into_iter().map(|input| {
            let services = world.services.clone();
            let op = services.op(world.root());
            let input = serde_json::from_value(input).expect("an input");
            tokio::spawn(async move { services.iot().register_ca_certificate(&op, input).await })
        });
        let calls: Vec<_> = calls.collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.expect("no panic"));
        }
        answers
    };
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|err| err.code == "LimitExceededException" && err.message.contains("same subject")));
    world.done(REGISTER, world.registration(&ca("Different")).await).await;
}

#[tokio::test]
async fn lists_are_paged_by_age() {
    let world = World::new();
    let key = Key::generate(KeyAlgorithm::EcP256).expect("a key");
    let mut ids = Vec::new();
    for n in 0..5 {
        let window = Window::days_from_now(30);
        let ca = Ca::with_key(&format!("CA {n}"), key.clone(), window).expect("a CA");
        world.done(REGISTER, json!({ "caCertificate": ca.certificate_pem(), "certificateMode": "SNI_ONLY" })).await;
        ids.push(ca.id().to_string());
        world.pass_ms(1);
    }
    let list = "iot:ListCACertificates";
    for ascending in [true, false] {
        let input = json!({ "pageSize": 2, "ascendingOrder": ascending });
        let pages = pages(&world, list, input, "certificates", "nextMarker").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let mut listed: Vec<&str> = pages.iter().flatten().filter_map(|ca| ca["certificateId"].as_str()).collect();
        if !ascending {
            listed.reverse();
        }
        assert_eq!(listed, ids);
    }
    world.refused(list, json!({ "marker": "%" }), "InvalidRequestException", "marker").await;
    assert_eq!(world.done(list, json!({ "templateName": "t" })).await, json!({}));
}

#[tokio::test]
async fn updates() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let update = "iot:UpdateCACertificate";
    for (changes, status, registers) in [
        (json!({ "newStatus": "INACTIVE" }), "INACTIVE", "ENABLE"),
        (json!({ "newAutoRegistrationStatus": "DISABLE", "removeAutoRegistration": true }), "INACTIVE", "DISABLE"),
        (json!({ "newStatus": "ACTIVE", "newAutoRegistrationStatus": "ENABLE" }), "ACTIVE", "ENABLE"),
        (json!({ "removeAutoRegistration": true }), "ACTIVE", "ENABLE"),
    ] {
        world.done(update, with(id(&ca), changes.clone())).await;
        let described = world.done("iot:DescribeCACertificate", id(&ca)).await;
        let description = &described["certificateDescription"];
        assert_eq!(description["status"], status, "{changes}");
        assert_eq!(description["autoRegistrationStatus"], registers, "{changes}");
    }
    for (changes, code, words) in [
        (json!({ "certificateId": "00".repeat(32) }), "ResourceNotFoundException", "does not exist"),
        (json!({ "certificateId": "0xzz" }), "ResourceNotFoundException", "does not exist"),
        (json!({ "newStatus": "REVOKED" }), "InvalidRequestException", "REVOKED"),
        (json!({ "newAutoRegistrationStatus": "ENABLED" }), "InvalidRequestException", "ENABLE or DISABLE"),
        (json!({ "registrationConfig": {} }), "InvalidRequestException", "registrationConfig"),
    ] {
        world.refused(update, with(id(&ca), changes), code, words).await;
    }
    let missing = json!({ "certificateId": "00".repeat(32) });
    let words = "Requested CA Certificate does not exist.";
    world.refused("iot:DescribeCACertificate", missing, "ResourceNotFoundException", words).await;
}

fn id(ca: &Ca) -> Value {
    json!({ "certificateId": ca.id().to_string() })
}
