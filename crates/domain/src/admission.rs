//! Admission: may this certificate come in? One pure function, run twice: in the TLS handshake and on CONNECT.

use crate::x509::Certificate;
use crate::{CertificateId, Timestamp};

/// `status` of a device certificate, by AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateStatus {
    Active,
    Inactive,
    Revoked,
    PendingTransfer,
    RegisterInactive,
    PendingActivation,
}

impl CertificateStatus {
    pub const fn as_str(self) -> &'static str {
        todo!()
    }
    pub fn parse(_text: &str) -> Option<Self> {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaStatus {
    Active,
    Inactive,
}

/// What the registry knows of the presented leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredLeaf {
    pub status: CertificateStatus,
    pub ca: Option<CertificateId>,
}

/// A registered CA whose subject is the leaf's issuer.
#[derive(Clone, Copy, Debug)]
pub struct CandidateCa<'a> {
    pub id: CertificateId,
    pub certificate: &'a Certificate,
    pub status: CaStatus,
    pub auto_registration: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Registered and ACTIVE.
    Admit {
        ca: Option<CertificateId>,
    },
    /// Unknown, of an active CA with auto-registration. TLS lets it pass; CONNECT registers it.
    RegisterPending {
        ca: CertificateId,
    },
    /// Registered, still PENDING_ACTIVATION. TLS lets it pass; CONNECT announces it again.
    StillPending {
        ca: Option<CertificateId>,
    },
    Refuse {
        refusal: Refusal,
        ca: Option<CertificateId>,
    },
}

/// Every reason for which a connection is refused or ended. The code and the sentence of each are fixed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoClientCertificate,
    /// Does not parse, trailing bytes, unknown critical extension ...; the text says what.
    MalformedCertificate(String),
    NotYetValid {
        not_before: Timestamp,
    },
    Expired {
        not_after: Timestamp,
    },
    UnknownIssuer {
        issuer: String,
    },
    IssuerInactive,
    /// The CA's own validity window has passed or not begun.
    IssuerExpired,
    AutoRegistrationOff,
    RegisteredNow,
    PendingActivation,
    Inactive,
    Revoked,
    PendingTransfer,
    HandshakeTimeout,
    /// TLS failed for a reason of its own (version, cipher, bad signature); the text is the library's.
    TlsFailed(String),
    ConnectTimeout,
    MalformedConnect(String),
    ClientIdRefused(String),
    NoPolicy,
    /// An explicit Deny: which policy, which statement (0-based), its Sid where it has one.
    PolicyDenies {
        action: String,
        resource: String,
        policy: String,
        statement: usize,
        sid: Option<String>,
    },
    PolicyDoesNotAllow {
        action: String,
        resource: String,
    },
    TakenOver,
    KeepAliveTimeout,
    ProtocolError(String),
    /// The right to be connected was lost while connected: certificate no longer ACTIVE, policy detached.
    RightLost(String),
    ServerShutdown,
    /// Too many connections or handshakes at once, or from one address.
    Overloaded(String),
    Internal(String),
}

impl Refusal {
    /// A stable name in UPPER_SNAKE_CASE for machines.
    pub fn code(&self) -> &'static str {
        todo!()
    }
    /// One plain sentence for people: what is wrong, and what to do about it.
    pub fn sentence(&self) -> String {
        todo!()
    }
}

/// `issuers` are the registered CAs, in any status, whose subject equals the leaf's issuer.
pub fn judge(
    _leaf: &Certificate,
    _registered: Option<&RegisteredLeaf>,
    _issuers: &[CandidateCa<'_>],
    _now: Timestamp,
) -> Verdict {
    todo!()
}
