//! A private key of a CA or a device, in PKCS #8.

use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData, RsaKeySize, SigningKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    #[default]
    EcP256,
    EcP384,
    Rsa2048,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Key {
    pair: Arc<KeyPair>,
}

impl Key {
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            KeyAlgorithm::EcP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        };
        Self::of(pair)
    }

    /// PKCS #8 (`openssl genpkey`, `openssl genrsa` of version 3), PKCS #1 or SEC 1. Other blocks around it, such as
    /// the EC PARAMETERS that `openssl ecparam -genkey` writes first, are passed over.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| Error::Key(error.to_string()))?;
        Self::of(KeyPair::try_from(&der))
    }

    fn of(pair: Result<KeyPair, rcgen::Error>) -> Result<Self, Error> {
        let pair = pair.map_err(|error| Error::Key(error.to_string()))?;
        Ok(Self { pair: Arc::new(pair) })
    }

    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    pub fn pkcs8_der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    pub(crate) fn spki_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The key bits alone, over which a subjectKeyIdentifier is hashed.
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        self.pair.der_bytes()
    }

    pub(crate) fn signature_algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.pair.algorithm()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair.sign(message).map_err(|error| Error::Key(error.to_string()))
    }
}
