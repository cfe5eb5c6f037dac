//! Leaves that were let pass and whose handshakes are not over: parsed once, and their issuer's signature verified once,
//! for the several questions of one handshake and for the CONNECT after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::CertificateId;
use domain::x509::Certificate;

/// Handshakes that come to nothing leave theirs behind; when so many are there, all go. As many as handshakes at once.
const LEAVES_MAX: usize = 256;

/// Only a memory: what is not in it is parsed again.
#[derive(Debug, Default)]
pub(crate) struct RecentLeaves(Mutex<HashMap<CertificateId, Certificate>>);

impl RecentLeaves {
    pub(crate) fn put(&self, leaf: Certificate) {
        let mut leaves = self.locked();
        if leaves.len() >= LEAVES_MAX {
            leaves.clear();
        }
        leaves.insert(leaf.id(), leaf);
    }

    pub(crate) fn find(&self, der: &[u8]) -> Option<Certificate> {
        self.locked().get(&CertificateId::of_der(der)).cloned()
    }

    /// At the end of its handshake.
    pub(crate) fn take(&self, der: &[u8]) -> Option<Certificate> {
        self.locked().remove(&CertificateId::of_der(der))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<CertificateId, Certificate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
