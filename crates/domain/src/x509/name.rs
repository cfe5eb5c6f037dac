//! Distinguished names: raw DER for comparing, attributes for policy variables and people.

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::X509Name;

/// Longer names are cut for logs and records; comparing uses the DER.
const TEXT_BYTES_MAX: usize = 512;

/// OID, name as `iot:Certificate.Subject.*` has it, short name for text. The last four are not AWS's.
const ATTRIBUTES: [(&str, &str, &str); 18] = [
    ("2.5.4.3", "CommonName", "CN"),
    ("2.5.4.4", "Surname", "SN"),
    ("2.5.4.5", "SerialNumber", "serialNumber"),
    ("2.5.4.6", "Country", "C"),
    ("2.5.4.8", "State", "ST"),
    ("2.5.4.10", "Organization", "O"),
    ("2.5.4.11", "OrganizationalUnit", "OU"),
    ("2.5.4.12", "Title", "title"),
    ("2.5.4.42", "GivenName", "GN"),
    ("2.5.4.43", "Initials", "initials"),
    ("2.5.4.44", "GenerationQualifier", "generationQualifier"),
    ("2.5.4.46", "DistinguishedNameQualifier", "dnQualifier"),
    ("2.5.4.65", "Pseudonym", "pseudonym"),
    ("2.5.4.7", "Locality", "L"),
    ("2.5.4.9", "Street", "street"),
    ("0.9.2342.19200300.100.1.25", "DomainComponent", "DC"),
    ("0.9.2342.19200300.100.1.1", "UserId", "UID"),
    ("1.2.840.113549.1.9.1", "EmailAddress", "emailAddress"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName {
    der: Vec<u8>,
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    kind: AttributeKind,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AttributeKind {
    Known { name: &'static str, short: &'static str },
    Other(String),
}

impl DistinguishedName {
    pub(super) fn of(name: &X509Name<'_>) -> Self {
        let attributes = name
            .iter_attributes()
            .map(|attribute| Attribute {
                kind: kind(&attribute.attr_type().to_id_string()),
                value: value(attribute.attr_value()),
            })
            .collect();
        Self { der: name.as_raw().to_vec(), attributes }
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Values of one attribute type in order, by the names of `iot:Certificate.Subject.*`:
    /// `CommonName`, `Country`, `Organization`, `OrganizationalUnit`, `State`, `SerialNumber`, ...
    pub fn values(&self, attribute: &str) -> Vec<&str> {
        self.attributes
            .iter()
            .filter(|found| matches!(found.kind, AttributeKind::Known { name, .. } if name == attribute))
            .map(|found| found.value.as_str())
            .collect()
    }

    /// `CN=x,O=y` in the order of the certificate, for logs and admission records: bounded, escaped as RFC 4514 does.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (position, attribute) in self.attributes.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            match &attribute.kind {
                AttributeKind::Known { short, .. } => text.push_str(short),
                AttributeKind::Other(oid) => text.push_str(oid),
            }
            text.push('=');
            for character in attribute.value.chars() {
                push_escaped(&mut text, character);
                if text.len() > TEXT_BYTES_MAX {
                    text.push_str("...");
                    return text;
                }
            }
        }
        text
    }
}

fn kind(oid: &str) -> AttributeKind {
    match ATTRIBUTES.iter().find(|(known, _, _)| *known == oid) {
        Some((_, name, short)) => AttributeKind::Known { name, short },
        None => AttributeKind::Other(oid.to_owned()),
    }
}

/// Text of a string type; the hex of anything else, as RFC 4514 writes it.
fn value(any: &Any<'_>) -> String {
    let text = match any.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            std::str::from_utf8(any.data).ok().map(str::to_owned)
        }
        // T.61 in practice means Latin-1.
        Tag::T61String => Some(any.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => utf16(any.data),
        _ => None,
    };
    text.unwrap_or_else(|| format!("#{}", hex::encode(any.data)))
}

fn utf16(data: &[u8]) -> Option<String> {
    let (pairs, rest) = data.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))).collect::<Result<_, _>>().ok()
}

/// Anything that could end a line, move a cursor or reorder what is read goes out as the hex of its bytes.
fn push_escaped(text: &mut String, character: char) {
    match character {
        '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
            text.push('\\');
            text.push(character);
        }
        _ if is_unprintable(character) => {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:02X}");
            }
        }
        _ => text.push(character),
    }
}

/// Control characters, line separators, bidirectional marks and other invisible ones of the general category Cf.
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// An entry of subjectAltName or issuerAltName that policy variables can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    Rfc822Name(String),
    DnsName(String),
    DirectoryName(String),
    UniformResourceIdentifier(String),
    IpAddress(String),
}

impl AlternativeName {
    /// As in `iot:Certificate.Subject.AlternativeName.*` and `iot:Certificate.Issuer.AlternativeName.*`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Rfc822Name(_) => "RFC822Name",
            Self::DnsName(_) => "DNSName",
            Self::DirectoryName(_) => "DirectoryName",
            Self::UniformResourceIdentifier(_) => "UniformResourceIdentifier",
            Self::IpAddress(_) => "IPAddress",
        }
    }

    pub fn value(&self) -> &str {
        match self {
            Self::Rfc822Name(value)
            | Self::DnsName(value)
            | Self::DirectoryName(value)
            | Self::UniformResourceIdentifier(value)
            | Self::IpAddress(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(values: &[(&str, &str)]) -> DistinguishedName {
        let attributes =
            values.iter().map(|(oid, value)| Attribute { kind: kind(oid), value: (*value).to_owned() }).collect();
        DistinguishedName { der: Vec::new(), attributes }
    }

    #[test]
    fn text_is_safe_to_print() {
        for (values, text) in [
            (&[("2.5.4.3", "device 1"), ("2.5.4.10", "Acme")][..], "CN=device 1,O=Acme"),
            (&[], ""),
            (&[("2.5.4.3", "a,b+c\\d\"")], "CN=a\\,b\\+c\\\\d\\\""),
            (&[("2.5.4.3", "a\nb\u{1b}[31m\u{7f}")], "CN=a\\0Ab\\1B[31m\\7F"),
            (&[("2.5.4.3", "x\u{202e}y")], "CN=x\\E2\\80\\AEy"),
            (&[("2.5.4.3", "M\u{fc}ller")], "CN=M\u{fc}ller"),
            (&[("1.2.3", "z")], "1.2.3=z"),
        ] {
            assert_eq!(name(values).to_text(), text);
        }
    }

    #[test]
    fn text_is_bounded() {
        let text = name(&[("2.5.4.3", &"\u{202e}".repeat(10_000))]).to_text();
        assert!(text.len() < TEXT_BYTES_MAX + 16, "{}", text.len());
        assert!(text.ends_with("..."));
        let many = vec![("2.5.4.3", "x"); 5_000];
        assert!(name(&many).to_text().len() < TEXT_BYTES_MAX + 16);
    }

    #[test]
    fn values_come_in_order() {
        let name = name(&[("2.5.4.11", "a"), ("2.5.4.3", "n"), ("2.5.4.11", "b")]);
        assert_eq!(name.values("OrganizationalUnit"), ["a", "b"]);
        assert_eq!(name.values("CommonName"), ["n"]);
        assert!(name.values("Country").is_empty());
    }
}
