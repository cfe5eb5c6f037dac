//! Policy documents as IAM takes and answers them.

use crate::Error;

/// Characters as IAM counts them.
pub(super) fn ink(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// Policy documents come back from IAM percent-encoded (RFC 3986).
pub(super) fn percent_encoded(document: &str) -> String {
    let mut encoded = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(crate) fn malformed(err: domain::iam::MalformedPolicy) -> Error {
    let message = format!("{} (line {}, column {})", err.message, err.line, err.column);
    Error::new("MalformedPolicyDocument", message)
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn documents_are_percent_encoded() {
        assert_eq!(percent_encoded("{\"a\": \"b-c*\"}"), "%7B%22a%22%3A%20%22b-c%2A%22%7D");
    }
}
