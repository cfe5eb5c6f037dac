//! Writes certificates: version 1 as plain `openssl x509 -req` does, version 3 with the extensions that a CA or a
//! device needs, and, for tests of the server, a few that must be refused.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;
use domain::Timestamp;
use domain::x509::Certificate;
use domain::x509::encoding::{
    NULL, TRUE, bit_string, element, integer, octet_string, oid, sequence, time, utf8_string,
};

use crate::key::PublicKey;
use crate::{Error, Key};

const DAY_MILLIS: i64 = 86_400_000;
/// The upper bound ub-common-name of X.520; openssl writes no longer one either.
const COMMON_NAME_CHARS_MAX: usize = 64;
/// Sixteen random bytes: nobody guesses or repeats them. (RFC 5280 4.1.2.2 allows twenty)
const SERIAL_BYTES: usize = 16;
/// A fresh certificate is valid from a little earlier: the other machine's clock may be behind.
const BACKDATED_MILLIS: i64 = DAY_MILLIS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateVersion {
    /// No extensions: what `openssl x509 -req` makes without `-extfile`.
    V1,
    #[default]
    V3,
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Window {
    pub fn days_from_now(days: i64) -> Self {
        let now = now();
        Self {
            not_before: now.plus_millis(-BACKDATED_MILLIS),
            not_after: now.plus_millis(days.saturating_mul(DAY_MILLIS)),
        }
    }

    /// As much of it as lies in `issuer`'s own: a certificate is worth nothing before and after its issuer.
    pub fn within(self, issuer: &Certificate) -> Self {
        Self { not_before: self.not_before.max(issuer.not_before()), not_after: self.not_after.min(issuer.not_after()) }
    }

    /// Over for a day.
    pub fn expired() -> Self {
        let now = now();
        Self { not_before: now.plus_millis(-30 * DAY_MILLIS), not_after: now.plus_millis(-DAY_MILLIS) }
    }

    /// Begins in a day.
    pub fn not_yet_valid() -> Self {
        let now = now();
        Self { not_before: now.plus_millis(DAY_MILLIS), not_after: now.plus_millis(30 * DAY_MILLIS) }
    }
}

/// What tests put into a certificate so that a server must refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A critical extension of a private OID; makes the certificate version 3.
    UnknownCriticalExtension,
    /// The subject is changed after signing.
    TamperedSubject,
    /// Two bytes follow after the certificate.
    TrailingBytes,
    /// The algorithm says sha1WithRSAEncryption.
    Sha1,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Whose certificate it is.
pub(crate) enum Purpose {
    Ca,
    Device,
}

/// All that goes into one certificate. Names are DER, so that an issuer's name is taken over byte for byte.
pub(crate) struct Draft<'a> {
    pub(crate) version: CertificateVersion,
    pub(crate) purpose: Purpose,
    pub(crate) subject: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) window: Window,
    pub(crate) key: &'a PublicKey,
    /// The issuer's subjectKeyIdentifier.
    pub(crate) issuer_key_id: &'a [u8],
    pub(crate) flaw: Option<Flaw>,
}

impl Draft<'_> {
    pub(crate) fn sign(&self, issuer_key: &Key) -> Result<Vec<u8>, Error> {
        let algorithm = match self.flaw {
            Some(Flaw::Sha1) => sequence(&[&oid(OID_SHA1_WITH_RSA), &NULL]),
            _ => signature_algorithm(issuer_key)?,
        };
        let serial = random_serial()?;
        let signed = self.signed_part(&algorithm, &serial, self.subject)?;
        let signature = bit_string(&issuer_key.sign(&signed)?);
        let signed = match self.flaw {
            Some(Flaw::TamperedSubject) => self.signed_part(&algorithm, &serial, &name("somebody else"))?,
            _ => signed,
        };
        let mut der = sequence(&[&signed, &algorithm, &signature]);
        if self.flaw == Some(Flaw::TrailingBytes) {
            der.extend_from_slice(&NULL);
        }
        Ok(der)
    }

    fn signed_part(&self, algorithm: &[u8], serial: &[u8], subject: &[u8]) -> Result<Vec<u8>, Error> {
        let validity = sequence(&[&date(self.window.not_before)?, &date(self.window.not_after)?]);
        let extensions = self.extensions();
        let version = if extensions.is_empty() { Vec::new() } else { element(0xa0, &[&integer(&[2])]) };
        let (serial, spki) = (integer(serial), self.key.spki_der());
        Ok(sequence(&[&version, &serial, algorithm, self.issuer, &validity, subject, spki, &extensions]))
    }

    /// Empty for version 1.
    fn extensions(&self) -> Vec<u8> {
        let mut list = Vec::new();
        if self.version == CertificateVersion::V3 {
            match self.purpose {
                Purpose::Ca => {
                    list.push(critical(OID_BASIC_CONSTRAINTS, &sequence(&[&TRUE])));
                    // keyCertSign and cRLSign.
                    list.push(critical(OID_KEY_USAGE, &element(0x03, &[&[0x01, 0x06]])));
                }
                Purpose::Device => {
                    list.push(critical(OID_BASIC_CONSTRAINTS, &sequence(&[])));
                    // digitalSignature.
                    list.push(critical(OID_KEY_USAGE, &element(0x03, &[&[0x07, 0x80]])));
                    list.push(extension(OID_EXTENDED_KEY_USAGE, &[], &sequence(&[&oid(OID_CLIENT_AUTH)])));
                }
            }
            list.push(extension(OID_SUBJECT_KEY_ID, &[], &octet_string(&self.key.id())));
            list.push(extension(OID_AUTHORITY_KEY_ID, &[], &sequence(&[&element(0x80, &[self.issuer_key_id])])));
        }
        if self.flaw == Some(Flaw::UnknownCriticalExtension) {
            list.push(critical(OID_UNKNOWN, &NULL));
        }
        if list.is_empty() {
            return Vec::new();
        }
        let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        element(0xa3, &[&sequence(&list)])
    }
}

fn date(moment: Timestamp) -> Result<Vec<u8>, Error> {
    time(moment).ok_or_else(|| Error::Certificate(format!("{} is no date", moment.millis())))
}

/// A name of one attribute, CN.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid(OID_COMMON_NAME), &utf8_string(common_name)]);
    sequence(&[&element(0x31, &[&attribute])])
}

/// One that others can read: X.520 bounds a Common Name at 64 characters.
pub(crate) fn checked_name(common_name: &str) -> Result<Vec<u8>, Error> {
    let wrong = |why: &str| Err(Error::Certificate(format!("the name {common_name:?} {why}")));
    match common_name.chars().count() {
        0 => return wrong("is empty"),
        count if count > COMMON_NAME_CHARS_MAX => return wrong("has more than the 64 characters of a Common Name"),
        _ => {}
    }
    if common_name.chars().any(char::is_control) {
        return wrong("has a control character");
    }
    Ok(name(common_name))
}

fn critical(id: &[u8], value: &[u8]) -> Vec<u8> {
    extension(id, &TRUE, value)
}

fn extension(id: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(id), critical, &octet_string(value)])
}

fn random_serial() -> Result<[u8; SERIAL_BYTES], Error> {
    let mut serial = [0; SERIAL_BYTES];
    rand::fill(&mut serial).map_err(|_| Error::Key("the system gives no random numbers".to_owned()))?;
    Ok(serial)
}

impl PublicKey {
    /// Method 1 of RFC 5280 4.2.1.2: SHA-1 over the key bits, as an identifier and not for security.
    pub(crate) fn id(&self) -> Vec<u8> {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, self.bits()).as_ref().to_vec()
    }
}

fn signature_algorithm(key: &Key) -> Result<Vec<u8>, Error> {
    let algorithm = key.signature_algorithm();
    if *algorithm == rcgen::PKCS_ECDSA_P256_SHA256 {
        Ok(sequence(&[&oid(OID_ECDSA_WITH_SHA256)]))
    } else if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 {
        Ok(sequence(&[&oid(OID_ECDSA_WITH_SHA384)]))
    } else if *algorithm == rcgen::PKCS_ECDSA_P521_SHA512 {
        Ok(sequence(&[&oid(OID_ECDSA_WITH_SHA512)]))
    } else if *algorithm == rcgen::PKCS_RSA_SHA256 {
        Ok(sequence(&[&oid(OID_SHA256_WITH_RSA), &NULL]))
    } else {
        Err(Error::Key(format!("{algorithm:?} is not supported: use EC P-256, P-384, P-521 or RSA")))
    }
}

// OIDs as DER content.
const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OID_SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const OID_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const OID_AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const OID_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const OID_CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
const OID_SHA1_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05];
const OID_SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const OID_ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OID_ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const OID_ECDSA_WITH_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.3.6.1.4.1.99999.1: nobody's.
const OID_UNKNOWN: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x86, 0x8d, 0x1f, 0x01];
