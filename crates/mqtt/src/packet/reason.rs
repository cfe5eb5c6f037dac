//! Reason codes (MQTT 5.0 section 2.4). 3.1.1's CONNACK return codes and SUBACK codes are mapped to them and back.

use std::fmt;

use super::{PacketKind, Qos};

macro_rules! reason_codes {
    ($($code:literal $variant:ident $words:literal [$($kind:ident)*])*) => {
        /// One code for all packets; which packet may carry which is checked when it is decoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum ReasonCode { $($variant = $code,)* }

        impl ReasonCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [ReasonCode] = &[$(ReasonCode::$variant,)*];

            pub fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(ReasonCode::$variant),)*
                    _ => None,
                }
            }

            /// The standard's name of the code, in lower case.
            pub fn words(self) -> &'static str {
                match self { $(ReasonCode::$variant => $words,)* }
            }

            /// Whether 5.0 lets this packet carry it.
            pub fn belongs_in(self, kind: PacketKind) -> bool {
                match self {
                    $(ReasonCode::$variant => matches!(kind, $(PacketKind::$kind)|*),)*
                }
            }
        }
    };
}

reason_codes! {
    0x00 Success "success"
        [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth]
    0x01 GrantedQos1 "granted QoS 1" [SubAck]
    0x02 GrantedQos2 "granted QoS 2" [SubAck]
    0x04 DisconnectWithWill "disconnect with will message" [Disconnect]
    0x10 NoMatchingSubscribers "no matching subscribers" [PubAck PubRec]
    0x11 NoSubscriptionExisted "no subscription existed" [UnsubAck]
    0x18 ContinueAuthentication "continue authentication" [Auth]
    0x19 ReAuthenticate "re-authenticate" [Auth]
    0x80 UnspecifiedError "unspecified error" [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x81 MalformedPacket "malformed packet" [ConnAck Disconnect]
    0x82 ProtocolError "protocol error" [ConnAck Disconnect]
    0x83 ImplementationSpecificError "implementation specific error"
        [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x84 UnsupportedProtocolVersion "unsupported protocol version" [ConnAck]
    0x85 ClientIdentifierNotValid "client identifier not valid" [ConnAck]
    0x86 BadUserNameOrPassword "bad user name or password" [ConnAck]
    0x87 NotAuthorized "not authorized" [ConnAck PubAck PubRec SubAck UnsubAck Disconnect]
    0x88 ServerUnavailable "server unavailable" [ConnAck]
    0x89 ServerBusy "server busy" [ConnAck Disconnect]
    0x8a Banned "banned" [ConnAck]
    0x8b ServerShuttingDown "server shutting down" [Disconnect]
    0x8c BadAuthenticationMethod "bad authentication method" [ConnAck Disconnect]
    0x8d KeepAliveTimeout "keep alive timeout" [Disconnect]
    0x8e SessionTakenOver "session taken over" [Disconnect]
    0x8f TopicFilterInvalid "topic filter invalid" [SubAck UnsubAck Disconnect]
    0x90 TopicNameInvalid "topic name invalid" [ConnAck PubAck PubRec Disconnect]
    0x91 PacketIdentifierInUse "packet identifier in use" [PubAck PubRec SubAck UnsubAck]
    0x92 PacketIdentifierNotFound "packet identifier not found" [PubRel PubComp]
    0x93 ReceiveMaximumExceeded "receive maximum exceeded" [Disconnect]
    0x94 TopicAliasInvalid "topic alias invalid" [Disconnect]
    0x95 PacketTooLarge "packet too large" [ConnAck Disconnect]
    0x96 MessageRateTooHigh "message rate too high" [Disconnect]
    0x97 QuotaExceeded "quota exceeded" [ConnAck PubAck PubRec SubAck Disconnect]
    0x98 AdministrativeAction "administrative action" [Disconnect]
    0x99 PayloadFormatInvalid "payload format invalid" [ConnAck PubAck PubRec Disconnect]
    0x9a RetainNotSupported "retain not supported" [ConnAck Disconnect]
    0x9b QosNotSupported "QoS not supported" [ConnAck Disconnect]
    0x9c UseAnotherServer "use another server" [ConnAck Disconnect]
    0x9d ServerMoved "server moved" [ConnAck Disconnect]
    0x9e SharedSubscriptionsNotSupported "shared subscriptions not supported" [SubAck Disconnect]
    0x9f ConnectionRateExceeded "connection rate exceeded" [ConnAck Disconnect]
    0xa0 MaximumConnectTime "maximum connect time" [Disconnect]
    0xa1 SubscriptionIdentifiersNotSupported "subscription identifiers not supported"
        [SubAck Disconnect]
    0xa2 WildcardSubscriptionsNotSupported "wildcard subscriptions not supported"
        [SubAck Disconnect]
}

/// A code, and words for the person who debugs the client: they go out in 5.0 only, and if the client takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: ReasonCode,
    pub words: Option<String>,
}

impl ReasonCode {
    pub fn to_u8(self) -> u8 {
        self as u8
    }

    pub fn is_failure(self) -> bool {
        self.to_u8() >= 0x80
    }

    /// What SUBACK says of a subscription that was granted.
    pub fn granted(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => ReasonCode::Success,
            Qos::AtLeastOnce => ReasonCode::GrantedQos1,
            Qos::ExactlyOnce => ReasonCode::GrantedQos2,
        }
    }

    /// The CONNACK return code of 3.1.1 (table 3.1) that comes nearest.
    pub(crate) fn to_connack_return_code(self) -> u8 {
        match self {
            ReasonCode::UnsupportedProtocolVersion => 1,
            ReasonCode::ClientIdentifierNotValid => 2,
            ReasonCode::BadUserNameOrPassword | ReasonCode::BadAuthenticationMethod => 4,
            ReasonCode::NotAuthorized | ReasonCode::Banned => 5,
            code if code.is_failure() => 3,
            _ => 0,
        }
    }

    pub(crate) fn from_connack_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => ReasonCode::Success,
            1 => ReasonCode::UnsupportedProtocolVersion,
            2 => ReasonCode::ClientIdentifierNotValid,
            3 => ReasonCode::ServerUnavailable,
            4 => ReasonCode::BadUserNameOrPassword,
            5 => ReasonCode::NotAuthorized,
            _ => return None,
        })
    }

    /// 3.1.1 knows one failure in SUBACK: 0x80 [MQTT-3.9.3-2].
    pub(crate) fn to_suback_return_code(self) -> u8 {
        if self.is_failure() { 0x80 } else { self.to_u8() }
    }
}

impl Reason {
    pub fn new(code: ReasonCode, words: impl Into<String>) -> Self {
        Reason { code, words: Some(words.into()) }
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Reason { code, words: None }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02x})", self.words(), self.to_u8())
    }
}
