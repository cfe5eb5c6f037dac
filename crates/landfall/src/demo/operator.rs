//! The operator's side of the demo: CA, role, function, rule, each by the AWS call that the walkthrough names.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::CertificateId;
use fleet::{AwsClient, AwsResponse, Ca, KeyAlgorithm, Method, uri_encoded};
use serde_json::{Value, json};

use super::Steps;
use crate::Sentence;
use crate::run_file::RunFile;

const FUNCTION: &str = "activate-device";
const ROLE: &str = "activate-device-role";
const RULE: &str = "activate_device";
const IAM_VERSION: &str = "2010-05-08";

pub struct Operator<'a> {
    client: AwsClient,
    run: &'a RunFile,
    partition: &'static str,
}

impl<'a> Operator<'a> {
    pub fn new(client: AwsClient, run: &'a RunFile) -> Self {
        let partition = run.region.parse::<domain::Region>().map_or("aws", |region| region.partition().as_str());
        Self { client, run, partition }
    }

    pub async fn set_up(&self, steps: &mut Steps) -> Result<Ca, Sentence> {
        let (ca, ca_id) = self.register_ca(steps).await?;
        self.create_role(steps).await?;
        let function = self.create_function(steps).await?;
        self.create_rule(steps, &ca_id, &function).await?;
        Ok(ca)
    }

    async fn register_ca(&self, steps: &mut Steps) -> Result<(Ca, String), Sentence> {
        let code = steps
            .step("iot get-registration-code", async {
                let answer = self.rest("iot", Method::GET, "/registrationcode", None).await?;
                let code = text(&answer, "registrationCode")?;
                let shown = format!("{}...", code.get(..12).unwrap_or(&code));
                Ok((code, shown))
            })
            .await?;
        let ca = steps
            .step("a CA and its verification certificate are made", async {
                let ca = Ca::new("Demo factory CA", KeyAlgorithm::EcP256).map_err(|err| err.to_string())?;
                Ok((ca, "EC P-256".to_owned()))
            })
            .await?;
        let id = steps
            .step("iot register-ca-certificate (active, auto-registration)", async {
                let verification = ca.verification_certificate_pem(&code).map_err(|err| err.to_string())?;
                let body = json!({ "caCertificate": ca.certificate_pem(), "verificationCertificate": verification });
                let path = "/cacertificate?setAsActive=true&allowAutoRegistration=true";
                let answer = self.rest("iot", Method::POST, path, Some(&body)).await?;
                let id = text(&answer, "certificateId")?;
                let shown = short(&id);
                Ok((id, shown))
            })
            .await?;
        Ok((ca, id))
    }

    async fn create_role(&self, steps: &mut Steps) -> Result<(), Sentence> {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
        let rights = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
              "Resource": format!("arn:{}:logs:*:*:*", self.partition) },
            { "Effect": "Allow", "Action": ["iot:UpdateCertificate", "iot:CreatePolicy", "iot:AttachPrincipalPolicy"],
              "Resource": "*" }] });
        steps
            .step("iam create-role, put-role-policy", async {
                let trust = trust.to_string();
                let form = [("RoleName", ROLE), ("AssumeRolePolicyDocument", &trust)];
                good(self.client.query("iam", IAM_VERSION, "CreateRole", &form).await)?;
                let rights = rights.to_string();
                let form = [("RoleName", ROLE), ("PolicyName", "activate"), ("PolicyDocument", &rights)];
                good(self.client.query("iam", IAM_VERSION, "PutRolePolicy", &form).await)?;
                Ok(((), ROLE.to_owned()))
            })
            .await
    }

    async fn create_function(&self, steps: &mut Steps) -> Result<String, Sentence> {
        steps
            .step("lambda create-function (nodejs, AWS SDK v2)", async {
                let role = format!("arn:{}:iam::{}:role/{ROLE}", self.partition, self.run.account_id);
                let body = json!({
                    "FunctionName": FUNCTION, "Runtime": "nodejs20.x", "Handler": "index.handler", "Role": role,
                    "Timeout": 10, "Code": { "ZipFile": STANDARD.encode(package()?) },
                    "Environment": { "Variables": { "PARTITION": self.partition } } });
                let answer = self.rest("lambda", Method::POST, "/2015-03-31/functions", Some(&body)).await?;
                Ok((text(&answer, "FunctionArn")?, FUNCTION.to_owned()))
            })
            .await
    }

    async fn create_rule(&self, steps: &mut Steps, ca_id: &str, function: &str) -> Result<(), Sentence> {
        steps
            .step("iot create-topic-rule, lambda add-permission", async {
                let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{ca_id}'");
                let body = json!({ "sql": sql, "actions": [{ "lambda": { "functionArn": function } }] });
                self.rest("iot", Method::POST, &format!("/rules/{RULE}"), Some(&body)).await?;
                let (region, account) = (&self.run.region, &self.run.account_id);
                let body = json!({
                    "StatementId": "iot-rule", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com",
                    "SourceArn": format!("arn:{}:iot:{region}:{account}:rule/{RULE}", self.partition) });
                let path = format!("/2015-03-31/functions/{FUNCTION}/policy");
                self.rest("lambda", Method::POST, &path, Some(&body)).await?;
                Ok(((), RULE.to_owned()))
            })
            .await
    }

    /// The certificate as the registry has it, and what the function wrote.
    pub async fn look(&self, steps: &mut Steps, certificate: CertificateId) -> Result<(), Sentence> {
        steps
            .step("iot describe-certificate", async {
                let answer = self.rest("iot", Method::GET, &format!("/certificates/{certificate}"), None).await?;
                let status = text(&answer["certificateDescription"], "status")?;
                if status != "ACTIVE" {
                    return Err(format!("the certificate is {status}, not ACTIVE.").into());
                }
                Ok(((), status))
            })
            .await?;
        steps
            .step("iot list-attached-policies", async {
                let (region, account) = (&self.run.region, &self.run.account_id);
                let target = format!("arn:{}:iot:{region}:{account}:cert/{certificate}", self.partition);
                let path = format!("/attached-policies/{}", uri_encoded(&target));
                let answer = self.rest("iot", Method::POST, &path, None).await?;
                let name = text(&answer["policies"][0], "policyName")?;
                Ok(((), format!("{}...", name.get(..20).unwrap_or(&name))))
            })
            .await?;
        let body = json!({ "logGroupName": format!("/aws/lambda/{FUNCTION}") });
        let lines = steps
            .step("logs filter-log-events", async {
                let answer = self.client.json_1_1("logs", "Logs_20140328.FilterLogEvents", &body).await;
                let answer: Value = read(&good(answer)?)?;
                let events = answer["events"].as_array().cloned().unwrap_or_default();
                let lines: Vec<String> =
                    events.iter().filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect();
                let count = format!("{} lines", lines.len());
                Ok((lines, count))
            })
            .await?;
        for line in lines {
            steps.say(&format!("      {}", line.replace('\t', " ")));
        }
        Ok(())
    }

    async fn rest(&self, service: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Sentence> {
        let answer = good(self.client.rest_json(service, method, path, body).await)?;
        if answer.body.is_empty() { Ok(Value::Null) } else { read(&answer) }
    }
}

/// The function's package, as `zip function.zip index.js` makes it.
fn package() -> Result<Vec<u8>, Sentence> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let written = zip
        .start_file("index.js", zip::write::SimpleFileOptions::default())
        .and_then(|()| Ok(zip.write_all(include_bytes!("activate.js"))?))
        .and_then(|()| zip.finish());
    written.map(Cursor::into_inner).map_err(|err| format!("the function could not be packed: {err}.").into())
}

fn good(answer: Result<AwsResponse, fleet::Error>) -> Result<AwsResponse, Sentence> {
    let answer = answer.map_err(|err| err.to_string())?;
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(format!("the server answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body)).into())
}

fn read(answer: &AwsResponse) -> Result<Value, Sentence> {
    serde_json::from_slice(&answer.body).map_err(|err| format!("the answer is not JSON: {err}.").into())
}

fn text(answer: &Value, member: &str) -> Result<String, Sentence> {
    answer[member].as_str().map(str::to_owned).ok_or_else(|| format!("the answer has no {member}: {answer}").into())
}

fn short(id: &str) -> String {
    format!("{}...", id.get(..12).unwrap_or(id))
}
