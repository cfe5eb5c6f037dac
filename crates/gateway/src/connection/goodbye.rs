//! What MQTT 5 is told of a refusal: AWS's reason codes, and words where they give nothing of the policies away.

use domain::admission::Refusal;
use mqtt::packet::{Reason, ReasonCode};

/// `None`: the connection closes without a CONNACK, as AWS closes it.
pub(super) fn connack(refusal: &Refusal) -> Option<Reason> {
    match refusal {
        Refusal::NoPolicy { .. }
        | Refusal::PolicyDenies { .. }
        | Refusal::PolicyDoesNotAllow { .. }
        | Refusal::IamDoesNotAllow { .. } => Some(ReasonCode::NotAuthorized.into()),
        Refusal::Overloaded(_) | Refusal::ClientIdThrottled(_) => Some(ReasonCode::QuotaExceeded.into()),
        Refusal::MalformedConnect(why) => Some(Reason::new(ReasonCode::TopicNameInvalid, why.clone())),
        _ => None,
    }
}

/// PUBACK, or DISCONNECT after a message with QoS 0.
pub(super) fn publish_refused(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::PolicyDenies { .. } | Refusal::PolicyDoesNotAllow { .. } | Refusal::IamDoesNotAllow { .. } => {
            ReasonCode::NotAuthorized.into()
        }
        Refusal::PublishRefused(why) => Reason::new(ReasonCode::TopicNameInvalid, why.clone()),
        Refusal::Overloaded(_) => ReasonCode::QuotaExceeded.into(),
        _ => ReasonCode::UnspecifiedError.into(),
    }
}

pub(super) fn disconnect(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::TakenOver => ReasonCode::SessionTakenOver,
        Refusal::Disconnected => ReasonCode::AdministrativeAction,
        Refusal::ServerShutdown => ReasonCode::ServerShuttingDown,
        Refusal::RightLost(_)
        | Refusal::PolicyDenies { .. }
        | Refusal::PolicyDoesNotAllow { .. }
        | Refusal::IamDoesNotAllow { .. } => ReasonCode::NotAuthorized,
        Refusal::WebSocketTooOld => ReasonCode::MaximumConnectTime,
        Refusal::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
        Refusal::Overloaded(_) => ReasonCode::QuotaExceeded,
        _ => ReasonCode::UnspecifiedError,
    }
    .into()
}
