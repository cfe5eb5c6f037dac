//! RegisterCACertificate's checks of the two certificates. Modes, duplicates and limits are the services' job.
//!
//! A registered CA is a trust anchor: the caller vouches for it, and its own constraints (path length, names, key usage)
//! are not processed, as RFC 5280 6.1 has it for anchors. An intermediate may be registered without its root.

use std::fmt;

use super::{Certificate, Validity};
use crate::Timestamp;

/// Why a CA is not registered. `exception` is the type that AWS names, `Display` the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationRefusal {
    /// basicConstraints is absent or says CA:FALSE.
    NotACa,
    /// Too weak, or of a kind that AWS does not take; the text names it.
    CaKey(String),
    CaNotYetValid(Timestamp),
    CaExpired(Timestamp),
    VerificationNotYetValid(Timestamp),
    VerificationExpired(Timestamp),
    /// Its issuer's name is not the CA's subject, or the CA's key did not make the signature.
    VerificationNotSignedByCa,
    /// SHA-1, MD5 and the like; the text says what is wrong.
    VerificationSignature(String),
    RegistrationCode,
}

impl RegistrationRefusal {
    pub const fn exception(&self) -> &'static str {
        match self {
            Self::RegistrationCode => "RegistrationCodeValidationException",
            _ => "CertificateValidationException",
        }
    }
}

/// The first sentence of `NotACa` is AWS's; for the others AWS's words are not known.
impl fmt::Display for RegistrationRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACa => f.write_str(
                "The CA certificate does not have the basicConstraints extension as true. \
                 Make it with basicConstraints = critical,CA:TRUE (openssl req -x509 -extensions v3_ca).",
            ),
            Self::CaKey(key) => write!(
                f,
                "The CA certificate's key ({key}) is not accepted: use RSA of at least 2048 bits, or EC P-256, P-384 or P-521."
            ),
            Self::CaNotYetValid(at) => {
                write!(f, "The CA certificate is not valid before {}: check the clocks.", at.to_rfc3339())
            }
            Self::CaExpired(at) => write!(f, "The CA certificate expired at {}: register a new one.", at.to_rfc3339()),
            Self::VerificationNotYetValid(at) => {
                write!(f, "The verification certificate is not valid before {}: check the clocks.", at.to_rfc3339())
            }
            Self::VerificationExpired(at) => {
                write!(f, "The verification certificate expired at {}: sign a new one.", at.to_rfc3339())
            }
            Self::VerificationNotSignedByCa => f.write_str(
                "The verification certificate is not signed by the CA certificate: sign it with the CA's private key.",
            ),
            Self::VerificationSignature(why) => {
                write!(f, "The verification certificate is not accepted, {why}: sign it anew.")
            }
            Self::RegistrationCode => f.write_str(
                "The verification certificate's Common Name is not the registration code \
                 that aws iot get-registration-code returns.",
            ),
        }
    }
}

impl std::error::Error for RegistrationRefusal {}

/// Both certificates, for `certificateMode` DEFAULT.
pub fn check(
    ca: &Certificate,
    verification: &Certificate,
    registration_code: &str,
    now: Timestamp,
) -> Result<(), RegistrationRefusal> {
    check_ca(ca, now)?;
    check_verification(ca, verification, registration_code, now)
}

/// The CA alone: all there is to check for SNI_ONLY.
pub fn check_ca(ca: &Certificate, now: Timestamp) -> Result<(), RegistrationRefusal> {
    if ca.is_ca() != Some(true) {
        return Err(RegistrationRefusal::NotACa);
    }
    if !ca.key_kind().is_accepted() {
        return Err(RegistrationRefusal::CaKey(ca.key_kind().to_string()));
    }
    match ca.validity_at(now) {
        Validity::Valid => Ok(()),
        Validity::NotYetValid => Err(RegistrationRefusal::CaNotYetValid(ca.not_before())),
        Validity::Expired => Err(RegistrationRefusal::CaExpired(ca.not_after())),
    }
}

/// That the caller holds the CA's private key: a certificate of any version, signed by it over our code.
fn check_verification(
    ca: &Certificate,
    verification: &Certificate,
    registration_code: &str,
    now: Timestamp,
) -> Result<(), RegistrationRefusal> {
    if let Some(why) = verification.signature_objection() {
        return Err(RegistrationRefusal::VerificationSignature(why));
    }
    if !verification.is_issued_by(ca) {
        return Err(RegistrationRefusal::VerificationNotSignedByCa);
    }
    if verification.subject().values("CommonName") != [registration_code] {
        return Err(RegistrationRefusal::RegistrationCode);
    }
    match verification.validity_at(now) {
        Validity::Valid => Ok(()),
        Validity::NotYetValid => Err(RegistrationRefusal::VerificationNotYetValid(verification.not_before())),
        Validity::Expired => Err(RegistrationRefusal::VerificationExpired(verification.not_after())),
    }
}
