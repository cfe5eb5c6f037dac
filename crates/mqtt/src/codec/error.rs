//! What can be wrong with bytes that claim to be MQTT, each as a sentence for the person who debugs the client.

use std::fmt;

use crate::packet::{PacketKind, ReasonCode};
use crate::topic::TopicError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The stream does not begin with CONNECT: often another protocol altogether.
    NotConnect {
        first_byte: u8,
    },
    ReservedType,
    Flags {
        packet: PacketKind,
        flags: u8,
    },
    RemainingLength,
    TooLarge {
        packet: PacketKind,
        bytes: usize,
        bytes_max: usize,
    },
    Truncated {
        packet: PacketKind,
    },
    TrailingBytes {
        packet: PacketKind,
        bytes: usize,
    },
    NotUtf8 {
        packet: PacketKind,
    },
    Nul {
        packet: PacketKind,
    },
    VariableInteger {
        packet: PacketKind,
    },
    PacketIdZero {
        packet: PacketKind,
    },
    /// The name is neither MQTT nor MQIsdp; what was sent is not repeated, it may be anything.
    ProtocolName,
    /// A version that is not served: to be answered with the matching CONNACK.
    ProtocolLevel {
        level: u8,
    },
    ConnectReservedFlag,
    WillFlagsWithoutWill,
    PasswordWithoutUserName,
    Qos3 {
        packet: PacketKind,
    },
    DupWithQos0,
    TopicName {
        packet: PacketKind,
        fault: TopicError,
    },
    TopicFilter {
        packet: PacketKind,
        fault: TopicError,
    },
    NoFilters {
        packet: PacketKind,
    },
    SubscribeOptions {
        options: u8,
    },
    ConnAckFlags {
        flags: u8,
    },
    Code {
        packet: PacketKind,
        code: u8,
    },
    Property {
        packet: PacketKind,
        id: u8,
        fault: PropertyFault,
    },
    NoLocalShared,
    RetainHandling3,
    TopicAlias {
        alias: u16,
        alias_max: u16,
    },
    UnknownTopicAlias {
        alias: u16,
    },
    /// AUTH exists in 5.0 only.
    AuthIn311,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyFault {
    Unknown,
    NotAllowed,
    Repeated,
    Value,
}

impl DecodeError {
    /// The reason code of 5.0 that names it, for DISCONNECT or CONNACK (section 4.13).
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            DecodeError::TooLarge { .. } => ReasonCode::PacketTooLarge,
            DecodeError::ProtocolName | DecodeError::ProtocolLevel { .. } => ReasonCode::UnsupportedProtocolVersion,
            // A will's topic is refused by its name; in PUBLISH the code stands for a sound name that is not accepted.
            DecodeError::TopicName { packet: PacketKind::Connect, .. } => ReasonCode::TopicNameInvalid,
            // Section 3.3.4, and alias 0, which is no value of the property.
            DecodeError::TopicAlias { .. } | DecodeError::Property { id: 0x23, fault: PropertyFault::Value, .. } => {
                ReasonCode::TopicAliasInvalid
            }
            DecodeError::TopicName { fault: TopicError::Empty, .. }
            | DecodeError::UnknownTopicAlias { .. }
            | DecodeError::NotConnect { .. }
            | DecodeError::NoFilters { .. }
            | DecodeError::NoLocalShared
            | DecodeError::RetainHandling3
            | DecodeError::AuthIn311
            | DecodeError::Property { fault: PropertyFault::Repeated | PropertyFault::Value, .. } => {
                ReasonCode::ProtocolError
            }
            _ => ReasonCode::MalformedPacket,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::NotConnect { first_byte } => write!(
                f,
                "the first packet is not CONNECT: the first byte is 0x{first_byte:02x} instead of 0x10; \
                 is the client speaking MQTT?"
            ),
            DecodeError::ReservedType => f.write_str("packet type 0 is reserved"),
            DecodeError::Flags { packet, flags } => {
                write!(f, "{packet} has the fixed header flags {flags:#06b} instead of {:#06b}", packet.fixed_flags())
            }
            DecodeError::RemainingLength => f.write_str("the remaining length is malformed"),
            DecodeError::TooLarge { packet, bytes, bytes_max } => {
                write!(f, "{packet} has {bytes} bytes; at most {bytes_max} are accepted")
            }
            DecodeError::Truncated { packet } => {
                write!(f, "{packet} ends before its last field does")
            }
            DecodeError::TrailingBytes { packet, bytes } => {
                write!(f, "{packet} has {bytes} bytes after its last field")
            }
            DecodeError::NotUtf8 { packet } => write!(f, "a string in {packet} is not UTF-8"),
            DecodeError::Nul { packet } => {
                write!(f, "a string in {packet} contains the character U+0000")
            }
            DecodeError::VariableInteger { packet } => {
                write!(f, "a variable byte integer in {packet} is malformed")
            }
            DecodeError::PacketIdZero { packet } => {
                write!(f, "the packet identifier of {packet} is 0")
            }
            DecodeError::ProtocolName => f.write_str("the protocol name of CONNECT is not \"MQTT\""),
            DecodeError::ProtocolLevel { level } => {
                write!(
                    f,
                    "CONNECT asks for protocol level {level}, which is not served; 4 is MQTT 3.1.1, 5 is MQTT 5.0"
                )
            }
            DecodeError::ConnectReservedFlag => f.write_str("the reserved flag of CONNECT is set"),
            DecodeError::WillFlagsWithoutWill => {
                f.write_str("CONNECT sets will QoS or will retain but not the will flag")
            }
            DecodeError::PasswordWithoutUserName => f.write_str("CONNECT has a password but no user name"),
            DecodeError::Qos3 { packet } => write!(f, "{packet} asks for QoS 3, which does not exist"),
            DecodeError::DupWithQos0 => f.write_str("PUBLISH has the DUP flag set with QoS 0"),
            DecodeError::TopicName { packet, fault } => {
                write!(f, "the topic name in {packet} is not valid: {fault}")
            }
            DecodeError::TopicFilter { packet, fault } => {
                write!(f, "a topic filter in {packet} is not valid: {fault}")
            }
            DecodeError::NoFilters { packet } => write!(f, "{packet} names no topic filter"),
            DecodeError::SubscribeOptions { options } => {
                write!(f, "the options 0x{options:02x} of a topic filter in SUBSCRIBE are not valid")
            }
            DecodeError::ConnAckFlags { flags } => {
                write!(f, "the acknowledge flags of CONNACK are 0x{flags:02x}; only 0x00 and 0x01 exist")
            }
            DecodeError::Code { packet, code } => {
                write!(f, "the code 0x{code:02x} does not exist in {packet}")
            }
            DecodeError::Property { packet, id, fault } => write!(
                f,
                "the property 0x{id:02x} in {packet} {}",
                match fault {
                    PropertyFault::Unknown => "does not exist",
                    PropertyFault::NotAllowed => "is not allowed there",
                    PropertyFault::Repeated => "is given more than once",
                    PropertyFault::Value => "has a value that is not allowed",
                }
            ),
            DecodeError::NoLocalShared => f.write_str("SUBSCRIBE asks for No Local on a shared subscription"),
            DecodeError::RetainHandling3 => f.write_str("SUBSCRIBE asks for retain handling 3, which does not exist"),
            DecodeError::TopicAlias { alias, alias_max: 0 } => {
                write!(f, "PUBLISH uses the topic alias {alias}, and none has been offered")
            }
            DecodeError::TopicAlias { alias, alias_max } => {
                write!(f, "PUBLISH uses the topic alias {alias}; 1 to {alias_max} have been offered")
            }
            DecodeError::UnknownTopicAlias { alias } => {
                write!(f, "PUBLISH has no topic, and its topic alias {alias} has not been given one")
            }
            DecodeError::AuthIn311 => f.write_str("AUTH does not exist in MQTT 3.1.1"),
        }
    }
}

impl std::error::Error for DecodeError {}
