//! Certificates that the server issues itself (CreateKeysAndCertificate, CreateCertificateFromCsr). Keys and randomness
//! come in as arguments.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::der::{BIT_STRING, INTEGER, OCTET_STRING, Reader, SEQUENCE};
use super::encoding::{NULL, TRUE, bit_string, element, integer, octet_string, oid, sequence, time, utf8_string};
use super::pem;
use crate::Timestamp;

/// 2049-12-31T23:59:59Z, as AWS's certificates have it.
pub const NOT_AFTER: Timestamp = Timestamp::from_seconds(2_524_607_999);

/// Clocks differ a little.
const BACKDATED_MILLIS: i64 = 2 * 60 * 1000;

/// Our issuer. It stands for no registered CA: what it signs is registered as it is made.
const ISSUER: [(&[u8], &str); 2] = [(OID_ORGANIZATION, "Landfall"), (OID_COMMON_NAME, "Landfall issuing CA")];

/// The subject of AWS's certificates, where no request names one.
pub const SUBJECT_DEFAULT: &str = "AWS IoT Certificate";

/// What one certificate says of its holder. Names and keys are DER.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// Nobody guesses or repeats it; its first bit counts for nothing. (RFC 5280 4.1.2.2)
    pub serial: [u8; 20],
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    /// SubjectPublicKeyInfo of the issuer's RSA key.
    pub issuer_spki: &'a [u8],
    pub now: Timestamp,
}

impl Statement<'_> {
    /// What the issuer signs, with RSA (PKCS #1) and SHA-256. `None` for a moment that has no date or a key that is none.
    pub fn signed_part(&self) -> Option<Vec<u8>> {
        let mut serial = self.serial;
        if let Some(first) = serial.first_mut() {
            // Positive, and of the full length.
            *first = *first & 0x7f | 0x40;
        }
        let validity = sequence(&[&time(self.now.plus_millis(-BACKDATED_MILLIS))?, &time(NOT_AFTER)?]);
        let version = element(0xa0, &[&integer(&[2])]);
        let extensions = element(0xa3, &[&self.extensions()?]);
        Some(sequence(&[
            &version,
            &integer(&serial),
            &algorithm(),
            &issuer_name(),
            &validity,
            self.subject,
            self.spki,
            &extensions,
        ]))
    }

    /// Those of AWS's certificates.
    fn extensions(&self) -> Option<Vec<u8>> {
        let issuer_key_id = element(0x80, &[&key_id(self.issuer_spki)?]);
        let extension = |id, critical: &[u8], value: &[u8]| sequence(&[&oid(id), critical, &octet_string(value)]);
        Some(sequence(&[
            &extension(OID_AUTHORITY_KEY_ID, &[], &sequence(&[&issuer_key_id])),
            &extension(OID_SUBJECT_KEY_ID, &[], &octet_string(&key_id(self.spki)?)),
            &extension(OID_BASIC_CONSTRAINTS, &TRUE, &sequence(&[])),
            // digitalSignature.
            &extension(OID_KEY_USAGE, &TRUE, &element(0x03, &[&[0x07, 0x80]])),
        ]))
    }
}

/// The certificate's DER, of what was signed and the signature.
pub fn certificate(signed_part: &[u8], signature: &[u8]) -> Vec<u8> {
    sequence(&[signed_part, &algorithm(), &bit_string(signature)])
}

/// A name of one attribute, CN.
pub fn common_name(text: &str) -> Vec<u8> {
    name(&[(OID_COMMON_NAME, text)])
}

/// `-----BEGIN RSA PRIVATE KEY-----`, as AWS hands keys out; from PKCS #8, which wraps that form.
pub fn rsa_private_key_pem(pkcs8: &[u8]) -> Option<String> {
    let mut reader = Reader::new(pkcs8, 0..pkcs8.len());
    let mut reader = Reader::new(pkcs8, reader.expect(SEQUENCE)?.content);
    reader.expect(INTEGER)?;
    reader.expect(SEQUENCE)?;
    let key = reader.expect(OCTET_STRING)?.content;
    Some(pem::encode_as("RSA PRIVATE KEY", pkcs8.get(key)?))
}

/// `-----BEGIN PUBLIC KEY-----`
pub fn public_key_pem(spki: &[u8]) -> String {
    pem::encode_as("PUBLIC KEY", spki)
}

fn issuer_name() -> Vec<u8> {
    name(&ISSUER)
}

fn name(attributes: &[(&[u8], &str)]) -> Vec<u8> {
    let sets: Vec<Vec<u8>> =
        attributes.iter().map(|(id, text)| element(0x31, &[&sequence(&[&oid(id), &utf8_string(text)])])).collect();
    sequence(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Method 1 of RFC 5280 4.2.1.2: SHA-1 over the key bits, as an identifier and not for security.
fn key_id(spki: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(spki, 0..spki.len());
    let mut reader = Reader::new(spki, reader.expect(SEQUENCE)?.content);
    reader.expect(SEQUENCE)?;
    let key = reader.expect(BIT_STRING)?.whole_bytes(spki)?;
    Some(digest(&SHA1_FOR_LEGACY_USE_ONLY, spki.get(key)?).as_ref().to_vec())
}

/// sha256WithRSAEncryption, AWS's own.
fn algorithm() -> Vec<u8> {
    sequence(&[&oid(OID_SHA256_WITH_RSA), &NULL])
}

// OIDs as DER content.
const OID_COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const OID_ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const OID_SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const OID_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const OID_BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const OID_AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const OID_SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
