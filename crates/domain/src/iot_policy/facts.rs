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
    pub client_id: String,
    pub certificate_id: CertificateId,
    pub certificate: Arc<Certificate>,
    pub source_ip: Option<IpAddr>,
    /// `PersistentConnect`, `LastWill`.
    pub connect_attributes: Vec<&'static str>,
    pub last_will_topic_arn: Option<String>,
}

/// The facts during one judgement. Texts that must be made are made at most once, and only if asked for.
pub(super) struct Lookup<'a> {
    facts: &'a ConnectionFacts,
    things: &'a [AttachedThing],
    source_ip: OnceCell<String>,
    certificate_id: OnceCell<String>,
    serial: OnceCell<String>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(facts: &'a ConnectionFacts, things: &'a [AttachedThing]) -> Self {
        Self { facts, things, source_ip: OnceCell::new(), certificate_id: OnceCell::new(), serial: OnceCell::new() }
    }

    fn thing(&self) -> Option<&'a AttachedThing> {
        thing::of_connection(self.things, &self.facts.client_id)
    }

    fn source_ip(&self) -> Option<&str> {
        // A dual-stack listener sees IPv4 devices as ::ffff:a.b.c.d; policies write a.b.c.d.
        let address = self.facts.source_ip?.to_canonical();
        Some(self.source_ip.get_or_init(|| address.to_string()))
    }

    fn attribute(&self, key: &Key) -> Option<(Vec<&'a str>, Choice)> {
        let certificate = &self.facts.certificate;
        let (mut values, choice) = match key {
            Key::Subject(name, choice) => (certificate.subject().values(name), *choice),
            Key::Issuer(name, choice) => (certificate.issuer().values(name), *choice),
            Key::SubjectAlternativeName(name, choice) => (certificate.alternative_names(name), *choice),
            _ => return None,
        };
        values.truncate(VALUES_MAX);
        Some((values, choice))
    }

    /// The one value that a key stands for; a list stands for none.
    fn single(&self, key: &Key) -> Option<&str> {
        match key {
            // A message by HTTPS comes from no client.
            Key::ClientId => Some(self.facts.client_id.as_str()).filter(|client_id| !client_id.is_empty()),
            Key::SourceIp => self.source_ip(),
            Key::CertificateId => Some(self.certificate_id.get_or_init(|| self.facts.certificate_id.to_string())),
            Key::SerialNumber => Some(self.serial.get_or_init(|| self.facts.certificate.serial_hex())),
            Key::LastWillTopic => self.facts.last_will_topic_arn.as_deref(),
            Key::Subject(..) | Key::Issuer(..) | Key::SubjectAlternativeName(..) => match self.attribute(key)? {
                (values, Choice::At(index)) => values.get(index).copied(),
                (_, Choice::All) => None,
            },
            Key::ThingName => Some(&self.thing()?.name),
            Key::ThingTypeName => self.thing()?.type_name.as_deref(),
            Key::ThingAttribute(name) => self.thing()?.attributes.get(name).map(String::as_str),
            Key::ThingIsAttached => Some(if self.thing().is_some() { "true" } else { "false" }),
            Key::ConnectAttributes | Key::Unknown => None,
        }
    }
}

impl Context for Lookup<'_> {
    type Key = Key;

    fn values(&self, key: &Key) -> Values<'_> {
        match key {
            Key::ConnectAttributes => Values::Shared(&self.facts.connect_attributes),
            _ => match self.attribute(key) {
                Some((values, Choice::All)) => Values::Many(values),
                _ => self.single(key).map_or(Values::Absent, Values::One),
            },
        }
    }

    fn substitute(&self, key: &Key) -> Option<&str> {
        let value = self.single(key)?;
        let is_of_certificate =
            matches!(key, Key::Subject(..) | Key::Issuer(..) | Key::SubjectAlternativeName(..) | Key::SerialNumber);
        (!is_of_certificate || is_substitutable(value)).then_some(value)
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
