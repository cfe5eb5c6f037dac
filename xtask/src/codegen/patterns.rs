//! The models' regular expressions are Java's; the `regex` crate reads them after a few replacements.

/// Patterns with a look-behind, which the `regex` crate does not have. They are not checked.
const UNCHECKED: &[&str] = &["[0-9A-Za-z\\.\\-_]*(?<!\\.)"];

/// `None` for a pattern that is not checked.
pub fn translated(java: &str) -> Option<String> {
    if UNCHECKED.contains(&java) {
        return None;
    }
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
    Some(rust)
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
            ("[\\w+=,.@-]+", Some("\\A(?:[A-Za-z0-9_+=,.@-]+)\\z")),
            ("\\d{12}", Some("\\A(?:[0-9]{12})\\z")),
            ("[\\s\\S]*", Some("\\A(?:(?s:.)*)\\z")),
            ("[^\\s]+", Some("\\A(?:[^ \\t\\n\\x0B\\f\\r]+)\\z")),
            ("(\\u002F)", Some("\\A(?:(\\x{002F}))\\z")),
            ("[\\p{L}_.-]*", Some("\\A(?:[\\p{L}_.-]*)\\z")),
            ("[0-9A-Za-z\\.\\-_]*(?<!\\.)", None),
        ] {
            assert_eq!(translated(java).as_deref(), rust, "{java}");
        }
    }
}
