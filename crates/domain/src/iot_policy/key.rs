//! Condition keys and variables that IoT policies know, found by name once at compile time.

/// Names compare without regard to case, as IAM's condition keys do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    ClientId,
    SourceIp,
    CertificateId,
    SerialNumber,
    ConnectAttributes,
    LastWillTopic,
    Subject(&'static str, Choice),
    Issuer(&'static str, Choice),
    SubjectAlternativeName(&'static str, Choice),
    ThingName,
    ThingTypeName,
    ThingIsAttached,
    /// `iot:Connection.Thing.Attributes[name]`
    ThingAttribute(String),
    /// A name that AWS does not have, or whose value is not known here: the issuer's
    /// alternative names, `AvailableKeys`, the domain name. It never has a value.
    Unknown,
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

const PLAIN: [(&str, Key); 9] = [
    ("iot:ClientId", Key::ClientId),
    ("aws:SourceIp", Key::SourceIp),
    ("iot:CertificateId", Key::CertificateId),
    ("iot:Certificate.SerialNumber", Key::SerialNumber),
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
        thing_attribute(name).or_else(|| attribute(name)).unwrap_or(Self::Unknown)
    }
}

/// The names of attributes, unlike those of keys, differ by case.
fn thing_attribute(name: &str) -> Option<Key> {
    const BEFORE: &str = "iot:Connection.Thing.Attributes[";
    let (before, after) = name.split_at_checked(BEFORE.len())?;
    let attribute = after.strip_suffix(']').filter(|_| before.eq_ignore_ascii_case(BEFORE))?;
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
        (false, true) => None,
    }
}
