//! Condition keys and variables that IoT policies know, found by name once at compile time.

use std::fmt;

/// Names compare without regard to case, as IAM's condition keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    ClientId,
    SourceIp,
    DomainName,
    CertificateId,
    SerialNumber,
    ConnectAttributes,
    LastWillTopic,
    Subject(&'static str, Choice),
    Issuer(&'static str, Choice),
    SubjectAlternativeName(&'static str, Choice),
    IssuerAlternativeName(&'static str, Choice),
    /// The names of the certificate's variables that have values.
    AvailableKeys,
    ThingName,
    ThingTypeName,
    ThingIsAttached,
    /// `iot:Connection.Thing.Attributes[name]`
    ThingAttribute(String),
    /// A name that AWS does not have. It never has a value.
    Unknown(Box<str>),
}

/// Which of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// No suffix is the first value; `.1` is the second: AWS calls the index one-based and counts from the second.
    At(usize),
    /// `.List`: all of them, for set operators.
    All,
}

/// Attributes of a distinguished name, as x509 names them.
const ATTRIBUTES: [&str; 13] = [
    "DistinguishedNameQualifier",
    "Country",
    "Organization",
    "OrganizationalUnit",
    "State",
    "CommonName",
    "SerialNumber",
    "Title",
    "Surname",
    "GivenName",
    "Initials",
    "Pseudonym",
    "GenerationQualifier",
];

const ALTERNATIVE_NAMES: [&str; 5] =
    ["RFC822Name", "DNSName", "DirectoryName", "UniformResourceIdentifier", "IPAddress"];

const PLAIN: [(&str, Key); 11] = [
    ("iot:ClientId", Key::ClientId),
    ("aws:SourceIp", Key::SourceIp),
    ("iot:DomainName", Key::DomainName),
    ("iot:CertificateId", Key::CertificateId),
    ("iot:Certificate.SerialNumber", Key::SerialNumber),
    ("iot:Certificate.AvailableKeys", Key::AvailableKeys),
    ("iot:ConnectAttributes", Key::ConnectAttributes),
    ("iot:LastWillTopic", Key::LastWillTopic),
    ("iot:Connection.Thing.ThingName", Key::ThingName),
    ("iot:Connection.Thing.ThingTypeName", Key::ThingTypeName),
    ("iot:Connection.Thing.IsAttached", Key::ThingIsAttached),
];

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        if let Some((_, key)) = PLAIN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return key.clone();
        }
        thing_attribute(name).or_else(|| attribute(name)).unwrap_or_else(|| Self::Unknown(name.into()))
    }
}

impl Key {
    /// The variables of a certificate's contents, each as its first value.
    pub(super) fn of_certificates() -> impl Iterator<Item = Self> {
        let first = Choice::At(0);
        let issuer = ATTRIBUTES.map(|name| Self::Issuer(name, first));
        let subject = ATTRIBUTES.map(|name| Self::Subject(name, first));
        let issuer_names = ALTERNATIVE_NAMES.map(|name| Self::IssuerAlternativeName(name, first));
        let subject_names = ALTERNATIVE_NAMES.map(|name| Self::SubjectAlternativeName(name, first));
        let others = issuer_names.into_iter().chain(subject_names).chain([Self::SerialNumber]);
        issuer.into_iter().chain(subject).chain(others)
    }

    /// What its issuer wrote into the certificate.
    pub(super) const fn is_attribute_of_certificate(&self) -> bool {
        matches!(
            self,
            Self::Subject(..)
                | Self::Issuer(..)
                | Self::SubjectAlternativeName(..)
                | Self::IssuerAlternativeName(..)
                | Self::SerialNumber
        )
    }
}

/// As AWS writes the name.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PLAIN.iter().find(|(_, key)| key == self) {
            return f.write_str(name);
        }
        let (whose, name, choice) = match self {
            Self::Subject(name, choice) => ("Subject", name, choice),
            Self::Issuer(name, choice) => ("Issuer", name, choice),
            Self::SubjectAlternativeName(name, choice) => ("Subject.AlternativeName", name, choice),
            Self::IssuerAlternativeName(name, choice) => ("Issuer.AlternativeName", name, choice),
            Self::ThingAttribute(name) => return write!(f, "{THING_ATTRIBUTE}{name}]"),
            Self::Unknown(name) => return f.write_str(name),
            // The others are plain.
            _ => return Ok(()),
        };
        write!(f, "iot:Certificate.{whose}.{name}")?;
        match choice {
            Choice::At(0) => Ok(()),
            Choice::At(index) => write!(f, ".{index}"),
            Choice::All => f.write_str(".List"),
        }
    }
}

const THING_ATTRIBUTE: &str = "iot:Connection.Thing.Attributes[";

/// The names of attributes, unlike those of keys, differ by case.
fn thing_attribute(name: &str) -> Option<Key> {
    let (before, after) = name.split_at_checked(THING_ATTRIBUTE.len())?;
    let attribute = after.strip_suffix(']').filter(|_| before.eq_ignore_ascii_case(THING_ATTRIBUTE))?;
    Some(Key::ThingAttribute(attribute.to_owned()))
}

/// `iot:Certificate.Subject.Organization`, `....Organization.1`, `....Organization.List`, `....AlternativeName.DNSName`.
fn attribute(name: &str) -> Option<Key> {
    let mut parts = name.split('.');
    if !parts.next()?.eq_ignore_ascii_case("iot:Certificate") {
        return None;
    }
    let (whose, mut what) = (parts.next()?, parts.next()?);
    let is_subject = whose.eq_ignore_ascii_case("Subject");
    if !is_subject && !whose.eq_ignore_ascii_case("Issuer") {
        return None;
    }
    let is_alternative = what.eq_ignore_ascii_case("AlternativeName");
    if is_alternative {
        what = parts.next()?;
    }
    let choice = match parts.next() {
        None => Choice::At(0),
        Some(suffix) if suffix.eq_ignore_ascii_case("List") => Choice::All,
        Some(suffix) => Choice::At(suffix.parse().ok().filter(|index| *index > 0)?),
    };
    if parts.next().is_some() {
        return None;
    }
    let known = |names: &[&'static str]| names.iter().copied().find(|known| known.eq_ignore_ascii_case(what));
    match (is_subject, is_alternative) {
        (true, false) => known(&ATTRIBUTES).map(|name| Key::Subject(name, choice)),
        (false, false) => known(&ATTRIBUTES).map(|name| Key::Issuer(name, choice)),
        (true, true) => known(&ALTERNATIVE_NAMES).map(|name| Key::SubjectAlternativeName(name, choice)),
        (false, true) => known(&ALTERNATIVE_NAMES).map(|name| Key::IssuerAlternativeName(name, choice)),
    }
}
