//! Admission's shell: looks up what `domain::admission::judge` asks for, registers, records.

use domain::admission::Refusal;
use domain::x509::Certificate;
use domain::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Services;

/// What stays of a refused or ended connection: a log line, an API answer, a console page.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// A handshake's verdict against a leaf: the refusal and what was found out on the way.
#[derive(Clone, Debug)]
pub struct Refused {
    pub refusal: Refusal,
    pub ca: Option<CertificateId>,
    pub status: Option<domain::admission::CertificateStatus>,
}

impl Services {
    /// In the TLS handshake: synchronous, reads the local view, registers nothing. `Ok` lets the handshake go on.
    pub fn judge_handshake(&self, _leaf: &Certificate) -> Result<(), Refused> {
        todo!()
    }

    pub fn record_admission(&self, _record: AdmissionRecord) {
        todo!()
    }
}
