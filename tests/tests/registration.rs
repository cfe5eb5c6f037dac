//! Just-in-time registration on the wire beyond the walkthrough: kinds of keys and signatures, CAs of one name, chains that
//! are too long, and the event on each connection of a device that waits.

use fleet::{Ca, ClientTls, DeviceSpec, KeyAlgorithm, Method, MqttClient, TlsVersions, Window};
use landfall_tests::{Credential, FieldDevice, KeyKind, OpenSsl, Operator, PATIENCE, Server};
use mqtt::Qos;
use mqtt::packet::Connect;
use serde_json::{Value, json};

const EVENTS: &str = "$aws/events/certificates/registered/#";
const REGISTER_CA: &str = "/cacertificate?setAsActive=true&allowAutoRegistration=true";

/// What openssl makes keys with, and what it signs CAs and devices with.
const KINDS: [(&str, &str, &str); 4] = [
    ("P-521", "ecparam -name secp521r1 -genkey -noout -out", "-sha512"),
    ("P-384", "ecparam -name secp384r1 -genkey -noout -out", "-sha384"),
    ("RSA-PSS", "genrsa -out", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
    ("RSA-PSS-SHA512", "genrsa -out", "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
];

struct Factory<'a> {
    openssl: OpenSsl,
    new_key: &'a str,
    signing: &'a str,
}

impl Factory<'_> {
    /// What RegisterCACertificate takes for a new CA of this name.
    fn ca(&self, name: &str, registration_code: &str) -> Value {
        let (openssl, signing) = (&self.openssl, self.signing);
        openssl.run(&format!("{} CA.key", self.new_key));
        openssl.run(&format!("req -x509 -new -nodes -key CA.key {signing} -days 365 -out CA.pem -subj /CN={name}"));
        self.signed("verification", registration_code);
        json!({ "caCertificate": openssl.read("CA.pem"), "verificationCertificate": openssl.read("verification.crt") })
    }

    fn signed(&self, name: &str, common_name: &str) -> Credential {
        let (openssl, signing) = (&self.openssl, self.signing);
        openssl.run(&format!("{} {name}.key", self.new_key));
        openssl.run(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={common_name}"));
        openssl.run(&format!(
            "x509 -req -in {name}.csr -CA CA.pem -CAkey CA.key -CAcreateserial -out {name}.crt -days 365 {signing}"
        ));
        Credential { certificate: openssl.path(&format!("{name}.crt")), key: openssl.path(&format!("{name}.key")) }
    }
}

fn id_in(pem: &str) -> String {
    domain::x509::Certificate::from_pem(pem).expect("openssl's certificate").id().to_string()
}

async fn described(operator: &Operator<'_>, id: &str) -> Value {
    let answer = operator.must("iot", Method::GET, &format!("/certificates/{id}"), None).await;
    answer["certificateDescription"].clone()
}

async fn registration_code(operator: &Operator<'_>) -> String {
    let code = operator.must("iot", Method::GET, "/registrationcode", None).await;
    code["registrationCode"].as_str().expect("a code").to_owned()
}

/// A policy that allows everything, and the certificate ACTIVE under it.
async fn activate(operator: &Operator<'_>, policy: &str, id: &str) {
    operator.create_policy(policy, &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy(policy, id).await;
    operator.update_certificate(id, "ACTIVE").await;
}

#[tokio::test]
async fn each_kind_of_key_and_signature_lands() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let code = registration_code(&operator).await;
    for (name, new_key, signing) in KINDS {
        let factory = Factory { openssl: OpenSsl::in_dir(server.data_path().join(name)), new_key, signing };
        let ca = operator.must("iot", Method::POST, REGISTER_CA, Some(&factory.ca(name, &code))).await;
        let credential = factory.signed("device", name);
        let id = id_in(&factory.openssl.read("device.crt"));
        let newest = server.mosquitto().with_credential(&credential);
        let lost = newest.publish(name, "JITR/test", "Hello");
        assert!(lost.text().ends_with("Error: The connection was lost.\n"), "{name}: {}", lost.text());
        let waiting = described(&operator, &id).await;
        assert_eq!(waiting["status"], "PENDING_ACTIVATION", "{name}");
        assert_eq!(waiting["caCertificateId"], ca["certificateId"], "{name}");
        activate(&operator, name, &id).await;
        let older = newest.clone().with_openssl_conf(factory.openssl.tls_1_2_only());
        for mosquitto in [newest, older] {
            mosquitto.publish(name, "JITR/test", "Hello").must_succeed();
        }
    }
}

/// What OpenSSL before version 3.1 does by default, and the TLS library does not verify: said plainly.
#[tokio::test]
async fn a_pss_salt_of_another_length_is_named() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let signing = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:222";
    let factory =
        Factory { openssl: OpenSsl::in_dir(server.data_path().join("salt")), new_key: "genrsa -out", signing };
    let body = factory.ca("salt", &registration_code(&operator).await);
    let answer = operator.call("iot", Method::POST, REGISTER_CA, Some(&body)).await;
    assert_eq!(answer.error_code().as_deref(), Some("CertificateValidationException"));
    assert!(answer.text().contains("rsa_pss_saltlen:digest"), "{}", answer.text());
    let credential = factory.signed("device", "salt");
    assert!(!server.mosquitto().with_credential(&credential).publish("salt", "JITR/test", "Hello").is_success());
    let id = id_in(&factory.openssl.read("device.crt"));
    let record = server.wait_for_record(&["--certificate", &id], "MALFORMED_CERTIFICATE");
    assert!(record["sentence"].as_str().expect("a sentence").contains("rsa_pss_saltlen:digest"), "{record:#}");
}

/// The issuer is found by its signature, among all that have its name; renewed CAs have even its key.
#[tokio::test]
async fn cas_of_one_name() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let [first, second] = [operator.register_ca("Same").await, operator.register_ca("Same").await];
    for (ca, name) in [(&second, "of-the-second"), (&first, "of-the-first")] {
        let device = FieldDevice::new(ca, name);
        device.must_be_dropped(device.connect(&server).await);
        assert_eq!(described(&operator, &device.id()).await["caCertificateId"], ca.id().to_string());
    }
    let stranger = Ca::new("Same", KeyAlgorithm::EcP256).expect("a CA");
    let device = FieldDevice::new(&stranger, "of-a-stranger");
    assert!(device.connect(&server).await.is_err());
    server.wait_for_record(&["--certificate", &device.id()], "UNKNOWN_ISSUER");
    assert_eq!(operator.status(&device.id()).await, None);

    // The old certificate of the CA is put to rest; the renewed one, of the same key, registers.
    let renewed = Ca::with_key("Same", second.key().clone(), Window::days_from_now(99)).expect("a CA");
    let proof = renewed.verification_certificate_pem(&registration_code(&operator).await).expect("a proof");
    let body = json!({ "caCertificate": renewed.certificate_pem(), "verificationCertificate": proof });
    operator.must("iot", Method::POST, REGISTER_CA, Some(&body)).await;
    operator.update_ca(&second, "newStatus=INACTIVE").await;
    let device = FieldDevice::new(&second, "of-the-renewed");
    device.must_be_dropped(device.connect(&server).await);
    assert_eq!(described(&operator, &device.id()).await["caCertificateId"], renewed.id().to_string());
}

/// Nothing of a chain without bound is kept, and nobody is registered by it. Ten certificates are not too many.
#[tokio::test]
async fn a_chain_that_is_too_long() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.register_ca("registers").await;
    let device = ca.issue(&DeviceSpec::new("long-chain")).expect("a device");
    let id = device.id().to_string();
    let root = std::fs::read_to_string(server.root_ca()).expect("the server's root");
    let a_hundred_kilobytes = 100_000 / ca.certificate().der().len() + 1;
    for (certificates, reason) in [(12, "MALFORMED_CERTIFICATE"), (a_hundred_kilobytes, "TLS_FAILED")] {
        for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
            let tls = ClientTls::new(&root, server.fact("endpoint")).expect("a usable root");
            let chain = vec![&ca; certificates];
            let tls = tls.with_device(&device, &chain).expect("a device").with_versions(versions);
            let outcome = MqttClient::connect(server.mqtt_addr(), &tls, Connect::new("d"), PATIENCE).await;
            assert!(outcome.is_err(), "{certificates} certificates");
            let record = server.wait_for_record(&["--source", "127.0.0.1"], reason);
            assert!(record.to_string().len() < 32 * 1024, "{}", record.to_string().len());
        }
        assert_eq!(operator.status(&id).await, None, "{certificates} certificates");
    }
    for (versions, reason) in
        [(TlsVersions::Tls12Only, "REGISTERED_NOW"), (TlsVersions::Tls13Only, "PENDING_ACTIVATION")]
    {
        let tls = ClientTls::new(&root, server.fact("endpoint")).expect("a usable root");
        let tls = tls.with_device(&device, &[&ca; 9]).expect("a device").with_versions(versions);
        let outcome = MqttClient::connect(server.mqtt_addr(), &tls, Connect::new("d"), PATIENCE).await;
        assert!(outcome.is_err_and(|error| error.is_closed_without_connack()));
        let record = server.wait_for_record(&["--certificate", &id], reason);
        assert_eq!(record["chain"].as_array().map(Vec::len), Some(10), "{record}");
    }
    // The device is welcome with a chain of its own.
    let device = FieldDevice::of(&ca, device, "long-chain");
    device.must_be_dropped(device.connect(&server).await);
    assert_eq!(operator.status(&id).await.as_deref(), Some("PENDING_ACTIVATION"));
}

/// One certificate, and large: known by its id, not kept.
#[tokio::test]
async fn a_certificate_that_is_too_large_to_record() {
    let server = Server::start();
    let openssl = OpenSsl::in_dir(server.data_path().join("large"));
    openssl.key(KeyKind::Ec, "large.key");
    let comment = format!("nsComment={}", "x".repeat(40_000));
    openssl.run(&format!(
        "req -x509 -new -nodes -key large.key -sha256 -days 9 -out large.crt -subj /CN=large -addext {comment}"
    ));
    let credential = Credential { certificate: openssl.path("large.crt"), key: openssl.path("large.key") };
    assert!(!server.mosquitto().with_credential(&credential).publish("large", "a", "b").is_success());
    let record = server.wait_for_record(&["--certificate", &id_in(&openssl.read("large.crt"))], "UNKNOWN_ISSUER");
    assert_eq!(record["chain"], json!([]), "its bytes are not recorded");
}

async fn event(listener: &mut MqttClient) -> Value {
    let message = listener.next_message().await.expect("an event");
    let event: Value = serde_json::from_slice(&message.payload).expect("JSON");
    let topic = format!("$aws/events/certificates/registered/{}", event["caCertificateId"].as_str().expect("an id"));
    assert_eq!(message.topic.as_str(), topic);
    event
}

/// On every CONNECT while the certificate waits, and no more once it is active.
#[tokio::test]
async fn the_event_comes_again_while_a_device_waits() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let ca = operator.register_ca("registers").await;
    let listener = FieldDevice::new(&ca, "listener");
    listener.must_be_dropped(listener.connect(&server).await);
    activate(&operator, "everything", &listener.id()).await;
    let mut hears = listener.connect(&server).await.expect("CONNACK");
    hears.subscribe(EVENTS, Qos::AtLeastOnce).await.expect("SUBACK");

    let device = FieldDevice::new(&ca, "waits");
    let mut heard: Vec<Value> = Vec::new();
    for _ in 0..3 {
        device.must_be_dropped(device.connect(&server).await);
        heard.push(event(&mut hears).await);
    }
    let registered_at = heard[0]["timestamp"].as_i64().expect("a number");
    assert_eq!(heard[0]["certificateRegistrationTimestamp"], Value::Null);
    for event in &heard {
        assert_eq!((&event["certificateId"], &event["caCertificateId"]), (&json!(device.id()), &json!(ca.id())));
        assert_eq!(event["certificateStatus"], "PENDING_ACTIVATION");
    }
    for pair in heard.windows(2) {
        assert!(pair[0]["timestamp"].as_i64() < pair[1]["timestamp"].as_i64(), "{pair:#?}");
        assert_eq!(pair[1]["certificateRegistrationTimestamp"], registered_at.to_string(), "text, as on AWS");
    }

    // Many at once: what is owed when a CONNECT comes is told once for both, so there is at least one event, and at most
    // one for each.
    let [a, b, c] = ["a", "b", "c"].map(|client_id| device.connect_as(&server, client_id));
    let outcomes = tokio::join!(a, b, c);
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        device.must_be_dropped(outcome);
    }
    // Whatever there is comes before the event of a device that connects now.
    let other = FieldDevice::new(&ca, "comes-last");
    other.must_be_dropped(other.connect(&server).await);
    let mut told = 0;
    loop {
        let event = event(&mut hears).await;
        if event["certificateId"] == other.id() {
            break;
        }
        assert_eq!(event["certificateRegistrationTimestamp"], registered_at.to_string());
        told += 1;
    }
    assert!((1..=3).contains(&told), "{told} events");

    operator.attach_policy("everything", &device.id()).await;
    operator.update_certificate(&device.id(), "ACTIVE").await;
    device.connect(&server).await.expect("CONNACK").disconnect().await.expect("a proper end");
    hears.ping().await.expect("PINGRESP");
    assert_eq!(hears.messages_kept(), 0, "an active device is no event");
}
