//! Why a connection ended, in admission's words.

use std::io;

use domain::admission::Refusal;
use domain::lifecycle_event::DisconnectReason;
use mqtt::Closed;
use mqtt::session::ConnectFault;
use services::admission::Refused;

use crate::socket::Turn;
use crate::websocket::WebSocketFault;

#[derive(Debug)]
pub(super) enum End {
    /// DISCONNECT: the way it should be. No record.
    ByClient,
    /// The peer went without a word. No record either: nobody refused anything.
    Lost(String),
    Refused(Refused),
}

impl End {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused(Refused { refusal, ca: None, status: None })
    }

    pub(super) fn of_closed(closed: Closed) -> Self {
        let refusal = match closed {
            Closed::ByClient { .. } => return Self::ByClient,
            Closed::ConnectionLost => return Self::Lost(closed.to_string()),
            Closed::ConnectTimeout => Refusal::ConnectTimeout,
            Closed::KeepAliveTimeout => Refusal::KeepAliveTimeout,
            Closed::RefusedConnect(fault @ (ConnectFault::ClientIdEmpty | ConnectFault::ClientIdTooLong { .. })) => {
                Refusal::ClientIdRefused(fault.to_string())
            }
            Closed::MalformedConnect(_) | Closed::RefusedConnect(_) => Refusal::MalformedConnect(closed.to_string()),
            _ if closed.refuses_publish() => Refusal::PublishRefused(closed.to_string()),
            Closed::Malformed(_) | Closed::ProtocolError(_) | Closed::PublishRefused(_) => {
                Refusal::ProtocolError(closed.to_string())
            }
        };
        Self::refused(refusal)
    }

    /// A stream that failed has gone; only one whose frames were not as they must be was refused.
    pub(super) fn of_socket(error: &io::Error) -> Self {
        match WebSocketFault::in_error(error) {
            Some(fault) => Self::refused(Refusal::ProtocolError(fault.to_string())),
            None => Self::Lost(error.to_string()),
        }
    }

    pub(super) fn disconnect_reason(&self) -> DisconnectReason {
        match self {
            Self::ByClient => DisconnectReason::ClientInitiatedDisconnect,
            Self::Lost(_) => DisconnectReason::ConnectionLost,
            Self::Refused(refused) => DisconnectReason::of(&refused.refusal),
        }
    }

    /// A turn that goes on is no end.
    pub(super) fn of_turn(turn: Turn) -> Result<(), Self> {
        match turn {
            Turn::Moved => Ok(()),
            Turn::Eof => Err(Self::of_closed(Closed::ConnectionLost)),
        }
    }
}
