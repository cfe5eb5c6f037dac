//! JSON bodies, bounded before they are built: a few bytes on the wire can be a large tree in memory.

use serde_json::Value;

use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};

/// The sentence says what is wrong and where.
pub fn parsed(body: &[u8]) -> Result<Value, String> {
    bounded(body)?;
    serde_json::from_slice(body).map_err(|error| format!("The request body is not valid JSON: {error}"))
}

fn bounded(body: &[u8]) -> Result<(), String> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return Err(format!("The request body is nested deeper than {JSON_DEPTH_MAX} levels"));
        }
        if values > JSON_VALUES_MAX {
            return Err(format!("The request body holds more than {JSON_VALUES_MAX} values"));
        }
    }
    Ok(())
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
