//! The operator, by fleet's signer: what the AWS CLI does in a second each, in a millisecond.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleet::{AwsClient, AwsResponse, Ca, KeyAlgorithm, Method, uri_encoded};
use serde_json::{Value, json};

use crate::{ACTIVATE, PATIENCE, Server, package};

const IAM_VERSION: &str = "2010-05-08";

pub struct Operator<'a> {
    server: &'a Server,
    client: AwsClient,
}

/// A role's policy that allows `actions` on everything, after what every function's log needs.
pub fn actions_on_all(actions: &[&str]) -> Value {
    let mut allowed = vec!["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];
    allowed.extend(actions);
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": allowed, "Resource": "*" }] })
}

impl<'a> Operator<'a> {
    pub const ACTIVATION: [&'static str; 3] =
        ["iot:UpdateCertificate", "iot:CreatePolicy", "iot:AttachPrincipalPolicy"];

    pub fn of(server: &'a Server) -> Self {
        Self { server, client: server.client().with_deadline(PATIENCE) }
    }

    pub fn client(&self) -> &AwsClient {
        &self.client
    }

    pub fn arn(&self, service: &str, resource: &str) -> String {
        let (partition, region, account) = (self.server.partition(), self.server.region(), self.server.account());
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    pub fn role_arn(&self, role: &str) -> String {
        format!("arn:{}:iam::{}:role/{role}", self.server.partition(), self.server.account())
    }

    /// One rest-json call, whatever comes of it.
    pub async fn call(&self, service: &str, method: Method, path: &str, body: Option<&Value>) -> AwsResponse {
        self.client.rest_json(service, method, path, body).await.expect("the API answers")
    }

    /// One rest-json call that must succeed.
    pub async fn must(&self, service: &str, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(service, method, path, body).await;
        assert!(answer.is_success(), "{service} {path}: {} {}", answer.status, answer.text());
        answer.json().expect("the API answers JSON")
    }

    /// A new CA, active and with auto-registration.
    pub async fn register_ca(&self, common_name: &str) -> Ca {
        let ca = Ca::new(common_name, KeyAlgorithm::EcP256).expect("a CA");
        self.register_this_ca(&ca).await;
        ca
    }

    pub async fn register_this_ca(&self, ca: &Ca) {
        let code = self.must("iot", Method::GET, "/registrationcode", None).await;
        let code = code["registrationCode"].as_str().expect("a code");
        let verification = ca.verification_certificate_pem(code).expect("a verification certificate");
        let body = json!({ "caCertificate": ca.certificate_pem(), "verificationCertificate": verification });
        let path = "/cacertificate?setAsActive=true&allowAutoRegistration=true";
        self.must("iot", Method::POST, path, Some(&body)).await;
    }

    pub async fn update_ca(&self, ca: &Ca, change: &str) {
        self.must("iot", Method::PUT, &format!("/cacertificate/{}?{change}", ca.id()), None).await;
    }

    /// A role for functions with one inline policy.
    pub async fn create_role(&self, role: &str, policy: &Value) {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
        let (trust, policy) = (trust.to_string(), policy.to_string());
        self.iam("CreateRole", &[("RoleName", role), ("AssumeRolePolicyDocument", &trust)]).await;
        self.iam("PutRolePolicy", &[("RoleName", role), ("PolicyName", "rights"), ("PolicyDocument", &policy)]).await;
    }

    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) {
        let answer = self.client.query("iam", IAM_VERSION, action, parameters).await.expect("the API answers");
        assert!(answer.is_success(), "{action}: {}", answer.text());
    }

    /// Its ARN. `settings` are members of CreateFunction that differ from the ordinary.
    pub async fn create_function(&self, name: &str, role: &str, source: &str, settings: &Value) -> String {
        let mut body = json!({
            "FunctionName": name, "Runtime": "nodejs8.10", "Handler": "index.handler", "Role": self.role_arn(role),
            "Timeout": 10, "Code": { "ZipFile": STANDARD.encode(package(source)) } });
        for (member, value) in settings.as_object().into_iter().flatten() {
            body[member] = value.clone();
        }
        let answer = self.must("lambda", Method::POST, "/2015-03-31/functions", Some(&body)).await;
        answer["FunctionArn"].as_str().expect("an ARN").to_owned()
    }

    pub async fn create_rule(&self, rule: &str, sql: &str, function_arn: &str) {
        let body = json!({ "sql": sql, "actions": [{ "lambda": { "functionArn": function_arn } }] });
        self.must("iot", Method::POST, &format!("/rules/{rule}"), Some(&body)).await;
    }

    /// Lets `rule` call `function`.
    pub async fn permit(&self, function: &str, rule: &str) {
        let body = json!({
            "StatementId": format!("for-{rule}"), "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
            "SourceArn": self.arn("iot", &format!("rule/{rule}")) });
        self.must("lambda", Method::POST, &format!("/2015-03-31/functions/{function}/policy"), Some(&body)).await;
    }

    /// CA, role, function, rule and permission: from here on every device of the CA lands. All are called `name`.
    pub async fn prepare(&self, name: &str, source: &str, role_actions: &[&str]) -> Ca {
        let ca = self.register_ca(name).await;
        self.prepare_for(&ca, name, source, role_actions).await;
        ca
    }

    pub async fn prepare_for(&self, ca: &Ca, name: &str, source: &str, role_actions: &[&str]) {
        self.create_role(name, &actions_on_all(role_actions)).await;
        let function = self.create_function(name, name, source, &Value::Null).await;
        self.create_rule(name, &registered_by(ca), &function).await;
        self.permit(name, name).await;
    }

    /// `prepare` with the walkthrough's function and the rights it needs.
    pub async fn prepare_activation(&self, name: &str) -> Ca {
        self.prepare(name, ACTIVATE, &Self::ACTIVATION).await
    }

    /// Lambda's synchronous invocation: the answer as it is, function errors included.
    pub async fn invoke(&self, function: &str, event: &Value) -> AwsResponse {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        self.call("lambda", Method::POST, &path, Some(event)).await
    }

    pub async fn create_policy(&self, policy: &str, statements: &Value) {
        let document = json!({ "Version": "2012-10-17", "Statement": statements });
        let body = json!({ "policyDocument": document.to_string() });
        self.must("iot", Method::POST, &format!("/policies/{policy}"), Some(&body)).await;
    }

    pub async fn attach_policy(&self, policy: &str, certificate_id: &str) {
        let body = json!({ "target": self.arn("iot", &format!("cert/{certificate_id}")) });
        self.must("iot", Method::PUT, &format!("/target-policies/{policy}"), Some(&body)).await;
    }

    pub async fn update_certificate(&self, certificate_id: &str, status: &str) {
        self.must("iot", Method::PUT, &format!("/certificates/{certificate_id}?newStatus={status}"), None).await;
    }

    /// ACTIVE, PENDING_ACTIVATION ...; `None` where the registry has no such certificate.
    pub async fn status(&self, certificate_id: &str) -> Option<String> {
        let answer = self.call("iot", Method::GET, &format!("/certificates/{certificate_id}"), None).await;
        if answer.status == 404 {
            return None;
        }
        let answer = answer.json().expect("the API answers JSON");
        answer["certificateDescription"]["status"].as_str().map(str::to_owned)
    }

    pub async fn attached_policies(&self, certificate_id: &str) -> Vec<String> {
        let target = uri_encoded(&self.arn("iot", &format!("cert/{certificate_id}")));
        let answer = self.must("iot", Method::POST, &format!("/attached-policies/{target}"), None).await;
        let policies = answer["policies"].as_array().expect("policies");
        policies.iter().filter_map(|policy| Some(policy["policyName"].as_str()?.to_owned())).collect()
    }

    /// The lines that a function has logged so far.
    pub async fn log_lines(&self, function: &str) -> Vec<String> {
        self.log_lines_of(&format!("/aws/lambda/{function}")).await
    }

    async fn log_lines_of(&self, group: &str) -> Vec<String> {
        let body = json!({ "logGroupName": group });
        let answer = self.client.json_1_1("logs", "Logs_20140328.FilterLogEvents", &body).await.expect("an answer");
        let answer = answer.json().expect("the API answers JSON");
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        events.iter().filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
    }

    /// Waits until one of the function's lines holds `text`; all lines by then.
    pub async fn wait_for_log(&self, function: &str, text: &str) -> Vec<String> {
        self.wait_for_log_of(&format!("/aws/lambda/{function}"), text).await
    }

    pub async fn wait_for_log_of(&self, group: &str, text: &str) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let lines = self.log_lines_of(group).await;
            if lines.iter().any(|line| line.contains(text)) {
                return lines;
            }
            assert!(Instant::now() < until, "{group} does not hold {text:?}: {lines:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The rule's SQL for one CA.
fn registered_by(ca: &Ca) -> String {
    format!("SELECT * FROM '$aws/events/certificates/registered/{}'", ca.id())
}
