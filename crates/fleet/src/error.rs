//! What can go wrong on the device's side.

use std::fmt;
use std::io;
use std::path::PathBuf;

use mqtt::packet::ReasonCode;

#[derive(Debug)]
pub enum Error {
    /// A key could not be made, read or used; the text is the library's.
    Key(String),
    /// A certificate could not be written or read.
    Certificate(String),
    /// TLS failed; `alert` is its number where the server sent one (46 is certificate_unknown).
    Tls { text: String, alert: Option<u8> },
    /// The server ended the connection while something else was waited for.
    Closed { waiting_for: &'static str, how: Closing },
    /// CONNACK with a code that is not success.
    ConnectionRefused(ReasonCode),
    /// Nothing came within the deadline.
    TimedOut { waiting_for: &'static str },
    /// The server sent what is not MQTT or HTTP, or what was not its turn to send.
    Protocol(String),
    /// What the caller asked to send has no form on the wire.
    Request(String),
    /// The service answered, and refused.
    Refused { operation: &'static str, code: String, message: String },
    /// A file of this name is there, and was to be kept.
    Exists { path: PathBuf },
    /// A file could not be read or written.
    File { path: PathBuf, error: io::Error },
    /// The network failed.
    Io { doing: &'static str, error: io::Error },
}

/// How a server ends a connection. AWS says goodbye at the TLS layer; a reset changes what clients print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// close_notify, then the end.
    CloseNotify,
    /// The TCP stream ended without a TLS goodbye.
    EndOfStream,
    Reset,
}

impl Error {
    /// What JITR does to a first connection: TLS stood, CONNECT went out, and no CONNACK came back.
    pub fn is_closed_without_connack(&self) -> bool {
        matches!(self, Self::Closed { waiting_for: CONNACK, .. })
    }

    pub fn tls_alert(&self) -> Option<u8> {
        match self {
            Self::Tls { alert, .. } => *alert,
            _ => None,
        }
    }

    /// Sorts out what a TLS stream reports: the server's alert, its way to close, or a failure of the network.
    pub(crate) fn of_stream(error: io::Error, doing: &'static str) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            let alert = match tls {
                rustls::Error::AlertReceived(alert) => Some(u8::from(*alert)),
                _ => None,
            };
            return Self::Tls { text: tls.to_string(), alert };
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed { waiting_for: doing, how: Closing::EndOfStream },
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Self::Closed { waiting_for: doing, how: Closing::Reset }
            }
            _ => Self::Io { doing, error },
        }
    }
}

pub(crate) const CONNACK: &str = "CONNACK";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(text) => write!(f, "the key does not work: {text}"),
            Self::Certificate(text) => write!(f, "the certificate does not work: {text}"),
            Self::Tls { text, alert: Some(alert) } => write!(f, "TLS failed with alert {alert}: {text}"),
            Self::Tls { text, alert: None } => write!(f, "TLS failed: {text}"),
            Self::Closed { waiting_for, how } => {
                let how = match how {
                    Closing::CloseNotify => "",
                    Closing::EndOfStream => " (without a TLS goodbye)",
                    Closing::Reset => " (with a TCP reset)",
                };
                write!(f, "the server closed the connection while {waiting_for} was waited for{how}")
            }
            Self::ConnectionRefused(code) => {
                write!(f, "the server refused the connection with CONNACK {:#04x}: {}", *code as u8, code.words())
            }
            Self::TimedOut { waiting_for } => write!(f, "no {waiting_for} came in time"),
            Self::Protocol(text) => write!(f, "the server broke the protocol: {text}"),
            Self::Request(text) => write!(f, "the request cannot be sent: {text}"),
            Self::Refused { operation, code, message } => write!(f, "{operation} was refused with {code}: {message}"),
            Self::Exists { path } => write!(f, "{} is there already", path.display()),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Io { doing, error } => write!(f, "the network failed during {doing}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } | Self::File { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<domain::x509::CertificateError> for Error {
    fn from(error: domain::x509::CertificateError) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl From<mqtt::DecodeError> for Error {
    fn from(error: mqtt::DecodeError) -> Self {
        Self::Protocol(error.to_string())
    }
}
