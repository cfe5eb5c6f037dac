//! Registers a CA with whatever speaks AWS IoT's API.

use domain::CertificateId;
use hyper::Method;
use serde_json::{Value, json};

use crate::{AwsClient, AwsResponse, Ca, Error, Verification};

/// What RegisterCACertificate is asked for beside the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaRegistration {
    pub set_as_active: bool,
    /// Unknown devices of the CA are registered when they connect.
    pub allow_auto_registration: bool,
}

impl Ca {
    /// Code, verification certificate and registration in one go. The key stays where it is.
    pub async fn register(&self, client: &AwsClient, how: CaRegistration) -> Result<CertificateId, Error> {
        let verification = self.verification(&registration_code(client).await?)?;
        self.register_with(client, &verification, how).await
    }

    pub async fn register_with(
        &self,
        client: &AwsClient,
        verification: &Verification,
        how: CaRegistration,
    ) -> Result<CertificateId, Error> {
        let body = json!({
            "caCertificate": self.certificate_pem(), "verificationCertificate": verification.certificate_pem });
        let CaRegistration { set_as_active, allow_auto_registration } = how;
        let path =
            format!("/cacertificate?setAsActive={set_as_active}&allowAutoRegistration={allow_auto_registration}");
        let answer = client.rest_json("iot", Method::POST, &path, Some(&body)).await?;
        let id = text(&must(answer, "RegisterCACertificate")?, "certificateId")?;
        id.parse().map_err(|_| Error::Protocol(format!("RegisterCACertificate answered {id:?} for an id")))
    }
}

/// The account's own, which a verification certificate names.
pub async fn registration_code(client: &AwsClient) -> Result<String, Error> {
    let answer = client.rest_json("iot", Method::GET, "/registrationcode", None).await?;
    text(&must(answer, "GetRegistrationCode")?, "registrationCode")
}

/// The answer's JSON, or the service's own words.
pub(crate) fn must(answer: AwsResponse, operation: &'static str) -> Result<Value, Error> {
    if answer.is_success() {
        return answer.json();
    }
    let code = answer.error_code().unwrap_or_else(|| format!("status {}", answer.status));
    Err(Error::Refused { operation, code, message: answer.error_message().unwrap_or_else(|| answer.text()) })
}

pub(crate) fn text(answer: &Value, member: &str) -> Result<String, Error> {
    let text = answer[member].as_str().map(str::to_owned);
    text.ok_or_else(|| Error::Protocol(format!("the answer has no {member}: {answer}")))
}
