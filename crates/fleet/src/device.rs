//! A device: its key, and the certificate that a CA gave it.

use domain::CertificateId;
use domain::x509::Certificate;

use crate::certificate::{Draft, Purpose, name};
use crate::{Ca, CertificateVersion, Error, Flaw, Key, KeyAlgorithm, Window};

/// What to make. `DeviceSpec::new("name")` is the ordinary device; change what differs.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    pub common_name: String,
    pub version: CertificateVersion,
    pub algorithm: KeyAlgorithm,
    pub window: Window,
    /// For tests of refusals only.
    pub flaw: Option<Flaw>,
}

impl DeviceSpec {
    pub fn new(common_name: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            version: CertificateVersion::default(),
            algorithm: KeyAlgorithm::default(),
            window: Window::days_from_now(365),
            flaw: None,
        }
    }
}

#[derive(Clone)]
pub struct Device {
    der: Vec<u8>,
    key: Key,
}

impl Device {
    pub(crate) fn issued(der: Vec<u8>, key: Key) -> Self {
        Self { der, key }
    }

    /// From files.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        let der = Certificate::from_pem(certificate)?.der().to_vec();
        Ok(Self { der, key: Key::from_pem(key)? })
    }

    /// Signed by its own key: no CA stands behind it.
    pub fn self_signed(spec: &DeviceSpec) -> Result<Self, Error> {
        let key = Key::generate(spec.algorithm)?;
        let (subject, key_id) = (name(&spec.common_name), key.public().id());
        let draft = Draft {
            version: spec.version,
            purpose: Purpose::Device,
            subject: &subject,
            issuer: &subject,
            window: spec.window,
            key: key.public(),
            issuer_key_id: &key_id,
            flaw: spec.flaw,
        };
        Ok(Self { der: draft.sign(&key)?, key })
    }

    /// A thief's: this certificate with a key that is not its own.
    pub fn with_key(&self, key: Key) -> Self {
        Self { der: self.der.clone(), key }
    }

    /// As an issuer, which a device is not: a server must not accept what it signs.
    pub fn as_ca(&self) -> Result<Ca, Error> {
        Ca::from_parts(Certificate::from_der(&self.der)?, self.key.clone())
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn id(&self) -> CertificateId {
        CertificateId::of_der(&self.der)
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn certificate(&self) -> Result<Certificate, Error> {
        Ok(Certificate::from_der(&self.der)?)
    }

    pub fn certificate_pem(&self) -> Result<String, Error> {
        Ok(self.certificate()?.to_pem())
    }

    /// Leaf and CA in one file, as many devices send them.
    pub fn chain_pem(&self, ca: &Ca) -> Result<String, Error> {
        Ok(self.certificate_pem()? + &ca.certificate_pem())
    }
}
