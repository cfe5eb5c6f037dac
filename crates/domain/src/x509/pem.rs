//! PEM as people send it: text around the block (`openssl x509` prints some first), CRLF, blank lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::CertificateError;

/// As AWS bounds `certificatePem` and `caCertificate`.
pub const PEM_CHARS_MAX: usize = 65_536;

/// A device sends its leaf and at most a few issuers; a longer file is a bundle, pasted by mistake.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// What a text is to hold.
#[derive(Clone, Copy)]
struct Kind {
    /// Of the BEGIN and END lines; the first is the usual one.
    labels: &'static [&'static str],
    noun: &'static str,
}

const CERTIFICATE: Kind = Kind { labels: &["CERTIFICATE"], noun: "certificate" };

/// The second label is what older tools write.
const REQUEST: Kind =
    Kind { labels: &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"], noun: "certificate signing request" };

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The DER of each CERTIFICATE block, in order. A block of another kind is an error that names it: a private key
/// must not be swallowed silently.
pub(super) fn blocks(pem: &str, count_max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    blocks_of(CERTIFICATE, pem, count_max)
}

/// The DER of the one CERTIFICATE REQUEST block.
pub(super) fn request(pem: &str) -> Result<Vec<u8>, CertificateError> {
    match blocks_of(REQUEST, pem, 1)?.pop() {
        Some(der) => Ok(der),
        None => refuse("send exactly one certificate signing request".to_owned()),
    }
}

fn blocks_of(kind: Kind, pem: &str, count_max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    let noun = kind.noun;
    if pem.len() > PEM_CHARS_MAX {
        return refuse(format!("the PEM text has {} characters; {PEM_CHARS_MAX} are allowed", pem.len()));
    }
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in pem.lines().map(str::trim) {
        if let Some(label) = label(line, BEGIN) {
            check_begin(kind, label, open.is_some())?;
            open = Some(String::new());
        } else if label(line, END).is_some() {
            let Some(text) = open.take() else {
                return refuse("the PEM text has an END line without its BEGIN line".to_owned());
            };
            if blocks.len() == count_max {
                return refuse(format!("the PEM text holds more than {count_max} {noun}(s)"));
            }
            blocks.push(decode(&text)?);
        } else if let Some(text) = &mut open {
            text.push_str(line);
        }
    }
    if open.is_some() {
        return refuse(format!("the PEM text ends before the line -----END {}-----", usual(kind)));
    }
    if blocks.is_empty() {
        return refuse(format!("the text holds no -----BEGIN {}----- line; send the {noun} in PEM", usual(kind)));
    }
    Ok(blocks)
}

fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(DASHES)
}

fn usual(kind: Kind) -> &'static str {
    kind.labels.first().copied().unwrap_or_default()
}

fn check_begin(kind: Kind, label: &str, inside: bool) -> Result<(), CertificateError> {
    if inside {
        return refuse("the PEM text has a BEGIN line inside a block".to_owned());
    }
    if kind.labels.contains(&label) {
        return Ok(());
    }
    let found: String = label.chars().take(40).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    refuse(format!("the PEM text holds a block of the kind {found}; send the {} only", kind.noun))
}

fn decode(text: &str) -> Result<Vec<u8>, CertificateError> {
    STANDARD.decode(text).or_else(|error| refuse(format!("the PEM block is not base64: {error}")))
}

fn refuse<T>(text: String) -> Result<T, CertificateError> {
    Err(CertificateError::Pem(text))
}

pub(super) fn encode(der: &[u8]) -> String {
    encode_as("CERTIFICATE", der)
}

pub(super) fn encode_as(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 60);
    for part in [BEGIN, label, DASHES, "\n"] {
        pem.push_str(part);
    }
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    for part in [END, label, DASHES, "\n"] {
        pem.push_str(part);
    }
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

    fn check(pem: &str, count_max: usize, expected: Result<usize, &str>) {
        match (blocks(pem, count_max), expected) {
            (Ok(found), Ok(count)) => {
                assert_eq!(found, vec![vec![1, 2, 3]; count], "{pem:?}");
            }
            (Err(CertificateError::Pem(text)), Err(part)) => assert!(text.contains(part), "{pem:?}: {text}"),
            (found, _) => panic!("{pem:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_people_send() {
        check(ONE, 1, Ok(1));
        check(&ONE.replace('\n', "\r\n"), 1, Ok(1));
        check(&format!("Certificate:\n    Data:\n        Version: 1 (0x0)\n{ONE}\n\n"), 1, Ok(1));
        check(ONE.trim_end(), 1, Ok(1));
        check(&ONE.repeat(2), 10, Ok(2));
        check(&ONE.repeat(2), 1, Err("more than 1"));
        check("", 1, Err("no -----BEGIN CERTIFICATE-----"));
        check("-----BEGIN CERTIFICATE-----\nAQID\n", 1, Err("ends before"));
        check("-----END CERTIFICATE-----\n", 1, Err("without its BEGIN"));
        check("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", 1, Err("not base64"));
        check(&ONE.replace("CERTIFICATE", "RSA PRIVATE KEY"), 1, Err("RSA PRIVATE KEY"));
        check(&ONE.replace("AQID\n", ONE), 1, Err("inside a block"));
        check(&"x".repeat(PEM_CHARS_MAX + 1), 1, Err("65536 are allowed"));
    }

    #[test]
    fn lines_of_64() {
        let der: Vec<u8> = (0..=255).collect();
        let pem = encode(&der);
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert_eq!(blocks(&pem, 1), Ok(vec![der]));
        assert_eq!(encode(&[0; 48]).lines().count(), 3);
    }
}
