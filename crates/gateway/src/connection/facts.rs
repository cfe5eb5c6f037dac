//! What policies may ask about a connection, as long as it lasts. The certificate is there as the peer sent it, in TLS, and
//! an idle connection keeps nothing twice: it is read anew when the rights change.

use std::sync::Arc;

use domain::CertificateId;
use domain::admission::Refusal;
use domain::iot_policy::ConnectionFacts;
use domain::x509::Certificate;
use rustls_pki_types::CertificateDer;

use crate::peer::Peer;

pub(super) struct KeptFacts {
    pub(super) certificate_id: CertificateId,
    /// Where TLS has another one, or none.
    certificate: Option<Arc<Certificate>>,
    connect_attributes: Vec<&'static str>,
    last_will_topic_arn: Option<String>,
}

impl KeptFacts {
    /// `chain` as the peer sent it, leaf first.
    pub(super) fn new(facts: ConnectionFacts, chain: &[CertificateDer<'_>]) -> Self {
        let ConnectionFacts { certificate_id, certificate, connect_attributes, last_will_topic_arn, .. } = facts;
        let is_in_tls = chain.first().is_some_and(|leaf| **leaf == *certificate.der());
        let certificate = (!is_in_tls).then_some(certificate);
        Self { certificate_id, certificate, connect_attributes, last_will_topic_arn }
    }

    /// The facts as they were at CONNECT; `chain` as it was then.
    pub(super) fn whole(
        &self,
        client_id: &str,
        peer: &Peer,
        chain: &[CertificateDer<'_>],
    ) -> Result<ConnectionFacts, Refusal> {
        let certificate = match &self.certificate {
            Some(certificate) => certificate.clone(),
            None => {
                let leaf = chain.first().ok_or(Refusal::NoClientCertificate)?;
                let read = Certificate::from_der(leaf);
                read.map_err(|error| Refusal::MalformedCertificate(error.to_string()))?.into()
            }
        };
        Ok(ConnectionFacts {
            client_id: client_id.to_owned(),
            certificate_id: self.certificate_id,
            certificate,
            source_ip: Some(peer.source.ip().to_canonical()),
            domain_name: peer.sni.clone(),
            connect_attributes: self.connect_attributes.clone(),
            last_will_topic_arn: self.last_will_topic_arn.clone(),
        })
    }
}
