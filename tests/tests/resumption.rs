//! TLS sessions resumed by the real openssl: only where the configuration says so, and by nobody who may not come in.
//! Renegotiated they are not.

use landfall_tests::{Credential, DataDir, FieldDevice, Finished, OpenSsl, Operator, Options, Server};
use serde_json::json;

/// CONNECT of `device` in 3.1.1 with a clean session, and DISCONNECT.
const CONNECT_AND_GO: &[u8] = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06device\xe0\x00";

/// One connection: it ends when the server ends it, as it does after DISCONNECT.
fn connect(openssl: &OpenSsl, server: &Server, credential: &Credential, line: &str) -> Finished {
    let line = format!(
        "-CAfile root.crt -verify_return_error -cert {} -key {} -ign_eof {line}",
        credential.certificate.display(),
        credential.key.display()
    );
    openssl.s_client(server.mqtt_addr().port(), &line, CONNECT_AND_GO)
}

/// CONNACK's four bytes are among what s_client prints of itself.
fn is_accepted(finished: &Finished) -> bool {
    finished.stdout.contains(" \u{2}\0\0")
}

async fn landed(server: &Server) -> FieldDevice {
    let ca = Operator::of(server).prepare_activation("resuming").await;
    let device = FieldDevice::new(&ca, "device");
    device.land(server).await.disconnect().await.expect("a proper end");
    device
}

fn keys(data: &DataDir, server: &Server) -> OpenSsl {
    let openssl = OpenSsl::in_dir(data.file("keys"));
    std::fs::copy(server.root_ca(), openssl.path("root.crt")).expect("copied");
    openssl
}

#[tokio::test]
async fn openssl_resumes_where_the_configuration_says_so_and_no_revoked_device_does() {
    let data = DataDir::new();
    let options = Options { config: "[tls]\nsession_resumption = true\n", ..Options::default() };
    let server = Server::start_on(&data, &options);
    let openssl = keys(&data, &server);
    let device = landed(&server).await;
    let credential = device.files(&server);
    for version in ["-tls1_2", "-tls1_3"] {
        let first = connect(&openssl, &server, &credential, &format!("{version} -sess_out {version}.pem"));
        assert!(first.stdout.contains("New, TLSv1") && is_accepted(&first), "{version}: {}", first.text());
        let resume = format!("{version} -sess_in {version}.pem");
        let again = connect(&openssl, &server, &credential, &resume);
        assert!(again.stdout.contains("Reused, TLSv1") && is_accepted(&again), "{version}: {}", again.text());
    }
    Operator::of(&server).update_certificate(&device.id(), "REVOKED").await;
    for version in ["-tls1_2", "-tls1_3"] {
        let refused = connect(&openssl, &server, &credential, &format!("{version} -sess_in {version}.pem"));
        assert!(refused.stdout.contains("Reused, TLSv1") && !is_accepted(&refused), "{version}: {}", refused.text());
        let record = server.wait_for_record(&["--certificate", &device.id()], "CERTIFICATE_REVOKED");
        assert_eq!(record["tlsResumed"], json!(true), "{record}");
    }
    let explained = server.ask("explain", &["--certificate", &device.id()]).must_succeed().stdout;
    assert!(explained.contains(", resumed"), "{explained}");
}

#[tokio::test]
async fn nothing_is_resumed_unless_asked_for() {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options::default());
    let openssl = keys(&data, &server);
    let credential = landed(&server).await.files(&server);
    for version in ["-tls1_2", "-tls1_3"] {
        // With TLS 1.2 openssl writes the session, which the server has forgotten; with 1.3 there is nothing to write.
        let first = connect(&openssl, &server, &credential, &format!("{version} -sess_out {version}.pem"));
        assert!(is_accepted(&first), "{version}: {}", first.text());
        assert!(!first.stdout.contains("session ticket:"), "{version}: {}", first.text());
        let resume = match openssl.path(&format!("{version}.pem")).exists() {
            true => format!("{version} -sess_in {version}.pem"),
            false => version.to_owned(),
        };
        let again = connect(&openssl, &server, &credential, &resume);
        assert!(again.stdout.contains("New, TLSv1") && is_accepted(&again), "{version}: {}", again.text());
    }
}

/// It could be begun without end, and each is a handshake's work.
#[tokio::test]
async fn nobody_renegotiates() {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options::default());
    let openssl = keys(&data, &server);
    let device = landed(&server).await;
    let credential = device.files(&server);
    let line = format!(
        "-tls1_2 -CAfile root.crt -cert {} -key {}",
        credential.certificate.display(),
        credential.key.display()
    );
    let finished = openssl.s_client(server.mqtt_addr().port(), &line, b"R\n");
    assert!(finished.stderr.contains("RENEGOTIATING"), "{}", finished.text());
    assert!(finished.stderr.contains("no renegotiation"), "{}", finished.text());
    device.connect(&server).await.expect("the server goes on").disconnect().await.expect("a proper end");
}
