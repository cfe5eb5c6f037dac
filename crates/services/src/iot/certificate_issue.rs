//! Certificates that the server issues: with a key of its own making, or for a key whose holder asks for one.

use domain::admission::{CertificateMode, CertificateStatus};
use domain::x509::issuing::{self, SUBJECT_DEFAULT};
use domain::x509::{Certificate, CertificateRequest};

use super::Iot;
use super::certificate::invalid;
use super::certificate_registration::Registration;
use super::issuer::RsaKey;
use super::shapes::{
    CreateCertificateFromCsrRequest, CreateCertificateFromCsrResponse, CreateKeysAndCertificateRequest,
    CreateKeysAndCertificateResponse, KeyPair,
};
use crate::{Error, Op};

impl Iot {
    /// The private key is in this answer and nowhere else.
    pub async fn create_keys_and_certificate(
        &self,
        op: &Op,
        input: CreateKeysAndCertificateRequest,
    ) -> Result<CreateKeysAndCertificateResponse, Error> {
        self.authorize(op, "iot:CreateKeysAndCertificate", "*")?;
        let now = op.now;
        let (certificate, key_pair) = self
            .services
            .with_issuing_key(move |issuer| {
                let key = RsaKey::generate()?;
                let certificate = issuer.issue(&issuing::common_name(SUBJECT_DEFAULT), key.spki(), now)?;
                let key_pair = KeyPair {
                    public_key: Some(issuing::public_key_pem(key.spki())),
                    private_key: Some(key.private_pem()?),
                };
                Ok((certificate, key_pair))
            })
            .await?;
        self.register_issued(op, &certificate, input.set_as_active).await?;
        Ok(CreateKeysAndCertificateResponse {
            certificate_arn: Some(self.services.certificate_arn(certificate.id()).to_string()),
            certificate_id: Some(certificate.id().to_string()),
            certificate_pem: Some(certificate.to_pem()),
            key_pair: Some(key_pair),
        })
    }

    /// The same request twice makes two certificates. The subject is the request's; extensions that it asks for are not
    /// granted.
    pub async fn create_certificate_from_csr(
        &self,
        op: &Op,
        input: CreateCertificateFromCsrRequest,
    ) -> Result<CreateCertificateFromCsrResponse, Error> {
        self.authorize(op, "iot:CreateCertificateFromCsr", "*")?;
        let now = op.now;
        let text = input.certificate_signing_request;
        let certificate = self
            .services
            .with_issuing_key(move |issuer| {
                let request = CertificateRequest::from_pem(&text)
                    .map_err(|err| invalid(format!("The certificate signing request is not valid: {err}.")))?;
                issuer.issue(request.subject().der(), request.spki_der(), now)
            })
            .await?;
        self.register_issued(op, &certificate, input.set_as_active).await?;
        Ok(CreateCertificateFromCsrResponse {
            certificate_arn: Some(self.services.certificate_arn(certificate.id()).to_string()),
            certificate_id: Some(certificate.id().to_string()),
            certificate_pem: Some(certificate.to_pem()),
        })
    }

    async fn register_issued(
        &self,
        op: &Op,
        certificate: &Certificate,
        set_as_active: Option<bool>,
    ) -> Result<(), Error> {
        let active = set_as_active == Some(true);
        let status = if active { CertificateStatus::Active } else { CertificateStatus::Inactive };
        let mode = CertificateMode::Default;
        let decide = || Ok(Registration { certificate, status, ca: None, mode, leaning: None });
        self.services.transact_registration(op, decide).await
    }
}
