//! A certificate authority with its key: what a factory has, and no server ever should.

use domain::CertificateId;
use domain::x509::Certificate;

use crate::certificate::{CertificateVersion, Draft, Purpose, Window, name};
use crate::{Device, DeviceSpec, Error, Key, KeyAlgorithm};

const CA_DAYS: i64 = 3650;
const VERIFICATION_DAYS: i64 = 30;

#[derive(Clone)]
pub struct Ca {
    certificate: Certificate,
    key: Key,
}

impl Ca {
    /// A self-signed root for ten years.
    pub fn new(common_name: &str, algorithm: KeyAlgorithm) -> Result<Self, Error> {
        Self::with_window(common_name, algorithm, Window::days_from_now(CA_DAYS))
    }

    pub fn with_window(common_name: &str, algorithm: KeyAlgorithm, window: Window) -> Result<Self, Error> {
        Self::with_key(common_name, Key::generate(algorithm)?, window)
    }

    /// A certificate for a key that exists: a renewed CA keeps its key.
    pub fn with_key(common_name: &str, key: Key, window: Window) -> Result<Self, Error> {
        let subject = name(common_name);
        let draft = ca_draft(&subject, &subject, &key, window);
        Self::from_parts(Certificate::from_der(&draft.sign(&key)?)?, key)
    }

    /// An operator's own, from files.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        Self::from_parts(Certificate::from_pem(certificate)?, Key::from_pem(key)?)
    }

    pub(crate) fn from_parts(certificate: Certificate, key: Key) -> Result<Self, Error> {
        if certificate.spki_der() != key.spki_der() {
            return Err(Error::Certificate("its public key is not that of the private key".to_owned()));
        }
        Ok(Self { certificate, key })
    }

    /// A CA below this one.
    pub fn intermediate(&self, common_name: &str, algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let key = Key::generate(algorithm)?;
        let subject = name(common_name);
        let draft = ca_draft(&subject, self.certificate.subject().der(), &key, Window::days_from_now(CA_DAYS));
        Self::from_parts(Certificate::from_der(&draft.sign(&self.key)?)?, key)
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub fn certificate_pem(&self) -> String {
        self.certificate.to_pem()
    }

    pub fn id(&self) -> CertificateId {
        self.certificate.id()
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What RegisterCACertificate wants as `verificationCertificate`: the registration code as its Common Name, signed
    /// by this CA. Version 1, as the AWS guide's own commands make it.
    pub fn verification_certificate_pem(&self, registration_code: &str) -> Result<String, Error> {
        let spec = DeviceSpec {
            version: CertificateVersion::V1,
            window: Window::days_from_now(VERIFICATION_DAYS),
            ..DeviceSpec::new(registration_code)
        };
        self.issue(&spec)?.certificate_pem()
    }

    /// A device with a new key.
    pub fn issue(&self, spec: &DeviceSpec) -> Result<Device, Error> {
        self.issue_for(spec, Key::generate(spec.algorithm)?)
    }

    /// A certificate for a key that exists: key generation is the slow part of making many devices.
    pub fn issue_for(&self, spec: &DeviceSpec, key: Key) -> Result<Device, Error> {
        let subject = name(&spec.common_name);
        let draft = Draft {
            version: spec.version,
            purpose: Purpose::Device,
            subject: &subject,
            issuer: self.certificate.subject().der(),
            window: spec.window,
            key: &key,
            flaw: spec.flaw,
        };
        Ok(Device::issued(draft.sign(&self.key)?, key))
    }
}

fn ca_draft<'a>(subject: &'a [u8], issuer: &'a [u8], key: &'a Key, window: Window) -> Draft<'a> {
    Draft { version: CertificateVersion::V3, purpose: Purpose::Ca, subject, issuer, window, key, flaw: None }
}
