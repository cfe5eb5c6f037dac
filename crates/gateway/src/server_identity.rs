//! The server's own certificates and keys, chosen per client by what it can verify. They can be replaced and added to
//! while connections live: a handshake takes what is there at its moment.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::x509::Certificate;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates of a server's chain; more is a mistake in the file.
const CHAIN_CERTIFICATES_MAX: usize = 10;

/// One certificate chain with its key, found to belong together.
#[derive(Clone)]
pub struct ServerKey(Arc<CertifiedKey>);

/// The keys in the order of preference. A client gets the first that it says it can use.
#[derive(Debug)]
pub struct ServerIdentity {
    keys: ArcSwap<Vec<ServerKey>>,
}

/// Why a chain and key cannot serve; the text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerKeyError {
    NoCertificate,
    ChainTooLong,
    Certificate(String),
    Key(String),
    /// The key is not the one in the first certificate.
    Mismatch,
}

impl ServerKey {
    /// `chain` holds CERTIFICATE blocks, the server's own first; `key` one private key (PKCS#8, PKCS#1 or SEC1).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServerKeyError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| ServerKeyError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(ServerKeyError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            ServerKeyError::Key(match error {
                pem::Error::NoItemsFound => "the file holds none".to_owned(),
                error => error.to_string(),
            })
        })?;
        Self::from_der(chain, &key)
    }

    pub fn from_der(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, ServerKeyError> {
        let own = chain.first().ok_or(ServerKeyError::NoCertificate)?;
        if chain.len() > CHAIN_CERTIFICATES_MAX {
            return Err(ServerKeyError::ChainTooLong);
        }
        // Not rustls' own comparison: it parses with webpki, which refuses X.509 version 1.
        let own = Certificate::from_der(own).map_err(|error| ServerKeyError::Certificate(error.to_string()))?;
        let key = any_supported_type(key).map_err(|error| ServerKeyError::Key(error.to_string()))?;
        if key.public_key().is_some_and(|public| public.as_ref() != own.spki_der()) {
            return Err(ServerKeyError::Mismatch);
        }
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// The server's own certificate.
    pub fn leaf_der(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |leaf| leaf.as_ref())
    }

    /// Whether a client that says this of itself can use it. With TLS 1.3 the signature alone counts, with 1.2 the suite
    /// names the kind of key as well.
    fn suits(&self, hello: &ClientHello<'_>) -> bool {
        let suites = hello.cipher_suites();
        let signs = |suite: &CipherSuite| match (suite.as_str().unwrap_or_default(), self.0.key.algorithm()) {
            (name, _) if name.starts_with("TLS13_") => true,
            (name, SignatureAlgorithm::RSA) => name.contains("_RSA_"),
            (name, _) => name.contains("_ECDSA_"),
        };
        suites.iter().any(signs) && self.0.key.choose_scheme(hello.signature_schemes()).is_some()
    }
}

impl ServerIdentity {
    pub fn new(key: ServerKey) -> Self {
        Self::of(vec![key])
    }

    pub fn of(keys: Vec<ServerKey>) -> Self {
        Self { keys: ArcSwap::from_pointee(keys) }
    }

    /// New handshakes take these; live connections keep what they have.
    pub fn replace(&self, keys: Vec<ServerKey>) {
        self.keys.store(Arc::new(keys));
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        keys.iter().find(|key| key.suits(&hello)).map(|key| key.0.clone())
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKey").field("algorithm", &self.0.key.algorithm()).finish_non_exhaustive()
    }
}

impl fmt::Display for ServerKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("the server's certificate file holds no CERTIFICATE block"),
            Self::ChainTooLong => {
                write!(f, "the server's certificate file holds more than {CHAIN_CERTIFICATES_MAX} certificates")
            }
            Self::Certificate(why) => write!(f, "the server's certificate cannot be read: {why}"),
            Self::Key(why) => {
                write!(f, "the server's private key cannot be used: {why}; give an RSA or ECDSA key in PEM without a password")
            }
            Self::Mismatch => f.write_str(
                "the server's private key does not belong to its certificate; the server's own certificate comes first in the file",
            ),
        }
    }
}

impl std::error::Error for ServerKeyError {}
