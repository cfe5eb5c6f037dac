//! Admission's shell: looks up what `domain::admission::judge` asks for, registers, announces, records.

use domain::admission::{
    CaStatus, CandidateCa, CertificateStatus, Refusal, RegisteredLeaf, ServerName, Verdict, judge,
};
use domain::iot_policy::ConnectionFacts;
use domain::x509::Certificate;
use domain::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Journal, JournalBounds, Store, Write};

use crate::iot::ca_certificate::ca_key;
use crate::iot::certificate::{CertificateRecord, certificate_key, registration};
use crate::outbox::{RegisteredRow, registered_row_key};
use crate::record::{Committed, Found, put};
use crate::{Error, Services, Step};

/// What stays of a refused or ended connection: a log line, an API answer, a console page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRecord {
    pub at: Timestamp,
    pub source: String,
    pub listener: String,
    pub sni: Option<String>,
    pub alpn: Option<String>,
    pub tls_version: Option<String>,
    /// The chain as sent, leaf first, base64 DER; bounded by the gateway.
    pub chain: Vec<String>,
    pub certificate_id: Option<CertificateId>,
    pub certificate_subject: Option<String>,
    pub certificate_issuer: Option<String>,
    pub certificate_status: Option<String>,
    pub ca_certificate_id: Option<CertificateId>,
    pub client_id: Option<String>,
    /// `policy:statement` that decided, where one did.
    pub policy_statement: Option<String>,
    /// `Refusal::code`.
    pub reason: String,
    /// `Refusal::sentence`.
    pub sentence: String,
}

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

/// Which records are asked for. Everything given must fit.
#[derive(Clone, Debug, Default)]
pub struct AdmissionFilter {
    pub certificate_id: Option<CertificateId>,
    pub client_id: Option<String>,
    /// An address; the port does not count.
    pub source: Option<String>,
}

pub(crate) struct Admissions {
    journal: Journal,
}

impl Admissions {
    /// Some 30,000 records with a chain of two certificates; a week is longer than anybody asks back.
    const BOUNDS: JournalBounds = JournalBounds { bytes_max: 64 << 20, age_max_ms: 7 * 24 * 3600 * 1000 };

    pub(crate) fn open(store: &Store) -> Result<Self, Error> {
        let journal = store
            .journal("admission", Self::BOUNDS)
            .map_err(|err| Error::internal(format!("the admission journal cannot be opened: {err:?}")))?;
        Ok(Self { journal })
    }
}

/// How often a CONNECT is judged again because what it was judged by had changed when it was to be registered.
const JUDGEMENTS_MAX: usize = 4;

/// Records looked at to answer one question, newest first.
const RECORDS_SCANNED_MAX: usize = 50_000;

impl Services {
    /// In the TLS handshake: synchronous, reads the local view, registers nothing. `Ok` lets the handshake go on.
    pub fn judge_handshake(&self, leaf: &Certificate, server_name: ServerName) -> Result<(), Refused> {
        let (verdict, status) = self.verdict(leaf, server_name).map_err(Refused::internal)?;
        match verdict {
            Verdict::Admit { .. } | Verdict::RegisterPending { .. } | Verdict::StillPending { .. } => Ok(()),
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
        let mut writes = registration(&facts.certificate, &record).to_vec();
        writes.push(Write::lean_on(ca_key(ca), revision));
        writes.push(put(registered_row_key(facts.certificate_id), &row, Expect::Absent));
        let committed = self.commit(writes).await?;
        if committed == Committed::Done {
            self.inner.config.checkpoints.pass(Step::Registered, "");
            self.inner.outbox.notify_one();
            tracing::info!(certificate_id = %facts.certificate_id, ca_certificate_id = %ca, "registered as PENDING_ACTIVATION");
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

    pub fn record_admission(&self, record: AdmissionRecord) {
        let stream = record.certificate_id.map(|id| id.to_string()).unwrap_or_default();
        match serde_json::to_vec(&record) {
            Ok(json) => {
                self.inner.admissions.journal.append(&stream, record.at.millis(), json.into());
            }
            Err(err) => tracing::error!(%err, "an admission record could not be written"),
        }
    }

    /// The newest records that fit, newest first.
    pub fn admission_records(&self, filter: &AdmissionFilter, last: usize) -> Vec<AdmissionRecord> {
        let fits = |record: &AdmissionRecord| {
            filter.certificate_id.is_none_or(|id| record.certificate_id == Some(id))
                && filter.client_id.as_ref().is_none_or(|id| record.client_id.as_ref() == Some(id))
                && filter.source.as_ref().is_none_or(|source| same_address(&record.source, source))
        };
        self.inner
            .admissions
            .journal
            .last(RECORDS_SCANNED_MAX)
            .iter()
            .filter_map(|entry| serde_json::from_slice::<AdmissionRecord>(&entry.value).ok())
            .filter(fits)
            .take(last)
            .collect()
    }
}

/// `source` is `address:port`, the question may leave the port out.
fn same_address(source: &str, asked: &str) -> bool {
    let bare = |text: &str| text.trim_matches(['[', ']']).to_owned();
    source == asked || source.rsplit_once(':').is_some_and(|(address, _)| bare(address) == bare(asked))
}
