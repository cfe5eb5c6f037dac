//! What an operator sets up so that a CA's devices land by themselves: a role, a function that activates certificates, a
//! rule that calls it, and the permission to do so.

use std::io::{Cursor, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{CertificateId, Region};
use hyper::Method;
use serde_json::{Value, json};

use crate::ca_registration::{must, text};
use crate::{AwsClient, Error};

const IAM_VERSION: &str = "2010-05-08";

/// All of it goes by one name.
pub struct Activation {
    name: String,
    client: AwsClient,
    account: String,
    partition: &'static str,
}

impl Activation {
    /// Asks whose account it is. `name` has letters, digits and underscores: rules take no others.
    pub async fn named(name: &str, client: AwsClient) -> Result<Self, Error> {
        let answer = client.query("sts", "2011-06-15", "GetCallerIdentity", &[]).await?;
        let account = answer.xml_text("Account");
        let account = account.ok_or_else(|| Error::Protocol(format!("whose account is it? {}", answer.text())))?;
        let partition = client.region().parse::<Region>().map_or("aws", |region| region.partition().as_str());
        Ok(Self { name: name.to_owned(), client, account, partition })
    }

    pub async fn set_up(&self, ca: CertificateId) -> Result<(), Error> {
        self.create_role().await?;
        let function = self.create_function().await?;
        self.create_rule(ca, &function).await
    }

    /// That functions may take, and that may do what activation needs and write logs.
    pub async fn create_role(&self) -> Result<(), Error> {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
        let rights = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
              "Resource": format!("arn:{}:logs:*:*:*", self.partition) },
            { "Effect": "Allow", "Action": ["iot:UpdateCertificate", "iot:CreatePolicy", "iot:AttachPrincipalPolicy"],
              "Resource": "*" }] });
        let (trust, rights) = (trust.to_string(), rights.to_string());
        let name = self.name.as_str();
        self.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust)]).await?;
        let form = [("RoleName", name), ("PolicyName", "activate"), ("PolicyDocument", rights.as_str())];
        self.iam("PutRolePolicy", &form).await
    }

    /// Its ARN.
    pub async fn create_function(&self) -> Result<String, Error> {
        let role = format!("arn:{}:iam::{}:role/{}", self.partition, self.account, self.name);
        let body = json!({
            "FunctionName": self.name, "Runtime": "nodejs20.x", "Handler": "index.handler", "Role": role,
            "Timeout": 10, "Code": { "ZipFile": STANDARD.encode(package()?) },
            "Environment": { "Variables": { "PARTITION": self.partition } } });
        text(&self.post("lambda", "CreateFunction", "/2015-03-31/functions", &body).await?, "FunctionArn")
    }

    /// On the registration of the CA's devices.
    pub async fn create_rule(&self, ca: CertificateId, function_arn: &str) -> Result<(), Error> {
        let name = &self.name;
        let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{ca}'");
        let body = json!({ "sql": sql, "actions": [{ "lambda": { "functionArn": function_arn } }] });
        self.post("iot", "CreateTopicRule", &format!("/rules/{name}"), &body).await?;
        let rule = format!("arn:{}:iot:{}:{}:rule/{name}", self.partition, self.client.region(), self.account);
        let body = json!({ "StatementId": "iot-rule", "Action": "lambda:InvokeFunction",
            "Principal": "iot.amazonaws.com", "SourceArn": rule });
        self.post("lambda", "AddPermission", &format!("/2015-03-31/functions/{name}/policy"), &body).await?;
        Ok(())
    }

    async fn post(&self, service: &str, operation: &'static str, path: &str, body: &Value) -> Result<Value, Error> {
        must(self.client.rest_json(service, Method::POST, path, Some(body)).await?, operation)
    }

    async fn iam(&self, operation: &'static str, parameters: &[(&str, &str)]) -> Result<(), Error> {
        let answer = self.client.query("iam", IAM_VERSION, operation, parameters).await?;
        if answer.is_success() { Ok(()) } else { must(answer, operation).map(|_| ()) }
    }
}

/// As `zip function.zip index.js` makes it.
fn package() -> Result<Vec<u8>, Error> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let written = zip
        .start_file("index.js", zip::write::SimpleFileOptions::default())
        .and_then(|()| Ok(zip.write_all(include_bytes!("activate.js"))?))
        .and_then(|()| zip.finish());
    written.map(Cursor::into_inner).map_err(|error| Error::Request(format!("the function cannot be packed: {error}")))
}
