//! X.509 facts and chain checks: what a certificate says, and whether an issuer signed it. Versions 1 and 3.
//!
//! Plain `openssl x509 -req` writes version 1, which webpki refuses as an end entity: certificates are therefore read
//! here, and only their signatures are verified with the algorithms of the TLS library. Refused before anything is
//! believed: trailing bytes, lengths not in DER, extensions twice or in version 1, parts larger than their bounds.
//! Path building, revocation lists and extended key usages are not looked at: AWS looks at the immediate issuer only.

mod certificate;
mod der;
pub mod encoding;
pub mod issuing;
mod key;
mod name;
mod pem;
pub mod registration;
mod request;
mod signature;

pub use certificate::{Certificate, CertificateError, DER_BYTES_MAX, SERIAL_NUMBER_BYTES_MAX, Validity};
pub use key::KeyKind;
pub(crate) use name::is_unprintable;
pub use name::{AlternativeName, DistinguishedName};
pub use pem::{CHAIN_CERTIFICATES_MAX, PEM_CHARS_MAX};
pub use request::CertificateRequest;
