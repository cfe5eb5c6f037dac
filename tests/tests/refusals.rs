//! Every refusal, made to happen with real clients; and what `landfall explain` says of it.

use std::io::Read;
use std::net::TcpStream;

use fleet::{Ca, Device, DeviceSpec, Error, KeyAlgorithm, Method, MqttClient, Sni, TlsConnection, TlsVersions, Window};
use landfall_tests::{Credential, FieldDevice, OpenSsl, Operator, PATIENCE, Server};
use mqtt::packet::Connect;
use serde_json::json;
use tokio::sync::OnceCell;

/// What the tests of this file share: a server, a CA that registers, and no rule that activates.
struct Place {
    server: Server,
    ca: Ca,
}

async fn place() -> &'static Place {
    static PLACE: OnceCell<Place> = OnceCell::const_new();
    PLACE
        .get_or_init(|| async {
            let server = Server::start();
            let ca = Operator::of(&server).register_ca("registers").await;
            Place { server, ca }
        })
        .await
}

/// The newest record that fits `filter` has this code, and its sentence says all of `said`.
#[track_caller]
fn check(server: &Server, filter: &[&str], code: &str, said: &[&str]) {
    let record = server.wait_for_record(filter, code);
    let sentence = record["sentence"].as_str().expect("a sentence");
    for part in said {
        assert!(sentence.contains(part), "{code}: {part:?} is not in: {sentence}");
    }
    let page = server.ask("explain", filter).must_succeed().stdout;
    assert!(page.contains(code) && page.contains(sentence), "{page}");
}

/// What mosquitto_pub prints when AWS closes without CONNACK, or on a publish that no policy allows.
const LOST: &str = "Error: The connection was lost.\n";

/// `mosquitto_pub` must fail with these files.
fn publish(server: &Server, credential: &Credential, client_id: &str) -> String {
    let finished = server.mosquitto().with_credential(credential).publish(client_id, "JITR/test", "Hello");
    assert!(!finished.is_success(), "{client_id}: {}", finished.text());
    finished.text()
}

impl Place {
    fn device(&self, name: &str) -> FieldDevice {
        FieldDevice::new(&self.ca, name)
    }

    /// Registered by its first connection, and put into `status` by the operator.
    async fn registered(&self, name: &str, status: &str) -> FieldDevice {
        let device = self.device(name);
        device.must_be_dropped(device.connect(&self.server).await);
        Operator::of(&self.server).update_certificate(&device.id(), status).await;
        device
    }

    fn openssl(&self, name: &str) -> OpenSsl {
        OpenSsl::in_dir(self.server.data_path().join(name))
    }
}

#[tokio::test]
async fn no_client_certificate() {
    // Without a certificate a record has nothing but its address: a server of its own keeps the newest record ours.
    let server = Server::start();
    let finished = server.mosquitto().publish("nobody", "JITR/test", "Hello");
    assert!(!finished.is_success(), "{}", finished.text());
    check(&server, &["--source", "127.0.0.1"], "NO_CLIENT_CERTIFICATE", &["--cert", "--key"]);
}

#[tokio::test]
async fn unknown_issuer() {
    let place = place().await;
    let stranger = Ca::new("Nobody knows this CA", KeyAlgorithm::EcP256).expect("a CA");
    let device = FieldDevice::new(&stranger, "stranger");
    publish(&place.server, &device.files(&place.server), "stranger");
    check(
        &place.server,
        &["--certificate", &device.id()],
        "UNKNOWN_ISSUER",
        &["Nobody knows this CA", "register-ca-certificate"],
    );
}

#[tokio::test]
async fn self_signed() {
    let place = place().await;
    let itself = Device::self_signed(&DeviceSpec::new("itself")).expect("a device");
    let device = FieldDevice::of(&place.ca, itself, "itself");
    publish(&place.server, &device.files(&place.server), "itself");
    check(&place.server, &["--certificate", &device.id()], "UNKNOWN_ISSUER", &["itself"]);
}

#[tokio::test]
async fn issuer_inactive() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let ca = operator.register_ca("inactive CA").await;
    operator.update_ca(&ca, "newStatus=INACTIVE").await;
    let device = FieldDevice::new(&ca, "of-inactive");
    publish(&place.server, &device.files(&place.server), "of-inactive");
    let filter = ["--certificate", &device.id()];
    check(&place.server, &filter, "ISSUER_INACTIVE", &[&ca.id().to_string(), "update-ca-certificate"]);
    assert_eq!(operator.status(&device.id()).await, None, "nothing is registered");
}

#[tokio::test]
async fn auto_registration_off() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let ca = operator.register_ca("CA without auto-registration").await;
    operator.update_ca(&ca, "newAutoRegistrationStatus=DISABLE").await;
    let device = FieldDevice::new(&ca, "not-registered");
    publish(&place.server, &device.files(&place.server), "not-registered");
    let filter = ["--certificate", &device.id()];
    check(&place.server, &filter, "AUTO_REGISTRATION_OFF", &[&ca.id().to_string(), "ENABLE"]);
    assert_eq!(operator.status(&device.id()).await, None, "nothing is registered");
}

#[tokio::test]
async fn registered_just_now_and_then_waiting_for_activation() {
    let place = place().await;
    let device = place.device("waits");
    let (id, files) = (device.id(), device.files(&place.server));
    let first = publish(&place.server, &files, "waits");
    assert_eq!(first, "Client waits sending CONNECT\nError: The connection was lost.\n");
    let activate = format!("--certificate-id {id} --new-status ACTIVE");
    check(&place.server, &["--certificate", &id], "REGISTERED_NOW", &["PENDING_ACTIVATION", &activate]);
    publish(&place.server, &files, "waits");
    check(&place.server, &["--client-id", "waits"], "PENDING_ACTIVATION", &["log of the function", &activate]);
}

#[tokio::test]
async fn a_handshake_alone_registers_nothing() {
    let place = place().await;
    let device = place.device("only-shakes");
    let files = device.files(&place.server);
    for version in ["-tls1_2", "-tls1_3"] {
        let line = format!(
            "{version} -cert {} -key {} -CAfile {} -verify_return_error",
            files.certificate.display(),
            files.key.display(),
            place.server.root_ca().display()
        );
        let finished = place.openssl("shakes").s_client(place.server.mqtt_addr().port(), &line, b"Q\n");
        let said = finished.text();
        // The client says that it verified well where there was no certificate, too.
        assert!(said.contains("Verify return code: 0 (ok)") && said.contains("BEGIN CERTIFICATE"), "{said}");
    }
    assert_eq!(Operator::of(&place.server).status(&device.id()).await, None);
}

#[tokio::test]
async fn inactive() {
    let place = place().await;
    let device = place.registered("inactive", "INACTIVE").await;
    refused_in_tls(place, &device);
    check(&place.server, &["--certificate", &device.id()], "CERTIFICATE_INACTIVE", &["--new-status ACTIVE"]);
}

#[tokio::test]
async fn revoked() {
    let place = place().await;
    let device = place.registered("revoked", "REVOKED").await;
    refused_in_tls(place, &device);
    check(&place.server, &["--certificate", &device.id()], "CERTIFICATE_REVOKED", &["new certificate"]);
}

/// A certificate that may be registered in many accounts counts in ours for a device that names our endpoint.
#[tokio::test]
async fn server_name_needed() {
    let place = place().await;
    let server = &place.server;
    let device = FieldDevice::new(&Ca::new("Anybody", KeyAlgorithm::EcP256).expect("a CA"), "sni-only");
    let operator = Operator::of(server);
    let body = json!({ "certificatePem": device.certificate_pem(), "status": "ACTIVE" });
    operator.must("iot", Method::POST, "/certificate/register-no-ca", Some(&body)).await;
    operator.create_policy("SniOnly", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy("SniOnly", &device.id()).await;
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let tls = device.tls(server).with_versions(versions);
        let without = tls.clone().with_sni(Sni::Omit);
        let outcome = MqttClient::connect(server.mqtt_addr(), &without, Connect::new("sni-only"), PATIENCE).await;
        assert_eq!(outcome.err().and_then(|error| error.tls_alert()), Some(46), "certificate_unknown");
        check(server, &["--certificate", &device.id()], "SERVER_NAME_NEEDED", &["SNI_ONLY", "sent none"]);
        let with = MqttClient::connect(server.mqtt_addr(), &tls, Connect::new("sni-only"), PATIENCE).await;
        with.expect("CONNACK").disconnect().await.expect("a proper end");
    }
}

/// AWS's alert for a certificate it does not take: certificate_unknown, 46.
fn refused_in_tls(place: &Place, device: &FieldDevice) {
    let files = device.files(&place.server);
    let line = format!("-tls1_2 -cert {} -key {}", files.certificate.display(), files.key.display());
    let finished = place.openssl(device.client_id()).s_client(place.server.mqtt_addr().port(), &line, b"");
    assert!(finished.text().contains("SSL alert number 46"), "{}", finished.text());
    publish(&place.server, &files, device.client_id());
}

#[tokio::test]
async fn expired() {
    let place = place().await;
    let spec = DeviceSpec { window: Window::expired(), ..DeviceSpec::new("expired") };
    let device = FieldDevice::of(&place.ca, place.ca.issue(&spec).expect("a device"), "expired");
    refused_in_tls(place, &device);
    check(&place.server, &["--certificate", &device.id()], "CERTIFICATE_EXPIRED", &["expired at", "issue a new one"]);
}

#[tokio::test]
async fn no_policy() {
    let place = place().await;
    let device = place.registered("no-policy", "ACTIVE").await;
    let said = publish(&place.server, &device.files(&place.server), "no-policy");
    assert!(said.ends_with(LOST), "{said}");
    check(&place.server, &["--client-id", "no-policy"], "NO_POLICY", &["attach-policy", &device.id()]);
}

#[tokio::test]
async fn a_policy_denies() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let device = place.registered("denied", "ACTIVE").await;
    let statements = json!([
        { "Effect": "Allow", "Action": "iot:*", "Resource": "*" },
        { "Sid": "NotThisOne", "Effect": "Deny", "Action": "iot:Connect", "Resource": operator.arn("iot", "client/denied") }
    ]);
    operator.create_policy("Denies", &statements).await;
    operator.attach_policy("Denies", &device.id()).await;
    let said = publish(&place.server, &device.files(&place.server), "denied");
    assert!(said.ends_with(LOST), "{said}");
    let said = ["Policy Denies denies iot:Connect", "client/denied", "statement 1", "Sid NotThisOne"];
    check(&place.server, &["--client-id", "denied"], "POLICY_DENIES", &said);
}

#[tokio::test]
async fn a_policy_does_not_allow() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let device = place.registered("elsewhere", "ACTIVE").await;
    let resource = operator.arn("iot", "client/somebody-else");
    let statements = json!([{ "Effect": "Allow", "Action": "iot:Connect", "Resource": resource }]);
    operator.create_policy("SomebodyElse", &statements).await;
    operator.attach_policy("SomebodyElse", &device.id()).await;
    let said = publish(&place.server, &device.files(&place.server), "elsewhere");
    assert!(said.ends_with(LOST), "{said}");
    let resource = operator.arn("iot", "client/elsewhere");
    check(&place.server, &["--client-id", "elsewhere"], "POLICY_DOES_NOT_ALLOW", &["iot:Connect", &resource]);
}

#[tokio::test]
async fn a_topic_is_not_allowed() {
    let place = place().await;
    let operator = Operator::of(&place.server);
    let device = place.registered("wrong-topic", "ACTIVE").await;
    let client = operator.arn("iot", "client/${iot:ClientId}");
    let topic = operator.arn("iot", "topic/own/${iot:ClientId}");
    let statements = json!([
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": client },
        { "Effect": "Allow", "Action": "iot:Publish", "Resource": topic }
    ]);
    operator.create_policy("OwnTopic", &statements).await;
    operator.attach_policy("OwnTopic", &device.id()).await;
    let mut client = device.connect(&place.server).await.expect("CONNACK");
    client.publish_at_least_once("own/wrong-topic", "mine").await.expect("PUBACK");
    client.disconnect().await.expect("a proper end");
    let said = publish(&place.server, &device.files(&place.server), "wrong-topic");
    assert!(said.ends_with(LOST), "{said}");
    let resource = operator.arn("iot", "topic/JITR/test");
    check(&place.server, &["--client-id", "wrong-topic"], "POLICY_DOES_NOT_ALLOW", &["iot:Publish", &resource]);
}

#[tokio::test]
async fn a_malformed_connect() {
    let place = place().await;
    let cases = [
        ("malformed-http", &b"GET / HTTP/1.1\r\n\r\n"[..]),
        ("malformed-name", b"\x10\x0c\x00\x04MQTX\x04\x02\x00\x3c\x00\x00"),
    ];
    for (name, packet) in cases {
        let device = place.registered(name, "ACTIVE").await;
        let files = device.files(&place.server);
        let line = format!("-quiet -cert {} -key {}", files.certificate.display(), files.key.display());
        place.openssl(name).s_client(place.server.mqtt_addr().port(), &line, packet);
        check(&place.server, &["--certificate", &device.id()], "MALFORMED_CONNECT", &["correct the client"]);
    }
}

#[tokio::test]
async fn a_client_that_only_shakes_hands() {
    let place = place().await;
    let device = place.device("shakes-and-waits");
    let connection = TlsConnection::open(place.server.mqtt_addr(), &device.tls(&place.server), PATIENCE).await;
    let mut connection = connection.expect("a handshake");
    let mut nothing = bytes::BytesMut::new();
    let end = connection.receive(&mut nothing, "the end").await;
    assert!(matches!(end, Err(Error::Closed { .. })), "{end:?}");
    check(&place.server, &["--certificate", &device.id()], "CONNECT_TIMEOUT", &["no MQTT CONNECT in time"]);
    assert_eq!(Operator::of(&place.server).status(&device.id()).await, None, "nothing is registered");
}

#[tokio::test]
async fn a_client_that_says_nothing() {
    // The record has nothing but an address: a server of its own keeps the newest record ours.
    let server = Server::start();
    let mut silent = TcpStream::connect(server.mqtt_addr()).expect("a connection");
    let source = silent.local_addr().expect("an address").to_string();
    silent.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let end = silent.read(&mut [0; 16]);
    assert!(matches!(end, Ok(0)), "the server ends the connection: {end:?}");
    check(&server, &["--source", &source], "HANDSHAKE_TIMEOUT", &["TLS handshake"]);
}
