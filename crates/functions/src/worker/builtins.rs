//! The JavaScript that is part of the runtime, by the name under which it asks for its parts.

/// Evaluates to the function that sets up an environment.
pub(crate) const START: &str = include_str!("../js/start.js");

pub(crate) fn source(name: &str) -> Option<&'static str> {
    Some(match name {
        "assert" => include_str!("../js/assert.js"),
        "aws_calls" => include_str!("../js/aws_calls.js"),
        "aws_sdk_v2" => include_str!("../js/aws_sdk_v2.js"),
        "aws_sdk_v3" => include_str!("../js/aws_sdk_v3.js"),
        "aws_waiters" => include_str!("../js/aws_waiters.js"),
        "buffer" => include_str!("../js/buffer.js"),
        "console" => include_str!("../js/console.js"),
        "crypto" => include_str!("../js/crypto.js"),
        "events" => include_str!("../js/events.js"),
        "fs" => include_str!("../js/fs.js"),
        "inspect" => include_str!("../js/inspect.js"),
        "invocation" => include_str!("../js/invocation.js"),
        "modules" => include_str!("../js/modules.js"),
        "octets" => include_str!("../js/octets.js"),
        "os" => include_str!("../js/os.js"),
        "path" => include_str!("../js/path.js"),
        "process" => include_str!("../js/process.js"),
        "querystring" => include_str!("../js/querystring.js"),
        "timers" => include_str!("../js/timers.js"),
        "url" => include_str!("../js/url.js"),
        "util" => include_str!("../js/util.js"),
        _ => return None,
    })
}
