//! AWS Signature Version 4, both sides: sign a request, verify a signed one.

use crate::Timestamp;

/// An HTTP request as it stands on the wire. `path` and `query` are raw (still percent-encoded).
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    /// Names in any case; order as received.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// The claims of a signed request, before anything is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub access_key_id: String,
    pub date: String,
    pub region: String,
    pub service: String,
    pub signed_headers: Vec<String>,
    pub signature: String,
    pub signed_at: Timestamp,
    pub session_token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// Neither an Authorization header nor X-Amz-Signature.
    Missing,
    /// The header or a part of it is not in form; the text says which.
    Incomplete(String),
    /// The claim is too old, or from the future.
    Skewed {
        message: String,
    },
    Mismatch,
}

pub fn claim(_request: &Request<'_>) -> Result<Claim, SignatureError> {
    todo!()
}

/// Checks the time window (5 minutes) and the signature, in constant time.
pub fn verify(
    _request: &Request<'_>,
    _claim: &Claim,
    _secret_access_key: &str,
    _now: Timestamp,
) -> Result<(), SignatureError> {
    todo!()
}

/// The headers to add: `x-amz-date`, `authorization`, and `x-amz-security-token` where there is one.
/// `request.headers` must hold `host`.
pub fn sign(
    _request: &Request<'_>,
    _credentials: &Credentials,
    _region: &str,
    _service: &str,
    _now: Timestamp,
) -> Vec<(String, String)> {
    todo!()
}
