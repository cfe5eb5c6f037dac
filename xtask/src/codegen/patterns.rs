//! The models' regular expressions are Java's; the `regex` crate reads them after a few replacements.

/// Patterns with a look-behind, which the `regex` crate does not have, and what says the same without.
const REWRITTEN: &[(&str, &str)] = &[("[0-9A-Za-z\\.\\-_]*(?<!\\.)", "([0-9A-Za-z\\.\\-_]*[0-9A-Za-z\\-_])?")];

pub fn translated(java: &str) -> String {
    let java = REWRITTEN.iter().find(|(look_behind, _)| *look_behind == java).map_or(java, |(_, plain)| plain);
    // Java's `[\s\S]` is "anything"; its \d, \w and \s are ASCII.
    let java = java.replace("[\\s\\S]", "(?s:.)");
    let mut rust = String::from("\\A(?:");
    let mut letters = java.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('u') => {
                    let digits: String = letters.by_ref().take(4).collect();
                    rust.push_str(&format!("\\x{{{digits}}}"));
                }
                Some('d') => rust.push_str(&bracketed("0-9", in_class)),
                Some('w') => rust.push_str(&bracketed("A-Za-z0-9_", in_class)),
                Some('s') => rust.push_str(&bracketed(" \\t\\n\\x0B\\f\\r", in_class)),
                Some(other) => rust.extend(['\\', other]),
                None => rust.push('\\'),
            },
            '[' if in_class => rust.push_str("\\["),
            '[' => {
                in_class = true;
                rust.push('[');
            }
            ']' => {
                in_class = false;
                rust.push(']');
            }
            other => rust.push(other),
        }
    }
    rust.push_str(")\\z");
    rust
}

fn bracketed(members: &str, in_class: bool) -> String {
    if in_class { members.to_owned() } else { format!("[{members}]") }
}

#[cfg(test)]
mod tests {
    use super::translated;

    #[test]
    fn java_becomes_rust() {
        for (java, rust) in [
            ("[\\w+=,.@-]+", "\\A(?:[A-Za-z0-9_+=,.@-]+)\\z"),
            ("\\d{12}", "\\A(?:[0-9]{12})\\z"),
            ("[\\s\\S]*", "\\A(?:(?s:.)*)\\z"),
            ("[^\\s]+", "\\A(?:[^ \\t\\n\\x0B\\f\\r]+)\\z"),
            ("(\\u002F)", "\\A(?:(\\x{002F}))\\z"),
            ("[\\p{L}_.-]*", "\\A(?:[\\p{L}_.-]*)\\z"),
            ("[0-9A-Za-z\\.\\-_]*(?<!\\.)", "\\A(?:([0-9A-Za-z\\.\\-_]*[0-9A-Za-z\\-_])?)\\z"),
        ] {
            assert_eq!(translated(java), rust, "{java}");
        }
    }
}
