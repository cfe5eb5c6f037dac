//! AWS Signature Version 4, both sides: sign a request, verify a signed one.
//!
//! Owns the claim, the canonical request and the signing key, for the Authorization header and for presigned queries
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>). It refuses to know
//! who owns an access key, which region the server is in, and what S3 does differently. Region, service and session
//! token of a claim are for the caller to judge.

mod canonical;
mod claim;
mod key;
mod sign;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod verify;

pub use claim::claim;
pub use key::SigningKey;
pub use sign::{presign, sign};
pub use verify::{verify, verify_with_key};

use crate::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// How far the two clocks may be apart, either way: AWS's own five minutes.
pub const SKEW_MAX_MS: i64 = 5 * 60 * 1000;
/// AWS's bound on `X-Amz-Expires`: one week.
pub const EXPIRES_MAX_S: u32 = 604_800;

/// An Authorization header of a client that signs every header it sends stays under 2 KB.
pub const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;
/// Session tokens of AWS STS are about 1 KB, with session tags up to 4 KB.
pub const SESSION_TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Five elements, none of which needs a hundred bytes.
pub const CREDENTIAL_BYTES_MAX: usize = 512;
/// Every signed name costs a pass over the headers.
pub const SIGNED_HEADERS_MAX: usize = 100;
pub const HEADERS_MAX: usize = 200;
/// All names and values together.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Path and query together; AWS's endpoints stop at 8 KB of request line, presigned session tokens need more.
pub const URI_BYTES_MAX: usize = 32 * 1024;

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

impl<'a> Request<'a> {
    fn header_values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// Never the secret or the token: credentials end up in debug logs of whatever holds them.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Where the claim was found, which decides how it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimForm {
    /// In the Authorization header.
    Header,
    /// In the query: a presigned URL.
    Query { expires_s: u32 },
}

/// The claims of a signed request, before anything is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub form: ClaimForm,
    pub access_key_id: String,
    /// The day of the credential scope, `20150830`; the same day as `signed_at`.
    pub date: String,
    pub region: String,
    pub service: String,
    /// Lower case, in the order of the claim.
    pub signed_headers: Vec<String>,
    pub signature: String,
    pub signed_at: Timestamp,
    pub session_token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// Neither an Authorization header nor X-Amz-Signature.
    Missing,
    /// The header or a part of it is not in form, or something that must be signed is not; the text says which.
    Incomplete(String),
    /// The claim is too old, or from the future.
    Skewed {
        message: String,
    },
    Mismatch,
}
