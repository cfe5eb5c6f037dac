//! Reads the claim of a request: who says to have signed it, when, and for which scope. Nothing is proven here.

use std::collections::HashSet;

use base64::Engine;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::canonical::{decode, parse_basic_format};
use super::{
    ALGORITHM, AUTHORIZATION_BYTES_MAX, CREDENTIAL_BYTES_MAX, Claim, ClaimForm, EXPIRES_MAX_S, HEADER_BYTES_MAX,
    HEADERS_MAX, Request, SESSION_TOKEN_BYTES_MAX, SIGNED_HEADERS_MAX, SKEW_MAX_MS, SignatureError, TERMINATOR,
    URI_BYTES_MAX,
};
use crate::Timestamp;

/// The parts of a claim as they stand in the request, still text.
#[derive(Default)]
struct Parts<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
    date: Option<&'a str>,
}

pub fn claim(request: &Request<'_>) -> Result<Claim, SignatureError> {
    check_bounds(request)?;
    if let Some(authorization) = one_header(request, "Authorization")? {
        from_header(request, authorization)
    } else if has_presigned_query(request.query) {
        from_query(request)
    } else {
        Err(SignatureError::Missing)
    }
}

fn check_bounds(request: &Request<'_>) -> Result<(), SignatureError> {
    if request.headers.len() > HEADERS_MAX {
        return incomplete(format!("The request has more than {HEADERS_MAX} headers."));
    }
    let header_bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if header_bytes > HEADER_BYTES_MAX {
        return incomplete(format!("The headers of the request are longer than {HEADER_BYTES_MAX} bytes."));
    }
    if request.path.len() + request.query.len() > URI_BYTES_MAX {
        return incomplete(format!("The path and query of the request are longer than {URI_BYTES_MAX} bytes."));
    }
    Ok(())
}

fn from_header(request: &Request<'_>, authorization: &str) -> Result<Claim, SignatureError> {
    if authorization.len() > AUTHORIZATION_BYTES_MAX {
        return incomplete(format!("Authorization header is longer than {AUTHORIZATION_BYTES_MAX} bytes."));
    }
    let mut parts = header_parts(authorization)?;
    let amz_date = one_header(request, "X-Amz-Date")?;
    parts.date = amz_date.or(one_header(request, "Date")?);
    let missing = [
        (parts.credential.is_none(), "Authorization header requires 'Credential' parameter."),
        (parts.signature.is_none(), "Authorization header requires 'Signature' parameter."),
        (parts.signed_headers.is_none(), "Authorization header requires 'SignedHeaders' parameter."),
        (parts.date.is_none(), "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."),
    ];
    if missing.iter().any(|(is_missing, _)| *is_missing) {
        let mut message = String::new();
        for (_, text) in missing.iter().filter(|(is_missing, _)| *is_missing) {
            message.push_str(text);
            message.push(' ');
        }
        // The header may be somebody else's bearer token: AWS echoes its hash, and so do we.
        return incomplete(format!(
            "{message}(Hashed with SHA-256 and encoded with Base64) Authorization={}",
            hashed(authorization)
        ));
    }
    let session_token = one_header(request, "X-Amz-Security-Token")?;
    assemble(&parts, ClaimForm::Header, session_token.map(str::to_owned))
}

fn header_parts(authorization: &str) -> Result<Parts<'_>, SignatureError> {
    let (algorithm, parameters) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let mut parts = Parts::default();
    if algorithm != ALGORITHM {
        if algorithm.starts_with("AWS4-") {
            return incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(algorithm)));
        }
        return Ok(parts);
    }
    for pair in parameters.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return incomplete(format!(
                "Invalid key=value pair (missing equal-sign) in Authorization header \
                 (hashed with SHA-256 and encoded with Base64): '{}'.",
                hashed(pair)
            ));
        };
        let part = match name {
            "Credential" => &mut parts.credential,
            "SignedHeaders" => &mut parts.signed_headers,
            "Signature" => &mut parts.signature,
            _ => continue,
        };
        if part.replace(value).is_some() {
            return incomplete(format!("Authorization header has more than one '{name}' parameter."));
        }
    }
    Ok(parts)
}

fn has_presigned_query(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair.split_once('='), Some(("X-Amz-Algorithm" | "X-Amz-Signature", _))))
}

fn from_query(request: &Request<'_>) -> Result<Claim, SignatureError> {
    let algorithm = required_parameter(request.query, "X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return incomplete(format!("Unsupported AWS 'algorithm': '{}'.", shown(&algorithm)));
    }
    let credential = required_parameter(request.query, "X-Amz-Credential")?;
    let signature = required_parameter(request.query, "X-Amz-Signature")?;
    let signed_headers = required_parameter(request.query, "X-Amz-SignedHeaders")?;
    let date = required_parameter(request.query, "X-Amz-Date")?;
    let expires_s = match parameter(request.query, "X-Amz-Expires")? {
        // Clients of `iotdevicegateway` may leave it out: then the URL lives as long as a signed header.
        None => (SKEW_MAX_MS / 1000) as u32,
        Some(text) => match text.parse::<u32>() {
            Ok(expires_s) if (1..=EXPIRES_MAX_S).contains(&expires_s) => expires_s,
            _ => return incomplete(format!("X-Amz-Expires must be a number of seconds from 1 to {EXPIRES_MAX_S}.")),
        },
    };
    let session_token = parameter(request.query, "X-Amz-Security-Token")?;
    let parts = Parts {
        credential: Some(&credential),
        signed_headers: Some(&signed_headers),
        signature: Some(&signature),
        date: Some(&date),
    };
    assemble(&parts, ClaimForm::Query { expires_s }, session_token)
}

fn assemble(parts: &Parts<'_>, form: ClaimForm, session_token: Option<String>) -> Result<Claim, SignatureError> {
    let credential = parts.credential.unwrap_or_default();
    if credential.len() > CREDENTIAL_BYTES_MAX {
        return incomplete(format!("Credential is longer than {CREDENTIAL_BYTES_MAX} bytes."));
    }
    let elements: Vec<&str> = credential.split('/').collect();
    let &[access_key_id, date, region, service, terminator] = elements.as_slice() else {
        return incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, \
             got '{}'",
            shown(credential)
        ));
    };
    if terminator != TERMINATOR {
        return incomplete(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
        ));
    }
    let text = parts.date.unwrap_or_default();
    let signed_at = parse_date(text, form)?;
    let day = super::canonical::basic_format(signed_at);
    if day.get(..8) != Some(date) {
        return incomplete(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
             '{date}' != '{}', from '{day}'.",
            day.get(..8).unwrap_or_default()
        ));
    }
    if session_token.as_ref().is_some_and(|token| token.len() > SESSION_TOKEN_BYTES_MAX) {
        return incomplete(format!("X-Amz-Security-Token is longer than {SESSION_TOKEN_BYTES_MAX} bytes."));
    }
    Ok(Claim {
        form,
        access_key_id: access_key_id.to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: signed_header_names(parts.signed_headers.unwrap_or_default())?,
        signature: parts.signature.unwrap_or_default().to_owned(),
        signed_at,
        session_token,
    })
}

fn signed_header_names(text: &str) -> Result<Vec<String>, SignatureError> {
    if text.split(';').count() > SIGNED_HEADERS_MAX {
        return incomplete(format!("SignedHeaders names more than {SIGNED_HEADERS_MAX} headers."));
    }
    let names: Vec<String> = text.split(';').map(str::to_ascii_lowercase).collect();
    if names.iter().any(|name| name.is_empty() || !name.bytes().all(is_name_byte)) {
        return incomplete("SignedHeaders must be header names separated by semicolons.".to_owned());
    }
    // Each name costs the whole of its header again before anything is proven.
    if names.iter().collect::<HashSet<_>>().len() < names.len() {
        return incomplete("SignedHeaders names a header twice.".to_owned());
    }
    Ok(names)
}

/// What the name of a header is made of. (RFC 9110 section 5.6.2)
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn parse_date(text: &str, form: ClaimForm) -> Result<Timestamp, SignatureError> {
    // A `Date` header has HTTP's own form; in a query there is only AWS's.
    let parsed = parse_basic_format(text).or_else(|| match form {
        ClaimForm::Header => {
            OffsetDateTime::parse(text, &Rfc2822).ok().map(|moment| Timestamp::from_seconds(moment.unix_timestamp()))
        }
        ClaimForm::Query { .. } => None,
    });
    match parsed {
        Some(moment) => Ok(moment),
        None => incomplete(format!(
            "Date must be in ISO-8601 'basic format', e.g. 20150830T123600Z. Got '{}'.",
            shown(text)
        )),
    }
}

fn one_header<'a>(request: &Request<'a>, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = request.header_values(name);
    let value = values.next();
    if values.next().is_some() {
        return incomplete(format!("The request has more than one '{name}' header."));
    }
    Ok(value.map(str::trim))
}

fn required_parameter(query: &str, name: &str) -> Result<String, SignatureError> {
    match parameter(query, name)? {
        Some(value) => Ok(value),
        None => incomplete(format!("AWS query-string parameters must include '{name}'.")),
    }
}

fn parameter(query: &str, name: &str) -> Result<Option<String>, SignatureError> {
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(given, _)| *given == name);
    let value = values.next();
    if values.next().is_some() {
        return incomplete(format!("The query has more than one '{name}' parameter."));
    }
    Ok(value.map(|(_, value)| String::from_utf8_lossy(&decode(value)).into_owned()))
}

/// What a message quotes of the peer's own text.
pub(super) fn shown(text: &str) -> &str {
    const CHARACTERS_MAX: usize = 200;
    text.char_indices().nth(CHARACTERS_MAX).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

fn hashed(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

fn incomplete<T>(message: String) -> Result<T, SignatureError> {
    Err(SignatureError::Incomplete(message))
}
