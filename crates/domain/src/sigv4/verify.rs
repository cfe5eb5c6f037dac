//! Verifies a claim: that it is of now, that it covers what must be covered, and that the secret made it.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::canonical::{Scope, SignedQuery, basic_format, canonical_request, sha256_hex};
use super::claim::shown;
use super::{Claim, ClaimForm, Request, SKEW_MAX_MS, SignatureError, SigningKey, UNSIGNED_PAYLOAD};
use crate::Timestamp;

/// Checks the time window (5 minutes) and the signature, in constant time.
pub fn verify(
    request: &Request<'_>,
    claim: &Claim,
    secret_access_key: &str,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let key = SigningKey::derive(secret_access_key, &claim.date, &claim.region, &claim.service);
    verify_with_key(request, claim, &key, now)
}

/// As [`verify`], with a key that the caller derived for the claim's date, region and service.
pub fn verify_with_key(
    request: &Request<'_>,
    claim: &Claim,
    key: &SigningKey,
    now: Timestamp,
) -> Result<(), SignatureError> {
    check_window(claim, now)?;
    check_coverage(request, claim)?;
    let payload_hash = payload_hash(request, claim)?;
    let attempts: &[SignedQuery] = match claim.form {
        ClaimForm::Header => &[SignedQuery::All],
        ClaimForm::Query { .. } if claim.service == "iotdevicegateway" => {
            &[SignedQuery::Presigned, SignedQuery::PresignedWithoutToken]
        }
        ClaimForm::Query { .. } => &[SignedQuery::Presigned],
    };
    let scope = Scope { signed_at: claim.signed_at, date: &claim.date, region: &claim.region, service: &claim.service };
    for signed_query in attempts {
        let names = claim.signed_headers.iter().map(String::as_str);
        let canonical = canonical_request(request, names, *signed_query, &payload_hash);
        let expected = key.signature(&scope.string_to_sign(&canonical));
        if verify_slices_are_equal(expected.as_bytes(), claim.signature.as_bytes()).is_ok() {
            return Ok(());
        }
    }
    Err(SignatureError::Mismatch)
}

fn check_window(claim: &Claim, now: Timestamp) -> Result<(), SignatureError> {
    let lifetime_ms = match claim.form {
        ClaimForm::Header => SKEW_MAX_MS,
        ClaimForm::Query { expires_s } => i64::from(expires_s) * 1000,
    };
    let age_ms = now.since(claim.signed_at);
    let signed_at = basic_format(claim.signed_at);
    let current = basic_format(now);
    if age_ms > lifetime_ms {
        let earliest = basic_format(now.plus_millis(-lifetime_ms));
        let lifetime = match claim.form {
            ClaimForm::Header => "5 min.".to_owned(),
            ClaimForm::Query { expires_s } => format!("{expires_s} s."),
        };
        let message = format!("Signature expired: {signed_at} is now earlier than {earliest} ({current} - {lifetime})");
        return Err(SignatureError::Skewed { message });
    }
    if age_ms < -SKEW_MAX_MS {
        let latest = basic_format(now.plus_millis(SKEW_MAX_MS));
        let message =
            format!("Signature not yet current: {signed_at} is still later than {latest} ({current} + 5 min.)");
        return Err(SignatureError::Skewed { message });
    }
    Ok(())
}

/// Host and every header that an operation obeys must be signed: an unsigned one could be added or changed on the way
/// (X-Amz-Target names the operation, X-Amzn-Iot-Principal whom it is about).
fn check_coverage(request: &Request<'_>, claim: &Claim) -> Result<(), SignatureError> {
    let is_signed = |name: &str| claim.signed_headers.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    if !is_signed("host") {
        return Err(SignatureError::Incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    match request.headers.iter().find(|(name, _)| must_be_signed(name) && !is_signed(name)) {
        Some((name, _)) => Err(SignatureError::Incomplete(format!(
            "'{}' must be a 'SignedHeader' in the AWS Authorization.",
            shown(name)
        ))),
        None => Ok(()),
    }
}

/// Not all of `x-amzn-*`: load balancers add their own.
fn must_be_signed(name: &str) -> bool {
    ["x-amz-", "x-amzn-iot-", "x-amzn-principal"]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// The hash of the body. `x-amz-content-sha256`, where sent, must state the same; `UNSIGNED-PAYLOAD` is taken from a
/// presigned URL only, whose maker could not know the body. A signed header must always cover its body, over plain
/// HTTP the more so.
fn payload_hash(request: &Request<'_>, claim: &Claim) -> Result<String, SignatureError> {
    let stated = request.header_values("x-amz-content-sha256").next();
    if stated == Some(UNSIGNED_PAYLOAD) && matches!(claim.form, ClaimForm::Query { .. }) {
        return Ok(UNSIGNED_PAYLOAD.to_owned());
    }
    let hash = sha256_hex(request.body);
    match stated {
        Some(stated) if stated != hash => Err(SignatureError::Mismatch),
        _ => Ok(hash),
    }
}
