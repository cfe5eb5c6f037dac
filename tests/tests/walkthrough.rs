//! The walkthrough, command by command, with the real aws CLI, openssl and mosquitto_pub; and what each of them prints.

use std::time::{Duration, Instant};

use landfall_tests::{
    ACTIVATE, Aws, Credential, DataDir, Finished, KeyKind, OpenSsl, Options, PATIENCE, Server, actions_on_all, package,
};
use serde_json::{Value, json};

const CLIENT_ID: &str = "anyclientID";
const FUNCTION: &str = "JITR_Function";
const ROLE: &str = "JITR_Role";

struct Walk {
    server: Server,
    data: DataDir,
}

#[test]
fn a_device_lands_in_cn_north_1() {
    Walk::in_region("cn-north-1").whole();
}

#[test]
fn a_device_lands_in_us_east_1() {
    Walk::in_region("us-east-1").whole();
}

impl Walk {
    fn in_region(region: &'static str) -> Self {
        let data = DataDir::new();
        let server = Server::start_on(&data, &Options { region, ..Options::default() });
        Self { server, data }
    }

    fn aws(&self) -> Aws<'_> {
        self.server.aws()
    }

    fn arn(&self, service: &str, region: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{region}:{}:{resource}", self.server.partition(), self.server.account())
    }

    fn whole(&self) {
        let endpoint =
            self.aws().text(&["iot", "describe-endpoint", "--endpoint-type", "iot:Data-ATS"], "endpointAddress");
        assert_eq!(endpoint, "localhost");
        let function_arn = self.create_function();
        let mut landed = Vec::new();
        for kind in [KeyKind::Rsa, KeyKind::Ec] {
            let openssl = OpenSsl::in_dir(self.data.file(&format!("{kind:?}")));
            let ca_id = self.register_ca(&openssl, kind);
            self.create_rule(&format!("JITR_Rule_{kind:?}"), &ca_id, &function_arn);
            for version in ["TLSv1.2", "TLSv1.3"] {
                landed.push(self.land(&openssl, kind, version, &ca_id));
            }
        }
        let listed = self.aws().json(&["iot", "list-certificates"]);
        let listed = listed["certificates"].as_array().expect("certificates");
        assert_eq!(listed.len(), landed.len());
        assert!(listed.iter().all(|one| one["status"] == "ACTIVE"), "{listed:#?}");
        self.check_logs(&landed);
    }

    /// Section 1: the CA's id.
    fn register_ca(&self, openssl: &OpenSsl, kind: KeyKind) -> String {
        openssl.ca(kind, "Factory");
        let code = self.aws().text(&["iot", "get-registration-code"], "registrationCode");
        assert!(code.len() == 64 && code.bytes().all(|byte| byte.is_ascii_hexdigit()), "{code}");
        openssl.signed(kind, "Verification", &code);
        let answer = self.aws().json(&[
            "iot",
            "register-ca-certificate",
            "--ca-certificate",
            &openssl.url("CA_Certificate.pem"),
            "--verification-certificate",
            &openssl.url("Verification.crt"),
            "--set-as-active",
            "--allow-auto-registration",
        ]);
        let id = answer["certificateId"].as_str().expect("an id").to_owned();
        assert_eq!(answer["certificateArn"], self.arn("iot", self.server.region(), &format!("cacert/{id}")));
        id
    }

    /// Section 3, role and function.
    fn create_function(&self) -> String {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
        let role_arn = self.arn("iam", "", &format!("role/{ROLE}"));
        let role = self.aws().json(&[
            "iam",
            "create-role",
            "--role-name",
            ROLE,
            "--assume-role-policy-document",
            &trust.to_string(),
        ]);
        assert_eq!(role["Role"]["Arn"], role_arn);
        let rights = actions_on_all(&["iot:UpdateCertificate", "iot:CreatePolicy", "iot:AttachPrincipalPolicy"]);
        let rights = rights.to_string();
        let put =
            ["iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "JITR", "--policy-document", &rights];
        self.aws().run(&put).must_succeed();
        let zip = self.data.file("function.zip");
        std::fs::write(&zip, package(ACTIVATE)).expect("room for a package");
        let zip = format!("fileb://{}", zip.display());
        let function = self.aws().json(&[
            "lambda",
            "create-function",
            "--function-name",
            FUNCTION,
            "--runtime",
            "nodejs8.10",
            "--handler",
            "index.handler",
            "--timeout",
            "10",
            "--role",
            &role_arn,
            "--zip-file",
            &zip,
        ]);
        let arn = function["FunctionArn"].as_str().expect("an ARN").to_owned();
        assert_eq!(arn, self.arn("lambda", self.server.region(), &format!("function:{FUNCTION}")));
        arn
    }

    /// Section 3, rule and permission.
    fn create_rule(&self, rule: &str, ca_id: &str, function_arn: &str) {
        let payload = json!({
            "sql": format!("SELECT * FROM '$aws/events/certificates/registered/{ca_id}'"),
            "actions": [{ "lambda": { "functionArn": function_arn } }] });
        let payload = payload.to_string();
        let create = ["iot", "create-topic-rule", "--rule-name", rule, "--topic-rule-payload", &payload];
        self.aws().run(&create).must_succeed();
        let rule_arn = self.arn("iot", self.server.region(), &format!("rule/{rule}"));
        let answer = self.aws().json(&[
            "lambda",
            "add-permission",
            "--function-name",
            FUNCTION,
            "--statement-id",
            rule,
            "--action",
            "lambda:InvokeFunction",
            "--principal",
            "iot.amazonaws.com",
            "--source-arn",
            &rule_arn,
        ]);
        let statement: Value = serde_json::from_str(answer["Statement"].as_str().expect("text")).expect("JSON in text");
        assert_eq!(statement["Principal"]["Service"], "iot.amazonaws.com");
    }

    /// Sections 2 and 4 for one device: its certificate's id.
    fn land(&self, openssl: &OpenSsl, kind: KeyKind, version: &str, ca_id: &str) -> String {
        let name = format!("Device-{version}");
        openssl.signed(kind, &name, &name);
        let credential = Credential { certificate: openssl.chain(&name), key: openssl.path(&format!("{name}.key")) };
        let mut mosquitto = self.server.mosquitto().with_credential(&credential);
        if version == "TLSv1.2" {
            mosquitto = mosquitto.with_openssl_conf(openssl.tls_1_2_only());
        }
        let publish = || mosquitto.publish(CLIENT_ID, "JITR/test", "Hello");

        let first = publish();
        assert_eq!(
            lines(&first),
            [format!("Client {CLIENT_ID} sending CONNECT"), "Error: The connection was lost.".into()]
        );
        assert_eq!(first.code, Some(7), "mosquitto's code for a lost connection");
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(50);
        let last = loop {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(2));
            let again = publish();
            if again.is_success() {
                break again;
            }
            assert_eq!(lines(&again), lines(&first), "until it is active, each connection ends as the first");
            assert!(Instant::now() < until, "{}", self.server.stderr());
        };
        check_publish(&last);

        let id = self.check_registry(openssl, &name, ca_id);
        let record = self.first_record(&id);
        assert_eq!(record["tlsVersion"], version, "{record:#}");
        assert_eq!(record["clientId"], CLIENT_ID);
        assert_eq!(record["caCertificateId"], ca_id);
        id
    }

    /// What the registry says of the device afterwards.
    fn check_registry(&self, openssl: &OpenSsl, name: &str, ca_id: &str) -> String {
        let pem = openssl.read(&format!("{name}.crt"));
        let id = domain::x509::Certificate::from_pem(&pem).expect("openssl's certificate").id().to_string();
        let answer = self.aws().json(&["iot", "describe-certificate", "--certificate-id", &id]);
        let described = &answer["certificateDescription"];
        assert_eq!(described["status"], "ACTIVE");
        assert_eq!(described["caCertificateId"], ca_id);
        let arn = self.arn("iot", self.server.region(), &format!("cert/{id}"));
        assert_eq!(described["certificateArn"], arn);
        let attached = self.aws().json(&["iot", "list-attached-policies", "--target", &arn]);
        assert_eq!(attached["policies"][0]["policyName"], format!("Policy_{id}"));
        id
    }

    /// The record of the connection that registered the certificate.
    fn first_record(&self, id: &str) -> Value {
        let answer = self.server.ask("explain", &["--json", "--last", "100", "--certificate", id]).must_succeed();
        let oldest = answer.stdout.lines().last().expect("a record of the first connection");
        let record: Value = serde_json::from_str(oldest).expect("explain prints JSON");
        assert_eq!(record["reason"], "REGISTERED_NOW");
        record
    }

    fn check_logs(&self, landed: &[String]) {
        let group = format!("/aws/lambda/{FUNCTION}");
        let until = Instant::now() + PATIENCE;
        // The last REPORT is written a moment after the device is active.
        let messages = loop {
            let answer = self.aws().json(&["logs", "filter-log-events", "--log-group-name", &group]);
            let events = answer["events"].as_array().expect("events").clone();
            let messages: Vec<String> =
                events.iter().filter_map(|event| Some(event["message"].as_str()?.trim_end().to_owned())).collect();
            if messages.iter().filter(|line| line.starts_with("REPORT ")).count() >= landed.len() {
                break messages;
            }
            assert!(Instant::now() < until, "{messages:#?}");
        };
        for start in ["START RequestId: ", "END RequestId: ", "REPORT RequestId: "] {
            let count = messages.iter().filter(|line| line.starts_with(start)).count();
            assert!(count >= landed.len(), "{start}: {messages:#?}");
        }
        for id in landed {
            assert!(messages.iter().any(|line| line.contains("activated") && line.contains(id)), "{messages:#?}");
        }
    }
}

fn lines(finished: &Finished) -> Vec<String> {
    finished.text().lines().map(str::to_owned).collect()
}

/// CONNECT, CONNACK, PUBLISH, PUBACK, DISCONNECT.
#[track_caller]
fn check_publish(finished: &Finished) {
    let text = finished.text();
    let expected = [
        format!("Client {CLIENT_ID} sending CONNECT"),
        format!("Client {CLIENT_ID} received CONNACK (0)"),
        format!("Client {CLIENT_ID} sending PUBLISH (d0, q1, r0, m1, 'JITR/test', ... (5 bytes))"),
        format!("Client {CLIENT_ID} received PUBACK (Mid: 1, RC:0)"),
        format!("Client {CLIENT_ID} sending DISCONNECT"),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}
