//! What kind of key a certificate holds, for the rules on keys and for people.

use std::fmt;

use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa {
        bits: usize,
    },
    EcP256,
    EcP384,
    EcP521,
    /// The algorithm's OID, and the curve's where there is one.
    Other(String),
}

/// Shorter RSA keys are refused for CAs and devices alike. (AWS: CreateCertificateFromCsr)
const RSA_BITS_MIN: usize = 2048;
/// The verification library's own bound: a longer key costs a stranger little and us much.
const RSA_BITS_MAX: usize = 8192;

impl KeyKind {
    pub(super) fn of(spki: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &spki.algorithm.algorithm;
        if *algorithm == OID_PKCS1_RSAENCRYPTION {
            return match spki.parsed() {
                Ok(PublicKey::RSA(key)) => Self::Rsa { bits: modulus_bits(key.modulus) },
                _ => Self::Other(algorithm.to_id_string()),
            };
        }
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        match curve {
            Some(curve) if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY => {
                if curve == OID_EC_P256 {
                    Self::EcP256
                } else if curve == OID_NIST_EC_P384 {
                    Self::EcP384
                } else if curve == OID_NIST_EC_P521 {
                    Self::EcP521
                } else {
                    Self::Other(format!("{} {}", algorithm.to_id_string(), curve.to_id_string()))
                }
            }
            _ => Self::Other(algorithm.to_id_string()),
        }
    }

    /// RSA of 2048 to 8192 bits and the three NIST curves: what AWS takes and the TLS library verifies.
    pub fn is_accepted(&self) -> bool {
        match self {
            Self::Rsa { bits } => (RSA_BITS_MIN..=RSA_BITS_MAX).contains(bits),
            Self::EcP256 | Self::EcP384 | Self::EcP521 => true,
            Self::Other(_) => false,
        }
    }
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().position(|byte| *byte != 0).and_then(|start| modulus.get(start..));
    match significant.and_then(|bytes| bytes.split_first()) {
        Some((first, rest)) => rest.len() * 8 + (8 - first.leading_zeros() as usize),
        None => 0,
    }
}

/// `RSA 2048`, `EC P-256`, or the OID of an algorithm that is not accepted.
impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::EcP256 => f.write_str("EC P-256"),
            Self::EcP384 => f.write_str("EC P-384"),
            Self::EcP521 => f.write_str("EC P-521"),
            Self::Other(oid) => f.write_str(oid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_first_one() {
        for (modulus, bits) in [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80, 0], 16), (&[0x7f, 0, 0], 23)] {
            assert_eq!(modulus_bits(modulus), bits, "{modulus:?}");
        }
    }

    #[test]
    fn which_keys_are_accepted() {
        for (kind, accepted) in [
            (KeyKind::Rsa { bits: 1024 }, false),
            (KeyKind::Rsa { bits: 2047 }, false),
            (KeyKind::Rsa { bits: 2048 }, true),
            (KeyKind::Rsa { bits: 8192 }, true),
            (KeyKind::Rsa { bits: 16384 }, false),
            (KeyKind::EcP256, true),
            (KeyKind::EcP521, true),
            (KeyKind::Other("1.3.101.112".to_owned()), false),
        ] {
            assert_eq!(kind.is_accepted(), accepted, "{kind}");
        }
    }
}
