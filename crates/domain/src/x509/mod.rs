//! X.509 facts and chain checks: what a certificate says, and whether an issuer signed it. Versions 1 and 3.

use crate::{CertificateId, Timestamp};

/// A parsed certificate that keeps its DER.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    Pem(String),
    Der(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    NotYetValid,
    Expired,
}

impl Certificate {
    pub fn from_der(_der: &[u8]) -> Result<Self, CertificateError> {
        todo!()
    }
    /// Exactly one CERTIFICATE block.
    pub fn from_pem(_pem: &str) -> Result<Self, CertificateError> {
        todo!()
    }
    pub fn to_pem(&self) -> String {
        todo!()
    }
    pub fn der(&self) -> &[u8] {
        &self.der
    }
    pub fn id(&self) -> CertificateId {
        todo!()
    }
    /// 1, 2 or 3, as people number them.
    pub fn version(&self) -> u8 {
        todo!()
    }
    pub fn subject(&self) -> &DistinguishedName {
        todo!()
    }
    pub fn issuer(&self) -> &DistinguishedName {
        todo!()
    }
    /// Lower-case hex, no separators.
    pub fn serial_hex(&self) -> String {
        todo!()
    }
    pub fn not_before(&self) -> Timestamp {
        todo!()
    }
    pub fn not_after(&self) -> Timestamp {
        todo!()
    }
    pub fn validity_at(&self, _now: Timestamp) -> Validity {
        todo!()
    }
    /// What basicConstraints says; `None` where the extension is absent (always so in version 1).
    pub fn is_ca(&self) -> Option<bool> {
        todo!()
    }
    /// DER of the whole SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        todo!()
    }
    /// The AlgorithmIdentifier's content and the key bits of the SubjectPublicKeyInfo, as `rustls-pki-types` wants them.
    pub fn public_key_algorithm(&self) -> &[u8] {
        todo!()
    }
    pub fn public_key(&self) -> &[u8] {
        todo!()
    }
    /// `issuer.subject == self.issuer` byte for byte and the issuer's key made the signature.
    pub fn is_issued_by(&self, _issuer: &Certificate) -> bool {
        todo!()
    }
}

/// A distinguished name: raw DER for comparing, attributes for policy variables and people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    der: Vec<u8>,
}

impl DistinguishedName {
    pub fn der(&self) -> &[u8] {
        &self.der
    }
    /// Values of one attribute type in order, by the names of `iot:Certificate.Subject.*`:
    /// `CommonName`, `Country`, `Organization`, `OrganizationalUnit`, `State`, `SerialNumber`, ...
    pub fn values(&self, _attribute: &str) -> Vec<&str> {
        todo!()
    }
    /// `CN=x,O=y` for logs and admission records.
    pub fn to_text(&self) -> String {
        todo!()
    }
}
