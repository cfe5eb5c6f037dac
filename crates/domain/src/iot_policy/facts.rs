//! What a connection says about itself, and how a policy's keys read it.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use super::key::{Choice, Key};
use super::thing::{self, AttachedThing};
use crate::CertificateId;
use crate::policy::{Context, Values};
use crate::x509::Certificate;

/// Values of one certificate attribute at most; more are ignored. (AWS IoT, "X.509 certificate policy variable limitations")
const VALUES_MAX: usize = 5;
/// A longer value is not put in place of its variable. (the same page)
const VALUE_CHARS_MAX: usize = 1024;

/// Everything about a connection that a policy's variables and conditions can ask for.
#[derive(Clone, Debug)]
pub struct ConnectionFacts {
    /// Empty for a request by HTTPS, which no client makes.
    pub client_id: String,
    pub certificate_id: CertificateId,
    pub certificate: Arc<Certificate>,
    pub source_ip: Option<IpAddr>,
    /// The server's name, as the client gave it in TLS (SNI).
    pub domain_name: Option<String>,
    /// `PersistentConnect`, `LastWill`.
    pub connect_attributes: Vec<&'static str>,
    pub last_will_topic_arn: Option<String>,
}

/// Whose rights are tried where nobody is connected.
#[derive(Clone, Debug)]
pub struct TestedPrincipal {
    /// Of the connection that is imagined, if one is.
    pub client_id: Option<String>,
    pub certificate_id: CertificateId,
    pub certificate: Arc<Certificate>,
}

/// The facts during one judgement. Texts that must be made are made at most once, and only if asked for.
#[derive(Default)]
pub(super) struct Lookup<'a> {
    client_id: Option<&'a str>,
    certificate: Option<(CertificateId, &'a Certificate)>,
    things: &'a [AttachedThing],
    source_ip: Option<IpAddr>,
    domain_name: Option<&'a str>,
    connect_attributes: &'a [&'static str],
    last_will_topic_arn: Option<&'a str>,
    source_ip_text: OnceCell<String>,
    certificate_id_text: OnceCell<String>,
    serial_text: OnceCell<String>,
    available_keys: OnceCell<Vec<String>>,
}

impl<'a> Lookup<'a> {
    pub(super) fn of_connection(facts: &'a ConnectionFacts, things: &'a [AttachedThing]) -> Self {
        Self {
            // A message by HTTPS comes from no client.
            client_id: Some(facts.client_id.as_str()).filter(|client_id| !client_id.is_empty()),
            certificate: Some((facts.certificate_id, &facts.certificate)),
            things,
            source_ip: facts.source_ip,
            domain_name: facts.domain_name.as_deref(),
            connect_attributes: &facts.connect_attributes,
            last_will_topic_arn: facts.last_will_topic_arn.as_deref(),
            ..Self::default()
        }
    }

    pub(super) fn of_test(principal: &'a TestedPrincipal, things: &'a [AttachedThing]) -> Self {
        let certificate = Some((principal.certificate_id, &*principal.certificate));
        Self { client_id: principal.client_id.as_deref(), certificate, things, ..Self::default() }
    }

    /// For what no variable occurs in.
    pub(super) fn of_nobody() -> Self {
        Self::default()
    }

    fn thing(&self) -> Option<&'a AttachedThing> {
        thing::of_connection(self.things, self.client_id)
    }

    fn source_ip(&self) -> Option<&str> {
        // A dual-stack listener sees IPv4 devices as ::ffff:a.b.c.d; policies write a.b.c.d.
        let address = self.source_ip?.to_canonical();
        Some(self.source_ip_text.get_or_init(|| address.to_string()))
    }

    fn certificate_id(&self) -> Option<&str> {
        let (id, _) = self.certificate?;
        Some(self.certificate_id_text.get_or_init(|| id.to_string()))
    }

    fn serial(&self) -> Option<&str> {
        let (_, certificate) = self.certificate?;
        Some(self.serial_text.get_or_init(|| certificate.serial_hex()))
    }

    fn attribute(&self, key: &Key) -> Option<(Vec<&'a str>, Choice)> {
        let (_, certificate) = self.certificate?;
        let (mut values, choice) = match key {
            Key::Subject(name, choice) => (certificate.subject().values(name), *choice),
            Key::Issuer(name, choice) => (certificate.issuer().values(name), *choice),
            Key::SubjectAlternativeName(name, choice) => (certificate.alternative_names(name), *choice),
            Key::IssuerAlternativeName(name, choice) => (certificate.issuer_alternative_names(name), *choice),
            _ => return None,
        };
        values.truncate(VALUES_MAX);
        Some((values, choice))
    }

    /// The names of the certificate's variables that have values.
    fn available_keys(&self) -> &[String] {
        self.available_keys.get_or_init(|| {
            let has_value = |key: &Key| self.single(key).is_some_and(|value| !value.is_empty());
            Key::of_certificates().filter(has_value).map(|key| key.to_string()).collect()
        })
    }

    /// The one value that a key stands for; a list stands for none.
    fn single(&self, key: &Key) -> Option<&str> {
        match key {
            Key::ClientId => self.client_id,
            Key::SourceIp => self.source_ip(),
            Key::DomainName => self.domain_name,
            Key::CertificateId => self.certificate_id(),
            Key::SerialNumber => self.serial(),
            Key::LastWillTopic => self.last_will_topic_arn,
            Key::Subject(..) | Key::Issuer(..) | Key::SubjectAlternativeName(..) | Key::IssuerAlternativeName(..) => {
                match self.attribute(key)? {
                    (values, Choice::At(index)) => values.get(index).copied(),
                    (_, Choice::All) => None,
                }
            }
            Key::ThingName => Some(&self.thing()?.name),
            Key::ThingTypeName => self.thing()?.type_name.as_deref(),
            Key::ThingAttribute(name) => self.thing()?.attributes.get(name).map(String::as_str),
            Key::ThingIsAttached => Some(if self.thing().is_some() { "true" } else { "false" }),
            Key::ConnectAttributes | Key::AvailableKeys | Key::Unknown(_) => None,
        }
    }
}

impl Context for Lookup<'_> {
    type Key = Key;

    fn values(&self, key: &Key) -> Values<'_> {
        match key {
            Key::ConnectAttributes => Values::Shared(self.connect_attributes),
            Key::AvailableKeys => Values::Many(self.available_keys().iter().map(String::as_str).collect()),
            _ => match self.attribute(key) {
                Some((values, Choice::All)) => Values::Many(values),
                _ => self.single(key).map_or(Values::Absent, Values::One),
            },
        }
    }

    fn substitute(&self, key: &Key) -> Option<&str> {
        let value = self.single(key)?;
        (!key.is_attribute_of_certificate() || is_substitutable(value)).then_some(value)
    }
}

/// AWS leaves the variable's text in place, which then matches nothing, where a certificate's value is too long or
/// holds a wildcard of policies or of MQTT. A client id is not held to this: AWS puts `+` in place and says to guard
/// `iot:Connect`. (AWS IoT, "Basic AWS IoT Core policy variables")
fn is_substitutable(value: &str) -> bool {
    // Asked at every place of a topic where the variable might stand: far too long is seen without counting.
    value.len() <= VALUE_CHARS_MAX * char::MAX.len_utf8()
        && value.chars().count() <= VALUE_CHARS_MAX
        && !value.contains(['*', '$', '+', '?', '#'])
}
