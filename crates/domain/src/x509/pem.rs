//! PEM as people send it: text around the block (`openssl x509` prints some first), CRLF, blank lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::CertificateError;

/// As AWS bounds `certificatePem` and `caCertificate`.
pub const PEM_CHARS_MAX: usize = 65_536;

/// A device sends its leaf and at most a few issuers; a longer file is a bundle, pasted by mistake.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The DER of each CERTIFICATE block, in order. A block of another kind is an error that names it: a private key
/// must not be swallowed silently.
pub(super) fn blocks(pem: &str, count_max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    if pem.len() > PEM_CHARS_MAX {
        return refuse(format!("the PEM text has {} characters; {PEM_CHARS_MAX} are allowed", pem.len()));
    }
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in pem.lines().map(str::trim) {
        if let Some(label) = label(line, BEGIN) {
            check_begin(label, open.is_some())?;
            open = Some(String::new());
        } else if label(line, END).is_some() {
            let Some(text) = open.take() else {
                return refuse("the PEM text has an END line without its BEGIN line".to_owned());
            };
            if blocks.len() == count_max {
                return refuse(format!("the PEM text holds more than {count_max} certificate(s)"));
            }
            blocks.push(decode(&text)?);
        } else if let Some(text) = &mut open {
            text.push_str(line);
        }
    }
    if open.is_some() {
        return refuse("the PEM text ends before the line -----END CERTIFICATE-----".to_owned());
    }
    if blocks.is_empty() {
        return refuse("the text holds no -----BEGIN CERTIFICATE----- line; send the certificate in PEM".to_owned());
    }
    Ok(blocks)
}

fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(DASHES)
}

fn check_begin(label: &str, inside: bool) -> Result<(), CertificateError> {
    if inside {
        return refuse("the PEM text has a BEGIN line inside a block".to_owned());
    }
    if label == "CERTIFICATE" {
        return Ok(());
    }
    let kind: String = label.chars().take(40).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    refuse(format!("the PEM text holds a block of the kind {kind}; send the certificate only"))
}

fn decode(text: &str) -> Result<Vec<u8>, CertificateError> {
    STANDARD.decode(text).or_else(|error| refuse(format!("the PEM block is not base64: {error}")))
}

fn refuse<T>(text: String) -> Result<T, CertificateError> {
    Err(CertificateError::Pem(text))
}

pub(super) fn encode(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 60);
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
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
    pem.push_str("-----END CERTIFICATE-----\n");
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
