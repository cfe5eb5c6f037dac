//! JSON bodies, bounded before they are built: a few bytes on the wire can be a large tree in memory.

use domain::json_bounds::JsonBounds;
use serde_json::Value;

use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

const BOUNDS: JsonBounds = JsonBounds { depth_max: JSON_DEPTH_MAX, values_max: JSON_VALUES_MAX };

/// The sentence says what is wrong and where.
pub fn parsed(body: &[u8]) -> Result<Value, String> {
    BOUNDS.check(body).map_err(|beyond| format!("The request body {beyond}"))?;
    serde_json::from_slice(body).map_err(|error| format!("The request body is not valid JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parsed;

    #[test]
    fn bounds_come_before_the_tree() {
        let deep = "[".repeat(64) + &"]".repeat(64);
        let deeper = format!("[{deep}]");
        let wide = format!("[{}0]", "0,".repeat(100_000));
        for (body, good) in [
            ("{\"a\":[1,\"x\"]}", true),
            (&deep, true),
            (&deeper, false),
            (&wide, false),
            (&format!("\"{}\"", "[{,".repeat(100_000)), true),
            ("\"\\\"[\"", true),
            ("{", false),
            ("", false),
            ("{} {}", false),
        ] {
            let shown: String = body.chars().take(40).collect();
            assert_eq!(parsed(body.as_bytes()).is_ok(), good, "{shown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(&body);
        }
    }
}
