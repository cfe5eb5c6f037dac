//! The operator's side of the demo: CA, role, function, rule, each by the AWS call that the walkthrough names.

use domain::CertificateId;
use fleet::{
    Activation, AwsClient, AwsResponse, Ca, CaRegistration, KeyAlgorithm, Method, registration_code, uri_encoded,
};
use serde_json::{Value, json};

use super::Steps;
use crate::Sentence;
use crate::run_file::RunFile;

/// Of the role, the function and the rule.
const NAME: &str = "activate_device";

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
        let ca = self.register_ca(steps).await?;
        let activation = Activation::named(NAME, self.client.clone()).await.map_err(said)?;
        steps
            .step("iam create-role, put-role-policy", async {
                activation.create_role().await.map_err(said)?;
                Ok(((), NAME.to_owned()))
            })
            .await?;
        let function = steps
            .step("lambda create-function (nodejs, AWS SDK v2)", async {
                Ok((activation.create_function().await.map_err(said)?, NAME.to_owned()))
            })
            .await?;
        steps
            .step("iot create-topic-rule, lambda add-permission", async {
                activation.create_rule(ca.id(), &function).await.map_err(said)?;
                Ok(((), NAME.to_owned()))
            })
            .await?;
        Ok(ca)
    }

    async fn register_ca(&self, steps: &mut Steps) -> Result<Ca, Sentence> {
        let code = steps
            .step("iot get-registration-code", async {
                let code = registration_code(&self.client).await.map_err(said)?;
                let shown = short(&code);
                Ok((code, shown))
            })
            .await?;
        let (ca, verification) = steps
            .step("a CA and its verification certificate are made", async {
                let ca = Ca::new("Demo factory CA", KeyAlgorithm::EcP256).map_err(said)?;
                let verification = ca.verification(&code).map_err(said)?;
                Ok(((ca, verification), "EC P-256".to_owned()))
            })
            .await?;
        steps
            .step("iot register-ca-certificate (active, auto-registration)", async {
                let how = CaRegistration { set_as_active: true, allow_auto_registration: true };
                let id = ca.register_with(&self.client, &verification, how).await.map_err(said)?;
                Ok(((), short(&id.to_string())))
            })
            .await?;
        Ok(ca)
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
        let body = json!({ "logGroupName": format!("/aws/lambda/{NAME}") });
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

fn said(err: fleet::Error) -> Sentence {
    format!("{err}.").into()
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
