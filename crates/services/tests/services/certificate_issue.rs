use domain::x509::{Certificate, KeyKind};
use fleet::{Device, Key, KeyAlgorithm};
use serde_json::{Value, json};

use crate::world::{World, certificate_arn};

const KEYS: &str = "iot:CreateKeysAndCertificate";
const CSR: &str = "iot:CreateCertificateFromCsr";

fn certificate(answer: &Value) -> Certificate {
    Certificate::from_pem(answer["certificatePem"].as_str().expect("PEM")).expect("a certificate")
}

fn key(algorithm: KeyAlgorithm) -> Key {
    Key::generate(algorithm).expect("a key")
}

async fn described(world: &World, id: &Value) -> Value {
    world.done("iot:DescribeCertificate", json!({ "certificateId": id })).await["certificateDescription"].clone()
}

#[tokio::test]
async fn a_key_of_the_servers_making() {
    let world = World::new();
    for (input, status) in [
        (json!({}), "INACTIVE"),
        (json!({ "setAsActive": false }), "INACTIVE"),
        (json!({ "setAsActive": true }), "ACTIVE"),
    ] {
        let answer = world.done(KEYS, input).await;
        let made = certificate(&answer);
        let id = made.id().to_string();
        assert_eq!((&answer["certificateId"], &answer["certificateArn"]), (&json!(id), &json!(certificate_arn(&id))));
        assert_eq!(made.subject().to_text(), "CN=AWS IoT Certificate");
        assert_eq!(made.not_after().to_rfc3339(), "2049-12-31T23:59:59Z");
        assert_eq!((made.key_kind(), made.is_ca(), made.version()), (&KeyKind::Rsa { bits: 2048 }, Some(false), 3));

        let [public, private] = ["PublicKey", "PrivateKey"].map(|half| answer["keyPair"][half].as_str().expect("PEM"));
        assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"), "as AWS's");
        assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n") && public.ends_with("-----END PUBLIC KEY-----\n"));
        let device = Device::from_pem(&made.to_pem(), private).expect("a device");
        assert_eq!(key_of_pem(public), made.spki_der());
        let proof = device.key().signing_request_pem("proof").expect("a request");
        let again = certificate(&world.done(CSR, json!({ "certificateSigningRequest": proof })).await);
        assert_eq!(again.spki_der(), made.spki_der(), "the private key belongs to the certificate");

        let described = described(&world, &answer["certificateId"]).await;
        assert_eq!(described["status"], status);
        assert_eq!((&described["certificateMode"], &described["caCertificateId"]), (&json!("DEFAULT"), &Value::Null));
        if status == "ACTIVE" {
            world.activate(&id, "Fleet").await;
            assert!(world.connect(&device, "d").await.is_ok());
        }
    }
    assert_eq!(world.keys("outbox/"), Vec::<String>::new(), "nobody is told");
}

fn key_of_pem(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(lines).expect("base64")
}

#[tokio::test]
async fn a_key_of_the_callers() {
    let world = World::new();
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::EcP384, KeyAlgorithm::EcP521, KeyAlgorithm::Rsa2048] {
        let key = key(algorithm);
        let input = json!({
            "certificateSigningRequest": key.signing_request_pem("device-1").expect("a request"), "setAsActive": true,
        });
        let answers = [world.done(CSR, input.clone()).await, world.done(CSR, input).await];
        let [one, two] = [certificate(&answers[0]), certificate(&answers[1])];
        assert_ne!((one.id(), one.serial_hex()), (two.id(), two.serial_hex()), "each request makes a certificate");
        assert_eq!((one.subject(), one.spki_der()), (two.subject(), two.spki_der()));
        assert_eq!(one.subject().to_text(), "CN=device-1");
        assert_eq!(answers[0].get("keyPair"), None);
        let device = Device::from_pem(&one.to_pem(), &key.pem()).expect("a device");
        world.activate(&one.id().to_string(), "Fleet").await;
        assert!(world.connect(&device, "d").await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn requests_that_are_refused() {
    let world = World::new();
    let good = key(KeyAlgorithm::EcP256).signing_request_pem("d").expect("a request");
    let no_proof = {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let mut der = key_of_pem(&good);
        // The last byte of the signature.
        *der.last_mut().expect("bytes") ^= 1;
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", STANDARD.encode(der))
    };
    for (text, words) in [
        ("no PEM".to_owned(), "BEGIN CERTIFICATE REQUEST"),
        (good.replace("CERTIFICATE REQUEST", "CERTIFICATE"), "block of the kind CERTIFICATE"),
        (good.repeat(2), "more than 1"),
        (good.repeat(20), "4096 are allowed"),
        (no_proof, "private key of its public key"),
    ] {
        let input = json!({ "certificateSigningRequest": text });
        world.refused(CSR, input, "InvalidRequestException", words).await;
    }
    assert_eq!(world.keys("iot/cert/"), Vec::<String>::new());
}

/// However many ask first, there is one issuing key, for as long as the data directory lives.
#[tokio::test]
async fn the_issuing_key_is_made_once_and_work_is_bounded() {
    let world = World::new();
    let csr = key(KeyAlgorithm::EcP256).signing_request_pem("d").expect("a request");
    let calls = (0..80).map(|_| {
        let (services, input) = (world.services.clone(), json!({ "certificateSigningRequest": csr }));
        let op = services.op(world.root());
        let input = serde_json::from_value(input).expect("an input");
        tokio::spawn(async move { services.iot().create_certificate_from_csr(&op, input).await })
    });
    let calls: Vec<_> = calls.collect();
    let (mut made, mut throttled) = (Vec::new(), 0);
    for call in calls {
        match call.await.expect("no panic") {
            Ok(answer) => made.push(answer.certificate_pem.expect("PEM")),
            Err(err) => {
                assert_eq!(err.code, "ThrottlingException", "{err}");
                throttled += 1;
            }
        }
    }
    // Whoever comes once the first are done has a place again.
    assert!(made.len() >= 64 && throttled >= 1 && made.len() + throttled == 80, "{} made", made.len());
    assert_eq!(world.keys("iot/issuer"), ["iot/issuer"]);
    let world = world.reopen().await;
    let answer = world.done(CSR, json!({ "certificateSigningRequest": csr })).await;
    made.push(answer["certificatePem"].as_str().expect("PEM").to_owned());
    let key_ids: Vec<Vec<u8>> = made.iter().map(|pem| authority_key_id(pem)).collect();
    assert!(key_ids.iter().all(|id| *id == key_ids[0]), "all of one issuer");
}

/// What stands after the OID 2.5.29.35 and two headers.
fn authority_key_id(pem: &str) -> Vec<u8> {
    let certificate = Certificate::from_pem(pem).expect("a certificate");
    let der = certificate.der();
    let oid = [0x55, 0x1d, 0x23];
    let at = der.windows(3).position(|window| window == oid).expect("an authority key identifier");
    der[at + 9..at + 29].to_vec()
}
