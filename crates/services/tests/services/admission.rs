use domain::admission::{Refusal, ServerName};
use fleet::{DeviceSpec, Window};
use serde_json::json;
use services::admission::Refused;

use crate::world::{World, allow_all, ca, certificate_arn, device, id_of, pem_of};

fn code(answer: Result<impl Sized, Refused>) -> &'static str {
    answer.map_or_else(|refused| refused.refusal.code(), |_| "admitted")
}

fn outbox_row(id: &str) -> String {
    format!("outbox/registered/{id}")
}

#[tokio::test]
async fn a_first_connection_registers_and_owes_the_event() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    let leaf = device.certificate().expect("a certificate");
    assert!(world.services.judge_handshake(&leaf, ServerName::Absent).is_ok());
    assert_eq!(world.keys("iot/cert/"), Vec::<String>::new(), "a handshake registers nothing");

    let refused = world.connect(&device, "device-1").await.expect_err("closed");
    assert_eq!((refused.refusal.code(), refused.ca), ("REGISTERED_NOW", Some(ca.id())));
    let revision = |key: &str| world.store.get(key.as_bytes()).expect("reads").map(|record| record.revision);
    let id = id_of(&device);
    let registered = revision(&format!("iot/cert/{id}"));
    assert!(registered.is_some() && registered == revision(&outbox_row(&id)), "one commit wrote both");

    let owed = revision(&outbox_row(&id));
    assert_eq!(code(world.connect(&device, "device-1").await), "PENDING_ACTIVATION");
    assert_eq!(revision(&outbox_row(&id)), owed, "the event is still owed, and owed once");
}

#[tokio::test]
async fn of_many_first_connections_one_registers() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    let codes = tokio::join!(
        async { code(world.connect(&device, "a").await) },
        async { code(world.connect(&device, "b").await) },
        async { code(world.connect(&device, "c").await) },
    );
    let mut codes = [codes.0, codes.1, codes.2];
    codes.sort_unstable();
    assert_eq!(codes, ["PENDING_ACTIVATION", "PENDING_ACTIVATION", "REGISTERED_NOW"]);
    assert_eq!(world.keys("outbox/"), [outbox_row(&id_of(&device))]);
}

#[tokio::test]
async fn who_is_not_registered() {
    let world = World::new();
    let ours = world.registered_ca("Factory").await;
    let expired = DeviceSpec { window: Window::expired(), ..DeviceSpec::new("old") };
    for (changes, device, expected) in [
        (json!({ "newStatus": "INACTIVE" }), device(&ours, "d"), "ISSUER_INACTIVE"),
        (
            json!({ "newStatus": "ACTIVE", "newAutoRegistrationStatus": "DISABLE" }),
            device(&ours, "d"),
            "AUTO_REGISTRATION_OFF",
        ),
        (json!({ "newAutoRegistrationStatus": "ENABLE" }), device(&ca("Stranger"), "d"), "UNKNOWN_ISSUER"),
        (json!({}), device(&ca("Factory"), "d"), "UNKNOWN_ISSUER"),
        (json!({}), ours.issue(&expired).expect("a device"), "CERTIFICATE_EXPIRED"),
    ] {
        let mut input = json!({ "certificateId": ours.id().to_string() });
        input.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        world.done("iot:UpdateCACertificate", input).await;
        let leaf = device.certificate().expect("a certificate");
        assert_eq!(code(world.services.judge_handshake(&leaf, ServerName::Absent)), expected);
        assert_eq!(code(world.connect(&device, "d").await), expected);
    }
    assert_eq!(world.keys("iot/cert/"), Vec::<String>::new());
    assert_eq!(world.keys("outbox/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_registered_device_outlives_its_ca() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    assert_eq!(code(world.connect(&device, "d").await), "REGISTERED_NOW");
    world.activate(&id_of(&device), "Fleet").await;
    let input = json!({ "certificateId": ca.id().to_string(), "newStatus": "INACTIVE" });
    world.done("iot:UpdateCACertificate", input).await;
    assert_eq!(code(world.connect(&device, "d").await), "admitted");
    let world = world.reopen().await;
    assert_eq!(code(world.connect(&device, "d").await), "admitted");
}

#[tokio::test]
async fn statuses_decide() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    assert_eq!(code(world.connect(&device, "d").await), "REGISTERED_NOW");
    world.activate(&id_of(&device), "Fleet").await;
    for (status, expected) in [
        ("ACTIVE", "admitted"),
        ("INACTIVE", "CERTIFICATE_INACTIVE"),
        ("ACTIVE", "admitted"),
        ("REVOKED", "CERTIFICATE_REVOKED"),
    ] {
        let input = json!({ "certificateId": id_of(&device), "newStatus": status });
        world.done("iot:UpdateCertificate", input).await;
        assert_eq!(code(world.connect(&device, "d").await), expected, "{status}");
    }
}

#[tokio::test]
async fn a_live_connection_feels_what_changes() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    assert_eq!(code(world.connect(&device, "d").await), "REGISTERED_NOW");
    let id = id_of(&device);
    world.activate(&id, "Fleet").await;
    let mut standing = world.connect(&device, "d").await.expect("admitted").standing;
    let before = standing.borrow_and_update().clone();
    assert!(before.active.is_ok() && before.policies.len() == 1);

    world.done("iot:CreatePolicy", json!({ "policyName": "More", "policyDocument": allow_all() })).await;
    assert!(!standing.has_changed().expect("the cell lives"), "a policy that nobody has changes nobody's rights");
    world.done("iot:AttachPolicy", json!({ "policyName": "More", "target": certificate_arn(&id) })).await;
    assert!(standing.has_changed().expect("the cell lives"));
    let more = standing.borrow_and_update().clone();
    assert!(more.policies.len() == 2 && more.epoch > before.epoch);

    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "INACTIVE" })).await;
    assert!(standing.has_changed().expect("the cell lives"));
    let why = standing.borrow_and_update().active.clone().expect_err("the connection ends");
    assert_eq!(why, "the certificate is INACTIVE");
}

#[tokio::test]
async fn policies_decide_and_are_named() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    assert_eq!(code(world.connect(&device, "d").await), "REGISTERED_NOW");
    let id = id_of(&device);
    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "ACTIVE" })).await;
    assert_eq!(code(world.connect(&device, "good").await), "NO_POLICY");

    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:us-east-1:123456789012:client/*" },
        { "Sid": "NotThem", "Effect": "Deny", "Action": "iot:Connect", "Resource": "*:client/bad*" },
    ] });
    let deny = document.to_string().replace("*:client/bad*", "arn:aws:iot:us-east-1:123456789012:client/bad*");
    let narrow = deny.replace("client/*\"", "client/good\"");
    for (name, document) in [("Wide", &deny), ("Narrow", &narrow)] {
        world.done("iot:CreatePolicy", json!({ "policyName": name, "policyDocument": document })).await;
    }
    world.done("iot:AttachPolicy", json!({ "policyName": "Narrow", "target": certificate_arn(&id) })).await;
    assert_eq!(code(world.connect(&device, "good").await), "admitted");
    assert_eq!(code(world.connect(&device, "other").await), "POLICY_DOES_NOT_ALLOW");
    world.done("iot:AttachPolicy", json!({ "policyName": "Wide", "target": certificate_arn(&id) })).await;
    assert_eq!(code(world.connect(&device, "other").await), "admitted");
    let refused = world.connect(&device, "bad-1").await.expect_err("denied");
    let Refusal::PolicyDenies { action, resource, policy, statement, sid } = refused.refusal else {
        panic!("{refused:?}");
    };
    assert_eq!((action.as_str(), statement, sid.as_deref()), ("iot:Connect", 1, Some("NotThem")));
    assert!(resource.ends_with(":client/bad-1"), "{resource}");
    assert!(["Narrow", "Wide"].contains(&policy.as_str()), "{policy}");
}

/// A CA and its certificates in the mode SNI_ONLY count for those who name the endpoint; just-in-time registration too.
#[tokio::test]
async fn sni_only_wants_the_endpoints_name() {
    let world = World::new();
    let ca = ca("Many accounts");
    let input = json!({
        "caCertificate": ca.certificate_pem(), "certificateMode": "SNI_ONLY", "setAsActive": true,
        "allowAutoRegistration": true,
    });
    world.done("iot:RegisterCACertificate", input).await;
    let [mine, lone] = ["mine", "lone"].map(|name| device(&ca, name));
    let leaf = mine.certificate().expect("a certificate");
    let wrong_names = [ServerName::Absent, ServerName::Other];
    for name in wrong_names {
        assert_eq!(code(world.services.judge_handshake(&leaf, name)), "SERVER_NAME_NEEDED");
        assert_eq!(code(world.connect_to(name, &mine, "d").await), "SERVER_NAME_NEEDED");
    }
    assert_eq!(world.keys("iot/cert/"), Vec::<String>::new(), "nothing was registered");
    assert!(world.services.judge_handshake(&leaf, ServerName::Endpoint).is_ok());
    assert_eq!(code(world.connect_to(ServerName::Endpoint, &mine, "d").await), "REGISTERED_NOW");
    let described = world.done("iot:DescribeCertificate", json!({ "certificateId": id_of(&mine) })).await;
    assert_eq!(described["certificateDescription"]["certificateMode"], "SNI_ONLY");

    world.done("iot:RegisterCertificateWithoutCA", json!({ "certificatePem": pem_of(&lone) })).await;
    for device in [&mine, &lone] {
        world.activate(&id_of(device), "Fleet").await;
        for name in wrong_names {
            assert_eq!(code(world.connect_to(name, device, "d").await), "SERVER_NAME_NEEDED");
        }
        assert_eq!(code(world.connect_to(ServerName::Endpoint, device, "d").await), "admitted");
    }
}

/// What cannot be read grants nothing: a revoked device does not stay because another record is damaged.
#[tokio::test]
async fn a_standing_that_cannot_be_read_ends_the_connection() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let id = id_of(&device);
    world.activate(&id, "Fleet").await;
    let mut standing = world.connect(&device, "d").await.expect("admitted").standing;
    standing.borrow_and_update();
    let damaged = store::Write {
        key: b"iot/policy/Fleet".to_vec(),
        value: Some("damaged".into()),
        expect: store::Expect::Anything,
    };
    world.store.commit(vec![damaged]).await.expect("the store knows no records");
    let revoke = json!({ "certificateId": id, "newStatus": "REVOKED" });
    world.call("iot:UpdateCertificate", revoke).await.expect_err("the policy cannot be read");
    let why = standing.borrow_and_update().active.clone().expect_err("the connection ends");
    assert!(why.contains("cannot be read"), "{why}");
}
