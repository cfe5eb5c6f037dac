//! What a session asks of the application, and why it ended, each reason as a sentence.

use std::fmt;

use super::inbound::PublishToken;
use crate::codec::DecodeError;
use crate::packet::{Connect, PacketId, PacketKind, Publish, Qos, Reason, ReasonCode, Subscribe, Unsubscribe};

#[derive(Debug)]
pub enum Action {
    /// To be answered with `accept_connect` or `refuse_connect`, or by closing the connection.
    Connect(Box<Connect>),
    /// To be answered with `publish_accepted` or `publish_refused`, whatever the QoS. With QoS 2 it is handed on now,
    /// and its identifier is remembered until it is released.
    Publish { publish: Publish, token: PublishToken },
    /// The client releases a message with QoS 2. To be answered with `publish_released`: who writes sessions down
    /// forgets the identifier first.
    Release(PacketId),
    /// To be answered with `subscribe_answered`.
    Subscribe(Subscribe),
    /// To be answered with `unsubscribe_answered`.
    Unsubscribe(Unsubscribe),
    /// A message that was delivered with a tag.
    Acknowledged { tag: u64, progress: Progress },
    /// QoS 2: the client has answered the release of a message; its packet identifier is free again.
    Completed(PacketId),
    /// The session has ended: send what is in `out`, close the connection. The last action there is.
    Closed(Closed),
}

/// How far a message has come on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// QoS 2: the client has it. Only its packet identifier is still in use.
    Received(PacketId),
    /// It need not be kept any longer: it was acknowledged, or refused with this code, or it cannot be sent.
    Done(ReasonCode),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client sent DISCONNECT.
    ByClient {
        code: ReasonCode,
    },
    ConnectionLost,
    ConnectTimeout,
    KeepAliveTimeout,
    /// The first packet was not a CONNECT that can be read.
    MalformedConnect(DecodeError),
    /// CONNECT was sound but asks for what is not served.
    RefusedConnect(ConnectFault),
    Malformed(DecodeError),
    ProtocolError(ProtocolError),
    /// The application refused a message, and the client could not be told in another way.
    PublishRefused(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    ClientIdEmpty,
    ClientIdTooLong {
        bytes: usize,
        bytes_max: usize,
    },
    WillQosNotServed {
        qos: Qos,
    },
    WillRetainNotServed,
    WillTooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    AuthenticationMethodNotServed,
    AuthenticationDataWithoutMethod,
    /// The client accepts only packets that are smaller than the answer it would get.
    PacketMaxTooSmall,
}

/// A packet that can be read, but not now or not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    SecondConnect,
    Unexpected { packet: PacketKind },
    QosNotServed { packet: PacketKind, qos: Qos },
    RetainNotServed,
    PayloadTooLarge { bytes: usize, bytes_max: usize },
    TooManyFilters { filters: usize, filters_max: usize },
    ReceiveMaximumExceeded { receive_max: u16 },
    SubscriptionIdNotServed,
    SubscriptionIdInPublish,
    AckOutOfOrder { packet: PacketKind, packet_id: PacketId },
    SessionExpiryRaised,
}

impl ConnectFault {
    /// `None`: the connection closes without a CONNACK.
    pub(super) fn code_311(self) -> Option<ReasonCode> {
        match self {
            // [MQTT-3.1.3-8], [MQTT-3.1.3-9]
            ConnectFault::ClientIdEmpty | ConnectFault::ClientIdTooLong { .. } => {
                Some(ReasonCode::ClientIdentifierNotValid)
            }
            // 3.1.1 has no return code for the others.
            _ => None,
        }
    }

    pub(super) fn code_5(self) -> ReasonCode {
        match self {
            ConnectFault::ClientIdEmpty | ConnectFault::ClientIdTooLong { .. } => ReasonCode::ClientIdentifierNotValid,
            ConnectFault::WillQosNotServed { .. } => ReasonCode::QosNotSupported,
            ConnectFault::WillRetainNotServed => ReasonCode::RetainNotSupported,
            ConnectFault::WillTooLarge { .. } | ConnectFault::PacketMaxTooSmall => ReasonCode::PacketTooLarge,
            // [MQTT-4.12.0-1]
            ConnectFault::AuthenticationMethodNotServed => ReasonCode::BadAuthenticationMethod,
            ConnectFault::AuthenticationDataWithoutMethod => ReasonCode::ProtocolError,
        }
    }
}

impl ProtocolError {
    /// Whether it is a proper PUBLISH whose message is not taken here.
    fn refuses_publish(self) -> bool {
        match self {
            ProtocolError::QosNotServed { packet, .. } => packet == PacketKind::Publish,
            ProtocolError::RetainNotServed | ProtocolError::PayloadTooLarge { .. } => true,
            _ => false,
        }
    }

    pub(super) fn reason_code(self) -> ReasonCode {
        match self {
            ProtocolError::SecondConnect
            | ProtocolError::Unexpected { .. }
            | ProtocolError::SubscriptionIdInPublish
            | ProtocolError::AckOutOfOrder { .. }
            | ProtocolError::SessionExpiryRaised => ReasonCode::ProtocolError,
            ProtocolError::QosNotServed { .. } => ReasonCode::QosNotSupported,
            ProtocolError::RetainNotServed => ReasonCode::RetainNotSupported,
            ProtocolError::PayloadTooLarge { .. } => ReasonCode::PacketTooLarge,
            ProtocolError::TooManyFilters { .. } => ReasonCode::QuotaExceeded,
            ProtocolError::ReceiveMaximumExceeded { .. } => ReasonCode::ReceiveMaximumExceeded,
            ProtocolError::SubscriptionIdNotServed => ReasonCode::SubscriptionIdentifiersNotSupported,
        }
    }
}

impl Closed {
    /// Whether the message was at fault, and not the protocol.
    pub fn refuses_publish(&self) -> bool {
        match self {
            Closed::PublishRefused(_) => true,
            Closed::ProtocolError(error) => error.refuses_publish(),
            _ => false,
        }
    }

    /// Whether a SUBSCRIBE asked for more than is served.
    pub fn refuses_subscribe(&self) -> bool {
        match self {
            Closed::ProtocolError(ProtocolError::QosNotServed { packet, .. }) => *packet == PacketKind::Subscribe,
            Closed::ProtocolError(error) => {
                matches!(error, ProtocolError::TooManyFilters { .. } | ProtocolError::SubscriptionIdNotServed)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::ByClient { .. } => f.write_str("the client disconnected"),
            Closed::ConnectionLost => f.write_str("the connection was lost without a DISCONNECT"),
            Closed::ConnectTimeout => f.write_str("no CONNECT came in time"),
            Closed::KeepAliveTimeout => {
                f.write_str("nothing was heard from the client for one and a half times its keep-alive")
            }
            Closed::MalformedConnect(error) | Closed::Malformed(error) => error.fmt(f),
            Closed::RefusedConnect(fault) => fault.fmt(f),
            Closed::ProtocolError(error) => error.fmt(f),
            Closed::PublishRefused(Reason { words: Some(words), .. }) => f.write_str(words),
            Closed::PublishRefused(Reason { code, .. }) => write!(f, "a publish was refused: {code}"),
        }
    }
}

impl fmt::Display for ConnectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectFault::ClientIdEmpty => f.write_str("CONNECT has no client identifier; the client must choose one"),
            ConnectFault::ClientIdTooLong { bytes, bytes_max } => {
                write!(f, "the client identifier has {bytes} bytes; at most {bytes_max} are accepted")
            }
            ConnectFault::WillQosNotServed { qos } => {
                write!(f, "the will asks for QoS {}, which is not served", *qos as u8)
            }
            ConnectFault::WillRetainNotServed => f.write_str("the will asks to be retained, which is not served"),
            ConnectFault::WillTooLarge { bytes, bytes_max } => {
                write!(f, "the payload of the will has {bytes} bytes; at most {bytes_max} are accepted")
            }
            ConnectFault::AuthenticationMethodNotServed => {
                f.write_str("CONNECT names an authentication method; enhanced authentication is not served")
            }
            ConnectFault::AuthenticationDataWithoutMethod => {
                f.write_str("CONNECT has authentication data but names no authentication method")
            }
            ConnectFault::PacketMaxTooSmall => {
                f.write_str("the maximum packet size of the client is too small for the CONNACK")
            }
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::SecondConnect => f.write_str("the client sent a second CONNECT on one connection"),
            ProtocolError::Unexpected { packet } => {
                write!(f, "the client sent {packet}, which has no place here")
            }
            ProtocolError::QosNotServed { packet, qos } => {
                write!(f, "{packet} asks for QoS {}, which is not served", *qos as u8)
            }
            ProtocolError::RetainNotServed => f.write_str("PUBLISH asks to be retained, which is not served"),
            ProtocolError::PayloadTooLarge { bytes, bytes_max } => {
                write!(f, "the payload of PUBLISH has {bytes} bytes; at most {bytes_max} are accepted")
            }
            ProtocolError::TooManyFilters { filters, filters_max } => {
                write!(f, "SUBSCRIBE names {filters} topic filters; at most {filters_max} are accepted")
            }
            ProtocolError::ReceiveMaximumExceeded { receive_max } => write!(
                f,
                "the client sent a message while {receive_max} were not acknowledged, which is the receive maximum"
            ),
            ProtocolError::SubscriptionIdNotServed => {
                f.write_str("SUBSCRIBE has a subscription identifier; they are not served")
            }
            ProtocolError::SubscriptionIdInPublish => {
                f.write_str("PUBLISH has a subscription identifier, which only a server may send")
            }
            ProtocolError::AckOutOfOrder { packet, packet_id } => {
                write!(f, "the client sent {packet} for the packet identifier {packet_id}, which awaits another packet")
            }
            ProtocolError::SessionExpiryRaised => {
                f.write_str("DISCONNECT asks for a session expiry interval, and CONNECT asked for none")
            }
        }
    }
}
