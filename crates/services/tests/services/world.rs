//! Services on a temporary store, a clock that stands until it is moved, and every served operation by its name.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::{Broker, BrokerLimits, WallClock};
use domain::Timestamp;
use domain::admission::ServerName;
use domain::iot_policy::ConnectionFacts;
use domain::x509::Certificate;
use fleet::{Ca, Device, DeviceSpec, KeyAlgorithm};
use functions::{AwsCallError, AwsCalls, Functions, RoleSession};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use services::admission::Refused;
use services::connection::{Admitted, Connecting};
use services::{Caller, Checkpoints, Clock, Config, Error, RootCredentials, Services};
use store::Store;
use tempfile::TempDir;
use tokio::sync::watch;

pub const ACCOUNT: &str = "123456789012";

pub type Answer = Result<Value, Error>;

pub struct World {
    pub services: Services,
    pub store: Store,
    pub broker: Broker,
    now_ms: Arc<AtomicI64>,
    directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        let now_ms = Arc::new(AtomicI64::new(Clock::system().now().millis()));
        Self::open(tempfile::tempdir().expect("a temporary directory"), now_ms)
    }

    fn open(directory: TempDir, now_ms: Arc<AtomicI64>) -> Self {
        let store = Store::open(directory.path()).expect("a store");
        let runner = functions::Config {
            program: "/nonexistent".into(),
            worker_args: Vec::new(),
            idle_timeout: Duration::from_secs(60),
            environments_max: 1,
        };
        let calls = AwsCalls(Arc::new(|_| {
            Box::pin(async {
                Err(AwsCallError {
                    code: "NotHere".into(),
                    message: "no function runs".into(),
                    status: 500,
                    request_id: String::new(),
                })
            })
        }));
        let functions = Functions::new(runner, store.clone(), calls);
        let config = Config {
            region: "us-east-1".parse().expect("a region"),
            account: ACCOUNT.parse().expect("an account"),
            root: RootCredentials { access_key_id: "AKIAROOT".into(), secret_access_key: "secret".into() },
            endpoint_names: vec!["iot.example".to_owned()],
            async_retry_ms: vec![60_000, 120_000],
            rates: Default::default(),
            checkpoints: Checkpoints::default(),
        };
        let (broker, millis) = (broker(&store, &now_ms), now_ms.clone());
        let clock = Clock::from_fn(move || Timestamp::from_millis(millis.load(Ordering::Relaxed)));
        let services = Services::new(config, store.clone(), broker.clone(), functions, clock).expect("services");
        Self { services, store, broker, now_ms, directory }
    }

    /// The same data directory under a new server.
    pub async fn reopen(self) -> Self {
        let Self { services, store, broker, now_ms, directory } = self;
        store.close().await;
        drop((services, store, broker));
        Self::open(directory, now_ms)
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    pub fn pass_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Background work, until the answer is dropped or says so.
    pub fn run(&self) -> watch::Sender<bool> {
        let (shutdown, ending) = watch::channel(false);
        let services = self.services.clone();
        tokio::spawn(async move { services.run(ending).await });
        shutdown
    }

    pub fn root(&self) -> Caller {
        Caller::Root { access_key_id: "AKIAROOT".to_owned() }
    }

    /// As root, and it must succeed.
    pub async fn done(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input.clone()).await;
        answer.unwrap_or_else(|err| panic!("{operation} {input}: {err}"))
    }

    /// As root, and it must be refused with this code and these words.
    pub async fn refused(&self, operation: &str, input: Value, code: &str, words: &str) -> Error {
        let answer = self.call(operation, input.clone()).await;
        let Err(err) = answer else { panic!("{operation} {input} succeeded: {answer:?}") };
        assert_eq!(err.code, code, "{operation} {input}: {err}");
        assert!(err.message.contains(words), "{operation} {input}: {err}");
        err
    }

    pub async fn call(&self, operation: &str, input: Value) -> Answer {
        self.call_as(self.root(), operation, input).await
    }

    pub async fn call_as(&self, caller: Caller, operation: &str, input: Value) -> Answer {
        let op = &self.services.op(caller);
        let (iot, lambda) = (self.services.iot(), self.services.lambda());
        let (iam, logs) = (self.services.iam(), self.services.logs());
        match operation {
            "iot:GetRegistrationCode" => shown(iot.get_registration_code(op, read(input)).await),
            "iot:RegisterCACertificate" => shown(iot.register_ca_certificate(op, read(input)).await),
            "iot:DescribeCACertificate" => shown(iot.describe_ca_certificate(op, read(input)).await),
            "iot:ListCACertificates" => shown(iot.list_ca_certificates(op, read(input)).await),
            "iot:UpdateCACertificate" => shown(iot.update_ca_certificate(op, read(input)).await),
            "iot:DeleteRegistrationCode" => shown(iot.delete_registration_code(op, read(input)).await),
            "iot:DeleteCACertificate" => shown(iot.delete_ca_certificate(op, read(input)).await),
            "iot:CreateKeysAndCertificate" => shown(iot.create_keys_and_certificate(op, read(input)).await),
            "iot:CreateCertificateFromCsr" => shown(iot.create_certificate_from_csr(op, read(input)).await),
            "iot:RegisterCertificate" => shown(iot.register_certificate(op, read(input)).await),
            "iot:RegisterCertificateWithoutCA" => shown(iot.register_certificate_without_ca(op, read(input)).await),
            "iot:ListCertificatesByCA" => shown(iot.list_certificates_by_ca(op, read(input)).await),
            "iot:DeleteCertificate" => shown(iot.delete_certificate(op, read(input)).await),
            "iot:TagResource" => shown(iot.tag_resource(op, read(input)).await),
            "iot:UntagResource" => shown(iot.untag_resource(op, read(input)).await),
            "iot:ListTagsForResource" => shown(iot.list_tags_for_resource(op, read(input)).await),
            "iot:DescribeCertificate" => shown(iot.describe_certificate(op, read(input)).await),
            "iot:ListCertificates" => shown(iot.list_certificates(op, read(input)).await),
            "iot:UpdateCertificate" => shown(iot.update_certificate(op, read(input)).await),
            "iot:CreatePolicy" => shown(iot.create_policy(op, read(input)).await),
            "iot:GetPolicy" => shown(iot.get_policy(op, read(input)).await),
            "iot:ListPolicies" => shown(iot.list_policies(op, read(input)).await),
            "iot:DeletePolicy" => shown(iot.delete_policy(op, read(input)).await),
            "iot:CreatePolicyVersion" => shown(iot.create_policy_version(op, read(input)).await),
            "iot:ListPolicyVersions" => shown(iot.list_policy_versions(op, read(input)).await),
            "iot:GetPolicyVersion" => shown(iot.get_policy_version(op, read(input)).await),
            "iot:SetDefaultPolicyVersion" => shown(iot.set_default_policy_version(op, read(input)).await),
            "iot:DeletePolicyVersion" => shown(iot.delete_policy_version(op, read(input)).await),
            "iot:DetachPolicy" => shown(iot.detach_policy(op, read(input)).await),
            "iot:DetachPrincipalPolicy" => shown(iot.detach_principal_policy(op, read(input)).await),
            "iot:ListTargetsForPolicy" => shown(iot.list_targets_for_policy(op, read(input)).await),
            "iot:ListPrincipalPolicies" => shown(iot.list_principal_policies(op, read(input)).await),
            "iot:ListPolicyPrincipals" => shown(iot.list_policy_principals(op, read(input)).await),
            "iot:AttachPolicy" => shown(iot.attach_policy(op, read(input)).await),
            "iot:AttachPrincipalPolicy" => shown(iot.attach_principal_policy(op, read(input)).await),
            "iot:ListAttachedPolicies" => shown(iot.list_attached_policies(op, read(input)).await),
            "iot:CreateTopicRule" => shown(iot.create_topic_rule(op, read(input)).await),
            "iot:GetTopicRule" => shown(iot.get_topic_rule(op, read(input)).await),
            "iot:ListTopicRules" => shown(iot.list_topic_rules(op, read(input)).await),
            "iot:ReplaceTopicRule" => shown(iot.replace_topic_rule(op, read(input)).await),
            "iot:EnableTopicRule" => shown(iot.enable_topic_rule(op, read(input)).await),
            "iot:DisableTopicRule" => shown(iot.disable_topic_rule(op, read(input)).await),
            "iot:DeleteConnection" => shown(self.services.iot_data().delete_connection(op, read(input)).await),
            "iot:GetRetainedMessage" => shown(self.services.iot_data().get_retained_message(op, read(input)).await),
            "iot:ListRetainedMessages" => shown(self.services.iot_data().list_retained_messages(op, read(input)).await),
            "iot:Publish" => shown(self.services.iot_data().publish(op, read(input)).await),
            "iot:DeleteTopicRule" => shown(iot.delete_topic_rule(op, read(input)).await),
            "iot:CreateThing" => shown(iot.create_thing(op, read(input)).await),
            "iot:DescribeThing" => shown(iot.describe_thing(op, read(input)).await),
            "iot:ListThings" => shown(iot.list_things(op, read(input)).await),
            "iot:UpdateThing" => shown(iot.update_thing(op, read(input)).await),
            "iot:DeleteThing" => shown(iot.delete_thing(op, read(input)).await),
            "iot:AttachThingPrincipal" => shown(iot.attach_thing_principal(op, read(input)).await),
            "iot:DetachThingPrincipal" => shown(iot.detach_thing_principal(op, read(input)).await),
            "iot:ListThingPrincipals" => shown(iot.list_thing_principals(op, read(input)).await),
            "iot:ListPrincipalThings" => shown(iot.list_principal_things(op, read(input)).await),
            "iot:ListThingPrincipalsV2" => shown(iot.list_thing_principals_v2(op, read(input)).await),
            "iot:ListPrincipalThingsV2" => shown(iot.list_principal_things_v2(op, read(input)).await),
            "iot:DescribeEndpoint" => shown(iot.describe_endpoint(op, read(input)).await),
            "lambda:CreateFunction" => shown(lambda.create_function(op, read(input)).await),
            "lambda:GetFunction" => shown(lambda.get_function(op, read(input)).await),
            "lambda:GetFunctionConfiguration" => shown(lambda.get_function_configuration(op, read(input)).await),
            "lambda:ListFunctions" => shown(lambda.list_functions(op, read(input)).await),
            "lambda:UpdateFunctionConfiguration" => shown(lambda.update_function_configuration(op, read(input)).await),
            "lambda:RemovePermission" => shown(lambda.remove_permission(op, read(input)).await),
            "lambda:GetPolicy" => shown(lambda.get_policy(op, read(input)).await),
            "lambda:DeleteFunction" => shown(lambda.delete_function(op, read(input)).await),
            "lambda:PutFunctionEventInvokeConfig" => {
                shown(lambda.put_function_event_invoke_config(op, read(input)).await)
            }
            "lambda:UpdateFunctionEventInvokeConfig" => {
                shown(lambda.update_function_event_invoke_config(op, read(input)).await)
            }
            "lambda:GetFunctionEventInvokeConfig" => {
                shown(lambda.get_function_event_invoke_config(op, read(input)).await)
            }
            "lambda:ListFunctionEventInvokeConfigs" => {
                shown(lambda.list_function_event_invoke_configs(op, read(input)).await)
            }
            "lambda:DeleteFunctionEventInvokeConfig" => {
                shown(lambda.delete_function_event_invoke_config(op, read(input)).await)
            }
            "lambda:UpdateFunctionCode" => shown(lambda.update_function_code(op, read(input)).await),
            "lambda:InvokeFunction" => shown(lambda.invoke(op, read(input)).await),
            "lambda:AddPermission" => shown(lambda.add_permission(op, read(input)).await),
            "iam:CreateRole" => shown(iam.create_role(op, read(input)).await),
            "iam:GetRole" => shown(iam.get_role(op, read(input)).await),
            "iam:PutRolePolicy" => shown(iam.put_role_policy(op, read(input)).await),
            "iam:ListRoles" => shown(iam.list_roles(op, read(input)).await),
            "iam:DeleteRole" => shown(iam.delete_role(op, read(input)).await),
            "iam:UpdateAssumeRolePolicy" => shown(iam.update_assume_role_policy(op, read(input)).await),
            "iam:GetRolePolicy" => shown(iam.get_role_policy(op, read(input)).await),
            "iam:ListRolePolicies" => shown(iam.list_role_policies(op, read(input)).await),
            "iam:DeleteRolePolicy" => shown(iam.delete_role_policy(op, read(input)).await),
            "iam:CreatePolicy" => shown(iam.create_policy(op, read(input)).await),
            "iam:GetPolicy" => shown(iam.get_policy(op, read(input)).await),
            "iam:GetPolicyVersion" => shown(iam.get_policy_version(op, read(input)).await),
            "iam:ListPolicies" => shown(iam.list_policies(op, read(input)).await),
            "iam:DeletePolicy" => shown(iam.delete_policy(op, read(input)).await),
            "iam:AttachRolePolicy" => shown(iam.attach_role_policy(op, read(input)).await),
            "iam:DetachRolePolicy" => shown(iam.detach_role_policy(op, read(input)).await),
            "iam:ListAttachedRolePolicies" => shown(iam.list_attached_role_policies(op, read(input)).await),
            "sts:AssumeRole" => shown(self.services.sts().assume_role(op, read(input)).await),
            "sts:GetCallerIdentity" => shown(self.services.sts().get_caller_identity(op, read(input)).await),
            "logs:CreateLogGroup" => shown(logs.create_log_group(op, read(input)).await),
            "logs:DeleteLogGroup" => shown(logs.delete_log_group(op, read(input)).await),
            "logs:PutRetentionPolicy" => shown(logs.put_retention_policy(op, read(input)).await),
            "logs:CreateLogStream" => shown(logs.create_log_stream(op, read(input)).await),
            "logs:PutLogEvents" => shown(logs.put_log_events(op, read(input)).await),
            "logs:DescribeLogGroups" => shown(logs.describe_log_groups(op, read(input)).await),
            "logs:DescribeLogStreams" => shown(logs.describe_log_streams(op, read(input)).await),
            "logs:GetLogEvents" => shown(logs.get_log_events(op, read(input)).await),
            "logs:FilterLogEvents" => shown(logs.filter_log_events(op, read(input)).await),
            other => panic!("{other} is not served"),
        }
    }

    /// A role that Lambda may assume, and a session of it.
    pub async fn role(&self, name: &str) -> Caller {
        self.done("iam:CreateRole", json!({ "RoleName": name, "AssumeRolePolicyDocument": trust() })).await;
        let role_arn = role_arn(name);
        Caller::Role(RoleSession { role_arn, session_name: "session".to_owned() })
    }

    pub async fn grant(&self, role: &str, action: &str, resource: &str) {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": { "Effect": "Allow", "Action": action, "Resource": resource },
        });
        let input = json!({ "RoleName": role, "PolicyName": "p", "PolicyDocument": document.to_string() });
        self.done("iam:PutRolePolicy", input).await;
    }

    /// What RegisterCACertificate takes for this CA.
    pub async fn registration(&self, ca: &Ca) -> Value {
        let code = self.done("iot:GetRegistrationCode", json!({})).await["registrationCode"].clone();
        let code = code.as_str().expect("a code");
        let verification = ca.verification_certificate_pem(code).expect("a verification certificate");
        json!({
            "caCertificate": ca.certificate_pem(),
            "verificationCertificate": verification,
            "setAsActive": true,
            "allowAutoRegistration": true,
        })
    }

    /// A CA that registers its devices by itself.
    pub async fn registered_ca(&self, name: &str) -> Ca {
        let ca = ca(name);
        self.done("iot:RegisterCACertificate", self.registration(&ca).await).await;
        ca
    }

    pub fn facts(&self, device: &Device, client_id: &str) -> ConnectionFacts {
        let certificate = Arc::new(Certificate::from_der(device.der()).expect("a certificate"));
        ConnectionFacts {
            client_id: client_id.to_owned(),
            certificate_id: certificate.id(),
            certificate,
            source_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            domain_name: None,
            connect_attributes: Vec::new(),
            last_will_topic_arn: None,
        }
    }

    pub async fn connect(&self, device: &Device, client_id: &str) -> Result<Admitted, Refused> {
        self.connect_to(ServerName::Absent, device, client_id).await
    }

    pub async fn connect_to(
        &self,
        server_name: ServerName,
        device: &Device,
        client_id: &str,
    ) -> Result<Admitted, Refused> {
        let facts = self.facts(device, client_id);
        self.services.connect(&Connecting { facts, server_name, will_topic: None, retains_will: false }).await
    }

    /// A policy of this name that allows everything, and the device active under it.
    pub async fn activate(&self, device: &str, policy: &str) {
        let _ = self.call("iot:CreatePolicy", json!({ "policyName": policy, "policyDocument": allow_all() })).await;
        self.done("iot:AttachPolicy", json!({ "policyName": policy, "target": certificate_arn(device) })).await;
        self.done("iot:UpdateCertificate", json!({ "certificateId": device, "newStatus": "ACTIVE" })).await;
    }

    /// A function with a role of its own.
    pub async fn function(&self, name: &str) {
        self.role(&format!("role-of-{name}")).await;
        self.done("lambda:CreateFunction", function_input(name, &role_arn(&format!("role-of-{name}")))).await;
    }

    /// How many packages the store has.
    pub async fn packages(&self) -> usize {
        self.store.blobs().ids().await.expect("the store lists").len()
    }

    /// Keys below a prefix, as the store has them.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let records = self.store.scan(prefix.as_bytes()).expect("the store reads");
        records.into_iter().map(|(key, _)| String::from_utf8(key).expect("keys are text")).collect()
    }
}

fn read<T: DeserializeOwned>(input: Value) -> T {
    serde_json::from_value(input).expect("the input has the operation's shape")
}

fn shown<T: Serialize>(answer: Result<T, Error>) -> Answer {
    answer.map(|answer| serde_json::to_value(answer).expect("shapes are JSON"))
}

pub fn ca(name: &str) -> Ca {
    Ca::new(name, KeyAlgorithm::EcP256).expect("a CA")
}

pub fn device(ca: &Ca, name: &str) -> Device {
    ca.issue(&DeviceSpec::new(name)).expect("a device")
}

pub fn id_of(device: &Device) -> String {
    device.id().to_string()
}

pub fn pem_of(device: &Device) -> String {
    device.certificate_pem().expect("PEM")
}

pub fn policy_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

pub fn certificate_arn(id: &str) -> String {
    format!("arn:aws:iot:us-east-1:{ACCOUNT}:cert/{id}")
}

pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
}

pub fn allow_all() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }],
    })
    .to_string()
}

pub fn trust() -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    })
    .to_string()
}

pub fn zip() -> String {
    zip_of("exports.handler = async () => null;")
}

pub fn zip_of(source: &str) -> String {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("index.js", zip::write::SimpleFileOptions::default()).expect("a file");
    writer.write_all(source.as_bytes()).expect("in memory");
    STANDARD.encode(writer.finish().expect("a zip").into_inner())
}

pub fn function_input(name: &str, role: &str) -> Value {
    json!({
        "FunctionName": name,
        "Role": role,
        "Runtime": "nodejs22.x",
        "Handler": "index.handler",
        "Code": { "ZipFile": zip() },
    })
}

/// A rule whose one action calls the function.
pub fn rule_input(name: &str, sql: &str, function: &str) -> Value {
    json!({
        "ruleName": name,
        "topicRulePayload": { "sql": sql, "actions": [{ "lambda": { "functionArn": function_arn(function) } }] },
    })
}

/// The input with some members changed; null takes one away.
pub fn with(mut input: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => {
                input.as_object_mut().expect("an object").remove(name);
            }
            _ => input[name] = value.clone(),
        }
    }
    input
}

/// The list under `list` in every page, by asking until there is no marker.
pub async fn pages(world: &World, operation: &str, input: Value, list: &str, marker: &str) -> Vec<Vec<Value>> {
    let asked_as = match marker {
        "nextMarker" => "marker",
        "NextMarker" => "Marker",
        other => other,
    };
    let (mut pages, mut input) = (Vec::new(), input);
    loop {
        let answer = world.done(operation, input.clone()).await;
        pages.push(answer[list].as_array().expect("a list").clone());
        assert!(pages.len() < 100, "{operation} never ends");
        match answer.get(marker) {
            Some(next) => input[asked_as] = next.clone(),
            None => return pages,
        }
    }
}

fn broker(store: &Store, now_ms: &Arc<AtomicI64>) -> Broker {
    let now_ms = now_ms.clone();
    let clock = WallClock::from_fn(move || u64::try_from(now_ms.load(Ordering::Relaxed)).unwrap_or(0));
    Broker::open(store.clone(), BrokerLimits::default(), clock).expect("a broker")
}
