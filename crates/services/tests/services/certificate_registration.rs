use fleet::{Ca, Device, DeviceSpec, Flaw, Key, KeyAlgorithm, Window};
use serde_json::{Value, json};

use crate::world::{World, ca, certificate_arn, device, id_of, pages, pem_of, with};

const REGISTER: &str = "iot:RegisterCertificate";
const WITHOUT_CA: &str = "iot:RegisterCertificateWithoutCA";

async fn described(world: &World, id: &str) -> Value {
    world.done("iot:DescribeCertificate", json!({ "certificateId": id })).await["certificateDescription"].clone()
}

#[tokio::test]
async fn each_status_that_may_be_asked_for() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    for (operation, asked, status) in [
        (REGISTER, json!({}), "INACTIVE"),
        (REGISTER, json!({ "setAsActive": false }), "INACTIVE"),
        (REGISTER, json!({ "setAsActive": true }), "ACTIVE"),
        (REGISTER, json!({ "status": "REVOKED" }), "REVOKED"),
        (REGISTER, json!({ "status": "INACTIVE", "setAsActive": true }), "INACTIVE"),
        (WITHOUT_CA, json!({}), "INACTIVE"),
        (WITHOUT_CA, json!({ "status": "ACTIVE" }), "ACTIVE"),
    ] {
        let device = device(&factory, "device");
        let id = id_of(&device);
        let answer = world.done(operation, with(asked.clone(), json!({ "certificatePem": pem_of(&device) }))).await;
        assert_eq!(answer, json!({ "certificateArn": certificate_arn(&id), "certificateId": id }));
        let described = described(&world, &id).await;
        assert_eq!(described["status"], status, "{operation} {asked}");
        let (mode, issuer) = match operation {
            REGISTER => ("DEFAULT", json!(factory.id().to_string())),
            _ => ("SNI_ONLY", Value::Null),
        };
        assert_eq!((&described["certificateMode"], &described["caCertificateId"]), (&json!(mode), &issuer));
    }
    assert_eq!(world.keys("outbox/"), Vec::<String>::new(), "who registers needs no event");
}

#[tokio::test]
async fn a_cas_mode_is_its_certificates_mode() {
    let world = World::new();
    let ca = ca("Many accounts");
    let input = json!({ "caCertificate": ca.certificate_pem(), "certificateMode": "SNI_ONLY", "setAsActive": true });
    world.done("iot:RegisterCACertificate", input).await;
    let device = device(&ca, "device");
    world.done(REGISTER, json!({ "certificatePem": pem_of(&device) })).await;
    assert_eq!(described(&world, &id_of(&device)).await["certificateMode"], "SNI_ONLY");
}

#[tokio::test]
async fn refusals() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let closed = world.registered_ca("Closed").await;
    let close = json!({ "certificateId": closed.id().to_string(), "newStatus": "INACTIVE" });
    world.done("iot:UpdateCACertificate", close).await;
    let stranger = ca("Stranger");
    let issue = |spec: DeviceSpec| factory.issue(&spec).expect("a device");
    let plain = || DeviceSpec::new("d");
    let der = json!(device(&factory, "der").der());
    let tampered = issue(DeviceSpec { flaw: Some(Flaw::TamperedSubject), ..plain() });
    let old = issue(DeviceSpec { window: Window::expired(), ..plain() });
    let rsa = Ca::new("RSA", KeyAlgorithm::Rsa2048).expect("a CA");
    world.done("iot:RegisterCACertificate", world.registration(&rsa).await).await;
    let sha1 = rsa.issue(&DeviceSpec { flaw: Some(Flaw::Sha1), ..plain() }).expect("a device");
    let good = pem_of(&issue(plain()));
    let two = good.repeat(2);
    let (state, validation) = ("CertificateStateException", "CertificateValidationException");
    let pending = "Not allowed to register certificate with PENDING_ACTIVATION status";
    let transfer = "Not allowed to register certificate with PENDING_TRANSFER status";
    let no_ca = "No CA certificate exists for the given certificate";
    let only_here: Vec<(Value, &str, &str)> = vec![
        (json!({ "certificatePem": pem_of(&device(&stranger, "d")) }), state, no_ca),
        (json!({ "certificatePem": pem_of(&tampered) }), state, no_ca),
        (json!({ "certificatePem": pem_of(&device(&closed, "d")) }), state, "INACTIVE"),
        (json!({ "caCertificatePem": stranger.certificate_pem() }), state, no_ca),
        (json!({ "caCertificatePem": closed.certificate_pem() }), validation, "not signed by"),
        (json!({ "caCertificatePem": "no PEM" }), validation, "caCertificatePem"),
    ];
    let both: Vec<(Value, &str, &str)> = vec![
        (json!({ "certificatePem": "-----BEGIN NOTHING-----" }), validation, "certificate is not valid"),
        (json!({ "certificatePem": der.to_string() }), validation, "certificate is not valid"),
        (json!({ "certificatePem": two }), validation, "more than 1"),
        (json!({ "certificatePem": pem_of(&old) }), validation, "expired"),
        (json!({ "certificatePem": pem_of(&sha1) }), validation, "signature algorithm"),
        (json!({ "status": "PENDING_ACTIVATION" }), state, pending),
        (json!({ "status": "PENDING_TRANSFER" }), state, transfer),
        (json!({ "status": "GONE" }), "InvalidRequestException", "GONE"),
    ];
    let input = json!({ "certificatePem": good });
    for (changes, code, words) in only_here.iter().chain(&both) {
        world.refused(REGISTER, with(input.clone(), changes.clone()), code, words).await;
    }
    for (changes, code, words) in &both {
        world.refused(WITHOUT_CA, with(input.clone(), changes.clone()), code, words).await;
    }
    assert_eq!(world.keys("iot/cert/"), Vec::<String>::new(), "a refused certificate leaves nothing behind");
    assert_eq!(world.keys("iot/signed/"), Vec::<String>::new());
}

#[tokio::test]
async fn once_is_enough() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let ([one, two, pending], input) = (
        ["one", "two", "pending"].map(|name| device(&factory, name)),
        |device: &Device| json!({ "certificatePem": pem_of(device) }),
    );
    world.done(REGISTER, input(&one)).await;
    world.done(WITHOUT_CA, input(&two)).await;
    world.connect(&pending, "d").await.expect_err("registered, not admitted");
    for operation in [REGISTER, WITHOUT_CA] {
        for device in [&one, &two, &pending] {
            let words = "The certificate is already provisioned or registered";
            let err = world.refused(operation, input(device), "ResourceAlreadyExistsException", words).await;
            let id = id_of(device);
            assert_eq!(err.members, [("resourceId", id.clone()), ("resourceArn", certificate_arn(&id))]);
        }
    }
    assert_eq!(world.keys("outbox/").len(), 1, "of the connection alone");
}

/// CAs that share a subject: the one that signed is found by its signature, or must be named.
#[tokio::test]
async fn cas_of_one_subject() {
    let world = World::new();
    let [first, second] = [world.registered_ca("Same").await, world.registered_ca("Same").await];
    let input = |device: &Device| json!({ "certificatePem": pem_of(device) });
    let device = device(&second, "device");
    world.refused(REGISTER, input(&device), "InvalidRequestException", "caCertificatePem").await;
    let named = |ca: &Ca| json!({ "caCertificatePem": ca.certificate_pem() });
    let wrong = with(input(&device), named(&first));
    world.refused(REGISTER, wrong, "CertificateValidationException", "not signed by").await;
    world.done(REGISTER, with(input(&device), named(&second))).await;
    assert_eq!(described(&world, &id_of(&device)).await["caCertificateId"], second.id().to_string());

    // Just-in-time registration is told nothing, and finds the signer.
    for ca in [&first, &second] {
        let device = crate::world::device(ca, "just in time");
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        assert_eq!(described(&world, &id_of(&device)).await["caCertificateId"], ca.id().to_string());
    }

    // Renewed with its key: either could have signed.
    let renewed = Ca::with_key("Same", second.key().clone(), Window::days_from_now(99)).expect("a CA");
    world.done("iot:RegisterCACertificate", world.registration(&renewed).await).await;
    let another = crate::world::device(&second, "another");
    world.refused(REGISTER, input(&another), "CertificateConflictException", "public key").await;
    world.done(REGISTER, with(input(&another), named(&renewed))).await;
    assert_eq!(described(&world, &id_of(&another)).await["caCertificateId"], renewed.id().to_string());
}

#[tokio::test]
async fn lists_by_ca() {
    let world = World::new();
    let [ours, theirs] = [world.registered_ca("Ours").await, world.registered_ca("Theirs").await];
    let key = Key::generate(KeyAlgorithm::EcP256).expect("a key");
    let mut ids = Vec::new();
    for n in 0..5 {
        for ca in [&ours, &theirs] {
            let device = ca.issue_for(&DeviceSpec::new(format!("device-{n}")), key.clone()).expect("a device");
            world.done(REGISTER, json!({ "certificatePem": pem_of(&device) })).await;
            if ca.id() == ours.id() {
                ids.push(id_of(&device));
            }
        }
        world.pass_ms(1);
    }
    let list = "iot:ListCertificatesByCA";
    let of = |ca: &str| json!({ "caCertificateId": ca });
    for ascending in [true, false] {
        let input = with(of(&ours.id().to_string()), json!({ "pageSize": 2, "ascendingOrder": ascending }));
        let pages = pages(&world, list, input, "certificates", "nextMarker").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let mut listed: Vec<&str> = pages.iter().flatten().filter_map(|one| one["certificateId"].as_str()).collect();
        if !ascending {
            listed.reverse();
        }
        assert_eq!(listed, ids);
    }
    let one = world.done(list, with(of(&ours.id().to_string()), json!({ "pageSize": 1 }))).await;
    let one = one["certificates"][0].as_object().expect("a certificate");
    let members: Vec<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(members, ["certificateArn", "certificateId", "certificateMode", "creationDate", "status"]);
    for nobody in ["00".repeat(32), "zz".to_owned()] {
        assert_eq!(world.done(list, of(&nobody)).await, json!({ "certificates": [] }));
    }
}
