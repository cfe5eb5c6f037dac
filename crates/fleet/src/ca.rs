//! A certificate authority with its key: what a factory has, and no server ever should.

use domain::CertificateId;
use domain::x509::Certificate;

use crate::certificate::{CertificateVersion, Draft, Purpose, Window, checked_name};
use crate::key::PublicKey;
use crate::{Device, DeviceSpec, Error, Key, KeyAlgorithm};

const CA_DAYS: i64 = 3650;
const VERIFICATION_DAYS: i64 = 30;

#[derive(Clone)]
pub struct Ca {
    certificate: Certificate,
    key: Key,
}

/// The proof that whoever registers a CA holds its key.
pub struct Verification {
    pub request_pem: String,
    pub certificate_pem: String,
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
        let subject = checked_name(common_name)?;
        let key_id = key.public().id();
        let draft = ca_draft((&subject, key.public()), (&subject, &key_id), window);
        Self::from_parts(Certificate::from_der(&draft.sign(&key)?)?, key)
    }

    /// An operator's own, from files.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        Self::from_parts(Certificate::from_pem(certificate)?, Key::from_pem(key)?)
    }

    pub(crate) fn from_parts(certificate: Certificate, key: Key) -> Result<Self, Error> {
        if certificate.spki_der() != key.public().spki_der() {
            return Err(Error::Certificate("its public key is not that of the private key".to_owned()));
        }
        Ok(Self { certificate, key })
    }

    /// A CA below this one.
    pub fn intermediate(&self, common_name: &str, algorithm: KeyAlgorithm) -> Result<Self, Error> {
        let key = Key::generate(algorithm)?;
        let (subject, key_id) = (checked_name(common_name)?, self.key_id());
        let issuer = (self.certificate.subject().der(), key_id.as_slice());
        let draft = ca_draft((&subject, key.public()), issuer, Window::days_from_now(CA_DAYS));
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
    /// by this CA.
    pub fn verification_certificate_pem(&self, registration_code: &str) -> Result<String, Error> {
        Ok(self.verification(registration_code)?.certificate_pem)
    }

    /// The same with its signing request, for whoever keeps records of what a CA has signed. Nobody needs the key
    /// again: it is thrown away. Version 1, as the AWS guide's own commands make it.
    pub fn verification(&self, registration_code: &str) -> Result<Verification, Error> {
        let spec = DeviceSpec {
            version: CertificateVersion::V1,
            window: Window::days_from_now(VERIFICATION_DAYS).within(&self.certificate),
            ..DeviceSpec::new(registration_code)
        };
        let device = self.issue(&spec)?;
        Ok(Verification {
            request_pem: device.key().signing_request_pem(registration_code)?,
            certificate_pem: device.certificate_pem()?,
        })
    }

    /// A device with a new key.
    pub fn issue(&self, spec: &DeviceSpec) -> Result<Device, Error> {
        self.issue_for(spec, Key::generate(spec.algorithm)?)
    }

    /// A certificate for a key that exists: key generation is the slow part of making many devices.
    pub fn issue_for(&self, spec: &DeviceSpec, key: Key) -> Result<Device, Error> {
        let (subject, issuer_key_id) = (checked_name(&spec.common_name)?, self.key_id());
        let draft = Draft {
            version: spec.version,
            purpose: Purpose::Device,
            subject: &subject,
            issuer: self.certificate.subject().der(),
            window: spec.window,
            key: key.public(),
            issuer_key_id: &issuer_key_id,
            flaw: spec.flaw,
        };
        Ok(Device::issued(draft.sign(&self.key)?, key))
    }

    /// As its own certificate says it, however whoever made it came by it.
    fn key_id(&self) -> Vec<u8> {
        self.certificate.subject_key_id().unwrap_or_else(|| self.key.public().id())
    }
}

fn ca_draft<'a>(
    (subject, key): (&'a [u8], &'a PublicKey),
    (issuer, issuer_key_id): (&'a [u8], &'a [u8]),
    window: Window,
) -> Draft<'a> {
    let (version, purpose) = (CertificateVersion::V3, Purpose::Ca);
    Draft { version, purpose, subject, issuer, window, key, issuer_key_id, flaw: None }
}
