//! The registered CAs by subject, parsed: what the TLS handshake looks a leaf's issuer up in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::CertificateId;
use domain::admission::{CaStatus, CandidateCa, CertificateMode};
use domain::x509::{Certificate, DistinguishedName};

use super::ca_certificate::{CaRecord, PREFIX};
use crate::{Error, Services};

/// A registered CA, ready for admission.
#[derive(Debug)]
pub(crate) struct IndexedCa {
    pub id: CertificateId,
    pub certificate: Certificate,
    pub status: CaStatus,
    pub auto_registration: bool,
    pub mode: CertificateMode,
}

impl IndexedCa {
    fn of(id: CertificateId, record: &CaRecord) -> Result<Self, Error> {
        let certificate = record.certificate()?;
        let CaRecord { status, auto_registration, mode, .. } = *record;
        Ok(Self { id, certificate, status, auto_registration, mode })
    }

    pub(crate) fn as_candidate(&self) -> CandidateCa<'_> {
        CandidateCa {
            id: self.id,
            certificate: &self.certificate,
            status: self.status,
            auto_registration: self.auto_registration,
            mode: self.mode,
        }
    }
}

type BySubject = HashMap<Vec<u8>, Vec<Arc<IndexedCa>>>;

/// Replaced as a whole; readers never wait.
#[derive(Default)]
pub(crate) struct CaIndex {
    by_subject: ArcSwap<BySubject>,
    /// Held from the reading of a record to its place in the index, so that the older of two changes is not the last.
    refreshing: Mutex<()>,
}

impl CaIndex {
    /// AWS allows ten CAs with one subject, so the answer is short.
    pub(crate) fn with_subject(&self, subject: &DistinguishedName) -> Vec<Arc<IndexedCa>> {
        self.by_subject.load().get(subject.der()).cloned().unwrap_or_default()
    }

    fn remove(&self, id: CertificateId) {
        self.by_subject.rcu(|index| {
            let mut index = BySubject::clone(index);
            index.retain(|_, same_subject| {
                same_subject.retain(|ca| ca.id != id);
                !same_subject.is_empty()
            });
            index
        });
    }

    fn put(&self, ca: IndexedCa) {
        let ca = Arc::new(ca);
        self.by_subject.rcu(|index| {
            let mut index = BySubject::clone(index);
            let same_subject = index.entry(ca.certificate.subject().der().to_vec()).or_default();
            same_subject.retain(|other| other.id != ca.id);
            same_subject.push(ca.clone());
            index
        });
    }
}

impl Services {
    pub(crate) fn cas_with_subject(&self, subject: &DistinguishedName) -> Vec<Arc<IndexedCa>> {
        self.inner.cas.with_subject(subject)
    }

    /// At start.
    pub(crate) fn reload_cas(&self) -> Result<(), Error> {
        let mut index = BySubject::new();
        for (id, found) in self.find_all::<CaRecord>(PREFIX)? {
            let id = id.parse().map_err(|_| Error::internal(format!("the key {PREFIX}{id} names no certificate")))?;
            let ca = Arc::new(IndexedCa::of(id, &found.value)?);
            index.entry(ca.certificate.subject().der().to_vec()).or_default().push(ca);
        }
        self.inner.cas.by_subject.store(Arc::new(index));
        Ok(())
    }

    /// After a commit that touched the CA: the next handshake sees it before the caller has its answer.
    pub(crate) fn refresh_ca(&self, id: CertificateId) -> Result<(), Error> {
        let _turn = self.inner.cas.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.find_ca(id)? {
            Some(found) => self.inner.cas.put(IndexedCa::of(id, &found.value)?),
            None => self.inner.cas.remove(id),
        }
        Ok(())
    }
}
