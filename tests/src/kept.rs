//! Some of everything that a server keeps: put there through its doors, for the tests of data directories.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use fleet::{Ca, Device, DeviceSpec, KeyAlgorithm, Method, Window};
use serde_json::{Value, json};

use crate::{ACTIVATE, FieldDevice, Operator, Options, PATIENCE, Server, actions_on_all};

/// Of the kept certificates: later versions are still tested with them.
const DAYS: i64 = 36_500;

const FAILS: &str = "exports.handler = async () => { throw new Error('kept failure'); };";

/// Of the operator's own; directories that were kept first have none.
pub const LOG_GROUP: &str = "kept-log";

/// paho's sessions on the plain listener, which keeps them for as long as they like.
const SESSIONS: [&str; 2] =
    [include_str!("../tests/data/paho_device.py"), include_str!("../tests/data/sessions_kept.py")];

/// As `LOG_GROUP`: those that were kept first have none.
const SESSIONS_FILE: &str = "kept-sessions";

/// What a server on a kept directory is told: what waits there does not grow too old with the years.
pub fn kept_options() -> Options {
    Options { config: "[broker]\nqueued_age_s = 3155760000\n", ..Options::with(&["--plain-mqtt-addr", "127.0.0.1:0"]) }
}

/// Who is in the directory, in files beside it.
pub struct Inhabitants {
    folder: PathBuf,
}

impl Inhabitants {
    pub fn in_folder(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("room for a folder");
        Self { folder }
    }

    fn read(&self, name: &str) -> String {
        let path = self.folder.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn keep_ca(&self, name: &str, ca: &Ca) {
        fs::write(self.folder.join(format!("{name}.crt")), ca.certificate_pem()).expect("room");
        fs::write(self.folder.join(format!("{name}.key")), ca.key().pem()).expect("room");
    }

    pub fn has_log_group(&self) -> bool {
        self.folder.join(LOG_GROUP).exists()
    }

    pub fn has_sessions(&self) -> bool {
        self.folder.join(SESSIONS_FILE).exists()
    }

    pub fn ca(&self, name: &str) -> Ca {
        Ca::from_pem(&self.read(&format!("{name}.crt")), &self.read(&format!("{name}.key"))).expect("a CA")
    }

    fn issue(&self, name: &str, ca: &Ca) -> FieldDevice {
        let spec = DeviceSpec { window: Window::days_from_now(DAYS), ..DeviceSpec::new(name) };
        let device = ca.issue(&spec).expect("a device");
        fs::write(self.folder.join(format!("{name}.crt")), device.certificate_pem().expect("PEM")).expect("room");
        fs::write(self.folder.join(format!("{name}.key")), device.key().pem()).expect("room");
        FieldDevice::of(ca, device, name)
    }

    pub fn device(&self, name: &str, ca: &Ca) -> FieldDevice {
        let pem = |kind: &str| self.read(&format!("{name}.{kind}"));
        FieldDevice::of(ca, Device::from_pem(&pem("crt"), &pem("key")).expect("a device"), name)
    }
}

/// Some of everything that a server keeps.
pub async fn fill(server: &Server, inhabitants: &Inhabitants) {
    let operator = Operator::of(server);
    let [active_ca, waiting_ca] = ["active-ca", "waiting-ca"].map(|name| {
        let ca = Ca::with_window(name, KeyAlgorithm::EcP256, Window::days_from_now(DAYS)).expect("a CA");
        inhabitants.keep_ca(name, &ca);
        ca
    });
    for ca in [&active_ca, &waiting_ca] {
        operator.register_this_ca(ca).await;
    }
    operator.prepare_for(&active_ca, "activate", ACTIVATE, &Operator::ACTIVATION).await;
    let active = inhabitants.issue("active", &active_ca);
    let revoked = inhabitants.issue("revoked", &active_ca);
    for device in [&active, &revoked] {
        device.land(server).await.disconnect().await.expect("a proper end");
    }
    operator.update_certificate(&revoked.id(), "REVOKED").await;
    assert!(revoked.connect(server).await.is_err(), "a revoked certificate");
    let pending = inhabitants.issue("pending", &waiting_ca);
    pending.must_be_dropped(pending.connect(server).await);
    keep_policies(&operator, &active).await;
    keep_log(&operator, inhabitants).await;

    operator.create_role("fails", &actions_on_all(&[])).await;
    let fails = operator.create_function("fails", "fails", FAILS, &Value::Null).await;
    operator.create_rule("fails", "SELECT * FROM 'JITR/fails'", &fails).await;
    operator.permit("fails", "fails").await;
    operator.create_rule("sleeps", "SELECT * FROM 'JITR/sleeps'", &fails).await;
    operator.must("iot", Method::POST, "/rules/sleeps/disable", None).await;
    let mut client = active.connect(server).await.expect("an active device");
    client.publish_at_least_once("JITR/fails", r#"{"kept":true}"#).await.expect("PUBACK");
    client.disconnect().await.expect("a proper end");
    sessions(server, "leave");
    fs::write(inhabitants.folder.join(SESSIONS_FILE), "").expect("room");
    wait_until("the dead letter", || health(server)["backlog"]["deadLetters"] == 1);
    wait_until("the RSA certificate", || server.data_path().join("server-rsa.crt").exists());
}

/// `leave`: sessions with subscriptions, messages that wait for them, sent and unanswered ones too, retained messages and a
/// will that is not due. `back`: they are all there. It takes them away.
#[track_caller]
pub fn sessions(server: &Server, phase: &str) {
    let plain: SocketAddr = server.fact("plain_mqtt_addr").parse().expect("an address");
    let [device, script] = SESSIONS;
    let facts = format!("PLACE = {{'plain': {}}}\nPHASE = '{phase}'", plain.port());
    assert_eq!(server.aws().python(&format!("{facts}\n{device}\n{script}")), json!({}));
}

/// Log lines that no function wrote.
async fn keep_log(operator: &Operator<'_>, inhabitants: &Inhabitants) {
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
    let event = json!({ "timestamp": u64::try_from(now_ms).expect("a time"), "message": "kept line" });
    for (action, input) in [
        ("CreateLogGroup", json!({ "logGroupName": LOG_GROUP })),
        ("PutRetentionPolicy", json!({ "logGroupName": LOG_GROUP, "retentionInDays": 3653 })),
        ("CreateLogStream", json!({ "logGroupName": LOG_GROUP, "logStreamName": "kept" })),
        ("PutLogEvents", json!({ "logGroupName": LOG_GROUP, "logStreamName": "kept", "logEvents": [event] })),
    ] {
        let answer = operator.client().json_1_1("logs", &format!("Logs_20140328.{action}"), &input).await;
        let answer = answer.expect("an answer");
        assert!(answer.is_success(), "{action}: {}", answer.text());
    }
    fs::write(inhabitants.folder.join(LOG_GROUP), "").expect("room");
}

async fn keep_policies(operator: &Operator<'_>, active: &FieldDevice) {
    let statements = json!([{ "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" }]);
    operator.create_policy("kept", &statements).await;
    operator.attach_policy("kept", &active.id()).await;
    let second = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["iot:Connect", "iot:Publish"], "Resource": "*" }] });
    let body = json!({ "policyDocument": second.to_string() });
    operator.must("iot", Method::POST, "/policies/kept/version?setAsDefault=true", Some(&body)).await;
    operator.must("iot", Method::POST, "/things/kept-thing", Some(&json!({}))).await;
    let principal = json!(operator.arn("iot", &format!("cert/{}", active.id())));
    let client = operator.client();
    let headers = [("x-amzn-principal", principal.as_str().expect("an ARN"))];
    let request = fleet::AwsRequest {
        service: "iot",
        method: Method::PUT,
        path: "/things/kept-thing/principals",
        headers: &headers,
        ..fleet::AwsRequest::default()
    };
    let attached = client.call(&request).await.expect("an answer");
    assert!(attached.is_success(), "{}", attached.text());
    let document = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iot:ListThings", "Resource": "*" }] });
    operator.iam("CreatePolicy", &[("PolicyName", "kept"), ("PolicyDocument", &document.to_string())]).await;
    let arn = operator.arn("iam", "policy/kept").replace(":us-east-1:", "::");
    operator.iam("AttachRolePolicy", &[("RoleName", "activate"), ("PolicyArn", &arn)]).await;
}

fn health(server: &Server) -> Value {
    serde_json::from_str(&server.ask("health", &[]).must_succeed().stdout).expect("JSON")
}

#[track_caller]
fn wait_until(what: &str, is_there: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < until, "{what} does not come");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
