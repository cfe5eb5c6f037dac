//! Signs a request: for the device's side, the demo and the tests.

use super::canonical::{Scope, SignedQuery, basic_format, canonical_request, encode, sha256_hex};
use super::{ALGORITHM, Credentials, Request, SigningKey};
use crate::Timestamp;

/// Left out of the signature, since proxies and HTTP libraries change them on the way.
const NOT_SIGNED: [&str; 7] =
    ["authorization", "connection", "content-length", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// The headers to add: `x-amz-date`, `authorization`, and `x-amz-security-token` where there is one.
/// `request.headers` must hold `host`, and none of those three.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Vec<(String, String)> {
    let moment = basic_format(now);
    let scope = Scope { signed_at: now, date: day(&moment), region, service };
    let mut added = vec![("x-amz-date".to_owned(), moment.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    let mut headers = request.headers.to_vec();
    headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let names = signed_names(&headers);
    let request = Request { headers: &headers, ..*request };
    let names_iter = names.iter().map(String::as_str);
    let canonical = canonical_request(&request, names_iter, SignedQuery::All, &sha256_hex(request.body));
    let key = SigningKey::derive(&credentials.secret_access_key, scope.date, region, service);
    let signature = key.signature(&scope.string_to_sign(&canonical));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        scope.text(),
        names.join(";"),
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The query of a presigned URL. The body is signed as given, so a GET's stays empty.
pub fn presign(
    request: &Request<'_>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
    expires_s: u32,
) -> String {
    let moment = basic_format(now);
    let scope = Scope { signed_at: now, date: day(&moment), region, service };
    let names = signed_names(request.headers);
    let credential = format!("{}/{}", credentials.access_key_id, scope.text());
    let mut query = String::from(request.query);
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(&format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={moment}&X-Amz-Expires={expires_s}\
         &X-Amz-SignedHeaders={}",
        encode(credential.as_bytes()),
        encode(names.join(";").as_bytes()),
    ));
    if let Some(token) = &credentials.session_token {
        query.push_str("&X-Amz-Security-Token=");
        query.push_str(&encode(token.as_bytes()));
    }
    let request = Request { query: &query, ..*request };
    let names_iter = names.iter().map(String::as_str);
    let canonical = canonical_request(&request, names_iter, SignedQuery::Presigned, &sha256_hex(request.body));
    let key = SigningKey::derive(&credentials.secret_access_key, scope.date, region, service);
    let signature = key.signature(&scope.string_to_sign(&canonical));
    query.push_str("&X-Amz-Signature=");
    query.push_str(&signature);
    query
}

fn day(moment: &str) -> &str {
    moment.get(..8).unwrap_or_default()
}

fn signed_names(headers: &[(&str, &str)]) -> Vec<String> {
    let mut names: Vec<String> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| !NOT_SIGNED.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
