//! The signature of a certificate against its issuer's key, with the TLS library's algorithms.

use rustls_pki_types::SignatureVerificationAlgorithm;

/// What AWS documents for client and CA certificates: SHA-256/384/512 with RSA (PKCS #1 and PSS) and with ECDSA.
/// SHA-1 and MD5 have no entry, and RSA keys below 2048 bits fail in each. Ed25519, which the library has, is left out.
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 18] = [
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P256_SHA512,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA512,
    webpki::aws_lc_rs::ECDSA_P521_SHA256,
    webpki::aws_lc_rs::ECDSA_P521_SHA384,
    webpki::aws_lc_rs::ECDSA_P521_SHA512,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// A signed structure: `SEQUENCE { signed, algorithm, BIT STRING signature }`, the algorithm without its SEQUENCE header.
pub(super) struct Signed<'a> {
    pub(super) message: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// `key_algorithm` and `key` are content of the issuer's SubjectPublicKeyInfo.
    pub(super) fn is_by(&self, key_algorithm: &[u8], key: &[u8]) -> bool {
        ALGORITHMS.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.verify_signature(key, self.message, self.signature).is_ok()
        })
    }
}

const OID_RSASSA_PSS: &str = "1.2.840.113549.1.1.10";

/// In words, of an algorithm that is not accepted.
pub(super) fn objection(oid: &str) -> String {
    if oid == OID_RSASSA_PSS {
        return "its RSASSA-PSS signature does not have SHA-256, SHA-384 or SHA-512 throughout and a salt as long as the \
                digest (openssl: -sigopt rsa_pss_saltlen:digest)"
            .to_owned();
    }
    format!("its signature algorithm ({oid}) is not SHA-256, SHA-384 or SHA-512 with RSA or ECDSA")
}

/// Whether any key could prove a signature of this algorithm here; takes the content of the AlgorithmIdentifier.
pub(super) fn is_accepted(algorithm: &[u8]) -> bool {
    ALGORITHMS.iter().any(|accepted| accepted.signature_alg_id().as_ref() == algorithm)
}
