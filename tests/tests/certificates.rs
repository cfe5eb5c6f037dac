//! CA certificates, device certificates, the registration code and tags, by boto3 and the CLI; and devices that connect with
//! what they were given.

use fleet::{Ca, Device, DeviceSpec, Key, KeyAlgorithm, Window};
use landfall_tests::{Credential, FieldDevice, KeyKind, OpenSsl, Operator, Server};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("data/certificates.py");

fn ca(name: &str) -> Ca {
    Ca::new(name, KeyAlgorithm::EcP256).expect("a CA")
}

fn pem(ca: &Ca, name: &str) -> String {
    ca.issue(&DeviceSpec::new(name)).expect("a device").certificate_pem().expect("PEM")
}

#[tokio::test]
async fn boto3_keeps_a_registry() {
    let server = Server::start();
    let [first, second] = [ca("Same"), ca("Same")];
    let renewed = Ca::with_key("Same", second.key().clone(), Window::days_from_now(99)).expect("a CA");
    let key = Key::generate(KeyAlgorithm::EcP256).expect("a key");
    let materials = json!({
        "cas": [first.certificate_pem(), second.certificate_pem()],
        "leaves": (0..5).map(|n| pem(&first, &format!("device-{n}"))).collect::<Vec<_>>(),
        "renewed": renewed.certificate_pem(),
        "of_renewed": pem(&second, "of-renewed"),
        "stranger": pem(&ca("Stranger"), "stranger"),
        "csr": key.signing_request_pem("from-csr").expect("a request"),
    });
    let left = server.aws().python(&format!("materials = {materials}\n{SCRIPT}"));

    // A device that was given key and certificate is let in with them.
    let text = |name: &str| left[name].as_str().expect("text").to_owned();
    let device = Device::from_pem(&text("certificate"), &text("key")).expect("a device");
    let operator = Operator::of(&server);
    operator.attach_policy("Everything", &device.id().to_string()).await;
    let device = FieldDevice::of(&first, device, "given-a-key");
    device.connect(&server).await.expect("CONNACK").disconnect().await.expect("a proper end");

    let issued = domain::x509::Certificate::from_pem(&text("issued")).expect("a certificate");
    assert_eq!(issued.subject().to_text(), "CN=from-csr");
    assert_eq!(issued.not_after().to_rfc3339(), "2049-12-31T23:59:59Z");
    let device = Device::from_pem(&text("issued"), &key.pem()).expect("a device");
    let id = device.id().to_string();
    operator.attach_policy("Everything", &id).await;
    operator.update_certificate(&id, "ACTIVE").await;
    let device = FieldDevice::of(&first, device, "brought-a-key");
    device.connect(&server).await.expect("CONNACK").disconnect().await.expect("a proper end");
}

/// As the guide has it: the CLI writes the files, mosquitto_pub uses them.
#[test]
fn the_cli_makes_keys_and_mosquitto_uses_them() {
    let server = Server::start();
    let aws = server.aws();
    let openssl = OpenSsl::in_dir(server.data_path().join("cli"));
    let path = |name: &str| openssl.path(name).display().to_string();
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:*", "Resource": "*" }] });
    let document = document.to_string();
    let create =
        ["iot", "create-policy", "--policy-name", "All", "--policy-document", &document, "--tags", "Key=a,Value=b"];
    let policy_arn = aws.text(&create, "policyArn");
    let tags = aws.json(&["iot", "list-tags-for-resource", "--resource-arn", &policy_arn]);
    assert_eq!(tags["tags"], json!([{ "Key": "a", "Value": "b" }]));

    let (certificate, public, private) = (path("made.crt"), path("made.pub"), path("made.key"));
    let made = aws.json(&[
        "iot",
        "create-keys-and-certificate",
        "--set-as-active",
        "--certificate-pem-outfile",
        &certificate,
        "--public-key-outfile",
        &public,
        "--private-key-outfile",
        &private,
    ]);
    // The three belong together, and openssl reads them.
    openssl.run(&format!("pkey -in {private} -pubout -out again.pub"));
    assert_eq!(openssl.read("again.pub"), openssl.read("made.pub"));
    openssl.run(&format!("x509 -in {certificate} -pubkey -noout -out certified.pub"));
    assert_eq!(openssl.read("certified.pub"), openssl.read("made.pub"));

    openssl.key(KeyKind::Ec, "own.key");
    openssl.run("req -new -key own.key -out own.csr -subj /CN=own/O=Factory");
    let csr = openssl.url("own.csr");
    let issued = aws.json(&[
        "iot",
        "create-certificate-from-csr",
        "--certificate-signing-request",
        &csr,
        "--set-as-active",
        "--certificate-pem-outfile",
        &path("own.crt"),
    ]);
    for (name, answer) in [("made", &made), ("own", &issued)] {
        let arn = answer["certificateArn"].as_str().expect("an ARN");
        aws.json(&["iot", "attach-policy", "--policy-name", "All", "--target", arn]);
        let file = |kind: &str| openssl.path(&format!("{name}.{kind}"));
        let mosquitto = server.mosquitto().with_credential(&Credential { certificate: file("crt"), key: file("key") });
        mosquitto.publish(name, "JITR/test", "Hello").must_succeed();
        mosquitto.clone().with_openssl_conf(openssl.tls_1_2_only()).publish(name, "a", "b").must_succeed();

        let id = answer["certificateId"].as_str().expect("an id");
        aws.json(&["iot", "update-certificate", "--certificate-id", id, "--new-status", "INACTIVE"]);
        let refused = aws.run(&["iot", "delete-certificate", "--certificate-id", id]);
        assert!(refused.stderr.contains("An error occurred (DeleteConflictException)"), "{}", refused.stderr);
        aws.json(&["iot", "delete-certificate", "--certificate-id", id, "--force-delete"]);
        assert!(!mosquitto.publish(name, "a", "b").is_success(), "{name} is gone");
        server.wait_for_record(&["--certificate", id], "UNKNOWN_ISSUER");
    }
}

/// The rights of a live connection go with its certificate; a CA that vouches lets the device begin anew.
#[tokio::test]
async fn a_device_that_is_deleted_begins_anew() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.prepare_activation("activation").await;
    let device = FieldDevice::new(&ca, "device");
    let mut client = device.land(&server).await;
    let target = format!("/certificates/{}", device.id());
    operator.update_certificate(&device.id(), "INACTIVE").await;
    let delete = format!("{target}?forceDelete=true");
    operator.must("iot", fleet::Method::DELETE, &delete, None).await;
    client.closed().await.expect("the connection ends");
    assert_eq!(operator.status(&device.id()).await, None);
    device.land(&server).await.disconnect().await.expect("a proper end");
    let again: Value = operator.must("iot", fleet::Method::GET, &target, None).await;
    assert_eq!(again["certificateDescription"]["caCertificateId"], ca.id().to_string());
}
