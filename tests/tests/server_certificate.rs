//! The server's certificate: its own in two kinds, the client's abilities deciding; the operator's, in every form that
//! openssl writes; and the names and addresses that clients connect to.

use std::net::TcpListener;

use landfall_tests::{DataDir, FieldDevice, OpenSsl, Operator, Options, Server};

/// A root, and `server.crt` signed by it for these names, with the key in `server.key`.
fn operators_certificate(openssl: &OpenSsl, key_line: &str, names: &str) {
    openssl.run("ecparam -name prime256v1 -genkey -noout -out root.key");
    openssl.run("req -x509 -new -key root.key -sha256 -days 30 -out root.crt -subj /CN=factory-root");
    for line in key_line.split(" && ") {
        openssl.run(line);
    }
    openssl.run("req -new -key server.key -out server.csr -subj /CN=factory");
    std::fs::write(openssl.path("names.cnf"), format!("subjectAltName={names}\n")).expect("room");
    openssl.run(
        "x509 -req -in server.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -extfile names.cnf -out server.crt",
    );
}

fn shown(openssl: &OpenSsl, port: u16, cafile: &str, line: &str) -> String {
    openssl.s_client(port, &format!("-CAfile {cafile} -verify_return_error {line}"), b"Q\n").text()
}

/// The server's certificate, if there was one. The client says that it verified well where there was none, too.
fn certificate_in(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("-----BEGIN CERTIFICATE-----")?;
    let (base64, _) = rest.split_once("-----END")?;
    Some(format!("-----BEGIN CERTIFICATE-----{base64}-----END CERTIFICATE-----\n"))
}

#[tokio::test]
async fn the_operators_certificate_serves_in_every_form_of_its_key() {
    let forms = [
        ("EC, SEC1", "ecparam -name prime256v1 -genkey -noout -out server.key"),
        (
            "EC, PKCS#8",
            "ecparam -name secp384r1 -genkey -noout -out sec1.key && pkcs8 -topk8 -nocrypt -in sec1.key -out server.key",
        ),
        ("RSA, PKCS#1", "genrsa -traditional -out server.key 2048"),
        ("RSA, PKCS#8", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out server.key"),
    ];
    for (form, key_line) in forms {
        let data = DataDir::new();
        let openssl = OpenSsl::in_dir(data.file("keys"));
        operators_certificate(&openssl, key_line, "DNS:localhost,DNS:iot.factory.example,IP:127.0.0.1");
        // The root is in the chain file, or in a file of its own.
        let (certificate, root) = (openssl.path("server.crt"), openssl.path("root.crt"));
        let chain = openssl.path("chain.crt");
        std::fs::write(&chain, openssl.read("server.crt") + &openssl.read("root.crt")).expect("room");
        let [certificate, root, chain, key] =
            [certificate, root, chain, openssl.path("server.key")].map(|path| path.display().to_string());
        let in_two = ["--server-cert", &certificate, "--server-key", &key, "--server-ca", &root];
        let in_one = ["--server-cert", &chain, "--server-key", &key];
        let flags: &[&str] = if form.starts_with("EC") { &in_two } else { &in_one };
        let server = Server::start_on(&data, &Options { ..Options::with(&[flags, &["--api-tls"]].concat()) });
        assert_eq!(server.fact("endpoint"), "localhost", "{form}: the certificate's first name");
        assert_eq!(server.api_url(), format!("https://localhost:{}", server.api_addr().port()), "{form}");
        for port in [server.api_addr().port(), server.mqtt_addr().port()] {
            let said = shown(&openssl, port, "root.crt", "-verify_hostname iot.factory.example");
            assert!(said.contains("Verify return code: 0 (ok)"), "{form}: {said}");
        }
        let endpoint = server.aws().json(&["iot", "describe-endpoint", "--endpoint-type", "iot:Data-ATS"]);
        assert_eq!(endpoint["endpointAddress"], "localhost", "{form}");
        server.ask("explain", &[]).must_succeed();
        let ca = Operator::of(&server).prepare_activation("own").await;
        let client = FieldDevice::new(&ca, "device").land(&server).await;
        client.disconnect().await.expect("a proper end");
    }
}

/// What openssl says of the certificate that it is shown now.
fn serial(openssl: &OpenSsl, port: u16) -> String {
    let said = shown(openssl, port, "root.crt", "");
    let pem = certificate_in(&said).unwrap_or_else(|| panic!("no certificate: {said}"));
    std::fs::write(openssl.path("shown.crt"), pem).expect("room");
    openssl.run("x509 -in shown.crt -noout -serial -out shown.txt");
    openssl.read("shown.txt")
}

/// Who is connected goes on under the old certificate, who connects gets the new one.
#[tokio::test]
async fn a_renewed_certificate_is_taken_up_while_devices_stay_connected() {
    let data = DataDir::new();
    let openssl = OpenSsl::in_dir(data.file("keys"));
    let key_line = "ecparam -name prime256v1 -genkey -noout -out server.key";
    operators_certificate(&openssl, key_line, "DNS:localhost");
    let [certificate, key, root] = ["server.crt", "server.key", "root.crt"].map(|name| openssl.path(name));
    let [certificate, key, root] = [certificate, key, root].map(|path| path.display().to_string());
    let flags = ["--server-cert", &certificate, "--server-key", &key, "--server-ca", &root];
    let server = Server::start_on(&data, &Options::with(&flags));
    let ca = Operator::of(&server).prepare_activation("renewed").await;
    let device = FieldDevice::new(&ca, "device");
    let mut connected = device.land(&server).await;
    let port = server.mqtt_addr().port();
    let old = serial(&openssl, port);

    let renewal = "ecparam -name secp384r1 -genkey -noout -out renewed.key";
    openssl.run(renewal);
    openssl.run("req -new -key renewed.key -out renewed.csr -subj /CN=factory");
    openssl.run("x509 -req -in renewed.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -extfile names.cnf -out renewed.crt");
    std::fs::rename(openssl.path("renewed.key"), openssl.path("server.key")).expect("renamed");
    std::fs::rename(openssl.path("renewed.crt"), openssl.path("server.crt")).expect("renamed");
    let until = std::time::Instant::now() + landfall_tests::PATIENCE;
    while serial(&openssl, port) == old {
        assert!(std::time::Instant::now() < until, "the new certificate is not taken up: {}", server.stderr());
    }
    connected.publish_at_least_once("JITR/test", &b"still here"[..]).await.expect("the connection goes on");
    device.connect_as(&server, "another").await.expect("under the new one").disconnect().await.expect("a proper end");
    connected.publish_at_least_once("JITR/test", &b"and here"[..]).await.expect("the connection goes on");
    connected.disconnect().await.expect("a proper end");
}

/// A client that can do with RSA only gets the RSA certificate, once the background has made it.
#[tokio::test]
async fn the_clients_abilities_choose_between_ecdsa_and_rsa() {
    let data = DataDir::new();
    let server = Server::start_on(&data, &Options::default());
    let openssl = OpenSsl::in_dir(data.file("keys"));
    std::fs::copy(server.root_ca(), openssl.path("root.crt")).expect("copied");
    let port = server.mqtt_addr().port();
    let rsa_file = server.data_path().join("server-rsa.crt");
    let until = std::time::Instant::now() + landfall_tests::PATIENCE;
    let rsa_only = "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256";
    while certificate_in(&shown(&openssl, port, "root.crt", rsa_only)).is_none() {
        assert!(std::time::Instant::now() < until, "no RSA certificate is made: {}", rsa_file.exists());
    }
    for (line, key) in [
        ("", "id-ecPublicKey"),
        ("-tls1_2", "id-ecPublicKey"),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", "id-ecPublicKey"),
        (rsa_only, "rsaEncryption"),
        ("-tls1_3 -sigalgs RSA-PSS+SHA256", "rsaEncryption"),
        ("-tls1_2 -sigalgs RSA+SHA256:RSA-PSS+SHA256", "rsaEncryption"),
    ] {
        let said = shown(&openssl, port, "root.crt", line);
        assert!(said.contains("Verify return code: 0 (ok)"), "{line}: {said}");
        let pem = certificate_in(&said).unwrap_or_else(|| panic!("no certificate: {said}"));
        std::fs::write(openssl.path("shown.crt"), pem).expect("room");
        openssl.run("x509 -in shown.crt -noout -text -out shown.txt");
        assert!(openssl.read("shown.txt").contains(key), "{line}");
    }
    let root = openssl.read("root.crt");
    server.terminate();
    let server = Server::start_on(&data, &Options::default());
    assert_eq!(std::fs::read_to_string(server.root_ca()).expect("a root"), root, "kept over the restart");
    let said = shown(&openssl, server.mqtt_addr().port(), "root.crt", rsa_only);
    let is_there = said.contains("Verify return code: 0 (ok)") && certificate_in(&said).is_some();
    assert!(is_there, "it is there from the start now: {said}");
}

/// Several names and addresses, and both ports on IPv6.
#[tokio::test]
async fn ipv6_and_several_names_are_served() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("this machine has no IPv6");
        return;
    }
    let data = DataDir::new();
    let names = [
        "--api-tls",
        "--endpoint-name",
        "localhost",
        "--endpoint-name",
        "192.0.2.7",
        "--endpoint-name",
        "iot.factory.example",
    ];
    let server =
        Server::start_on(&data, &Options { api_addr: "[::1]:0", mqtt_addr: "[::1]:0", ..Options::with(&names) });
    assert_eq!(server.api_url(), format!("https://[::1]:{}", server.api_addr().port()));
    assert!(server.mqtt_addr().is_ipv6());
    assert_eq!(server.aws().text(&["sts", "get-caller-identity"], "Account"), "123456789012");
    server.ask("explain", &[]).must_succeed();
    let ca = Operator::of(&server).prepare_activation("six").await;
    let device = FieldDevice::new(&ca, "device");
    device.land(&server).await.disconnect().await.expect("a proper end");
    let published = server.mosquitto().with_endpoint("::1").with_credential(&device.files(&server)).publish(
        "device",
        "JITR/test",
        "Hello",
    );
    assert!(published.is_success(), "{}", published.text());

    let openssl = OpenSsl::in_dir(data.file("keys"));
    std::fs::copy(server.root_ca(), openssl.path("root.crt")).expect("copied");
    let refused = "hostname mismatch";
    for (check, ok) in [
        ("-verify_hostname localhost", true),
        ("-verify_hostname iot.factory.example", true),
        ("-verify_ip 192.0.2.7", true),
        ("-verify_ip ::1", true),
        ("-verify_ip 127.0.0.1", true),
        ("-verify_ip 192.0.2.8", false),
        ("-verify_hostname other.example", false),
    ] {
        let connect = format!("[::1]:{}", server.mqtt_addr().port());
        let said = openssl.s_client_to(&connect, &format!("-CAfile root.crt {check}"), b"Q\n").text();
        let is_ok = said.contains("Verify return code: 0 (ok)") && certificate_in(&said).is_some();
        assert_eq!(is_ok, ok, "{check}: {said}");
        assert!(
            is_ok || said.to_lowercase().contains(refused) || said.contains("IP address mismatch"),
            "{check}: {said}"
        );
    }
}
