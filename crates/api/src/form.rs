//! Percent-encoding: path segments, query strings, forms.

use crate::limits::PAIRS_MAX;

/// `None` for bytes that are no UTF-8 or a `%` without two hex digits.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The pairs of a query string or form, `+` read as a space. `None` if one does not decode or there are too many.
pub fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        if pairs.len() == PAIRS_MAX {
            return None;
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        pairs.push((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decoded, pairs};

    #[test]
    fn percent_signs_are_read() {
        for (text, expected) in [
            ("arn%3Aaws%3aiot", Some("arn:aws:iot")),
            ("a+b", Some("a+b")),
            ("%C3%A9", Some("é")),
            ("%C3", None),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn pairs_are_read_in_order() {
        let read = pairs("Action=GetRole&RoleName=a+b%2Bc&&Flag").expect("good form");
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("Action", "GetRole"), ("RoleName", "a b+c"), ("Flag", "")]);
        assert!(pairs(&"a&".repeat(2001)).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            let _ = pairs(&text);
        }
    }
}
