//! Which server the client meant, by the name it sent in TLS (SNI), and which certificates make that matter.

use serde::{Deserialize, Serialize};

/// `certificateMode` of a CA and of the certificates that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CertificateMode {
    /// The server name need not be sent.
    #[serde(rename = "DEFAULT")]
    Default,
    /// Only a connection that names the endpoint is of this account: the certificate may be registered in others too.
    #[serde(rename = "SNI_ONLY")]
    SniOnly,
}

impl CertificateMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT",
            Self::SniOnly => "SNI_ONLY",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Default, Self::SniOnly].into_iter().find(|mode| mode.as_str() == text)
    }

    pub(super) fn admits(self, name: ServerName) -> bool {
        self == Self::Default || name == ServerName::Endpoint
    }
}

/// What the client sent as the server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// One of this server's endpoint names.
    Endpoint,
    /// Some other name.
    Other,
    /// None: SNI is off, or the client connected to an address, which SNI cannot carry. (RFC 6066 section 3)
    Absent,
}

impl ServerName {
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Other, Self::Absent];

    /// `endpoints` are host names, or `*.` and a name for any one label before it; `localhost` is always one of ours.
    pub fn of(sent: Option<&str>, endpoints: &[String]) -> Self {
        let Some(sent) = sent else { return Self::Absent };
        let is_ours = |endpoint: &str| match endpoint.strip_prefix("*.") {
            Some(domain) => sent.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => sent.eq_ignore_ascii_case(endpoint),
        };
        let mut ours = endpoints.iter().map(String::as_str).chain(["localhost"]);
        if ours.any(is_ours) { Self::Endpoint } else { Self::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours() {
        let endpoints = ["iot.example.com", "*.devices.example.com", "192.0.2.7"].map(str::to_owned);
        for (sent, expected) in [
            (Some("iot.example.com"), ServerName::Endpoint),
            (Some("IOT.Example.com"), ServerName::Endpoint),
            (Some("localhost"), ServerName::Endpoint),
            (Some("a.devices.example.com"), ServerName::Endpoint),
            (Some("a.b.devices.example.com"), ServerName::Other),
            (Some("devices.example.com"), ServerName::Other),
            (Some("example.com"), ServerName::Other),
            (Some("iot.example.com.evil.test"), ServerName::Other),
            (Some(""), ServerName::Other),
            (None, ServerName::Absent),
        ] {
            assert_eq!(ServerName::of(sent, &endpoints), expected, "{sent:?}");
        }
    }

    #[test]
    fn modes_are_read_as_written() {
        for (mode, text) in [(CertificateMode::Default, "DEFAULT"), (CertificateMode::SniOnly, "SNI_ONLY")] {
            assert_eq!((mode.as_str(), CertificateMode::parse(text)), (text, Some(mode)));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("{text:?}"));
        }
        assert_eq!(CertificateMode::parse("default"), None);
    }
}
