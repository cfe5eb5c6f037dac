//! Device certificates: what the registry holds of each, and the states that it may pass through.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::admission::{CertificateMode, CertificateStatus};
use domain::{Arn, CertificateId, Timestamp, x509};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::certificate_order::{self, Listing};
use super::page::{Order, Page};
use super::shapes::{
    Certificate, CertificateDescription, CertificateValidity, DescribeCertificateRequest, DescribeCertificateResponse,
    ListCertificatesByCARequest, ListCertificatesByCAResponse, ListCertificatesRequest, ListCertificatesResponse,
    UpdateCertificateRequest,
};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services, random};

pub(super) const PREFIX: &str = "iot/cert/";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CertificateRecord {
    der: String,
    #[serde(with = "status")]
    pub status: CertificateStatus,
    pub ca: Option<CertificateId>,
    pub mode: CertificateMode,
    pub created_at: Timestamp,
    modified_at: Timestamp,
    customer_version: i32,
    generation_id: String,
}

impl Stored for CertificateRecord {
    const VERSION: u32 = 1;
}

/// AWS's names, on disk as on the wire.
mod status {
    use domain::admission::CertificateStatus;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(status: &CertificateStatus, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CertificateStatus, D::Error> {
        let text = String::deserialize(deserializer)?;
        CertificateStatus::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text} is no status of a certificate")))
    }
}

impl CertificateRecord {
    pub(crate) fn new(
        certificate: &x509::Certificate,
        status: CertificateStatus,
        ca: Option<CertificateId>,
        mode: CertificateMode,
        now: Timestamp,
    ) -> Self {
        Self {
            der: STANDARD.encode(certificate.der()),
            status,
            ca,
            mode,
            created_at: now,
            modified_at: now,
            customer_version: 1,
            generation_id: random::uuid(),
        }
    }

    pub(super) fn certificate(&self) -> Result<x509::Certificate, Error> {
        let der = STANDARD.decode(&self.der).map_err(|err| Error::internal(format!("a stored certificate: {err}")))?;
        x509::Certificate::from_der(&der).map_err(|err| Error::internal(format!("a stored certificate: {err}")))
    }
}

pub(crate) fn certificate_key(id: CertificateId) -> String {
    format!("{PREFIX}{id}")
}

/// Which certificate a signed statement was registered as. A device can give its own certificate another id by writing
/// the CA's ECDSA signature in its other valid form; without this row a revoked device would come back as a new one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SignedRecord {
    certificate: CertificateId,
}

impl Stored for SignedRecord {
    const VERSION: u32 = 1;
}

fn signed_key(certificate: &x509::Certificate) -> String {
    format!("iot/signed/{}", hex::encode(certificate.signed_digest()))
}

/// The writes that register a certificate: certificate and signed statement new, or nothing.
pub(crate) fn registration(certificate: &x509::Certificate, record: &CertificateRecord) -> Vec<Write> {
    let signed = SignedRecord { certificate: certificate.id() };
    let mut writes = vec![
        put(certificate_key(certificate.id()), record, Expect::Absent),
        put(signed_key(certificate), &signed, Expect::Absent),
    ];
    writes.extend(certificate_order::entering(certificate.id(), record));
    writes
}

impl Services {
    /// The write that takes the signed statement away with its certificate.
    pub(super) fn unsign(&self, id: CertificateId, certificate: &x509::Certificate) -> Result<Option<Write>, Error> {
        let key = signed_key(certificate);
        let found = self.find::<SignedRecord>(&key)?.filter(|found| found.value.certificate == id);
        Ok(found.map(|found| delete(key, Expect::Revision(found.revision))))
    }

    /// The registered certificate that says the same as this unregistered one under another signature.
    pub(crate) fn find_twin(&self, certificate: &x509::Certificate) -> Result<Option<CertificateId>, Error> {
        let found = self.find::<SignedRecord>(&signed_key(certificate))?;
        Ok(found.map(|found| found.value.certificate).filter(|id| *id != certificate.id()))
    }

    pub(crate) fn find_certificate(&self, id: CertificateId) -> Result<Option<Found<CertificateRecord>>, Error> {
        self.find(&certificate_key(id))
    }

    pub(crate) fn certificate_arn(&self, id: CertificateId) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("cert/{id}"))
    }
}

impl Iot {
    pub async fn describe_certificate(
        &self,
        op: &Op,
        input: DescribeCertificateRequest,
    ) -> Result<DescribeCertificateResponse, Error> {
        let id = self.authorize_on_certificate(op, "iot:DescribeCertificate", &input.certificate_id)?;
        let arn = self.services.certificate_arn(id);
        let record = self.services.find_certificate(id)?.ok_or_else(missing)?.value;
        let certificate = record.certificate()?;
        Ok(DescribeCertificateResponse {
            certificate_description: Some(CertificateDescription {
                certificate_arn: Some(arn.to_string()),
                certificate_id: Some(id.to_string()),
                ca_certificate_id: record.ca.map(|ca| ca.to_string()),
                status: Some(record.status.as_str().to_owned()),
                certificate_pem: Some(certificate.to_pem()),
                owned_by: Some(self.services.config().account.to_string()),
                previous_owned_by: None,
                creation_date: Some(record.created_at.into()),
                last_modified_date: Some(record.modified_at.into()),
                customer_version: Some(record.customer_version),
                transfer_data: None,
                generation_id: Some(record.generation_id),
                validity: Some(CertificateValidity {
                    not_before: Some(certificate.not_before().into()),
                    not_after: Some(certificate.not_after().into()),
                }),
                certificate_mode: Some(record.mode.as_str().to_owned()),
            }),
        })
    }

    pub async fn list_certificates(
        &self,
        op: &Op,
        input: ListCertificatesRequest,
    ) -> Result<ListCertificatesResponse, Error> {
        self.authorize(op, "iot:ListCertificates", "*")?;
        let order = Order::of(input.ascending_order);
        let listing = Listing { ca: None, size: input.page_size, marker: input.marker.as_deref(), order };
        let (certificates, next) = self.page_of_certificates(listing).await?;
        Ok(ListCertificatesResponse { certificates: Some(certificates), next_marker: next })
    }

    /// A CA that is not there has no certificates: the operation's model has no ResourceNotFoundException, and what a
    /// deleted CA signed stays listed.
    pub async fn list_certificates_by_ca(
        &self,
        op: &Op,
        input: ListCertificatesByCARequest,
    ) -> Result<ListCertificatesByCAResponse, Error> {
        self.authorize(op, "iot:ListCertificatesByCA", "*")?;
        let Ok(ca) = input.ca_certificate_id.parse::<CertificateId>() else {
            return Ok(ListCertificatesByCAResponse { certificates: Some(Vec::new()), next_marker: None });
        };
        let order = Order::of(input.ascending_order);
        let listing = Listing { ca: Some(ca), size: input.page_size, marker: input.marker.as_deref(), order };
        let (certificates, next) = self.page_of_certificates(listing).await?;
        Ok(ListCertificatesByCAResponse { certificates: Some(certificates), next_marker: next })
    }

    async fn page_of_certificates(&self, listing: Listing<'_>) -> Result<(Vec<Certificate>, Option<String>), Error> {
        let Page { items, next } = self.services.list_in_order(listing).await?;
        let certificates = items
            .into_iter()
            .map(|(id, record)| Certificate {
                certificate_arn: Some(self.services.certificate_arn(id).to_string()),
                certificate_id: Some(id.to_string()),
                status: Some(record.status.as_str().to_owned()),
                certificate_mode: Some(record.mode.as_str().to_owned()),
                creation_date: Some(record.created_at.into()),
            })
            .collect();
        Ok((certificates, next))
    }

    /// Live connections feel the change before the caller has its answer.
    pub async fn update_certificate(&self, op: &Op, input: UpdateCertificateRequest) -> Result<(), Error> {
        let id = self.authorize_on_certificate(op, "iot:UpdateCertificate", &input.certificate_id)?;
        let wanted = CertificateStatus::parse(&input.new_status)
            .ok_or_else(|| invalid(format!("{} is no status of a certificate.", input.new_status)))?;
        let services = &self.services;
        let pending_since = services
            .transact(|| {
                let Found { value: mut record, revision } = services.find_certificate(id)?.ok_or_else(missing)?;
                match transition(record.status, wanted) {
                    Transition::Refused(err) => return Err(err),
                    Transition::Nothing => return Ok((Vec::new(), None)),
                    Transition::Change => {}
                }
                let was_pending = record.status == CertificateStatus::PendingActivation;
                record.status = wanted;
                record.modified_at = op.now;
                record.customer_version = record.customer_version.saturating_add(1);
                let pending_since = was_pending.then_some(record.created_at);
                Ok((vec![put(certificate_key(id), &record, Expect::Revision(revision))], pending_since))
            })
            .await?;
        services.refresh_standing(id)?;
        if let (Some(since), CertificateStatus::Active) = (pending_since, wanted) {
            services.metrics().onboarding.activated(since, services.now());
        }
        tracing::info!(certificate_id = %id, status = wanted.as_str(), "certificate status set");
        Ok(())
    }

    /// What is not an id names nothing, which only those hear who may ask.
    pub(super) fn authorize_on_certificate(&self, op: &Op, action: &str, id: &str) -> Result<CertificateId, Error> {
        let parsed = id.parse::<CertificateId>();
        let named = parsed.as_ref().map_or_else(|_| id.to_owned(), ToString::to_string);
        let config = self.services.config();
        let arn = Arn::new("iot", &config.region, &config.account, &format!("cert/{named}"));
        self.authorize(op, action, arn.as_str())?;
        parsed.map_err(|_| missing())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Transition {
    Change,
    Nothing,
    Refused(Error),
}

/// AWS's table for UpdateCertificate: a caller may set ACTIVE, INACTIVE and REVOKED; REVOKED is final; a certificate in
/// transfer is nobody's to change. (UpdateCertificate, and "revoke a certificate" in the developer guide)
fn transition(from: CertificateStatus, to: CertificateStatus) -> Transition {
    use CertificateStatus::{Active, Inactive, PendingTransfer, Revoked};
    if !matches!(to, Active | Inactive | Revoked) {
        return Transition::Refused(invalid(format!("A certificate cannot be set to {} by this call.", to.as_str())));
    }
    if from == to {
        return Transition::Nothing;
    }
    match from {
        Revoked => Transition::Refused(state(
            "A revoked certificate stays revoked. Register a new certificate for the device.",
        )),
        PendingTransfer => {
            Transition::Refused(state("The certificate is being transferred; cancel or accept the transfer first."))
        }
        _ => Transition::Change,
    }
}

pub(super) fn missing() -> Error {
    Error::new("ResourceNotFoundException", "Requested certificate does not exist.")
}

pub(super) fn invalid(message: String) -> Error {
    Error::new("InvalidRequestException", message)
}

pub(super) fn state(message: &str) -> Error {
    Error::new("CertificateStateException", message)
}

#[cfg(test)]
mod tests {
    use CertificateStatus::{Active, Inactive, PendingActivation, PendingTransfer, RegisterInactive, Revoked};

    use super::*;

    #[test]
    fn the_table_of_update_certificate() {
        for (from, to, expected) in [
            (PendingActivation, Active, "change"),
            (PendingActivation, Inactive, "change"),
            (PendingActivation, Revoked, "change"),
            (Active, Active, "nothing"),
            (Active, Inactive, "change"),
            (Active, Revoked, "change"),
            (Inactive, Active, "change"),
            (Revoked, Active, "CertificateStateException"),
            (Revoked, Inactive, "CertificateStateException"),
            (Revoked, Revoked, "nothing"),
            (PendingTransfer, Active, "CertificateStateException"),
            (Active, PendingActivation, "InvalidRequestException"),
            (Active, PendingTransfer, "InvalidRequestException"),
            (Inactive, RegisterInactive, "InvalidRequestException"),
        ] {
            let outcome = match transition(from, to) {
                Transition::Change => "change",
                Transition::Nothing => "nothing",
                Transition::Refused(err) => err.code,
            };
            assert_eq!(outcome, expected, "{from:?} to {to:?}");
        }
    }
}
