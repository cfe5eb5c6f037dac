//! A request to the AWS door, its signature aside: which operation it is, what its input comes to, what the tables say
//! of it, and in which words it is refused. The signature's service is the first line.

use api::{Answer, Reading};

use crate::parts::{Request, line};

/// What an answer to a refused request may weigh: it quotes of the request, but not much.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

pub fn http_requests(data: &[u8]) {
    let (service, rest) = line(data);
    let Ok(service) = std::str::from_utf8(service) else { return };
    let Some(request) = Request::read(rest) else { return };
    let headers = request.borrowed_headers();
    let raw = domain::sigv4::Request {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: &headers,
        body: request.body,
    };
    let Some(reading) = api::read(service, &raw) else { return };
    match &reading {
        Reading::Input { operation, input } => {
            assert!(!operation.is_empty());
            assert!(input.is_object() || service == "logs", "{operation}: {input}");
            // The others name their operations elsewhere, and take any path.
            let by_path = ["execute-api", "iot", "iotdata", "iotdevicegateway", "lambda"].contains(&service);
            let has_dots = request.path.split('/').any(|part| part == "." || part == "..");
            assert!(!(by_path && has_dots), "what is signed is what is meant");
        }
        Reading::Refused(answer) => check_refusal(answer),
    }
    assert_eq!(Some(reading), api::read(service, &raw), "the same each time");
}

pub(crate) fn check_refusal(answer: &Answer) {
    assert!((400..=501).contains(&answer.status), "{answer:?}");
    assert!(answer.body.len() <= REFUSAL_BYTES_MAX, "{} bytes", answer.body.len());
    let text = std::str::from_utf8(&answer.body).expect("answers are UTF-8");
    if answer.content_type == "text/xml" {
        check_xml(text);
    } else {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok_and(|body| body.is_object()), "{text}");
    }
    for (name, value) in &answer.headers {
        assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "{name}: {value:?}");
    }
}

/// Tags are ours, balanced, and nothing that a request says becomes one.
fn check_xml(text: &str) {
    let mut open = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, content) = part.split_once('>').expect("a tag ends");
        assert!(!content.contains('>'), "{content:?}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!text.chars().any(|c| c.is_control() && !['\n', '\t'].contains(&c)), "{text:?}");
}
