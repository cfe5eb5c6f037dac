//! What can go wrong on the device's side.

use std::fmt;

#[derive(Debug)]
pub enum Error {
    /// A key could not be made, read or used; the text is the library's.
    Key(String),
    /// A certificate could not be written or read.
    Certificate(String),
    /// TLS failed; `alert` is its number where the other side sent one (46 is certificate_unknown).
    Tls { text: String, alert: Option<u8> },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(text) => write!(f, "the key does not work: {text}"),
            Self::Certificate(text) => write!(f, "the certificate does not work: {text}"),
            Self::Tls { text, alert: Some(alert) } => write!(f, "TLS failed with alert {alert}: {text}"),
            Self::Tls { text, alert: None } => write!(f, "TLS failed: {text}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<domain::x509::CertificateError> for Error {
    fn from(error: domain::x509::CertificateError) -> Self {
        Self::Certificate(error.to_string())
    }
}
