//! The event of just-in-time registration, published on `$aws/events/certificates/registered/<caCertificateId>`.

use crate::{AccountId, CertificateId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredEvent {
    pub certificate: CertificateId,
    pub ca: CertificateId,
    pub timestamp: Timestamp,
    pub account: AccountId,
    /// `None` on the first event of a certificate, then the moment of its registration.
    pub registered_at: Option<Timestamp>,
}

impl RegisteredEvent {
    pub fn topic(&self) -> String {
        todo!()
    }
    /// JSON text with AWS's members in AWS's order.
    pub fn payload(&self) -> String {
        todo!()
    }
}
