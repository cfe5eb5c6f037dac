//! A parsed certificate that keeps its DER.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;

use super::der::{BIT_STRING, INTEGER, Reader, SEQUENCE};
use super::key::KeyKind;
use super::name::{AlternativeName, DistinguishedName};
use super::signature::{self, Signed};
use super::{CHAIN_CERTIFICATES_MAX, pem};
use crate::{CertificateId, Timestamp};

/// What AWS's 65,536 characters of PEM can hold.
pub const DER_BYTES_MAX: usize = 49_152;

/// RFC 5280 4.1.2.2 asks for 20 octets at most; issuers that do not conform stay well under this.
pub const SERIAL_NUMBER_BYTES_MAX: usize = 64;

/// Critical extensions that admission may meet without refusing: it enforces or need not enforce what they say.
const UNDERSTOOD_EXTENSIONS: [&str; 8] = [
    "2.5.29.14", // subjectKeyIdentifier
    "2.5.29.15", // keyUsage
    "2.5.29.17", // subjectAltName
    "2.5.29.18", // issuerAltName
    "2.5.29.19", // basicConstraints
    "2.5.29.32", // certificatePolicies
    "2.5.29.35", // authorityKeyIdentifier
    "2.5.29.37", // extKeyUsage
];

/// Cheap to clone: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Arc<[u8]>,
    parts: Parts,
    facts: Arc<Facts>,
}

/// Where things stand in the DER.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    signed: Range<usize>,
    /// Content of the outer AlgorithmIdentifier.
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    serial: Range<usize>,
    spki: Range<usize>,
    key_algorithm: Range<usize>,
    key: Range<usize>,
}

#[derive(Debug)]
struct Facts {
    version: u8,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    not_before: Timestamp,
    not_after: Timestamp,
    is_ca: Option<bool>,
    unknown_critical_extensions: Vec<String>,
    alternative_names: Vec<AlternativeName>,
    issuer_alternative_names: Vec<AlternativeName>,
    signature_algorithm_oid: String,
    key_kind: KeyKind,
    /// Whose key was found to have made the signature. It is asked twice of each new device, and never changes.
    signed_by: OnceLock<CertificateId>,
}

/// Everything else follows from the bytes.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    Pem(String),
    Der(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(text) | Self::Der(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CertificateError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    NotYetValid,
    Expired,
}

impl Certificate {
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > DER_BYTES_MAX {
            return refuse(format!("the certificate has {} bytes; {DER_BYTES_MAX} are allowed", der.len()));
        }
        let Some((parts, rest)) = Parts::find(der) else {
            return refuse("the certificate is not the DER of an X.509 certificate".to_owned());
        };
        if !rest.is_empty() {
            return refuse(format!("{} bytes follow after the end of the certificate", rest.len()));
        }
        if parts.serial.len() > SERIAL_NUMBER_BYTES_MAX {
            let length = parts.serial.len();
            return refuse(format!(
                "its serial number has {length} bytes; {SERIAL_NUMBER_BYTES_MAX} are allowed (20 by RFC 5280)"
            ));
        }
        let facts = match X509Certificate::from_der(der) {
            Ok((_, parsed)) => Facts::of(&parsed)?,
            Err(error) => return refuse(format!("the certificate does not parse: {error}")),
        };
        Ok(Self { der: der.into(), parts, facts: Arc::new(facts) })
    }

    /// Exactly one CERTIFICATE block.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        match pem::blocks(pem, 1)?.as_slice() {
            [der] => Self::from_der(der),
            _ => Err(CertificateError::Pem("send exactly one certificate".to_owned())),
        }
    }

    /// One to `CHAIN_CERTIFICATES_MAX` CERTIFICATE blocks in the order of the text, the leaf first by convention.
    pub fn chain_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        pem::blocks(pem, CHAIN_CERTIFICATES_MAX)?.iter().map(|der| Self::from_der(der)).collect()
    }

    pub fn to_pem(&self) -> String {
        pem::encode(&self.der)
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn id(&self) -> CertificateId {
        CertificateId::of_der(&self.der)
    }

    /// 1, 2 or 3, as people number them.
    pub fn version(&self) -> u8 {
        self.facts.version
    }

    pub fn subject(&self) -> &DistinguishedName {
        &self.facts.subject
    }

    pub fn issuer(&self) -> &DistinguishedName {
        &self.facts.issuer
    }

    /// Lower-case hex, no separators, without the leading zero byte that DER puts before a high bit.
    pub fn serial_hex(&self) -> String {
        let serial = self.part(&self.parts.serial);
        match serial.split_first() {
            Some((0, rest)) if !rest.is_empty() => hex::encode(rest),
            _ => hex::encode(serial),
        }
    }

    pub fn not_before(&self) -> Timestamp {
        self.facts.not_before
    }

    pub fn not_after(&self) -> Timestamp {
        self.facts.not_after
    }

    /// Both ends belong to the window. (RFC 5280 4.1.2.5)
    pub fn validity_at(&self, now: Timestamp) -> Validity {
        if now < self.facts.not_before {
            Validity::NotYetValid
        } else if now.seconds() > self.facts.not_after.seconds() {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }

    /// What basicConstraints says; `None` where the extension is absent (always so in version 1).
    pub fn is_ca(&self) -> Option<bool> {
        self.facts.is_ca
    }

    /// The subjectKeyIdentifier extension: what certificates below name their issuer's key by.
    /// Read anew: who issues certificates asks, and no connection.
    pub fn subject_key_id(&self) -> Option<Vec<u8>> {
        let (_, parsed) = X509Certificate::from_der(&self.der).ok()?;
        parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        })
    }

    /// OIDs of the critical extensions that nobody here understands.
    pub fn unknown_critical_extensions(&self) -> &[String] {
        &self.facts.unknown_critical_extensions
    }

    /// Values of one kind in order, by the names of `iot:Certificate.Subject.AlternativeName.*`.
    pub fn alternative_names(&self, kind: &str) -> Vec<&str> {
        of_kind(&self.facts.alternative_names, kind)
    }

    /// The same of `iot:Certificate.Issuer.AlternativeName.*`: what the issuer says of itself in the certificate.
    pub fn issuer_alternative_names(&self, kind: &str) -> Vec<&str> {
        of_kind(&self.facts.issuer_alternative_names, kind)
    }

    pub fn key_kind(&self) -> &KeyKind {
        &self.facts.key_kind
    }

    /// Dotted, for logs: `1.2.840.113549.1.1.11`.
    pub fn signature_algorithm_oid(&self) -> &str {
        &self.facts.signature_algorithm_oid
    }

    /// Why no issuer's key can prove its signature here, in words that follow a comma.
    pub fn signature_objection(&self) -> Option<String> {
        (!self.is_signature_algorithm_accepted()).then(|| signature::objection(self.signature_algorithm_oid()))
    }

    /// False for SHA-1, MD5 and whatever else no issuer's key can prove here.
    pub fn is_signature_algorithm_accepted(&self) -> bool {
        signature::is_accepted(self.part(&self.parts.signature_algorithm))
    }

    /// DER of the whole SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        self.part(&self.parts.spki)
    }

    /// The AlgorithmIdentifier's content and the key bits of the SubjectPublicKeyInfo, as `rustls-pki-types` wants them.
    pub fn public_key_algorithm(&self) -> &[u8] {
        self.part(&self.parts.key_algorithm)
    }

    pub fn public_key(&self) -> &[u8] {
        self.part(&self.parts.key)
    }

    /// `issuer.subject == self.issuer` byte for byte and the issuer's key made the signature.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.issuer().der() == issuer.subject().der() && self.is_signed_by(issuer)
    }

    /// The signature alone, names aside. Verified once: the same pair is not verified again.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let issuer_id = issuer.id();
        if self.facts.signed_by.get() == Some(&issuer_id) {
            return true;
        }
        let signed = Signed {
            message: self.part(&self.parts.signed),
            algorithm: self.part(&self.parts.signature_algorithm),
            signature: self.part(&self.parts.signature),
        };
        let is_signed = signed.is_by(issuer.public_key_algorithm(), issuer.public_key());
        if is_signed {
            // A second issuer with the same key finds the place taken, and is verified each time.
            let _ = self.facts.signed_by.set(issuer_id);
        }
        is_signed
    }

    /// SHA-256 of what the issuer signed. Two certificates with the same one are the same statement of the same issuer,
    /// whatever their signatures look like: of an ECDSA signature (r, s) anybody can make the equally valid (r, n - s).
    pub fn signed_digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.part(&self.parts.signed));
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

impl Parts {
    /// The parts, and what follows after the certificate.
    fn find(der: &[u8]) -> Option<(Self, Range<usize>)> {
        let mut outer = Reader::new(der, 0..der.len());
        let certificate = outer.expect(SEQUENCE)?;
        let rest = certificate.whole.end..der.len();
        let mut reader = Reader::new(der, certificate.content);
        let signed = reader.expect(SEQUENCE)?;
        let signature_algorithm = reader.expect(SEQUENCE)?.content;
        let signature = reader.expect(BIT_STRING)?.whole_bytes(der)?;
        if !reader.is_empty() {
            return None;
        }

        let mut reader = Reader::new(der, signed.content);
        let first = reader.next()?;
        let serial = if first.tag == INTEGER { first } else { reader.expect(INTEGER)? };
        let inner_algorithm = reader.expect(SEQUENCE)?.content;
        // RFC 5280 4.1.1.2: both must say the same, or the signed one could be belied.
        if der.get(inner_algorithm)? != der.get(signature_algorithm.clone())? {
            return None;
        }
        for _issuer_validity_subject in 0..3 {
            reader.expect(SEQUENCE)?;
        }
        let spki = reader.expect(SEQUENCE)?;
        let mut reader = Reader::new(der, spki.content);
        let key_algorithm = reader.expect(SEQUENCE)?.content;
        let key = reader.expect(BIT_STRING)?.whole_bytes(der)?;

        let (signed, spki) = (signed.whole, spki.whole);
        let parts = Self { signed, signature_algorithm, signature, serial: serial.content, spki, key_algorithm, key };
        Some((parts, rest))
    }
}

impl Facts {
    fn of(parsed: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        let version = match parsed.version().0 {
            0 => 1,
            1 => 2,
            2 => 3,
            other => return refuse(format!("its version number {other} is unknown")),
        };
        if version < 3 && !parsed.extensions().is_empty() {
            return refuse(format!("it has extensions, which version {version} does not know"));
        }
        check_extensions(parsed.extensions())?;
        let is_ca = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => Some(constraints.ca),
            _ => None,
        });
        Ok(Self {
            version,
            subject: DistinguishedName::of(parsed.subject()),
            issuer: DistinguishedName::of(parsed.issuer()),
            not_before: Timestamp::from_seconds(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(parsed.validity().not_after.timestamp()),
            is_ca,
            unknown_critical_extensions: unknown_critical(parsed.extensions()),
            alternative_names: alternative_names(parsed.extensions()),
            issuer_alternative_names: issuer_alternative_names(parsed.extensions()),
            signature_algorithm_oid: parsed.signature_algorithm.algorithm.to_id_string(),
            key_kind: KeyKind::of(parsed.public_key()),
            signed_by: OnceLock::new(),
        })
    }
}

/// Each extension at most once (RFC 5280 4.2), and each one that counts well formed.
fn check_extensions(extensions: &[X509Extension<'_>]) -> Result<(), CertificateError> {
    let mut seen = std::collections::HashSet::new();
    for extension in extensions {
        let oid = extension.oid.to_id_string();
        let needed = extension.critical || UNDERSTOOD_EXTENSIONS.contains(&oid.as_str());
        if needed && matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. }) {
            return refuse(format!("its extension {oid} does not parse"));
        }
        if !seen.insert(extension.oid.as_bytes()) {
            return refuse(format!("its extension {oid} stands there twice"));
        }
    }
    Ok(())
}

fn unknown_critical(extensions: &[X509Extension<'_>]) -> Vec<String> {
    extensions
        .iter()
        .filter(|extension| extension.critical)
        .map(|extension| extension.oid.to_id_string())
        .filter(|oid| !UNDERSTOOD_EXTENSIONS.contains(&oid.as_str()))
        .collect()
}

fn alternative_names(extensions: &[X509Extension<'_>]) -> Vec<AlternativeName> {
    let names = extensions.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.into_iter().flatten().filter_map(alternative_name).collect()
}

fn issuer_alternative_names(extensions: &[X509Extension<'_>]) -> Vec<AlternativeName> {
    let names = extensions.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::IssuerAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.into_iter().flatten().filter_map(alternative_name).collect()
}

fn of_kind<'a>(names: &'a [AlternativeName], kind: &str) -> Vec<&'a str> {
    names.iter().filter(|name| name.kind() == kind).map(AlternativeName::value).collect()
}

/// `None` for the kinds that no policy variable can name.
fn alternative_name(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::RFC822Name(text) => Some(AlternativeName::Rfc822Name((*text).to_owned())),
        GeneralName::DNSName(text) => Some(AlternativeName::DnsName((*text).to_owned())),
        GeneralName::URI(text) => Some(AlternativeName::UniformResourceIdentifier((*text).to_owned())),
        GeneralName::DirectoryName(name) => Some(AlternativeName::DirectoryName(DistinguishedName::of(name).to_text())),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
            let v6 = <[u8; 16]>::try_from(*bytes).map(|bytes| Ipv6Addr::from(bytes).to_string());
            v4.or(v6).ok().map(AlternativeName::IpAddress)
        }
        _ => None,
    }
}

fn refuse<T>(text: String) -> Result<T, CertificateError> {
    Err(CertificateError::Der(text))
}
