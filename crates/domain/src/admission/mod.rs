//! Admission: may this certificate come in? One pure function, run twice: in the TLS handshake and on CONNECT.
//!
//! Only the immediate issuer counts, and it comes from the registry, never from what the client sent. (AWS: an
//! intermediate is registered as the CA; a root alone admits none of the intermediate's leaves.)

mod refusal;
mod server_name;

pub use refusal::{Refusal, shown};
pub use server_name::{CertificateMode, ServerName};

use crate::x509::{Certificate, Validity};
use crate::{CertificateId, Timestamp};

/// `status` of a device certificate, by AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateStatus {
    Active,
    Inactive,
    Revoked,
    PendingTransfer,
    /// Deprecated by AWS; treated as INACTIVE.
    RegisterInactive,
    PendingActivation,
}

impl CertificateStatus {
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Inactive,
        Self::Revoked,
        Self::PendingTransfer,
        Self::RegisterInactive,
        Self::PendingActivation,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Revoked => "REVOKED",
            Self::PendingTransfer => "PENDING_TRANSFER",
            Self::RegisterInactive => "REGISTER_INACTIVE",
            Self::PendingActivation => "PENDING_ACTIVATION",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
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
    pub mode: CertificateMode,
    pub ca: Option<CertificateId>,
}

/// A registered CA whose subject is the leaf's issuer.
#[derive(Clone, Copy, Debug)]
pub struct CandidateCa<'a> {
    pub id: CertificateId,
    pub certificate: &'a Certificate,
    pub status: CaStatus,
    pub auto_registration: bool,
    pub mode: CertificateMode,
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

/// `issuers` are the registered CAs, in any status, whose subject equals the leaf's issuer.
///
/// A registered leaf is known by its bytes, so its issuer's signature is not verified again and its CA may have been
/// deactivated or deleted since. Its own validity window counts all the same.
///
/// A leaf that says CA:TRUE is judged like any other: `openssl req -x509` writes that by default, AWS does not refuse it,
/// and it gains nothing, since issuers come from the registry alone.
pub fn judge(
    leaf: &Certificate,
    registered: Option<&RegisteredLeaf>,
    issuers: &[CandidateCa<'_>],
    server_name: ServerName,
    now: Timestamp,
) -> Verdict {
    let verdict = match registered {
        Some(registered) => judge_registered(leaf.id(), registered, server_name),
        None => judge_unknown(leaf, issuers, server_name, now),
    };
    match verdict {
        Verdict::Refuse { .. } => verdict,
        Verdict::Admit { ca } | Verdict::StillPending { ca } => with_soundness(leaf, now, verdict, ca),
        Verdict::RegisterPending { ca } => with_soundness(leaf, now, verdict, Some(ca)),
    }
}

/// What the leaf itself must be, whoever vouches for it. Judged last, so that the record names the CA as well.
fn with_soundness(leaf: &Certificate, now: Timestamp, verdict: Verdict, ca: Option<CertificateId>) -> Verdict {
    let refusal = match leaf.validity_at(now) {
        Validity::NotYetValid => Refusal::NotYetValid { not_before: leaf.not_before() },
        Validity::Expired => Refusal::Expired { not_after: leaf.not_after() },
        Validity::Valid => match unsoundness(leaf) {
            Some(text) => Refusal::MalformedCertificate(text),
            None => return verdict,
        },
    };
    Verdict::Refuse { refusal, ca }
}

fn unsoundness(leaf: &Certificate) -> Option<String> {
    if let [first, ..] = leaf.unknown_critical_extensions() {
        return Some(format!("its extension {first} is critical and not understood here"));
    }
    if !leaf.key_kind().is_accepted() {
        let key = leaf.key_kind();
        return Some(format!("its key ({key}) is not RSA of 2048 to 8192 bits, EC P-256, P-384 or P-521"));
    }
    None
}

fn judge_registered(id: CertificateId, registered: &RegisteredLeaf, server_name: ServerName) -> Verdict {
    let ca = registered.ca;
    let refusal = match registered.status {
        CertificateStatus::Active | CertificateStatus::PendingActivation if !registered.mode.admits(server_name) => {
            Refusal::ServerNameNeeded { sent: server_name }
        }
        CertificateStatus::Active => return Verdict::Admit { ca },
        CertificateStatus::PendingActivation => return Verdict::StillPending { ca },
        CertificateStatus::Inactive | CertificateStatus::RegisterInactive => Refusal::Inactive { certificate: id },
        CertificateStatus::Revoked => Refusal::Revoked { certificate: id },
        CertificateStatus::PendingTransfer => Refusal::PendingTransfer { certificate: id },
    };
    Verdict::Refuse { refusal, ca }
}

/// Several CAs may share a name and even a key (a renewed CA does): the one that serves the device best is taken.
fn judge_unknown(leaf: &Certificate, issuers: &[CandidateCa<'_>], server_name: ServerName, now: Timestamp) -> Verdict {
    if let Some(text) = leaf.signature_objection() {
        return Verdict::Refuse { refusal: Refusal::MalformedCertificate(text), ca: None };
    }
    let mut ranked: Vec<(Standing, &CandidateCa<'_>)> =
        issuers.iter().map(|issuer| (Standing::of(issuer, server_name, now), issuer)).collect();
    ranked.sort_by_key(|(standing, _)| *standing);
    let Some((standing, issuer)) = ranked.into_iter().find(|(_, issuer)| leaf.is_issued_by(issuer.certificate)) else {
        return Verdict::Refuse { refusal: Refusal::UnknownIssuer { issuer: leaf.issuer().to_text() }, ca: None };
    };
    let ca = issuer.id;
    let refusal = match standing {
        Standing::Registers => return Verdict::RegisterPending { ca },
        Standing::ServerNameNeeded => Refusal::ServerNameNeeded { sent: server_name },
        Standing::AutoRegistrationOff => Refusal::AutoRegistrationOff { ca },
        Standing::OutsideValidity => Refusal::IssuerExpired {
            ca,
            not_before: issuer.certificate.not_before(),
            not_after: issuer.certificate.not_after(),
        },
        Standing::Inactive => Refusal::IssuerInactive { ca },
    };
    Verdict::Refuse { refusal, ca: Some(ca) }
}

/// How a CA stands towards a leaf that nobody registered, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Registers,
    ServerNameNeeded,
    AutoRegistrationOff,
    OutsideValidity,
    Inactive,
}

impl Standing {
    fn of(issuer: &CandidateCa<'_>, server_name: ServerName, now: Timestamp) -> Self {
        if issuer.status == CaStatus::Inactive {
            Self::Inactive
        } else if issuer.certificate.validity_at(now) != Validity::Valid {
            Self::OutsideValidity
        } else if !issuer.auto_registration {
            Self::AutoRegistrationOff
        } else if !issuer.mode.admits(server_name) {
            Self::ServerNameNeeded
        } else {
            Self::Registers
        }
    }
}
