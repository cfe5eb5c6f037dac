//! The canonical request and the string to sign.

use std::borrow::Cow;
use std::fmt::Write;

use aws_lc_rs::digest;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{ALGORITHM, Request, TERMINATOR};
use crate::Timestamp;

const BASIC_FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// What of the query is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SignedQuery {
    All,
    /// A presigned URL: all but the signature itself.
    Presigned,
    /// A presigned URL whose session token was appended after signing, as clients of `iotdevicegateway` do
    /// (<https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html>, MQTT over WebSocket).
    PresignedWithoutToken,
}

/// The credential scope and the moment: what a signature is bound to besides the request.
pub(super) struct Scope<'a> {
    pub signed_at: Timestamp,
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

impl Scope<'_> {
    pub fn text(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }

    pub fn string_to_sign(&self, canonical_request: &str) -> String {
        let moment = basic_format(self.signed_at);
        format!("{ALGORITHM}\n{moment}\n{}\n{}", self.text(), sha256_hex(canonical_request.as_bytes()))
    }
}

/// `payload_hash` is the hash of the body or the text that stands for it. A signed header that the request does not
/// have counts as empty: the signature then cannot match.
pub(super) fn canonical_request<'n>(
    request: &Request<'_>,
    signed_headers: impl Iterator<Item = &'n str> + Clone,
    signed_query: SignedQuery,
    payload_hash: &str,
) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(request.method);
    text.push('\n');
    push_path(&mut text, request.path);
    text.push('\n');
    push_query(&mut text, request.query, signed_query);
    text.push('\n');
    for name in signed_headers.clone() {
        push_header(&mut text, request, name);
    }
    text.push('\n');
    for (index, name) in signed_headers.enumerate() {
        if index > 0 {
            text.push(';');
        }
        text.push_str(name);
    }
    text.push('\n');
    text.push_str(payload_hash);
    text
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// `20150830T123600Z`.
pub(super) fn basic_format(moment: Timestamp) -> String {
    let utc = moment.to_utc().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    utc.format(BASIC_FORMAT).unwrap_or_default()
}

pub(super) fn parse_basic_format(text: &str) -> Option<Timestamp> {
    let moment = time::PrimitiveDateTime::parse(text, BASIC_FORMAT).ok()?;
    Some(Timestamp::from_seconds(moment.assume_utc().unix_timestamp()))
}

/// Dot segments and empty segments go, then the path as sent is encoded once more: every service but S3 signs the
/// encoded path encoded again.
fn push_path(text: &mut String, path: &str) {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        text.push('/');
        push_encoded(text, segment.bytes());
    }
    if segments.is_empty() || path.ends_with('/') {
        text.push('/');
    }
}

/// Sorted by encoded name, then by encoded value. Each part is decoded and encoded anew, so that a client which signs
/// what it meant and one which signs what it sent agree; `+` is a space, as it is to the services.
fn push_query(text: &mut String, query: &str, signed_query: SignedQuery) {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(&decode(name)), encode(&decode(value)))
        })
        .filter(|(name, _)| match signed_query {
            SignedQuery::All => true,
            SignedQuery::Presigned => name != "X-Amz-Signature",
            SignedQuery::PresignedWithoutToken => name != "X-Amz-Signature" && name != "X-Amz-Security-Token",
        })
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
}

/// Several values of one name are joined by a comma; white space is folded in each.
fn push_header(text: &mut String, request: &Request<'_>, name: &str) {
    text.push_str(name);
    text.push(':');
    for (index, value) in request.header_values(name).enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, word) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    text.push('\n');
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    push_encoded(&mut text, bytes.iter().copied());
    text
}

fn push_encoded(text: &mut String, bytes: impl Iterator<Item = u8>) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
}

/// A `%` that no two hexadecimal digits follow stands for itself.
pub(super) fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex_digit(*high) << 4 | hex_digit(*low));
                tail
            }
            (b'+', tail) => {
                decoded.push(b' ');
                tail
            }
            (byte, tail) => {
                decoded.push(*byte);
                tail
            }
        };
    }
    Cow::Owned(decoded)
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
