//! What a session asks of the application, and why it ended, each reason as a sentence.

use std::fmt;

use super::window::PublishToken;
use crate::codec::DecodeError;
use crate::packet::{Connect, PacketKind, Publish, Qos, ReasonCode, Subscribe, Unsubscribe};

#[derive(Debug)]
pub enum Action {
    /// To be answered with `accept_connect` or `refuse_connect`, or by closing the connection.
    Connect(Box<Connect>),
    /// To be answered with `publish_accepted`, whatever the QoS.
    Publish { publish: Publish, token: PublishToken },
    /// To be answered with `subscribe_answered`.
    Subscribe(Subscribe),
    /// To be answered with `unsubscribe_answered`.
    Unsubscribe(Unsubscribe),
    /// The session has ended: send what is in `out`, close the connection. The last action there is.
    Closed(Closed),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client sent DISCONNECT: no will, unless its code asks for it (5.0 only).
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    VersionNotServed,
    ClientIdEmpty,
    ClientIdTooLong { bytes: usize, bytes_max: usize },
    WillQosNotServed { qos: Qos },
}

/// A packet that can be read, but not now or not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    SecondConnect,
    Unexpected { packet: PacketKind },
    QosNotServed { packet: PacketKind, qos: Qos },
    PayloadTooLarge { bytes: usize, bytes_max: usize },
    TooManyFilters { filters: usize, filters_max: usize },
}

impl ConnectFault {
    /// `None`: the connection closes without a CONNACK.
    pub(super) fn connack_code(self) -> Option<ReasonCode> {
        match self {
            ConnectFault::VersionNotServed => Some(ReasonCode::UnsupportedProtocolVersion),
            // [MQTT-3.1.3-8], [MQTT-3.1.3-9]
            ConnectFault::ClientIdEmpty | ConnectFault::ClientIdTooLong { .. } => {
                Some(ReasonCode::ClientIdentifierNotValid)
            }
            // 3.1.1 has no return code for it.
            ConnectFault::WillQosNotServed { .. } => None,
        }
    }
}

impl ProtocolError {
    pub(super) fn reason_code(self) -> ReasonCode {
        match self {
            ProtocolError::SecondConnect | ProtocolError::Unexpected { .. } => ReasonCode::ProtocolError,
            ProtocolError::QosNotServed { .. } => ReasonCode::QosNotSupported,
            ProtocolError::PayloadTooLarge { .. } => ReasonCode::PacketTooLarge,
            ProtocolError::TooManyFilters { .. } => ReasonCode::QuotaExceeded,
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
        }
    }
}

impl fmt::Display for ConnectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectFault::VersionNotServed => f.write_str("CONNECT asks for MQTT 5.0, which is not served; use 3.1.1"),
            ConnectFault::ClientIdEmpty => f.write_str("CONNECT has no client identifier; the client must choose one"),
            ConnectFault::ClientIdTooLong { bytes, bytes_max } => {
                write!(f, "the client identifier has {bytes} bytes; at most {bytes_max} are accepted")
            }
            ConnectFault::WillQosNotServed { qos } => {
                write!(f, "the will asks for QoS {}, which is not served", *qos as u8)
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
            ProtocolError::PayloadTooLarge { bytes, bytes_max } => {
                write!(f, "the payload of PUBLISH has {bytes} bytes; at most {bytes_max} are accepted")
            }
            ProtocolError::TooManyFilters { filters, filters_max } => {
                write!(f, "SUBSCRIBE names {filters} topic filters; at most {filters_max} are accepted")
            }
        }
    }
}
