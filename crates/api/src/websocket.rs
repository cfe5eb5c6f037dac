//! The handshake of a WebSocket for MQTT: `GET /mqtt`, subprotocol `mqtt` (RFC 6455 section 4.2, MQTT 5.0 section 6). What
//! is spoken afterwards is not HTTP, and not this crate's.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::message::{Answer, Head};
use crate::own_pages::plain;

pub(crate) const PATH: &str = "/mqtt";
const SUBPROTOCOL: &str = "mqtt";
/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// Of the key that a client sends, decoded.
const KEY_BYTES: usize = 16;

/// What the client asked for is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    accept: String,
}

impl Handshake {
    /// 101; the connection changes hands once it is sent.
    pub(crate) fn answer(&self) -> Answer {
        Answer::new(101, "application/octet-stream", "")
            .with("connection", "Upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-accept", self.accept.clone())
            .with("sec-websocket-protocol", SUBPROTOCOL)
    }
}

/// Whether a request is for MQTT over WebSocket at all, well-formed or not.
pub(crate) fn is_asked(head: &Head) -> bool {
    head.path == PATH
}

/// `Err` is the answer already, and why in words.
pub(crate) fn handshake(head: &Head) -> Result<Handshake, (Answer, String)> {
    let refuse = |status, why: &str| Err((plain(status, why), why.to_owned()));
    if head.method != "GET" {
        return refuse(405, "MQTT over WebSocket is opened with GET.");
    }
    if !has_token(head, "upgrade", "websocket") || !has_token(head, "connection", "upgrade") {
        return refuse(400, "The request has no Upgrade: websocket and Connection: Upgrade.");
    }
    // What follows would be a body to one reader and frames to another.
    let says_body = |(name, value): &(String, String)| match name.as_str() {
        "transfer-encoding" => true,
        "content-length" => value != "0",
        _ => false,
    };
    if head.headers.iter().any(says_body) {
        return refuse(400, "The request has a body, and one for a WebSocket has none.");
    }
    if head.header("sec-websocket-version") != Some(VERSION) {
        let why = "Sec-WebSocket-Version is not 13.";
        return Err((plain(426, why).with("sec-websocket-version", VERSION), why.to_owned()));
    }
    // [MQTT-6.0.0-3]
    if !has_token(head, "sec-websocket-protocol", SUBPROTOCOL) {
        return refuse(400, "Sec-WebSocket-Protocol does not offer mqtt.");
    }
    let key = head.header("sec-websocket-key").unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |key| key.len()) != KEY_BYTES {
        return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64.");
    }
    let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_SUFFIX}").as_bytes());
    Ok(Handshake { accept: STANDARD.encode(accept) })
}

/// In any of the headers of that name, which hold lists.
fn has_token(head: &Head, name: &str, token: &str) -> bool {
    let values = head.headers.iter().filter(|(header, _)| header == name);
    values.flat_map(|(_, value)| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "other, mqtt"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn head(method: &str, changed: Option<(&str, &str)>) -> Head {
        let headers = GOOD.iter().map(|(name, value)| {
            let value = changed.filter(|(other, _)| other == name).map_or(*value, |(_, value)| value);
            ((*name).to_owned(), value.to_owned())
        });
        Head { method: method.to_owned(), path: PATH.to_owned(), query: String::new(), headers: headers.collect() }
    }

    /// The key and its answer are RFC 6455's own example.
    #[test]
    fn a_good_one_is_answered() {
        let answer = handshake(&head("GET", None)).expect("a good handshake").answer();
        assert_eq!(answer.status, 101);
        let accept = ("sec-websocket-accept".to_owned(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
        assert!(answer.headers.contains(&accept), "{answer:?}");
        assert!(answer.headers.contains(&("sec-websocket-protocol".to_owned(), "mqtt".to_owned())));
    }

    #[test]
    fn others_are_not() {
        for (method, changed, status) in [
            ("POST", None, 405),
            ("GET", Some(("upgrade", "h2c")), 400),
            ("GET", Some(("connection", "close")), 400),
            ("GET", Some(("sec-websocket-version", "8")), 426),
            ("GET", Some(("sec-websocket-protocol", "mqttv3.1")), 400),
            ("GET", Some(("sec-websocket-key", "dGhlIHNhbXBsZQ==")), 400),
            ("GET", Some(("sec-websocket-key", "%")), 400),
        ] {
            let (answer, why) = handshake(&head(method, changed)).expect_err(method);
            assert_eq!(answer.status, status, "{changed:?}: {why}");
        }
    }
}
