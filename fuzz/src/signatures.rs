//! A request as a stranger writes it: what it claims, and whether a signature still means what was signed.

use domain::Timestamp;
use domain::sigv4::{Claim, Credentials, Request, SignatureError, claim, presign, sign, verify};

use crate::parts;

const NOW: Timestamp = Timestamp::from_seconds(1_440_938_160);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Headers that the signer writes itself.
const SIGNERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

pub fn signatures(data: &[u8]) {
    let Some(request) = parts::Request::read(data) else { return };
    let headers = request.borrowed_headers();
    let raw = Request {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: &headers,
        body: request.body,
    };
    match claim(&raw) {
        // Nobody guesses a signature under a secret that only this line knows.
        Ok(claim) => assert!(verify(&raw, &claim, "another secret", claim.signed_at).is_err()),
        Err(error) => check_sentence(&error),
    }
    check_signed(&raw);
    check_presigned(&raw);
}

fn check_sentence(error: &SignatureError) {
    if let SignatureError::Incomplete(message) | SignatureError::Skewed { message } = error {
        assert!(message.len() < 4096, "{message}");
    }
}

fn credentials() -> Credentials {
    Credentials { access_key_id: "AKIDEXAMPLE".into(), secret_access_key: SECRET.into(), session_token: None }
}

/// Our own signer's header is good, and covers method, path, query, body and the headers that it names.
fn check_signed(raw: &Request<'_>) {
    let mut headers: Vec<(&str, &str)> =
        raw.headers.iter().copied().filter(|(name, _)| !SIGNERS.contains(name)).collect();
    if !headers.iter().any(|(name, _)| *name == "host") {
        headers.push(("host", "localhost"));
    }
    let unsigned = Request { headers: &headers, ..*raw };
    let added = sign(&unsigned, &credentials(), "us-east-1", "iot", NOW);
    let mut signed_headers = headers.clone();
    signed_headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let signed = Request { headers: &signed_headers, ..*raw };
    // More headers or bytes than the door takes.
    let Ok(claim) = claim(&signed) else { return };
    assert_eq!(verify(&signed, &claim, SECRET, NOW), Ok(()), "{signed:?}");
    check_covers(&signed, &claim);
}

fn check_covers(signed: &Request<'_>, claim: &Claim) {
    let refused = |changed: &Request<'_>, what: &str| {
        assert!(verify(changed, claim, SECRET, NOW).is_err(), "{what} is not covered: {changed:?}");
    };
    let body = [signed.body, b"x"].concat();
    refused(&Request { body: &body, ..*signed }, "the body");
    refused(&Request { method: "PATCH-", ..*signed }, "the method");
    let path = format!("{}x", signed.path);
    refused(&Request { path: &path, ..*signed }, "the path");
    let query = format!("{}&landfall=1", signed.query);
    refused(&Request { query: &query, ..*signed }, "the query");
    let mut headers = signed.headers.to_vec();
    headers.push(("x-amz-target", "Logs_20140328.DeleteLogGroup"));
    refused(&Request { headers: &headers, ..*signed }, "a header that names the operation");
    let mut headers = signed.headers.to_vec();
    headers.push(("host", "elsewhere"));
    refused(&Request { headers: &headers, ..*signed }, "a second host");
}

fn check_presigned(raw: &Request<'_>) {
    if raw.query.contains("X-Amz-") {
        return;
    }
    let headers = [("host", "localhost")];
    let unsigned = Request { headers: &headers, body: b"", ..*raw };
    let query = presign(&unsigned, &credentials(), "us-east-1", "iot", NOW, 60);
    let signed = Request { query: &query, ..unsigned };
    let Ok(claim) = claim(&signed) else { return };
    assert_eq!(verify(&signed, &claim, SECRET, NOW), Ok(()), "{signed:?}");
    assert!(verify(&signed, &claim, SECRET, NOW.plus_millis(61_000)).is_err(), "it expires");
    let query = query.replacen("X-Amz-Expires=60", "X-Amz-Expires=61", 1);
    assert!(verify(&Request { query: &query, ..signed }, &claim, SECRET, NOW).is_err(), "its life is covered");
}
