//! A certificate signing request (PKCS #10): a name, a public key, and the proof that the asker holds its private key.

use std::ops::Range;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::der::{BIT_STRING, INTEGER, Reader, SEQUENCE};
use super::key::KeyKind;
use super::name::DistinguishedName;
use super::signature::{self, Signed};
use super::{CertificateError, pem};

/// As AWS bounds `certificateSigningRequest`.
const PEM_CHARS_MAX: usize = 4096;

/// One whose proof holds and whose key may be certified. What else it asks for (attributes, extensions) is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    subject: DistinguishedName,
    spki_der: Vec<u8>,
    key_kind: KeyKind,
}

impl CertificateRequest {
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        if text.len() > PEM_CHARS_MAX {
            let length = text.len();
            return refuse(format!("it has {length} characters; {PEM_CHARS_MAX} are allowed"));
        }
        Self::from_der(&pem::request(text)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let Some(parts) = Parts::find(der) else {
            return refuse("it is not the DER of a certificate signing request".to_owned());
        };
        let parsed = match X509CertificationRequest::from_der(der) {
            Ok(([], parsed)) => parsed.certification_request_info,
            Ok(_) => return refuse("bytes follow after its end".to_owned()),
            Err(error) => return refuse(format!("it does not parse: {error}")),
        };
        let key_kind = KeyKind::of(&parsed.subject_pki);
        if !key_kind.is_accepted() {
            return refuse(format!("its key ({key_kind}) is not RSA of 2048 to 8192 bits, EC P-256, P-384 or P-521"));
        }
        let part = |range: &Range<usize>| der.get(range.clone()).unwrap_or_default();
        let algorithm = part(&parts.signature_algorithm);
        if !signature::is_accepted(algorithm) {
            return refuse("its signature algorithm is not SHA-256, SHA-384 or SHA-512 with RSA or ECDSA".to_owned());
        }
        let signed = Signed { message: part(&parts.signed), algorithm, signature: part(&parts.signature) };
        if !signed.is_by(part(&parts.key_algorithm), part(&parts.key)) {
            return refuse("its signature was not made with the private key of its public key".to_owned());
        }
        let subject = DistinguishedName::of(&parsed.subject);
        Ok(Self { subject, spki_der: part(&parts.spki).to_vec(), key_kind })
    }

    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// DER of the whole SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    pub fn key_kind(&self) -> &KeyKind {
        &self.key_kind
    }
}

/// Where things stand in the DER. (RFC 2986 section 4)
struct Parts {
    signed: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    spki: Range<usize>,
    key_algorithm: Range<usize>,
    key: Range<usize>,
}

impl Parts {
    fn find(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der, 0..der.len());
        let request = outer.expect(SEQUENCE)?;
        let mut reader = Reader::new(der, request.content);
        let signed = reader.expect(SEQUENCE)?;
        let signature_algorithm = reader.expect(SEQUENCE)?.content;
        let signature = reader.expect(BIT_STRING)?.whole_bytes(der)?;
        if !reader.is_empty() {
            return None;
        }
        let mut reader = Reader::new(der, signed.content);
        reader.expect(INTEGER)?;
        let _subject = reader.expect(SEQUENCE)?;
        let spki = reader.expect(SEQUENCE)?;
        let mut reader = Reader::new(der, spki.content);
        let key_algorithm = reader.expect(SEQUENCE)?.content;
        let key = reader.expect(BIT_STRING)?.whole_bytes(der)?;
        Some(Self { signed: signed.whole, signature_algorithm, signature, spki: spki.whole, key_algorithm, key })
    }
}

fn refuse<T>(text: String) -> Result<T, CertificateError> {
    Err(CertificateError::Der(text))
}
