//! How deep a JSON text goes and how many values it holds, counted before anything is built of it: a few bytes of text can
//! be a large tree in memory.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonBounds {
    pub depth_max: usize,
    pub values_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeyondBounds {
    Depth(usize),
    Values(usize),
}

impl JsonBounds {
    /// Whether the text is JSON at all is for the parser to say.
    pub fn check(self, text: &[u8]) -> Result<(), BeyondBounds> {
        let (mut depth, mut values) = (0_usize, 1_usize);
        let (mut in_string, mut escaped) = (false, false);
        for byte in text {
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
            if depth > self.depth_max {
                return Err(BeyondBounds::Depth(self.depth_max));
            }
            if values > self.values_max {
                return Err(BeyondBounds::Values(self.values_max));
            }
        }
        Ok(())
    }
}

/// As what is said of the text: `is nested deeper than 64 levels`.
impl fmt::Display for BeyondBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth(max) => write!(f, "is nested deeper than {max} levels"),
            Self::Values(max) => write!(f, "holds more than {max} values"),
        }
    }
}

impl std::error::Error for BeyondBounds {}

#[cfg(test)]
mod tests {
    use super::{BeyondBounds, JsonBounds};

    #[test]
    fn counted_outside_of_strings() {
        let bounds = JsonBounds { depth_max: 2, values_max: 5 };
        for (text, expected) in [
            ("{\"a\":[1,\"x\"]}", Ok(())),
            ("[[[", Err(BeyondBounds::Depth(2))),
            ("[1,2,3,4,5]", Err(BeyondBounds::Values(5))),
            ("\"[[[{,,,,,,\"", Ok(())),
            ("\"\\\"[[[,,,,,,\"", Ok(())),
            ("\"\\\\\"[[[", Err(BeyondBounds::Depth(2))),
            ("", Ok(())),
        ] {
            assert_eq!(bounds.check(text.as_bytes()), expected, "{text}");
        }
    }
}
