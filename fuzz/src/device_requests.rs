//! A request at the devices' port, by somebody who shows a client certificate or wants a WebSocket: what is read of it, and
//! what the opening is answered. Whose it is, is not asked.

use api::Reading;

use crate::http_requests::check_refusal;
use crate::parts::Request;

const OPERATIONS: [&str; 4] = ["DeleteConnection", "GetRetainedMessage", "ListRetainedMessages", "Publish"];
/// A SHA-1 in base64.
const ACCEPT_CHARS: usize = 28;

pub fn device_requests(data: &[u8]) {
    let Some(request) = Request::read(data) else { return };
    let headers = request.borrowed_headers();
    let raw = domain::sigv4::Request {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: &headers,
        body: request.body,
    };
    let reading = api::read_of_device(&raw);
    match &reading {
        Some(Reading::Input { operation, input }) => {
            assert!(OPERATIONS.contains(operation), "{operation}");
            if *operation == "Publish" {
                let topic = request.path.strip_prefix("/topics/").map(decoded);
                assert_eq!(input["topic"].as_str().map(str::as_bytes), topic.as_deref(), "the path is the topic");
            }
        }
        Some(Reading::Refused(answer)) => check_refusal(answer),
        None => {}
    }
    assert_eq!(reading, api::read_of_device(&raw), "the same each time");
    let Some(answer) = api::open_websocket(&raw) else { return };
    let of = |wanted: &str| headers.iter().filter(|(name, _)| *name == wanted).count();
    match answer.status {
        101 => {
            assert_eq!((request.method, request.path), ("GET", "/mqtt"));
            assert_eq!((of("transfer-encoding"), of("host")), (0, 1), "frames follow, and no body");
            let mut lengths = headers.iter().filter(|(name, _)| *name == "content-length");
            assert!(lengths.all(|(_, bytes)| *bytes == "0"), "frames follow, and no body");
            let accept = answer.headers.iter().find(|(name, _)| *name == "sec-websocket-accept");
            assert_eq!(accept.map(|(_, value)| value.len()), Some(ACCEPT_CHARS), "{answer:?}");
        }
        400 | 405 | 426 => assert!(!answer.body.is_empty(), "{answer:?}"),
        other => panic!("{other}"),
    }
}

/// Without the escapes, by a reading of our own.
fn decoded(path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}
