//! Every reason for which a connection is refused or ended: its code for machines, its sentence for people.

use super::ServerName;
use crate::x509::is_unprintable;
use crate::{CertificateId, Timestamp};

/// Topics and client ids come from strangers; this much of one is shown.
const SHOWN_CHARS_MAX: usize = 300;

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
    IssuerInactive {
        ca: CertificateId,
    },
    /// The CA's own validity window has passed or not begun.
    IssuerExpired {
        ca: CertificateId,
        not_before: Timestamp,
        not_after: Timestamp,
    },
    AutoRegistrationOff {
        ca: CertificateId,
    },
    /// The certificate, or the CA that would register it, is in the mode SNI_ONLY.
    ServerNameNeeded {
        sent: ServerName,
    },
    RegisteredNow {
        certificate: CertificateId,
    },
    PendingActivation {
        certificate: CertificateId,
    },
    Inactive {
        certificate: CertificateId,
    },
    Revoked {
        certificate: CertificateId,
    },
    PendingTransfer {
        certificate: CertificateId,
    },
    HandshakeTimeout,
    /// TLS failed for a reason of its own (version, cipher, bad signature); the text is the library's.
    TlsFailed(String),
    /// Nothing that the client offered by ALPN is served; the text says what it offered.
    AlpnRefused(String),
    /// The request that was to become a WebSocket is not one; the text says why.
    WebSocketRefused(String),
    /// The request for a WebSocket is not signed, or not well; the text is what the client is told.
    SignatureRefused(String),
    /// HTTPS registers no certificate, and this one is not ACTIVE.
    NotActive {
        certificate: CertificateId,
    },
    ConnectTimeout,
    MalformedConnect(String),
    ClientIdRefused(String),
    NoPolicy {
        certificate: CertificateId,
    },
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
    /// Whoever connected with a signature is judged by IAM; the text is why not.
    IamDoesNotAllow {
        caller: String,
        action: String,
        resource: String,
        why: String,
    },
    TakenOver,
    /// An operator ended the connection (DeleteConnection).
    Disconnected,
    /// A WebSocket that has been open for as long as AWS lets one.
    WebSocketTooOld,
    KeepAliveTimeout,
    ProtocolError(String),
    /// A proper packet with a message that is not taken here: its topic, its size, its QoS.
    PublishRefused(String),
    /// The right to be connected was lost while connected: certificate no longer ACTIVE, policy detached.
    RightLost(String),
    ServerShutdown,
    /// Too many connections or handshakes at once, or from one address.
    Overloaded(String),
    /// More CONNECTs with one client id than AWS takes.
    ClientIdThrottled(String),
    Internal(String),
}

impl Refusal {
    /// A stable name in UPPER_SNAKE_CASE for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoClientCertificate => "NO_CLIENT_CERTIFICATE",
            Self::MalformedCertificate(_) => "MALFORMED_CERTIFICATE",
            Self::NotYetValid { .. } => "CERTIFICATE_NOT_YET_VALID",
            Self::Expired { .. } => "CERTIFICATE_EXPIRED",
            Self::UnknownIssuer { .. } => "UNKNOWN_ISSUER",
            Self::IssuerInactive { .. } => "ISSUER_INACTIVE",
            Self::IssuerExpired { .. } => "ISSUER_EXPIRED",
            Self::AutoRegistrationOff { .. } => "AUTO_REGISTRATION_OFF",
            Self::ServerNameNeeded { .. } => "SERVER_NAME_NEEDED",
            Self::RegisteredNow { .. } => "REGISTERED_NOW",
            Self::PendingActivation { .. } => "PENDING_ACTIVATION",
            Self::Inactive { .. } => "CERTIFICATE_INACTIVE",
            Self::Revoked { .. } => "CERTIFICATE_REVOKED",
            Self::PendingTransfer { .. } => "PENDING_TRANSFER",
            Self::HandshakeTimeout => "HANDSHAKE_TIMEOUT",
            Self::TlsFailed(_) => "TLS_FAILED",
            Self::AlpnRefused(_) => "ALPN_REFUSED",
            Self::WebSocketRefused(_) => "WEBSOCKET_REFUSED",
            Self::SignatureRefused(_) => "SIGNATURE_REFUSED",
            Self::NotActive { .. } => "CERTIFICATE_NOT_ACTIVE",
            Self::ConnectTimeout => "CONNECT_TIMEOUT",
            Self::MalformedConnect(_) => "MALFORMED_CONNECT",
            Self::ClientIdRefused(_) => "CLIENT_ID_REFUSED",
            Self::NoPolicy { .. } => "NO_POLICY",
            Self::PolicyDenies { .. } => "POLICY_DENIES",
            Self::PolicyDoesNotAllow { .. } => "POLICY_DOES_NOT_ALLOW",
            Self::IamDoesNotAllow { .. } => "IAM_DOES_NOT_ALLOW",
            Self::TakenOver => "TAKEN_OVER",
            Self::Disconnected => "DISCONNECTED",
            Self::WebSocketTooOld => "WEBSOCKET_TOO_OLD",
            Self::KeepAliveTimeout => "KEEP_ALIVE_TIMEOUT",
            Self::ProtocolError(_) => "PROTOCOL_ERROR",
            Self::PublishRefused(_) => "PUBLISH_REFUSED",
            Self::RightLost(_) => "RIGHT_LOST",
            Self::ServerShutdown => "SERVER_SHUTDOWN",
            Self::Overloaded(_) => "OVERLOADED",
            Self::ClientIdThrottled(_) => "CLIENT_ID_THROTTLED",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// One plain sentence for people: what is wrong, and what to do about it.
    pub fn sentence(&self) -> String {
        match self {
            Self::NoClientCertificate
            | Self::MalformedCertificate(_)
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::ServerNameNeeded { .. }
            | Self::RegisteredNow { .. }
            | Self::PendingActivation { .. }
            | Self::Inactive { .. }
            | Self::Revoked { .. }
            | Self::NotActive { .. }
            | Self::PendingTransfer { .. } => self.sentence_on_certificate(),
            Self::UnknownIssuer { .. }
            | Self::IssuerInactive { .. }
            | Self::IssuerExpired { .. }
            | Self::AutoRegistrationOff { .. } => self.sentence_on_issuer(),
            Self::NoPolicy { .. }
            | Self::PolicyDenies { .. }
            | Self::PolicyDoesNotAllow { .. }
            | Self::IamDoesNotAllow { .. } => self.sentence_on_policy(),
            Self::AlpnRefused(_)
            | Self::WebSocketRefused(_)
            | Self::SignatureRefused(_)
            | Self::HandshakeTimeout
            | Self::TlsFailed(_) => self.sentence_on_handshake(),
            _ => self.sentence_on_connection(),
        }
    }

    fn sentence_on_certificate(&self) -> String {
        match self {
            Self::NoClientCertificate => "The client sent no certificate: give it a device certificate and its key \
                 (mosquitto_pub: --cert and --key)."
                .to_owned(),
            Self::MalformedCertificate(text) => {
                format!("The client's certificate is not accepted, {}: issue a new one.", shown(text))
            }
            Self::NotYetValid { not_before } => format!(
                "The client's certificate is not valid before {}: check the clock of this server and of the machine \
                 that issued it.",
                not_before.to_rfc3339()
            ),
            Self::Expired { not_after } => {
                format!("The client's certificate expired at {}: issue a new one.", not_after.to_rfc3339())
            }
            Self::ServerNameNeeded { sent } => format!(
                "The client's certificate is in the mode SNI_ONLY, which counts only with a server name in TLS (SNI) \
                 that is an endpoint name of this server, and the client {}: let it connect by the name that aws iot \
                 describe-endpoint --endpoint-type iot:Data-ATS answers, and send that name as SNI.",
                match sent {
                    ServerName::Absent => "sent none",
                    _ => "sent another",
                }
            ),
            Self::RegisteredNow { certificate } => format!(
                "The certificate {certificate} was registered just now as PENDING_ACTIVATION: connect again once \
                 a rule's function or aws iot update-certificate --certificate-id {certificate} --new-status ACTIVE \
                 has activated it."
            ),
            Self::PendingActivation { certificate } => format!(
                "The certificate {certificate} is still PENDING_ACTIVATION: look into the log of the function that \
                 should activate it, or run aws iot update-certificate --certificate-id {certificate} \
                 --new-status ACTIVE."
            ),
            Self::Inactive { certificate } => format!(
                "The certificate {certificate} is INACTIVE: activate it with \
                 aws iot update-certificate --certificate-id {certificate} --new-status ACTIVE."
            ),
            Self::Revoked { certificate } => {
                format!("The certificate {certificate} is REVOKED, which is final: give the device a new certificate.")
            }
            Self::NotActive { certificate } => format!(
                "The certificate {certificate} is not registered as ACTIVE, and HTTPS registers none: let the device \
                 connect by MQTT first, or register and activate the certificate."
            ),
            Self::PendingTransfer { certificate } => format!(
                "The certificate {certificate} is PENDING_TRANSFER: let the other account accept it, or cancel with \
                 aws iot cancel-certificate-transfer --certificate-id {certificate}."
            ),
            _ => String::new(),
        }
    }

    fn sentence_on_issuer(&self) -> String {
        match self {
            Self::UnknownIssuer { issuer } => format!(
                "No registered CA signed the client's certificate, whose issuer is \"{}\" (a CA of the same name with \
                 another key does not count): register the CA that signed it with \
                 aws iot register-ca-certificate --set-as-active --allow-auto-registration.",
                shown(issuer)
            ),
            Self::IssuerInactive { ca } => format!(
                "The CA {ca} that signed the client's certificate is INACTIVE: activate it with \
                 aws iot update-ca-certificate --certificate-id {ca} --new-status ACTIVE."
            ),
            Self::IssuerExpired { ca, not_before, not_after } => format!(
                "The CA {ca} that signed the client's certificate is valid from {} to {} only: register a renewed CA, \
                 or check this server's clock.",
                not_before.to_rfc3339(),
                not_after.to_rfc3339()
            ),
            Self::AutoRegistrationOff { ca } => format!(
                "The client's certificate is not registered and its CA {ca} has auto-registration off: switch it on \
                 with aws iot update-ca-certificate --certificate-id {ca} --new-auto-registration-status ENABLE."
            ),
            _ => String::new(),
        }
    }

    fn sentence_on_policy(&self) -> String {
        match self {
            Self::NoPolicy { certificate } => format!(
                "The certificate {certificate} has no policy: attach one with aws iot attach-policy \
                 --policy-name NAME --target \"$(aws iot describe-certificate --certificate-id {certificate} \
                 --query certificateDescription.certificateArn --output text)\"."
            ),
            Self::PolicyDenies { action, resource, policy, statement, sid } => {
                let sid = sid.as_ref().map(|sid| format!(", Sid {}", shown(sid))).unwrap_or_default();
                let policy = shown(policy);
                format!(
                    "Policy {policy} denies {action} on {} (statement {statement}, counted from 0{sid}), and a deny outweighs \
                     every allow: change that statement, or detach the policy.",
                    shown(resource)
                )
            }
            Self::IamDoesNotAllow { caller, action, resource, why } => format!(
                "IAM does not let {} do {action} on {}, {why}: change the policies of its role.",
                shown(caller),
                shown(resource)
            ),
            Self::PolicyDoesNotAllow { action, resource } => format!(
                "No policy of the certificate allows {action} on {}: attach one that does with aws iot create-policy and \
                 aws iot attach-policy.",
                shown(resource)
            ),
            _ => String::new(),
        }
    }

    fn sentence_on_handshake(&self) -> String {
        match self {
            Self::AlpnRefused(text) => format!(
                "Nothing that the client offered by ALPN is served on this port ({}): offer x-amzn-mqtt-ca for MQTT with \
                 a client certificate, x-amzn-http-ca for HTTPS with one, or nothing for WebSocket and HTTPS.",
                shown(text)
            ),
            Self::WebSocketRefused(text) => {
                format!(
                    "The client's request to open a WebSocket is not accepted ({}): correct the client.",
                    shown(text)
                )
            }
            Self::SignatureRefused(text) => format!(
                "The request to open a WebSocket is not signed as it must be ({}): sign GET /mqtt with credentials of this \
                 server for the service iotdevicegateway, or show a client certificate.",
                shown(text)
            ),
            Self::HandshakeTimeout => "The client did not finish its TLS handshake in time: check that it speaks TLS \
                 to this port, and its network."
                .to_owned(),
            Self::TlsFailed(text) => format!(
                "The TLS handshake failed ({}): check the client's TLS version, its private key, and that it trusts \
                 this server's root CA.",
                shown(text)
            ),
            _ => String::new(),
        }
    }

    fn sentence_on_connection(&self) -> String {
        match self {
            Self::ConnectTimeout => "The client sent no MQTT CONNECT in time after its TLS handshake: check that it \
                 speaks MQTT to this port."
                .to_owned(),
            Self::MalformedConnect(text) => {
                format!("The client's first packet is no proper MQTT CONNECT ({}): correct the client.", shown(text))
            }
            Self::ClientIdRefused(text) => {
                format!("The client id is not accepted ({}): choose another one.", shown(text))
            }
            Self::WebSocketTooOld => {
                "The WebSocket was open for 24 hours, after which AWS IoT closes it, and so does this \
                 server: connect again."
                    .to_owned()
            }
            Self::TakenOver => "Another connection took over with the same client id: give each device a client id \
                 of its own."
                .to_owned(),
            Self::Disconnected => {
                "An operator ended the connection with DeleteConnection: nothing is wrong with the client, \
                 which may connect again."
                    .to_owned()
            }
            Self::KeepAliveTimeout => "The client was silent for one and a half times its keep-alive: let it send \
                 PINGREQ in time, or check its network."
                .to_owned(),
            Self::ProtocolError(text) => {
                format!("The client broke the MQTT protocol ({}): correct the client.", shown(text))
            }
            Self::PublishRefused(text) => {
                format!("The client published a message that is not taken here ({}): correct the client.", shown(text))
            }
            Self::RightLost(text) => {
                format!("The connection was ended because its right to be connected went away: {}", shown(text))
            }
            Self::ServerShutdown => "The server was shut down: connect again once it is back.".to_owned(),
            Self::Overloaded(text) => {
                format!("The server is overloaded ({}): connect again later, with back-off.", shown(text))
            }
            Self::ClientIdThrottled(text) => {
                format!("The client connects too often ({}): let it wait longer before it tries again.", shown(text))
            }
            Self::Internal(text) => {
                format!("The server failed ({}): look into its log, and connect again.", shown(text))
            }
            _ => String::new(),
        }
    }
}

/// What a stranger wrote, for a person to read: bounded, and without characters that would disturb a terminal or a log
/// line.
pub fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut out: String = characters
        .by_ref()
        .take(SHOWN_CHARS_MAX)
        .map(|character| if is_unprintable(character) { char::REPLACEMENT_CHARACTER } else { character })
        .collect();
    if characters.next().is_some() {
        out.push_str("...");
    }
    out
}
