//! What policies may ask about a connection, as long as it lasts. The certificate is there as the peer sent it, in TLS, and
//! an idle connection keeps nothing twice: it is read anew when the rights change.

use std::sync::Arc;

use domain::admission::Refusal;
use domain::iot_policy::ConnectionFacts;
use domain::x509::Certificate;
use domain::{Arn, CertificateId};
use mqtt::Version;
use mqtt::packet::Connect;
use rustls_pki_types::CertificateDer;
use services::Config;

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
    pub(super) fn new(
        config: &Config,
        certificate: &Arc<Certificate>,
        chain: &[CertificateDer<'_>],
        connect: &Connect,
    ) -> Self {
        let is_in_tls = chain.first().is_some_and(|leaf| **leaf == *certificate.der());
        let mut connect_attributes = Vec::new();
        if asks_to_persist(connect) {
            connect_attributes.push("PersistentConnect");
        }
        if connect.will.is_some() {
            connect_attributes.push("LastWill");
        }
        let last_will_topic_arn = connect.will.as_ref().map(|will| {
            let resource = format!("topic/{}", will.topic.as_str());
            Arn::new("iot", &config.region, &config.account, &resource).to_string()
        });
        Self {
            certificate_id: certificate.id(),
            certificate: (!is_in_tls).then(|| certificate.clone()),
            connect_attributes,
            last_will_topic_arn,
        }
    }

    /// All of them, with what the peer and its certificate say.
    pub(super) fn of(&self, client_id: &str, peer: &Peer, certificate: Arc<Certificate>) -> ConnectionFacts {
        ConnectionFacts {
            client_id: client_id.to_owned(),
            certificate_id: self.certificate_id,
            certificate,
            source_ip: Some(peer.source.ip().to_canonical()),
            domain_name: peer.sni.clone(),
            connect_attributes: self.connect_attributes.clone(),
            last_will_topic_arn: self.last_will_topic_arn.clone(),
        }
    }

    /// The same later on; `chain` as it was at CONNECT.
    pub(super) fn again(
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
        Ok(self.of(client_id, peer, certificate))
    }
}

/// To outlive its connection: MQTT 5 says for how long.
fn asks_to_persist(connect: &Connect) -> bool {
    match connect.version {
        Version::V311 => !connect.clean,
        Version::V5 => connect.properties.session_expiry_s().is_some_and(|expiry_s| expiry_s > 0),
    }
}
