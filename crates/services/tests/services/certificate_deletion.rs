//! What goes with a certificate, and with a CA, that is deleted; and what stays.

use broker::Broker;
use mqtt::{Qos, TopicFilter};
use serde_json::json;

use crate::world::{World, ca, certificate_arn, device, id_of, pem_of};

const DELETE: &str = "iot:DeleteCertificate";

/// Everything that the registry holds of devices.
fn kept(world: &World) -> Vec<String> {
    let prefixes = ["iot/cert/", "iot/signed/", "iot/attached/", "iot/target/", "outbox/"];
    prefixes.iter().flat_map(|prefix| world.keys(prefix)).collect()
}

#[tokio::test]
async fn the_order_of_the_checks() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let device = device(&factory, "device");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let id = id_of(&device);
    world.activate(&id, "Fleet").await;
    let input = |force: bool| json!({ "certificateId": id, "forceDelete": force });
    for force in [false, true] {
        let words = "must be deactivated (not ACTIVE) before deletion";
        world.refused(DELETE, input(force), "CertificateStateException", words).await;
    }
    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "REVOKED" })).await;
    let words = format!("Certificate policies must be detached before deletion (arn: {})", certificate_arn(&id));
    world.refused(DELETE, input(false), "DeleteConflictException", &words).await;
    world.done(DELETE, input(true)).await;
    assert_eq!(kept(&world), Vec::<String>::new(), "nothing of it is left");
    for missing in [id.as_str(), "zz"] {
        let input = json!({ "certificateId": missing });
        world.refused(DELETE, input, "ResourceNotFoundException", "does not exist").await;
    }
    world.done("iot:GetPolicy", json!({ "policyName": "Fleet" })).await;
}

/// As on AWS: what was deleted was never seen, and its CA vouches for it.
#[tokio::test]
async fn a_deleted_device_may_come_again() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let device = device(&factory, "device");
    for _ in 0..2 {
        let refused = world.connect(&device, "d").await.expect_err("registered, not admitted");
        assert_eq!(refused.refusal.code(), "REGISTERED_NOW");
        world.done(DELETE, json!({ "certificateId": id_of(&device) })).await;
    }
    world.done("iot:RegisterCertificate", json!({ "certificatePem": pem_of(&device) })).await;
}

#[tokio::test]
async fn an_event_that_is_owed_goes_with_its_certificate() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let [gone, there] = ["gone", "there"].map(|name| device(&factory, name));
    for device in [&gone, &there] {
        world.connect(device, "d").await.expect_err("registered, not admitted");
    }
    world.done(DELETE, json!({ "certificateId": id_of(&gone) })).await;
    let broker: &Broker = &world.broker;
    let claim = broker.claim("listener");
    let filter = TopicFilter::parse("$aws/events/certificates/registered/#").expect("a filter");
    claim.subscribe(filter, Qos::AtLeastOnce);
    let _running = world.run();
    let wait = tokio::time::timeout(std::time::Duration::from_secs(10), claim.next_delivery());
    let event = wait.await.expect("an event").message.payload.clone();
    let event: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
    assert_eq!(event["certificateId"], id_of(&there), "the one that is left, and only that");
    assert!(claim.try_next_delivery().is_none());
}

#[tokio::test]
async fn a_live_connection_ends_with_its_certificate() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let device = device(&factory, "device");
    world.connect(&device, "d").await.expect_err("registered, not admitted");
    let id = id_of(&device);
    world.activate(&id, "Fleet").await;
    let mut standing = world.connect(&device, "d").await.expect("admitted").standing;
    world.done("iot:UpdateCertificate", json!({ "certificateId": id, "newStatus": "INACTIVE" })).await;
    standing.borrow_and_update();
    world.done(DELETE, json!({ "certificateId": id, "forceDelete": true })).await;
    assert!(standing.has_changed().expect("the cell lives"));
    let why = standing.borrow_and_update().active.clone().expect_err("the connection ends");
    assert_eq!(why, "the certificate was deleted");
}

#[tokio::test]
async fn a_ca_goes_and_its_devices_stay() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    let [old, new] = ["old", "new"].map(|name| device(&factory, name));
    world.connect(&old, "d").await.expect_err("registered, not admitted");
    world.activate(&id_of(&old), "Fleet").await;
    let (delete, id) = ("iot:DeleteCACertificate", json!({ "certificateId": factory.id().to_string() }));
    world.refused(delete, id.clone(), "CertificateStateException", "must be deactivated").await;
    let inactive = json!({ "certificateId": factory.id().to_string(), "newStatus": "INACTIVE" });
    world.done("iot:UpdateCACertificate", inactive).await;
    assert_eq!(world.done(delete, id.clone()).await, json!({}));
    assert_eq!(world.keys("iot/ca"), Vec::<String>::new(), "the subject has room again");
    for operation in [delete, "iot:DescribeCACertificate", "iot:UpdateCACertificate"] {
        world
            .refused(operation, id.clone(), "ResourceNotFoundException", "Requested CA Certificate does not exist.")
            .await;
    }
    let stays = async |world: &World| {
        assert!(world.connect(&old, "d").await.is_ok());
        let refused = world.connect(&new, "d").await.expect_err("nobody vouches for it");
        assert_eq!(refused.refusal.code(), "UNKNOWN_ISSUER");
        let input = json!({ "caCertificateId": factory.id().to_string() });
        let listed = world.done("iot:ListCertificatesByCA", input).await;
        assert_eq!(listed["certificates"][0]["certificateId"], id_of(&old), "still said to be the CA's");
    };
    stays(&world).await;
    let world = world.reopen().await;
    stays(&world).await;
    world.done("iot:RegisterCACertificate", world.registration(&factory).await).await;
    let refused = world.connect(&new, "d").await.expect_err("registered, not admitted");
    assert_eq!(refused.refusal.code(), "REGISTERED_NOW");
}

#[tokio::test]
async fn deleted_cas_make_room_for_their_subject() {
    let world = World::new();
    let register = "iot:RegisterCACertificate";
    let mut registered = Vec::new();
    for _ in 0..10 {
        let ca = ca("Same");
        world.done(register, json!({ "caCertificate": ca.certificate_pem(), "certificateMode": "SNI_ONLY" })).await;
        registered.push(ca);
    }
    let input = json!({ "caCertificate": ca("Same").certificate_pem(), "certificateMode": "SNI_ONLY" });
    world.refused(register, input.clone(), "LimitExceededException", "same subject").await;
    world.done("iot:DeleteCACertificate", json!({ "certificateId": registered[4].id().to_string() })).await;
    world.done(register, input).await;
}

#[tokio::test]
async fn a_registration_code_that_is_deleted_proves_nothing() {
    let world = World::new();
    let ca = ca("Factory");
    let delete = "iot:DeleteRegistrationCode";
    world.refused(delete, json!({}), "ResourceNotFoundException", "registration code").await;
    let before = world.registration(&ca).await;
    assert_eq!(world.done(delete, json!({})).await, json!({}));
    let code = "RegistrationCodeValidationException";
    world.refused("iot:RegisterCACertificate", before.clone(), code, "registration code").await;
    // A new code, and the old proof is of the old one.
    let after = world.registration(&ca).await;
    world.refused("iot:RegisterCACertificate", before, code, "registration code").await;
    world.done("iot:RegisterCACertificate", after).await;
}

/// Whoever attaches or announces while a certificate is deleted either comes first, and it goes too, or comes too late.
#[tokio::test]
async fn nothing_is_left_by_those_who_came_at_once() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    world.done("iot:CreatePolicy", json!({ "policyName": "Fleet", "policyDocument": crate::world::allow_all() })).await;
    for n in 0..20 {
        let device = device(&factory, &format!("device-{n}"));
        world.done("iot:RegisterCertificate", json!({ "certificatePem": pem_of(&device) })).await;
        let id = id_of(&device);
        let attach = json!({ "policyName": "Fleet", "target": certificate_arn(&id) });
        let delete = json!({ "certificateId": id, "forceDelete": true });
        // In either order.
        let (attached, deleted) = if n % 2 == 0 {
            tokio::join!(world.call("iot:AttachPolicy", attach), world.call(DELETE, delete))
        } else {
            let (deleted, attached) = tokio::join!(world.call(DELETE, delete), world.call("iot:AttachPolicy", attach));
            (attached, deleted)
        };
        deleted.expect("deleted");
        if let Err(err) = attached {
            assert_eq!(err.code, "ResourceNotFoundException", "{err}");
        }
        assert_eq!(kept(&world), Vec::<String>::new(), "round {n}");
    }
}

/// A certificate that is registered from two sides at once is registered once, by one of them.
#[tokio::test]
async fn registered_once_however_it_comes() {
    let world = World::new();
    let factory = world.registered_ca("Factory").await;
    for n in 0..20 {
        let device = device(&factory, &format!("device-{n}"));
        let by_hand = world.call("iot:RegisterCertificate", json!({ "certificatePem": pem_of(&device) }));
        let (by_hand, connected) = if n % 2 == 0 {
            tokio::join!(by_hand, world.connect(&device, "d"))
        } else {
            let (connected, by_hand) = tokio::join!(world.connect(&device, "d"), by_hand);
            (by_hand, connected)
        };
        let connected = connected.expect_err("not admitted").refusal.code();
        let owed = world.keys("outbox/").contains(&format!("outbox/registered/{}", id_of(&device)));
        match by_hand {
            Ok(_) => assert_eq!((connected, owed), ("CERTIFICATE_INACTIVE", false), "round {n}"),
            Err(err) => {
                assert_eq!(err.code, "ResourceAlreadyExistsException", "{err}");
                assert_eq!((connected, owed), ("REGISTERED_NOW", true), "round {n}");
            }
        }
    }
    assert_eq!(world.keys("iot/cert/").len(), 20);
}

/// A CA that is deactivated while its devices connect registers none that comes after.
#[tokio::test]
async fn a_ca_that_is_closed_meanwhile_registers_nobody() {
    let world = World::new();
    for n in 0..20 {
        let factory = world.registered_ca(&format!("Factory {n}")).await;
        let device = device(&factory, "device");
        let close = json!({ "certificateId": factory.id().to_string(), "newStatus": "INACTIVE" });
        let close = world.call("iot:UpdateCACertificate", close);
        let (closed, connected) = if n % 2 == 0 {
            tokio::join!(close, world.connect(&device, "d"))
        } else {
            let (connected, closed) = tokio::join!(world.connect(&device, "d"), close);
            (closed, connected)
        };
        closed.expect("closed");
        let code = connected.expect_err("not admitted").refusal.code();
        let registered = world.keys("iot/cert/").contains(&format!("iot/cert/{}", id_of(&device)));
        match code {
            "REGISTERED_NOW" => assert!(registered, "round {n}"),
            "ISSUER_INACTIVE" => assert!(!registered, "round {n}"),
            other => panic!("round {n}: {other}"),
        }
    }
}
