//! What is known of the other side of one connection, and the admission record made of it when it ends.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::admission::{Refusal, ServerName};
use domain::x509::Certificate;
use domain::{CertificateId, Timestamp};
use rustls::ProtocolVersion;
use rustls::server::ClientHello;
use rustls_pki_types::CertificateDer;
use services::admission::{AdmissionRecord, Refused};

/// Characters kept of any text that the peer chose: enough to recognise it.
const TEXT_CHARS_MAX: usize = 512;
/// DER bytes of a chain kept in a record: a leaf and its CA, RSA-4096 both, fit several times.
const RECORDED_CHAIN_BYTES_MAX: usize = 16 * 1024;

/// Grows as the connection goes on.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Counts up per gateway; for logs.
    pub connection: u64,
    pub source: SocketAddr,
    pub listener: SocketAddr,
    pub sni: Option<String>,
    pub server_name: ServerName,
    /// The protocols offered, separated by commas.
    pub alpn: Option<String>,
    pub tls_version: Option<&'static str>,
    /// By a ticket of an earlier connection, and not by a handshake with the device's key.
    pub tls_resumed: bool,
    pub client_id: Option<String>,
    /// Of the certificate whose key it has shown to hold.
    pub certificate_id: Option<CertificateId>,
}

impl Peer {
    pub fn new(connection: u64, source: SocketAddr, listener: SocketAddr) -> Self {
        Self {
            connection,
            source,
            listener,
            sni: None,
            server_name: ServerName::Absent,
            alpn: None,
            tls_version: None,
            tls_resumed: false,
            client_id: None,
            certificate_id: None,
        }
    }

    pub(crate) fn learn_hello(&mut self, hello: &ClientHello<'_>, endpoints: &[String]) {
        self.server_name = ServerName::of(hello.server_name(), endpoints);
        self.sni = hello.server_name().map(bounded);
        self.alpn = hello.alpn().map(|offered| {
            let offered: Vec<String> = offered.map(|protocol| protocol.escape_ascii().to_string()).collect();
            bounded(&offered.join(","))
        });
    }

    pub(crate) fn learn_version(&mut self, version: Option<ProtocolVersion>) {
        self.tls_version = match version {
            Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
            Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
            _ => None,
        };
    }

    pub(crate) fn learn_client_id(&mut self, client_id: &str) {
        self.client_id = Some(bounded(client_id));
    }

    /// `chain` as the peer sent it, leaf first.
    pub fn record(&self, refused: &Refused, chain: &[CertificateDer<'_>], at: Timestamp) -> AdmissionRecord {
        let leaf = chain.first().and_then(|leaf| Certificate::from_der(leaf).ok());
        AdmissionRecord {
            at,
            last_at: None,
            count: 1,
            source: self.source.to_string(),
            listener: self.listener.to_string(),
            sni: self.sni.clone(),
            alpn: self.alpn.clone(),
            tls_version: self.tls_version.map(str::to_owned),
            tls_resumed: self.tls_resumed,
            chain: recorded_chain(chain),
            // Of bytes that do not parse as well: it is what the operator can search for.
            certificate_id: chain.first().map(|leaf| CertificateId::of_der(leaf)),
            certificate_subject: leaf.as_ref().map(|leaf| bounded(&leaf.subject().to_text())),
            certificate_issuer: leaf.as_ref().map(|leaf| bounded(&leaf.issuer().to_text())),
            certificate_status: refused.status.map(|status| status.as_str().to_owned()),
            ca_certificate_id: refused.ca,
            client_id: self.client_id.clone(),
            policy_statement: policy_statement(&refused.refusal),
            reason: refused.refusal.code().to_owned(),
            sentence: refused.refusal.sentence(),
        }
    }
}

fn policy_statement(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::PolicyDenies { policy, statement, .. } => Some(format!("{policy}:{statement}")),
        _ => None,
    }
}

fn recorded_chain(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let mut bytes: usize = 0;
    let fits = |certificate: &&CertificateDer<'_>| {
        bytes = bytes.saturating_add(certificate.len());
        bytes <= RECORDED_CHAIN_BYTES_MAX
    };
    chain.iter().take_while(fits).map(|certificate| STANDARD.encode(certificate)).collect()
}

fn bounded(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_sends_is_cut() {
        let big = CertificateDer::from(vec![0; RECORDED_CHAIN_BYTES_MAX]);
        let small = CertificateDer::from(vec![0; 1]);
        for (chain, kept) in [
            (vec![], 0),
            (vec![small.clone(), small.clone()], 2),
            (vec![big.clone()], 1),
            (vec![big.clone(), small.clone()], 1),
            (vec![small, big], 1),
        ] {
            assert_eq!(
                recorded_chain(&chain).len(),
                kept,
                "{:?}",
                chain.iter().map(|der| der.len()).collect::<Vec<_>>()
            );
        }
        assert_eq!(bounded(&"é".repeat(1000)).chars().count(), TEXT_CHARS_MAX);
    }
}
