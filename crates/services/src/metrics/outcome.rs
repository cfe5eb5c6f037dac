//! How AWS counts what clients ask for: the word behind the dot in the names of its metrics
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/metrics_dimensions.html>).

use domain::admission::Refusal;
use mqtt::packet::ReasonCode;

use super::exposition::Family;
use super::tally::Counter;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    AuthError,
    ClientError,
    ServerError,
    Throttle,
    /// Of CONNECTs alone.
    ClientIdThrottle,
}

/// Counts by outcome, of one protocol.
#[derive(Debug, Default)]
pub(super) struct Outcomes([Counter; Outcome::ALL.len()]);

impl Outcome {
    /// Those that most requests have.
    pub(super) const USUAL: [Self; 5] =
        [Self::Success, Self::AuthError, Self::ClientError, Self::ServerError, Self::Throttle];
    pub(super) const ALL: [Self; 6] =
        [Self::Success, Self::AuthError, Self::ClientError, Self::ServerError, Self::Throttle, Self::ClientIdThrottle];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::AuthError => "AuthError",
            Self::ClientError => "ClientError",
            Self::ServerError => "ServerError",
            Self::Throttle => "Throttle",
            Self::ClientIdThrottle => "ClientIDThrottle",
        }
    }

    /// Of what was asked for in a CONNECT or PUBLISH and refused.
    pub fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::HandshakeTimeout
            | Refusal::TlsFailed(_)
            | Refusal::AlpnRefused(_)
            | Refusal::WebSocketRefused(_)
            | Refusal::WebSocketTooOld
            | Refusal::ConnectTimeout
            | Refusal::MalformedConnect(_)
            | Refusal::ClientIdRefused(_)
            | Refusal::KeepAliveTimeout
            | Refusal::ProtocolError(_)
            | Refusal::PublishRefused(_)
            | Refusal::TakenOver
            | Refusal::Disconnected => Self::ClientError,
            Refusal::Overloaded(_) => Self::Throttle,
            Refusal::ClientIdThrottled(_) => Self::ClientIdThrottle,
            Refusal::Internal(_) | Refusal::ServerShutdown => Self::ServerError,
            Refusal::NoClientCertificate
            | Refusal::MalformedCertificate(_)
            | Refusal::NotYetValid { .. }
            | Refusal::Expired { .. }
            | Refusal::UnknownIssuer { .. }
            | Refusal::IssuerInactive { .. }
            | Refusal::IssuerExpired { .. }
            | Refusal::AutoRegistrationOff { .. }
            | Refusal::ServerNameNeeded { .. }
            | Refusal::RegisteredNow { .. }
            | Refusal::PendingActivation { .. }
            | Refusal::Inactive { .. }
            | Refusal::Revoked { .. }
            | Refusal::PendingTransfer { .. }
            | Refusal::NotActive { .. }
            | Refusal::SignatureRefused(_)
            | Refusal::IamDoesNotAllow { .. }
            | Refusal::NoPolicy { .. }
            | Refusal::PolicyDenies { .. }
            | Refusal::PolicyDoesNotAllow { .. }
            | Refusal::RightLost(_) => Self::AuthError,
        }
    }

    /// Of a SUBACK's or UNSUBACK's code for one filter.
    pub fn of_code(code: ReasonCode) -> Self {
        match code {
            ReasonCode::NotAuthorized => Self::AuthError,
            ReasonCode::QuotaExceeded => Self::Throttle,
            ReasonCode::UnspecifiedError | ReasonCode::ImplementationSpecificError => Self::ServerError,
            code if code.is_failure() => Self::ClientError,
            _ => Self::Success,
        }
    }

    /// Of an answer over HTTP.
    pub(super) fn of_status(status: &str) -> Self {
        match status {
            "401" | "403" => Self::AuthError,
            "429" => Self::Throttle,
            status if status.starts_with('2') => Self::Success,
            status if status.starts_with('4') => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

impl Outcomes {
    pub(super) fn add(&self, outcome: Outcome, count: u64) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.add(count);
        }
    }

    /// Those that AWS has for this request.
    pub(super) fn show(&self, family: &mut Family<'_>, protocol: &str, known: &[Outcome]) {
        for outcome in known {
            let count = self.0.get(*outcome as usize).map_or(0, Counter::value);
            family.sample(&[("outcome", outcome.as_str()), ("protocol", protocol)], count);
        }
    }
}
