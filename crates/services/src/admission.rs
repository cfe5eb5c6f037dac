//! Admission's shell: looks up what `domain::admission::judge` asks for, registers, announces.

use domain::CertificateId;
use domain::admission::{
    CaStatus, CandidateCa, CertificateStatus, Refusal, RegisteredLeaf, ServerName, Verdict, judge,
};
use domain::iot_policy::ConnectionFacts;
use domain::x509::Certificate;
use store::{Expect, Write};

use crate::iot::ca_certificate::ca_key;
use crate::iot::certificate::{CertificateRecord, certificate_key, registration};
use crate::outbox::{RegisteredRow, registered_row_key};
use crate::record::{Committed, Found, put};
use crate::{Error, Services, Step};

pub use crate::admission_record::{AdmissionFilter, AdmissionRecord, Recorded};

/// A verdict against a connection: the refusal and what was found out on the way.
#[derive(Clone, Debug)]
pub struct Refused {
    pub refusal: Refusal,
    pub ca: Option<CertificateId>,
    pub status: Option<CertificateStatus>,
}

impl Refused {
    fn internal(err: Error) -> Self {
        Self { refusal: Refusal::Internal(err.message), ca: None, status: None }
    }
}

/// How often a CONNECT is judged again because what it was judged by had changed when it was to be registered.
const JUDGEMENTS_MAX: usize = 4;

impl Services {
    /// In the TLS handshake: synchronous, reads the local view, registers nothing. `Ok` lets the handshake go on.
    pub fn judge_handshake(&self, leaf: &Certificate, server_name: ServerName) -> Result<(), Refused> {
        let (verdict, status) = self.verdict(leaf, server_name).map_err(Refused::internal)?;
        match verdict {
            Verdict::Admit { .. } | Verdict::RegisterPending { .. } | Verdict::StillPending { .. } => Ok(()),
            Verdict::Refuse { refusal, ca } => Err(Refused { refusal, ca, status }),
        }
    }

    /// On an HTTPS request. Only MQTT's CONNECT registers: what is not ACTIVE is refused here.
    pub(crate) fn judge_request(&self, leaf: &Certificate, server_name: ServerName) -> Result<(), Refused> {
        let (verdict, status) = self.verdict(leaf, server_name).map_err(Refused::internal)?;
        let not_active = |ca| Refused { refusal: Refusal::NotActive { certificate: leaf.id() }, ca, status };
        match verdict {
            Verdict::Admit { .. } => Ok(()),
            Verdict::RegisterPending { ca } => Err(not_active(Some(ca))),
            Verdict::StillPending { ca } => Err(not_active(ca)),
            Verdict::Refuse { refusal, ca } => Err(Refused { refusal, ca, status }),
        }
    }

    fn verdict(
        &self,
        leaf: &Certificate,
        server_name: ServerName,
    ) -> Result<(Verdict, Option<CertificateStatus>), Error> {
        let registered = self.find_certificate(leaf.id())?.map(|found| {
            let CertificateRecord { status, mode, ca, .. } = found.value;
            RegisteredLeaf { status, mode, ca }
        });
        if registered.is_none()
            && let Some(twin) = self.find_twin(leaf)?
        {
            let text = format!("it is certificate {twin} with another signature; present it as it was issued");
            return Ok((Verdict::Refuse { refusal: Refusal::MalformedCertificate(text), ca: None }, None));
        }
        let cas = self.cas_with_subject(leaf.issuer());
        let candidates: Vec<CandidateCa<'_>> = cas.iter().map(|ca| ca.as_candidate()).collect();
        let status = registered.as_ref().map(|leaf| leaf.status);
        Ok((judge(leaf, registered.as_ref(), &candidates, server_name, self.now()), status))
    }

    /// On CONNECT. `Ok` carries the CA of an ACTIVE certificate.
    pub(crate) async fn admit(
        &self,
        facts: &ConnectionFacts,
        server_name: ServerName,
    ) -> Result<Option<CertificateId>, Refused> {
        let certificate = facts.certificate_id;
        let pending = |refusal, ca| Err(Refused { refusal, ca, status: Some(CertificateStatus::PendingActivation) });
        for _ in 0..JUDGEMENTS_MAX {
            let (verdict, status) = self.verdict(&facts.certificate, server_name).map_err(Refused::internal)?;
            match verdict {
                Verdict::Admit { ca } => return Ok(ca),
                Verdict::Refuse { refusal, ca } => return Err(Refused { refusal, ca, status }),
                Verdict::StillPending { ca } => {
                    if let Some(ca) = ca {
                        self.announce_again(facts, ca).await.map_err(Refused::internal)?;
                    }
                    return pending(Refusal::PendingActivation { certificate }, ca);
                }
                Verdict::RegisterPending { ca } => match self.register_pending(facts, ca).await {
                    Ok(Committed::Done) => return pending(Refusal::RegisteredNow { certificate }, Some(ca)),
                    // Another connection with the same certificate was first, or the CA has changed.
                    Ok(Committed::Conflict) => tokio::task::yield_now().await,
                    Err(err) => return Err(Refused::internal(err)),
                },
            }
        }
        let why = "the certificate and its CA kept changing; the device will try again".to_owned();
        Err(Refused { refusal: Refusal::Internal(why), ca: None, status: None })
    }

    /// Leans on the CA: one that is deactivated or deleted meanwhile registers nobody any more.
    async fn register_pending(&self, facts: &ConnectionFacts, ca: CertificateId) -> Result<Committed, Error> {
        let now = self.now();
        let Some(Found { value: issuer, revision }) = self.find_ca(ca)? else { return Ok(Committed::Conflict) };
        if issuer.status != CaStatus::Active || !issuer.auto_registration {
            return Ok(Committed::Conflict);
        }
        let status = CertificateStatus::PendingActivation;
        let record = CertificateRecord::new(&facts.certificate, status, Some(ca), issuer.mode, now);
        let row = RegisteredRow::new(ca, now, None, &facts.client_id);
        let mut writes = registration(&facts.certificate, &record);
        writes.push(Write::lean_on(ca_key(ca), revision));
        writes.push(put(registered_row_key(facts.certificate_id), &row, Expect::Absent));
        let committed = self.commit(writes).await?;
        if committed == Committed::Done {
            self.inner.config.checkpoints.pass(Step::Registered, "");
            self.inner.outbox.notify_one();
            self.metrics().onboarding.registered(facts.certificate_id, now, self.now());
            tracing::info!(
                client_id = facts.client_id,
                certificate_id = %facts.certificate_id,
                ca_certificate_id = %ca,
                "registered as PENDING_ACTIVATION"
            );
        }
        Ok(committed)
    }

    /// AWS publishes the event on every CONNECT while pending. Never while one is still undelivered: the row is there.
    async fn announce_again(&self, facts: &ConnectionFacts, ca: CertificateId) -> Result<(), Error> {
        let Some(found) = self.find_certificate(facts.certificate_id)? else { return Ok(()) };
        let row = RegisteredRow::new(ca, self.now(), Some(found.value.created_at), &facts.client_id);
        let writes = vec![
            // A certificate that is deleted meanwhile takes its event with it.
            Write::lean_on(certificate_key(facts.certificate_id), found.revision),
            put(registered_row_key(facts.certificate_id), &row, Expect::Absent),
        ];
        if self.commit(writes).await? == Committed::Done {
            self.inner.outbox.notify_one();
        }
        Ok(())
    }
}
