//! The signing key of one secret, day, region and service. Deriving takes four HMACs; a caller may keep it for the day.

use std::fmt;

use aws_lc_rs::hmac;

use super::TERMINATOR;

#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// `date` is the day of the scope, `20150830`.
    pub fn derive(secret_access_key: &str, date: &str, region: &str, service: &str) -> Self {
        let mut secret = Vec::with_capacity(4 + secret_access_key.len());
        secret.extend_from_slice(b"AWS4");
        secret.extend_from_slice(secret_access_key.as_bytes());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for part in [date, region, service, TERMINATOR] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        Self(key)
    }

    /// 64 lower-case hexadecimal digits.
    pub(super) fn signature(&self, string_to_sign: &str) -> String {
        hex::encode(hmac::sign(&self.0, string_to_sign.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivation example of AWS's general reference: its bytes cannot be read back from an HMAC key, so a
    /// signature by a key made from those bytes must equal ours.
    #[test]
    fn the_published_derivation() {
        let published = hex::decode("c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9").unwrap();
        let expected = SigningKey(hmac::Key::new(hmac::HMAC_SHA256, &published));
        let key = SigningKey::derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        assert_eq!(key.signature("any text"), expected.signature("any text"));
    }
}
