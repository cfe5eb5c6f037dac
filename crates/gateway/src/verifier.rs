//! The TLS library's question about a client's certificate, answered by admission.
//!
//! Two answers are kept apart: whether this certificate may come in (admission's, with the alert certificate_unknown as
//! AWS gives it), and whether the peer holds its key (the handshake signature). The library's own checks are used for
//! neither: they parse with webpki, which refuses X.509 version 1. Of the chain only the leaf is believed; issuers come
//! from the registry, never from the peer.

use std::fmt;
use std::sync::Arc;

use domain::admission::{Refusal, ServerName};
use domain::x509::Certificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use services::admission::Refused;

use crate::recent_leaves::RecentLeaves;

/// Devices send their leaf, often its CA, seldom an intermediate or two. The bytes are bounded by TLS (64 KiB).
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// What admission says about a leaf in the handshake: `Services::judge_handshake`, or a test's own.
pub struct LeafJudge(Box<Judge>);

type Judge = dyn Fn(&Certificate, ServerName) -> Result<(), Refused> + Send + Sync;

/// A refusal on its way out through the TLS library, with the chain, which is nowhere else to be had after a failure.
#[derive(Debug)]
pub struct HandshakeRefused {
    pub refused: Refused,
    pub chain: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
pub(crate) struct DeviceVerifier {
    judge: Arc<LeafJudge>,
    certificate: Demand,
    /// The library does not tell a verifier what the client sent: there is one for each.
    server_name: ServerName,
    algorithms: WebPkiSupportedAlgorithms,
    leaves: Arc<RecentLeaves>,
}

/// Whether a client must show a certificate. What it shows is judged in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Required,
    Optional,
}

impl LeafJudge {
    pub fn new(judge: impl Fn(&Certificate, ServerName) -> Result<(), Refused> + Send + Sync + 'static) -> Self {
        Self(Box::new(judge))
    }
}

impl DeviceVerifier {
    pub(crate) fn new(
        judge: Arc<LeafJudge>,
        certificate: Demand,
        server_name: ServerName,
        algorithms: WebPkiSupportedAlgorithms,
        leaves: Arc<RecentLeaves>,
    ) -> Self {
        Self { judge, certificate, server_name, algorithms, leaves }
    }

    /// The library asks about the signature only after the certificate was let pass, so this does not fail in practice.
    fn parsed(&self, leaf: &CertificateDer<'_>) -> Result<Certificate, rustls::Error> {
        match self.leaves.find(leaf) {
            Some(leaf) => Ok(leaf),
            None => Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding.into()),
        }
    }
}

impl HandshakeRefused {
    /// Finds the refusal in what the TLS library made of it.
    pub fn in_error(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
            _ => None,
        }
    }
}

/// Also asked by the door itself where the library does not ask: of who resumes a session.
pub(crate) fn judge_chain(
    judge: &LeafJudge,
    server_name: ServerName,
    leaf: &CertificateDer<'_>,
    others: usize,
) -> Result<Certificate, Refused> {
    let malformed = |why| Refused { refusal: Refusal::MalformedCertificate(why), ca: None, status: None };
    if others >= CHAIN_CERTIFICATES_MAX {
        let count = others.saturating_add(1);
        return Err(malformed(format!("{count} certificates were sent; {CHAIN_CERTIFICATES_MAX} are allowed")));
    }
    let leaf = Certificate::from_der(leaf).map_err(|error| malformed(error.to_string()))?;
    (judge.0)(&leaf, server_name).map(|()| leaf)
}

impl ClientCertVerifier for DeviceVerifier {
    /// No hints: a list of every registered CA would be sent to every stranger.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.certificate == Demand::Required
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let judged = judge_chain(&self.judge, self.server_name, leaf, others.len());
        let let_pass = |leaf| {
            self.leaves.put(leaf);
            ClientCertVerified::assertion()
        };
        judged.map(let_pass).map_err(|refused| {
            let sent = std::iter::once(leaf).chain(others).take(CHAIN_CERTIFICATES_MAX);
            let chain = sent.map(|certificate| certificate.clone().into_owned()).collect();
            let refused = HandshakeRefused { refused, chain };
            CertificateError::Other(OtherError(Arc::new(refused))).into()
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let leaf = self.parsed(leaf)?;
        // In TLS 1.2 a scheme does not fix the curve: it maps to one algorithm per curve.
        let (_, candidates) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let verified = candidates
            .iter()
            .filter(|candidate| candidate.public_key_alg_id().as_ref() == leaf.public_key_algorithm())
            .any(|candidate| candidate.verify_signature(leaf.public_key(), message, signed.signature()).is_ok());
        if verified { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let leaf = self.parsed(leaf)?;
        let key = SubjectPublicKeyInfoDer::from(leaf.spki_der());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for LeafJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafJudge")
    }
}

impl fmt::Display for HandshakeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.refused.refusal.sentence())
    }
}

impl std::error::Error for HandshakeRefused {}
