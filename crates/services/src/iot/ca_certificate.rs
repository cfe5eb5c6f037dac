//! CA certificates: registered once, with proof of their key; device certificates that they signed may then come in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::admission::{CaStatus, CertificateMode};
use domain::x509::Certificate;
use domain::x509::registration::{RegistrationRefusal, check, check_ca};
use domain::{Arn, CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::page::{Order, Page, PageMaker};
use super::shapes::{
    CACertificate, CACertificateDescription, CertificateValidity, DeleteCACertificateRequest,
    DeleteCACertificateResponse, DescribeCACertificateRequest, DescribeCACertificateResponse,
    ListCACertificatesRequest, ListCACertificatesResponse, RegisterCACertificateRequest, RegisterCACertificateResponse,
    UpdateCACertificateRequest,
};
use super::tag::{Tags, untagged};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services, random};

pub(crate) const PREFIX: &str = "iot/ca/";

/// CAs of one subject in an account and Region. (RegisterCACertificate)
const SAME_SUBJECT_MAX: usize = 10;

/// The CAs of one subject: what keeps two callers from registering the eleventh at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct SubjectRecord {
    cas: Vec<CertificateId>,
}

impl Stored for SubjectRecord {
    const VERSION: u32 = 1;
}

/// Names have no bound worth having in a key; their hash has.
fn subject_key(certificate: &Certificate) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.subject().der());
    format!("iot/ca-subject/{}", hex::encode(digest))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CaRecord {
    der: String,
    #[serde(with = "ca_status")]
    pub status: CaStatus,
    pub auto_registration: bool,
    pub mode: CertificateMode,
    created_at: Timestamp,
    modified_at: Timestamp,
    customer_version: i32,
    generation_id: String,
}

impl Stored for CaRecord {
    const VERSION: u32 = 1;
}

/// `ACTIVE` and `INACTIVE`, on disk as on the wire.
mod ca_status {
    use domain::admission::CaStatus;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(status: &CaStatus, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(super::status_text(*status))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CaStatus, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "ACTIVE" => Ok(CaStatus::Active),
            "INACTIVE" => Ok(CaStatus::Inactive),
            other => Err(serde::de::Error::custom(format!("{other} is no status of a CA"))),
        }
    }
}

fn status_text(status: CaStatus) -> &'static str {
    match status {
        CaStatus::Active => "ACTIVE",
        CaStatus::Inactive => "INACTIVE",
    }
}

impl CaRecord {
    pub(crate) fn certificate(&self) -> Result<Certificate, Error> {
        let der = STANDARD.decode(&self.der).map_err(|err| Error::internal(format!("a stored CA: {err}")))?;
        Certificate::from_der(&der).map_err(|err| Error::internal(format!("a stored CA: {err}")))
    }
}

pub(crate) fn ca_key(id: CertificateId) -> String {
    format!("{PREFIX}{id}")
}

impl Services {
    pub(crate) fn find_ca(&self, id: CertificateId) -> Result<Option<Found<CaRecord>>, Error> {
        self.find(&ca_key(id))
    }

    /// Makes room for another CA of the same subject.
    fn leave_subject(&self, id: CertificateId, certificate: &Certificate) -> Result<Option<Write>, Error> {
        let key = subject_key(certificate);
        let Some(Found { value: mut of_subject, revision }) = self.find::<SubjectRecord>(&key)? else {
            return Ok(None);
        };
        of_subject.cas.retain(|other| *other != id);
        let expected = Expect::Revision(revision);
        Ok(Some(if of_subject.cas.is_empty() { delete(key, expected) } else { put(key, &of_subject, expected) }))
    }

    fn ca_arn(&self, id: CertificateId) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("cacert/{id}"))
    }
}

impl Iot {
    pub async fn register_ca_certificate(
        &self,
        op: &Op,
        input: RegisterCACertificateRequest,
    ) -> Result<RegisterCACertificateResponse, Error> {
        let tags = Tags::of_new(input.tags.clone());
        let context = tags.as_ref().map(Tags::context).unwrap_or_default();
        self.authorize_with_tags(op, "iot:RegisterCACertificate", "*", &context)?;
        let tags = tags?;
        if input.registration_config.is_some() {
            return Err(invalid(
                "registrationConfig (just-in-time provisioning) is not served yet. Leave it out and activate certificates from a rule.",
            ));
        }
        let certificate = Certificate::from_pem(&input.ca_certificate)
            .map_err(|err| invalid(&format!("The CA certificate is not valid: {err}.")))?;
        let mode = self.check_mode(&certificate, &input, op.now)?;

        let services = &self.services;
        let id = certificate.id();
        let record = CaRecord {
            der: STANDARD.encode(certificate.der()),
            status: if input.set_as_active == Some(true) { CaStatus::Active } else { CaStatus::Inactive },
            auto_registration: input.allow_auto_registration == Some(true),
            mode,
            created_at: op.now,
            modified_at: op.now,
            customer_version: 1,
            generation_id: random::uuid(),
        };
        let arn = services.ca_arn(id);
        let subject_key = subject_key(&certificate);
        services
            .transact(|| {
                if services.find_ca(id)?.is_some() {
                    return Err(Error::new("ResourceAlreadyExistsException", "CA Certificate already exists.")
                        .with_member("resourceId", id.to_string())
                        .with_member("resourceArn", arn.as_str()));
                }
                let found = services.find::<SubjectRecord>(&subject_key)?;
                let expected = found.as_ref().map_or(Expect::Absent, |found| Expect::Revision(found.revision));
                let mut of_subject = found.map(|found| found.value).unwrap_or_default();
                if of_subject.cas.len() >= SAME_SUBJECT_MAX {
                    let message = "Limit reached for number of CA Certificates with same subject";
                    return Err(Error::new("LimitExceededException", message));
                }
                of_subject.cas.push(id);
                let mut writes =
                    vec![put(ca_key(id), &record, Expect::Absent), put(subject_key.as_str(), &of_subject, expected)];
                writes.extend(tags.write(&format!("cacert/{id}")));
                Ok((writes, ()))
            })
            .await?;
        services.refresh_ca(id)?;
        tracing::info!(ca_certificate_id = %id, subject = %certificate.subject().to_text(), "CA certificate registered");
        Ok(RegisterCACertificateResponse {
            certificate_arn: Some(arn.to_string()),
            certificate_id: Some(id.to_string()),
        })
    }

    /// The mode, once the proof that goes with it holds.
    fn check_mode(
        &self,
        certificate: &Certificate,
        input: &RegisterCACertificateRequest,
        now: Timestamp,
    ) -> Result<CertificateMode, Error> {
        let verification = input.verification_certificate.as_deref().filter(|pem| !pem.is_empty());
        let mode = input.certificate_mode.as_deref().unwrap_or(CertificateMode::Default.as_str());
        let mode = CertificateMode::parse(mode)
            .ok_or_else(|| invalid(&format!("{mode} is no certificateMode; it is DEFAULT or SNI_ONLY.")))?;
        let verification = match (mode, verification) {
            (CertificateMode::Default, Some(pem)) => Some(
                Certificate::from_pem(pem)
                    .map_err(|err| invalid(&format!("The verification certificate is not valid: {err}.")))?,
            ),
            (CertificateMode::Default, None) => {
                return Err(invalid("A verification certificate is required when certificateMode is DEFAULT."));
            }
            (CertificateMode::SniOnly, None) => None,
            (CertificateMode::SniOnly, Some(_)) => {
                return Err(invalid("A verification certificate must not be given when certificateMode is SNI_ONLY."));
            }
        };
        let checked = match verification {
            None => check_ca(certificate, now),
            // Without a code nobody can have signed it.
            Some(verification) => match self.registration_code()? {
                Some(code) => check(certificate, &verification, &code, now),
                None => check_ca(certificate, now).and(Err(RegistrationRefusal::RegistrationCode)),
            },
        };
        checked.map_err(|refusal| Error::new(refusal.exception(), refusal.to_string()))?;
        Ok(mode)
    }

    pub async fn describe_ca_certificate(
        &self,
        op: &Op,
        input: DescribeCACertificateRequest,
    ) -> Result<DescribeCACertificateResponse, Error> {
        let id = self.authorize_on_ca(op, "iot:DescribeCACertificate", &input.certificate_id)?;
        let record = self.services.find_ca(id)?.ok_or_else(missing)?.value;
        let certificate = record.certificate()?;
        Ok(DescribeCACertificateResponse {
            certificate_description: Some(CACertificateDescription {
                certificate_arn: Some(self.services.ca_arn(id).to_string()),
                certificate_id: Some(id.to_string()),
                status: Some(status_text(record.status).to_owned()),
                certificate_pem: Some(certificate.to_pem()),
                owned_by: Some(self.services.config().account.to_string()),
                creation_date: Some(record.created_at.into()),
                auto_registration_status: Some(if record.auto_registration { "ENABLE" } else { "DISABLE" }.to_owned()),
                last_modified_date: Some(record.modified_at.into()),
                customer_version: Some(record.customer_version),
                generation_id: Some(record.generation_id),
                validity: Some(CertificateValidity {
                    not_before: Some(certificate.not_before().into()),
                    not_after: Some(certificate.not_after().into()),
                }),
                certificate_mode: Some(record.mode.as_str().to_owned()),
            }),
            registration_config: None,
        })
    }

    pub async fn list_ca_certificates(
        &self,
        op: &Op,
        input: ListCACertificatesRequest,
    ) -> Result<ListCACertificatesResponse, Error> {
        self.authorize(op, "iot:ListCACertificates", "*")?;
        if input.template_name.is_some() {
            // No CA has a provisioning template until just-in-time provisioning is served.
            return Ok(ListCACertificatesResponse::default());
        }
        let order = Order::of(input.ascending_order);
        let mut page = PageMaker::new(input.page_size, input.marker.as_deref(), order)?;
        let offer = |id: String, record: CaRecord| {
            page.offer(format!("{:013}{id}", record.created_at.millis()), (id, record));
        };
        self.services.each_record(PREFIX, offer).await?;
        let Page { items, next } = page.finish();
        let certificates = items
            .into_iter()
            .filter_map(|(id, record)| Some((id.parse().ok()?, record)))
            .map(|(id, record)| CACertificate {
                certificate_arn: Some(self.services.ca_arn(id).to_string()),
                certificate_id: Some(id.to_string()),
                status: Some(status_text(record.status).to_owned()),
                creation_date: Some(record.created_at.into()),
            })
            .collect();
        Ok(ListCACertificatesResponse { certificates: Some(certificates), next_marker: next })
    }

    /// `removeAutoRegistration` clears the stored registrationConfig. There is none until just-in-time provisioning is
    /// served, so it has nothing to do; it does not touch autoRegistrationStatus, on AWS either.
    pub async fn update_ca_certificate(&self, op: &Op, input: UpdateCACertificateRequest) -> Result<(), Error> {
        let id = self.authorize_on_ca(op, "iot:UpdateCACertificate", &input.certificate_id)?;
        if input.registration_config.is_some() {
            return Err(invalid("registrationConfig (just-in-time provisioning) is not served yet."));
        }
        let status = match input.new_status.as_deref() {
            None => None,
            Some("ACTIVE") => Some(CaStatus::Active),
            Some("INACTIVE") => Some(CaStatus::Inactive),
            Some(other) => return Err(invalid(&format!("A CA certificate cannot be set to {other}."))),
        };
        let auto_registration = match input.new_auto_registration_status.as_deref() {
            None => None,
            Some("ENABLE") => Some(true),
            Some("DISABLE") => Some(false),
            Some(other) => {
                return Err(invalid(&format!("{other} is no autoRegistrationStatus; use ENABLE or DISABLE.")));
            }
        };
        let services = &self.services;
        services
            .transact(|| {
                let Found { value: mut record, revision } = services.find_ca(id)?.ok_or_else(missing)?;
                record.status = status.unwrap_or(record.status);
                record.auto_registration = auto_registration.unwrap_or(record.auto_registration);
                record.modified_at = op.now;
                record.customer_version = record.customer_version.saturating_add(1);
                Ok((vec![put(ca_key(id), &record, Expect::Revision(revision))], ()))
            })
            .await?;
        services.refresh_ca(id)
    }

    /// Device certificates that the CA signed stay registered, and work on.
    pub async fn delete_ca_certificate(
        &self,
        op: &Op,
        input: DeleteCACertificateRequest,
    ) -> Result<DeleteCACertificateResponse, Error> {
        let id = self.authorize_on_ca(op, "iot:DeleteCACertificate", &input.certificate_id)?;
        let services = &self.services;
        services
            .transact(|| {
                let Found { value: record, revision } = services.find_ca(id)?.ok_or_else(missing)?;
                if record.status == CaStatus::Active {
                    let message = "CA certificate must be deactivated (not ACTIVE) before deletion.";
                    return Err(Error::new("CertificateStateException", message));
                }
                let mut writes =
                    vec![delete(ca_key(id), Expect::Revision(revision)), untagged(&format!("cacert/{id}"))];
                writes.extend(services.leave_subject(id, &record.certificate()?)?);
                Ok((writes, ()))
            })
            .await?;
        services.refresh_ca(id)?;
        tracing::info!(ca_certificate_id = %id, "CA certificate deleted");
        Ok(DeleteCACertificateResponse {})
    }

    /// What is not an id names nothing, which only those hear who may ask.
    fn authorize_on_ca(&self, op: &Op, action: &str, id: &str) -> Result<CertificateId, Error> {
        let parsed = id.parse::<CertificateId>();
        let named = parsed.as_ref().map_or_else(|_| id.to_owned(), ToString::to_string);
        let config = self.services.config();
        let arn = Arn::new("iot", &config.region, &config.account, &format!("cacert/{named}"));
        self.authorize(op, action, arn.as_str())?;
        parsed.map_err(|_| missing())
    }
}

fn missing() -> Error {
    Error::new("ResourceNotFoundException", "Requested CA Certificate does not exist.")
}

fn invalid(message: &str) -> Error {
    Error::new("InvalidRequestException", message)
}
