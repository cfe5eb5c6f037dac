//! The factory's tools, checked by openssl and by what a device made with them can do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use landfall_tests::{ACTIVATE, Credential, DataDir, Finished, OpenSsl, Operator, PATIENCE, Server, finish};
use serde_json::Value;

/// The folder that one test's tools write to, and openssl beside them.
struct Factory {
    data: DataDir,
    openssl: OpenSsl,
}

impl Factory {
    fn new() -> Self {
        let data = DataDir::new();
        let openssl = OpenSsl::in_dir(data.file("factory"));
        Self { data, openssl }
    }

    /// `landfall LINE` in the factory's folder, whatever comes of it.
    fn run(&self, line: &str) -> Finished {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, more: &[&str]) -> Finished {
        let mut command = Server::program();
        command.current_dir(&self.openssl).env("LANDFALL_DATA_DIR", self.data.file("data"));
        finish(command.args(line.split_whitespace()).args(more), PATIENCE)
    }

    #[track_caller]
    fn must(&self, line: &str) -> String {
        self.run(line).must_succeed().stdout
    }

    /// What openssl prints of a certificate.
    #[track_caller]
    fn text(&self, certificate: &str) -> String {
        self.openssl_says(&format!("x509 -noout -text -in {certificate}"))
    }

    #[track_caller]
    fn openssl_says(&self, line: &str) -> String {
        let mut command = Command::new("openssl");
        let command = command.current_dir(&self.openssl).args(line.split_whitespace());
        finish(command, PATIENCE).must_succeed().text()
    }

    fn mode(&self, file: &str) -> u32 {
        let path = self.openssl.path(file);
        path.metadata().unwrap_or_else(|error| panic!("{file}: {error}")).permissions().mode() & 0o777
    }
}

/// The line after `title` in openssl's text.
fn extension<'a>(text: &'a str, title: &str) -> &'a str {
    let mut lines = text.lines().skip_while(|line| !line.trim().starts_with(title));
    let title = lines.next().unwrap_or_else(|| panic!("no {title:?} in {text}"));
    let value = lines.next().unwrap_or_default().trim();
    if title.trim().ends_with("critical") { value } else { value.trim_start_matches("keyid:") }
}

#[test]
fn openssl_finds_every_extension_in_its_place() {
    let factory = Factory::new();
    for (flags, key) in [
        ("", "NIST CURVE: P-256"),
        ("--key-type ec-p384", "NIST CURVE: P-384"),
        ("--key-type ec-p521", "NIST CURVE: P-521"),
        ("--rsa", "Public-Key: (2048 bit)"),
        ("--key-type rsa-3072", "Public-Key: (3072 bit)"),
    ] {
        factory.must(&format!("ca new --force {flags}"));
        let ca = factory.text("ca.crt");
        assert!(ca.contains("Version: 3") && ca.contains(key) && ca.contains("Subject: CN = Factory CA"), "{ca}");
        assert!(ca.contains("Basic Constraints: critical") && ca.contains("Key Usage: critical"), "{ca}");
        assert_eq!(extension(&ca, "X509v3 Basic Constraints"), "CA:TRUE");
        assert_eq!(extension(&ca, "X509v3 Key Usage"), "Certificate Sign, CRL Sign");
        let key_id = extension(&ca, "X509v3 Subject Key Identifier").to_owned();

        factory.must(&format!("device new --force {flags} --name lamp"));
        let device = factory.text("lamp.crt");
        assert!(device.contains("Version: 3") && device.contains(key) && device.contains("CN = lamp"), "{device}");
        assert_eq!(extension(&device, "X509v3 Basic Constraints: critical"), "CA:FALSE");
        assert_eq!(extension(&device, "X509v3 Key Usage: critical"), "Digital Signature");
        assert_eq!(extension(&device, "X509v3 Extended Key Usage"), "TLS Web Client Authentication");
        assert_eq!(extension(&device, "X509v3 Authority Key Identifier"), key_id);
        assert_ne!(extension(&device, "X509v3 Subject Key Identifier"), key_id);
        factory.openssl.run("verify -x509_strict -purpose sslclient -CAfile ca.crt lamp.crt");
        let of_key = factory.openssl_says("pkey -pubout -in lamp.key");
        assert_eq!(of_key, factory.openssl_says("x509 -noout -pubkey -in lamp.crt"));
        for (file, mode) in [("ca.key", 0o600), ("lamp.key", 0o600)] {
            assert_eq!(factory.mode(file), mode, "{file}");
        }
    }
}

#[test]
fn serial_numbers_differ_even_for_one_name() {
    let factory = Factory::new();
    factory.must("ca new");
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..3 {
        factory.must("device new --force");
        serials.insert(factory.openssl_says("x509 -noout -serial -in device.crt"));
    }
    assert_eq!(serials.len(), 3, "{serials:?}");
}

#[test]
fn keys_and_cas_made_by_openssl_are_taken() {
    let factory = Factory::new();
    let openssl = &factory.openssl;
    for (name, make) in [
        ("sec1", "ecparam -name prime256v1 -genkey -out sec1.key"),
        ("pkcs8", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out pkcs8.key"),
        ("pkcs1", "genrsa -traditional -out pkcs1.key 2048"),
        ("rsa", "genrsa -out rsa.key 3072"),
    ] {
        openssl.run(make);
        openssl
            .run(&format!("req -x509 -new -key {name}.key -sha256 -days 30 -out {name}.pem -subj /O=Works/CN={name}"));
        // The key's name is the certificate's, unless another is given.
        factory.must(&format!("device new --ca {name}.pem --name d-{name}"));
        // Not strictly: openssl's own CAs lack the key usage that it asks for then.
        openssl.run(&format!("verify -purpose sslclient -CAfile {name}.pem d-{name}.crt"));
        factory.must(&format!(
            "ca verification-certificate --force --ca {name}.pem --registration-code {}",
            "c".repeat(64)
        ));
        openssl.run(&format!("verify -CAfile {name}.pem verification.crt"));
        let request = factory.openssl_says("req -noout -verify -subject -in verification.csr");
        assert!(request.contains(&"c".repeat(64)), "{request}");
    }
    let header = openssl.read("sec1.key");
    assert!(header.contains("EC PARAMETERS") && header.contains("EC PRIVATE KEY"), "{header}");
    assert!(openssl.read("pkcs1.key").contains("RSA PRIVATE KEY"));
}

/// Devices do not outlive their CA, and say so.
#[test]
fn a_device_ends_with_its_ca() {
    let factory = Factory::new();
    factory.must("ca new --days 30");
    let said = factory.must("device new --days 365");
    assert!(said.contains("as long as the CA"), "{said}");
    let end = |file: &str| factory.openssl_says(&format!("x509 -noout -enddate -in {file}"));
    assert_eq!(end("device.crt"), end("ca.crt"));
}

#[test]
fn many_devices_are_numbered_and_each_has_its_files() {
    let factory = Factory::new();
    factory.must("ca new");
    let said = factory.must("device new --name lamp --count 12 --out made/here");
    assert!(said.contains("Made 12 devices in made/here"), "{said}");
    let files = std::fs::read_dir(factory.openssl.path("made/here")).expect("a folder").count();
    assert_eq!(files, 36);
    for name in ["lamp-01", "lamp-12"] {
        factory.openssl.run(&format!("verify -CAfile ca.crt made/here/{name}.crt"));
        let chain = factory.openssl.read(&format!("made/here/{name}.chain.crt"));
        let leaf = factory.openssl.read(&format!("made/here/{name}.crt"));
        assert_eq!(chain, leaf + &factory.openssl.read("ca.crt"));
        assert_eq!(factory.mode(&format!("made/here/{name}.key")), 0o600);
    }
}

/// Each mistake ends with one sentence that names it; nothing is written.
#[test]
fn mistakes_are_named_and_nothing_is_overwritten() {
    let factory = Factory::new();
    factory.must("ca new");
    let before = factory.openssl.read("ca.key");
    factory.openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other.key");
    factory.openssl.run("pkey -in other.key -aes256 -passout pass:secret -out encrypted.key");
    factory.must("device new --name leaf");
    for (line, named) in [
        ("ca new", &["ca.crt", "--force", "--out"][..]),
        ("ca new --rsa --key-type ec-p384", &["--rsa", "--key-type"]),
        ("ca new --key-type dsa", &["dsa", "ec-p256", "rsa-2048"]),
        ("ca new --days 0", &["--days"]),
        ("ca register", &["data", "--data-dir"]),
        ("ca register --endpoint-url https://iot.example.com", &["AWS_ACCESS_KEY_ID"]),
        ("device new --ca nowhere.crt", &["nowhere.crt", "landfall ca new"]),
        ("device new --ca-key nowhere.key", &["nowhere.key", "--ca-key"]),
        ("device new --ca-key other.key", &["ca.crt", "other.key", "public key"]),
        ("device new --ca-key encrypted.key", &["encrypted.key", "openssl pkey"]),
        ("device new --ca leaf.crt", &["leaf.crt", "CA:TRUE"]),
        ("device new --name leaf", &["leaf.crt", "--force"]),
        ("device new --name ../x", &["../x"]),
        ("device new --count 0", &["--count"]),
    ] {
        let finished = factory.run(line);
        assert!(!finished.is_success(), "{line} went well: {}", finished.text());
        for part in named {
            assert!(finished.stderr.contains(part), "{line} does not name {part}: {}", finished.stderr);
        }
        assert_eq!(finished.stdout, "", "{line}");
    }
    let long = "n".repeat(65);
    let finished = factory.run_with("device new --name", &[&long]);
    assert!(!finished.is_success() && finished.stderr.contains("64"), "{}", finished.text());
    assert_eq!(factory.openssl.read("ca.key"), before);
    assert!(!factory.openssl.path("device.key").exists());
}

/// CA and device by the factory's tools alone; the device lands with mosquitto.
#[test]
fn a_device_made_here_lands() {
    let factory = Factory::new();
    let server = Server::start();
    let data = server.data_path().display().to_string();
    for (name, flags) in [("ec", ""), ("rsa", "--rsa")] {
        let said = factory.run_with(&format!("ca new --register {flags} --out {name} --data-dir"), &[&data]);
        let said = said.must_succeed().stdout;
        let id = said.lines().find_map(|line| line.strip_prefix("Id ")).expect("an id").trim().to_owned();
        let described = server.aws().json(&["iot", "describe-ca-certificate", "--certificate-id", &id]);
        let described = &described["certificateDescription"];
        assert_eq!((&described["status"], &described["autoRegistrationStatus"]), (&"ACTIVE".into(), &"ENABLE".into()));

        // What the tool says to type next, with a name and a folder of our own.
        let next = said.lines().last().expect("a command").trim().strip_prefix("landfall ").expect("a verb of ours");
        let next = next.replace("my-device", &format!("lamp-{name}"));
        let said = factory.run_with(&format!("{next} {flags} --data-dir"), &[&data]).must_succeed().stdout;
        let next = said.lines().last().expect("a command");
        assert!(next.contains("mosquitto_pub") && next.contains(&server.mqtt_addr().port().to_string()), "{said}");

        prepare_activation(&server, name, &id);
        land(&server, &factory, next, name);
    }
}

/// Role, function, rule and permission for the CA's devices.
fn prepare_activation(server: &Server, name: &str, ca_id: &str) {
    let operator = Operator::of(server);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        operator.create_role(name, &landfall_tests::actions_on_all(&Operator::ACTIVATION)).await;
        let function = operator.create_function(name, name, ACTIVATE, &Value::Null).await;
        let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{ca_id}'");
        operator.create_rule(name, &sql, &function).await;
        operator.permit(name, name).await;
    });
}

/// The printed command, until it is let in.
#[track_caller]
fn land(server: &Server, factory: &Factory, command: &str, name: &str) {
    let chain = factory.openssl.path(&format!("devices/lamp-{name}.chain.crt"));
    assert!(command.contains(&format!("devices/lamp-{name}.chain.crt")), "{command}");
    assert!(Path::new(&chain).exists());
    let key = factory.openssl.path(&format!("devices/lamp-{name}.key"));
    let mosquitto = server.mosquitto().with_credential(&Credential { certificate: chain, key });
    let client = format!("lamp-{name}");
    let first = mosquitto.publish(&client, "JITR/test", "Hello");
    assert!(first.text().contains("The connection was lost"), "{}", first.text());
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let finished = mosquitto.publish(&client, "JITR/test", "Hello");
        if finished.is_success() && finished.text().contains("received PUBACK") {
            return;
        }
        assert!(std::time::Instant::now() < until, "{}", finished.text());
    }
}

/// Registration elsewhere: by the endpoint's URL, with keys from the environment.
#[test]
fn a_ca_is_registered_through_an_endpoint_url() {
    let factory = Factory::new();
    let server = Server::start();
    factory.must("ca new");
    let credentials = server.credentials();
    let register = |secret: &str| {
        let mut command = Server::program();
        command
            .current_dir(&factory.openssl)
            .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .args(["ca", "register", "--allow-auto-registration=false", "--region", server.region()])
            .args(["--endpoint-url", &server.api_url()]);
        finish(&mut command, PATIENCE)
    };
    let refused = register("wrong");
    assert!(!refused.is_success() && refused.stderr.contains("GetRegistrationCode"), "{}", refused.text());
    let said = register(&credentials.secret_access_key).must_succeed().stdout;
    assert!(said.contains("ACTIVE, auto-registration off"), "{said}");
    let again = register(&credentials.secret_access_key);
    assert!(!again.is_success() && again.stderr.contains("ResourceAlreadyExistsException"), "{}", again.text());
}

/// With a CA and a function of its own, and with those that are there; and what it says where nothing activates.
#[test]
fn a_simulated_fleet_lands() {
    let factory = Factory::new();
    let server = Server::start();
    let data = server.data_path().display().to_string();
    let simulate = |flags: &str| factory.run_with(&format!("simulate --pause-ms 50 {flags} --data-dir"), &[&data]);
    let said = simulate("--devices 12 --in-flight 5").must_succeed().stdout;
    assert!(said.contains("12 devices landed in ") && said.contains("connections per device: "), "{said}");
    let listed = |status: &str| {
        let all = server.aws().json(&["iot", "list-certificates"]);
        let all = all["certificates"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|certificate| certificate["status"] == status).count()
    };
    assert_eq!(listed("ACTIVE"), 12);

    let said = factory.run_with("ca new --register --data-dir", &[&data]).must_succeed().stdout;
    let id = said.lines().find_map(|line| line.strip_prefix("Id ")).expect("an id").trim().to_owned();
    prepare_activation(&server, "own", &id);
    let said = simulate("--devices 3 --ca ca.crt --rsa").must_succeed().stdout;
    assert!(said.contains("3 devices landed in ") && said.contains("CN=Factory CA"), "{said}");
    assert_eq!(listed("ACTIVE"), 15);

    // Nobody registered this CA: each device is refused in TLS, and the program says so.
    factory.must("ca new --out other");
    let refused = simulate("--devices 2 --ca other/ca.crt");
    assert!(!refused.is_success(), "{}", refused.text());
    assert!(
        refused.stderr.contains("2 devices did not land") && refused.stderr.contains("landfall explain"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("alert 46"), "{refused:?}");
}
