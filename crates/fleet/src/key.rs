//! A private key of a CA or a device, in PKCS #8.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::x509::encoding::{integer, octet_string, sequence};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, RsaKeySize, SigningKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    #[default]
    EcP256,
    EcP384,
    EcP521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Key {
    pair: Arc<KeyPair>,
    public: PublicKey,
}

/// The half of a key that stands in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    spki_der: Arc<[u8]>,
    bits: Arc<[u8]>,
}

impl KeyAlgorithm {
    pub const ALL: [Self; 6] = [Self::EcP256, Self::EcP384, Self::EcP521, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::EcP521 => "ec-p521",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            Error::Key(format!("{text:?} is no type of key; there are {}", names.join(", ")))
        })
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Key {
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        let pair = match algorithm {
            KeyAlgorithm::EcP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyAlgorithm::EcP521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
        };
        Self::of(pair)
    }

    /// PKCS #8 (`openssl genpkey`, `openssl genrsa` of version 3), PKCS #1 or SEC 1. Other blocks around it, such as
    /// the EC PARAMETERS that `openssl ecparam -genkey` writes first, are passed over.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        if pem.contains("ENCRYPTED") {
            let text = "it is encrypted; decrypt it first, into a file that only you can read: openssl pkey -in FILE";
            return Err(Error::Key(text.to_owned()));
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| Error::Key(error.to_string()))?;
        let key = Self::of(KeyPair::try_from(&der))?;
        match der {
            PrivateKeyDer::Pkcs8(_) => Ok(key),
            // The library keeps the bytes that it was given, whatever their form.
            older => Self::of(KeyPair::try_from(key.public.in_pkcs8(older.secret_der()))),
        }
    }

    fn of(pair: Result<KeyPair, rcgen::Error>) -> Result<Self, Error> {
        let pair = pair.map_err(|error| Error::Key(error.to_string()))?;
        let public = PublicKey::of(&pair);
        Ok(Self { pair: Arc::new(pair), public })
    }

    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    pub fn pkcs8_der(&self) -> &[u8] {
        self.pair.serialized_der()
    }

    /// A request for a certificate of this key, as `openssl req -new` makes it.
    pub fn signing_request_pem(&self, common_name: &str) -> Result<String, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let request = params.serialize_request(&*self.pair).and_then(|request| request.pem());
        request.map_err(|error| Error::Certificate(error.to_string()))
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn signature_algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.pair.algorithm()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair.sign(message).map_err(|error| Error::Key(error.to_string()))
    }
}

impl PublicKey {
    pub(crate) fn of(key: &impl PublicKeyData) -> Self {
        Self { spki_der: key.subject_public_key_info().into(), bits: key.der_bytes().into() }
    }

    pub(crate) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The key bits alone, over which a subjectKeyIdentifier is hashed.
    pub(crate) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// PKCS #1 and SEC 1 keys stand inside PKCS #8 as they are, after the algorithm that the public half names as well.
    fn in_pkcs8(&self, older: &[u8]) -> Vec<u8> {
        sequence(&[&integer(&[0]), self.algorithm(), &octet_string(older)])
    }

    /// The first element of the SubjectPublicKeyInfo: its own length is in its second byte, both curves and RSA are short.
    fn algorithm(&self) -> &[u8] {
        let info = self.spki_der();
        let content = match info.get(1) {
            Some(length) if *length >= 0x80 => 2 + usize::from(length & 0x7f),
            _ => 2,
        };
        let inside = info.get(content..).unwrap_or_default();
        let length = inside.get(1).map_or(0, |length| 2 + usize::from(*length));
        inside.get(..length).unwrap_or_default()
    }
}
