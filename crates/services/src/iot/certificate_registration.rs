//! Certificates that the operator registers, with the CA that signed them or without one. Just-in-time registration is
//! admission's; it alone publishes the event.

use std::sync::Arc;

use domain::CertificateId;
use domain::admission::{CaStatus, CertificateMode, CertificateStatus};
use domain::x509::{self, Validity};
use store::Write;

use super::Iot;
use super::ca_certificate::ca_key;
use super::ca_index::IndexedCa;
use super::certificate::{CertificateRecord, invalid, registration, state};
use super::shapes::{
    RegisterCertificateRequest, RegisterCertificateResponse, RegisterCertificateWithoutCARequest,
    RegisterCertificateWithoutCAResponse,
};
use crate::{Error, Op};

/// A certificate as it will stand in the registry.
pub(super) struct Registration<'a> {
    pub certificate: &'a x509::Certificate,
    pub status: CertificateStatus,
    pub ca: Option<CertificateId>,
    pub mode: CertificateMode,
    /// What must still hold when it is written.
    pub leaning: Option<Write>,
}

impl Iot {
    pub async fn register_certificate(
        &self,
        op: &Op,
        input: RegisterCertificateRequest,
    ) -> Result<RegisterCertificateResponse, Error> {
        self.authorize(op, "iot:RegisterCertificate", "*")?;
        let status = wanted_status(input.status.as_deref(), input.set_as_active)?;
        let certificate = device_certificate(&input.certificate_pem, op)?;
        let named = input.ca_certificate_pem.as_deref().map(read_ca).transpose()?;
        let services = &self.services;
        services
            .transact_registration(op, || {
                let issuer = self.issuer_of(&certificate, named.as_ref())?;
                let found = services.find_ca(issuer)?.ok_or_else(no_ca)?;
                if found.value.status != CaStatus::Active {
                    let message =
                        "The CA certificate is INACTIVE; activate it to register certificates that it signed.";
                    return Err(state(message));
                }
                Ok(Registration {
                    certificate: &certificate,
                    status,
                    ca: Some(issuer),
                    mode: found.value.mode,
                    leaning: Some(Write::lean_on(ca_key(issuer), found.revision)),
                })
            })
            .await?;
        let id = certificate.id();
        Ok(RegisterCertificateResponse {
            certificate_arn: Some(services.certificate_arn(id).to_string()),
            certificate_id: Some(id.to_string()),
        })
    }

    /// Any issuer, and no proof: AWS takes such a certificate in one account by its server name only.
    pub async fn register_certificate_without_ca(
        &self,
        op: &Op,
        input: RegisterCertificateWithoutCARequest,
    ) -> Result<RegisterCertificateWithoutCAResponse, Error> {
        self.authorize(op, "iot:RegisterCertificateWithoutCA", "*")?;
        let status = wanted_status(input.status.as_deref(), None)?;
        let certificate = device_certificate(&input.certificate_pem, op)?;
        let services = &self.services;
        let as_given = || {
            let mode = CertificateMode::SniOnly;
            Ok(Registration { certificate: &certificate, status, ca: None, mode, leaning: None })
        };
        services.transact_registration(op, as_given).await?;
        let id = certificate.id();
        Ok(RegisterCertificateWithoutCAResponse {
            certificate_arn: Some(services.certificate_arn(id).to_string()),
            certificate_id: Some(id.to_string()),
        })
    }

    /// The registered CA, in any status, that signed the certificate. AWS wants it named where several have the subject.
    fn issuer_of(
        &self,
        certificate: &x509::Certificate,
        named: Option<&x509::Certificate>,
    ) -> Result<CertificateId, Error> {
        let same_subject = self.services.cas_with_subject(certificate.issuer());
        if let Some(named) = named {
            if self.services.find_ca(named.id())?.is_none() {
                return Err(no_ca());
            }
            let is_issuer = certificate.is_issued_by(named);
            return is_issuer.then_some(named.id()).ok_or_else(|| {
                validation("The certificate was not signed by the CA certificate in caCertificatePem.".to_owned())
            });
        }
        let signers: Vec<&Arc<IndexedCa>> =
            same_subject.iter().filter(|ca| certificate.is_issued_by(&ca.certificate)).collect();
        match (signers.as_slice(), same_subject.len()) {
            ([], _) => Err(no_ca()),
            ([one], 1) => Ok(one.id),
            ([_], _) => Err(invalid(
                "Several registered CA certificates have the subject of the certificate's issuer; send the one that \
                 signed it as caCertificatePem."
                    .to_owned(),
            )),
            _ => Err(Error::new(
                "CertificateConflictException",
                "Several registered CA certificates have the same subject and public key, and each could have signed \
                 the certificate; send one of them as caCertificatePem.",
            )),
        }
    }
}

/// `status` says more than the older `setAsActive`, and goes before it.
fn wanted_status(status: Option<&str>, set_as_active: Option<bool>) -> Result<CertificateStatus, Error> {
    use CertificateStatus::{Active, Inactive, Revoked};
    let Some(status) = status else {
        return Ok(if set_as_active == Some(true) { Active } else { Inactive });
    };
    match CertificateStatus::parse(status) {
        None => Err(invalid(format!("{status} is no status of a certificate."))),
        Some(wanted @ (Active | Inactive | Revoked)) => Ok(wanted),
        // Measured on AWS for PENDING_ACTIVATION.
        Some(other) => Err(state(&format!("Not allowed to register certificate with {} status", other.as_str()))),
    }
}

/// Read and looked at as far as it can be without its issuer.
fn device_certificate(pem: &str, op: &Op) -> Result<x509::Certificate, Error> {
    let certificate =
        x509::Certificate::from_pem(pem).map_err(|err| validation(format!("The certificate is not valid: {err}.")))?;
    if !certificate.key_kind().is_accepted() {
        return Err(validation(format!(
            "The certificate's key ({}) is not accepted: use RSA of at least 2048 bits, or EC P-256, P-384 or P-521.",
            certificate.key_kind()
        )));
    }
    if let Some(why) = certificate.signature_objection() {
        return Err(validation(format!("The certificate is not accepted, {why}: sign it anew.")));
    }
    // One that is not valid yet may be registered ahead.
    if certificate.validity_at(op.now) == Validity::Expired {
        let at = certificate.not_after().to_rfc3339();
        return Err(validation(format!("The certificate expired at {at}: issue a new one.")));
    }
    Ok(certificate)
}

fn read_ca(pem: &str) -> Result<x509::Certificate, Error> {
    x509::Certificate::from_pem(pem)
        .map_err(|err| validation(format!("The CA certificate in caCertificatePem is not valid: {err}.")))
}

/// AWS's words.
fn no_ca() -> Error {
    state("No CA certificate exists for the given certificate")
}

fn validation(message: String) -> Error {
    Error::new("CertificateValidationException", message)
}

impl crate::Services {
    /// Registers what `decide` says, once, or says what stands there already.
    pub(super) async fn transact_registration<'a>(
        &self,
        op: &Op,
        mut decide: impl FnMut() -> Result<Registration<'a>, Error>,
    ) -> Result<(), Error> {
        self.transact(|| {
            let Registration { certificate, status, ca, mode, leaning } = decide()?;
            let id = certificate.id();
            let there = match self.find_certificate(id)? {
                Some(_) => Some(id),
                None => self.find_twin(certificate)?,
            };
            if let Some(there) = there {
                let message = "The certificate is already provisioned or registered";
                return Err(Error::new("ResourceAlreadyExistsException", message)
                    .with_member("resourceId", there.to_string())
                    .with_member("resourceArn", self.certificate_arn(there).to_string()));
            }
            let record = CertificateRecord::new(certificate, status, ca, mode, op.now);
            let mut writes = registration(certificate, &record);
            writes.extend(leaning);
            Ok((writes, (id, status)))
        })
        .await
        .map(|(id, status)| {
            tracing::info!(certificate_id = %id, status = status.as_str(), "certificate registered");
        })
    }
}
