use serde_json::json;

use crate::world::{ACCOUNT, World, certificate_arn, device, id_of, pages};

#[tokio::test]
async fn a_registered_device_is_described() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    world.connect(&device, "device-1").await.expect_err("registered, not admitted");
    let id = id_of(&device);
    let described = world.done("iot:DescribeCertificate", json!({ "certificateId": id })).await;
    let description = &described["certificateDescription"];
    for (member, expected) in [
        ("certificateArn", json!(certificate_arn(&id))),
        ("caCertificateId", json!(ca.id().to_string())),
        ("status", json!("PENDING_ACTIVATION")),
        ("certificateMode", json!("DEFAULT")),
        ("certificatePem", json!(device.certificate_pem().expect("PEM"))),
        ("ownedBy", json!(ACCOUNT)),
    ] {
        assert_eq!(description[member], expected, "{member}");
    }
    for id in ["00".repeat(32), "0x12".to_owned()] {
        let words = "Requested certificate does not exist.";
        let input = json!({ "certificateId": id });
        world.refused("iot:DescribeCertificate", input, "ResourceNotFoundException", words).await;
    }
}

/// Each row: the statuses asked for in turn, on a new device.
#[tokio::test]
async fn the_states_of_a_certificate() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let (state, invalid) = ("CertificateStateException", "InvalidRequestException");
    let table: [(&[(&str, Option<&str>)], &str); 8] = [
        (&[("ACTIVE", None), ("ACTIVE", None), ("INACTIVE", None), ("ACTIVE", None)], "ACTIVE"),
        (&[("INACTIVE", None), ("INACTIVE", None)], "INACTIVE"),
        (&[("REVOKED", None), ("REVOKED", None)], "REVOKED"),
        (&[("ACTIVE", None), ("REVOKED", None), ("ACTIVE", Some(state))], "REVOKED"),
        (&[("REVOKED", None), ("INACTIVE", Some(state))], "REVOKED"),
        (&[("PENDING_ACTIVATION", Some(invalid))], "PENDING_ACTIVATION"),
        (&[("PENDING_TRANSFER", Some(invalid))], "PENDING_ACTIVATION"),
        (&[("GONE", Some(invalid))], "PENDING_ACTIVATION"),
    ];
    for (n, (steps, end)) in table.into_iter().enumerate() {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        for (status, refusal) in steps {
            let input = json!({ "certificateId": id_of(&device), "newStatus": status });
            let answer = world.call("iot:UpdateCertificate", input).await;
            assert_eq!(answer.err().map(|err| err.code), *refusal, "{steps:?}: {status}");
        }
        let described = world.done("iot:DescribeCertificate", json!({ "certificateId": id_of(&device) })).await;
        assert_eq!(described["certificateDescription"]["status"], end, "{steps:?}");
    }
    let missing = json!({ "certificateId": "00".repeat(32), "newStatus": "ACTIVE" });
    world.refused("iot:UpdateCertificate", missing, "ResourceNotFoundException", "does not exist").await;
}

#[tokio::test]
async fn lists_are_paged_by_age() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let device = device(&ca, &format!("device-{n}"));
        world.connect(&device, "d").await.expect_err("registered, not admitted");
        ids.push(id_of(&device));
        world.pass_ms(1);
    }
    for ascending in [true, false] {
        let input = json!({ "pageSize": 2, "ascendingOrder": ascending });
        let pages = pages(&world, "iot:ListCertificates", input, "certificates", "nextMarker").await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        let mut listed: Vec<&str> = pages.iter().flatten().filter_map(|one| one["certificateId"].as_str()).collect();
        if !ascending {
            listed.reverse();
        }
        assert_eq!(listed, ids);
    }
    world.refused("iot:ListCertificates", json!({ "marker": "%" }), "InvalidRequestException", "marker").await;
}

/// A directory from before certificates were kept in order is put in order when a server starts on it.
#[tokio::test]
async fn an_older_directory_is_put_in_order() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    for n in 0..5 {
        world.connect(&device(&ca, &format!("device-{n}")), "d").await.expect_err("registered, not admitted");
        world.pass_ms(1000);
    }
    let lists = async || {
        let all = world.done("iot:ListCertificates", json!({})).await;
        let of_ca = world.done("iot:ListCertificatesByCA", json!({ "caCertificateId": ca.id().to_string() })).await;
        (all["certificates"].clone(), of_ca["certificates"].clone())
    };
    world.services.settle_identity().await.expect("settled");
    let (all, of_ca) = lists().await;
    assert_eq!((all.as_array().map(Vec::len), &of_ca), (Some(5), &all));

    let mut writes: Vec<store::Write> = Vec::new();
    let write = |key: &str, value: Option<&str>| store::Write {
        key: key.into(),
        value: value.map(|value| bytes::Bytes::copy_from_slice(value.as_bytes())),
        expect: store::Expect::Anything,
    };
    writes.extend(world.keys("iot/cert-order/").iter().map(|key| write(key, None)));
    let identity = format!(r#"{{"v":1,"r":{{"account":"{}","region":"us-east-1"}}}}"#, crate::world::ACCOUNT);
    writes.push(write("server/identity", Some(&identity)));
    world.store.commit(writes).await.expect("committed");
    assert_eq!(lists().await.0, json!([]));
    world.services.settle_identity().await.expect("settled");
    assert_eq!(lists().await, (all, of_ca));
}
