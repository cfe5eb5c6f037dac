//! Topic names and topic filters, checked where they enter (MQTT 3.1.1 section 4.7, MQTT 5.0 section 4.8.2).
//! How long or deep a topic may be beyond what the standard says is not decided here.

use std::fmt;
use std::sync::Arc;

/// The length field of a topic on the wire has two bytes [MQTT-4.7.3-3].
pub const TOPIC_BYTES_MAX: usize = 65_535;

const SHARE_PREFIX: &str = "$share/";

/// A topic to publish to: 1 to 65,535 bytes of UTF-8, no wildcard, no NUL. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(Arc<str>);

/// A topic filter, well-formed wildcards; `$share/<group>/<filter>` is recognised. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    Empty,
    TooLong,
    Nul,
    Wildcard,
    MisplacedWildcard,
    MalformedShare,
}

/// Whether `sport/#` matches `sport` itself. The standard says that it does (section 4.7.1.2); some services
/// leave the parent out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiLevel {
    WithParent,
    BelowParent,
}

impl TopicName {
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        if text.bytes().any(|byte| byte == b'+' || byte == b'#') {
            return Err(TopicError::Wildcard);
        }
        Ok(TopicName(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// One more than the number of slashes.
    pub fn level_count(&self) -> usize {
        level_count(&self.0)
    }
}

impl TopicFilter {
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        let pattern = match split_share(text)? {
            Some((_, pattern)) => pattern,
            None => text,
        };
        check_wildcards(pattern)?;
        Ok(TopicFilter(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group of a shared subscription (`$share/<group>/<filter>`).
    pub fn share_group(&self) -> Option<&str> {
        split_share(&self.0).ok().flatten().map(|(group, _)| group)
    }

    /// What topics are matched against: the filter without `$share/<group>/`.
    pub fn pattern(&self) -> &str {
        match split_share(&self.0) {
            Ok(Some((_, pattern))) => pattern,
            _ => &self.0,
        }
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.pattern().split('/')
    }

    /// One more than the number of slashes; the share prefix is not counted.
    pub fn level_count(&self) -> usize {
        level_count(self.pattern())
    }

    pub fn has_wildcard(&self) -> bool {
        self.pattern().bytes().any(|byte| byte == b'+' || byte == b'#')
    }

    /// MQTT matching: a wildcard in the first level does not match `$`-topics [MQTT-4.7.2-1].
    pub fn matches(&self, topic: &str) -> bool {
        self.matches_with(topic, MultiLevel::WithParent)
    }

    /// Like `matches`, with a say on whether `sport/#` matches `sport`.
    pub fn matches_with(&self, topic: &str, multi_level: MultiLevel) -> bool {
        let pattern = self.pattern();
        if topic.starts_with('$') && pattern.starts_with(['+', '#']) {
            return false;
        }
        let mut topic_levels = topic.split('/');
        for wanted in pattern.split('/') {
            let level = topic_levels.next();
            match (wanted, level) {
                ("#", Some(_)) => return true,
                ("#", None) => return multi_level == MultiLevel::WithParent,
                ("+", Some(_)) => {}
                (_, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        topic_levels.next().is_none()
    }
}

fn check_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::TooLong);
    }
    if text.bytes().any(|byte| byte == 0) {
        return Err(TopicError::Nul);
    }
    Ok(())
}

/// A wildcard fills its whole level, and `#` is the last one [MQTT-4.7.1-2], [MQTT-4.7.1-3].
fn check_wildcards(pattern: &str) -> Result<(), TopicError> {
    let mut levels = pattern.split('/').peekable();
    while let Some(level) = levels.next() {
        let sound = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            _ => !level.bytes().any(|byte| byte == b'+' || byte == b'#'),
        };
        if !sound {
            return Err(TopicError::MisplacedWildcard);
        }
    }
    Ok(())
}

/// The group and the filter of a shared subscription [MQTT-4.8.2-1], [MQTT-4.8.2-2]; `None` for an ordinary filter.
fn split_share(text: &str) -> Result<Option<(&str, &str)>, TopicError> {
    let Some(rest) = text.strip_prefix(SHARE_PREFIX) else {
        return Ok(None);
    };
    match rest.split_once('/') {
        Some((group, pattern)) if !group.is_empty() && !group.contains(['+', '#']) && !pattern.is_empty() => {
            Ok(Some((group, pattern)))
        }
        _ => Err(TopicError::MalformedShare),
    }
}

fn level_count(text: &str) -> usize {
    1 + text.bytes().filter(|byte| *byte == b'/').count()
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TopicError::Empty => "it is empty",
            TopicError::TooLong => "it is longer than 65535 bytes",
            TopicError::Nul => "it contains the character U+0000",
            TopicError::Wildcard => "a topic to publish to must not contain '+' or '#'",
            TopicError::MisplacedWildcard => "'+' must fill a whole level, and '#' must fill the last one",
            TopicError::MalformedShare => {
                "a shared subscription has the form $share/<group>/<filter>, with no wildcard in the group"
            }
        })
    }
}

impl std::error::Error for TopicError {}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MultiLevel, TopicError, TopicFilter, TopicName};

    #[test]
    fn names() {
        let check = |text: &str, expected: Result<usize, TopicError>| {
            assert_eq!(TopicName::parse(text).map(|topic| topic.level_count()), expected, "{text:?}");
        };
        check("a", Ok(1));
        check("/", Ok(2));
        check("a/b c/\u{e9}", Ok(3));
        check("$aws/rules/r/x", Ok(4));
        check(&"x".repeat(65_535), Ok(1));
        check("", Err(TopicError::Empty));
        check(&"x".repeat(65_536), Err(TopicError::TooLong));
        check("a\0", Err(TopicError::Nul));
        check("a/+", Err(TopicError::Wildcard));
        check("a#", Err(TopicError::Wildcard));
    }

    #[test]
    fn filters() {
        let check = |text: &str, expected: Result<(Option<&str>, &str), TopicError>| {
            let parsed = TopicFilter::parse(text);
            let parts = parsed.as_ref().map(|filter| (filter.share_group(), filter.pattern()));
            assert_eq!(parts.map_err(|error| *error), expected, "{text:?}");
        };
        for text in ["#", "+", "/", "+/+", "a/#", "/#", "a//b", "a/+/b", "$SYS/#", "$share"] {
            check(text, Ok((None, text)));
        }
        for text in ["a#", "#/a", "a/#/b", "##", "a+", "+a", "a/b+/c"] {
            check(text, Err(TopicError::MisplacedWildcard));
        }
        check("", Err(TopicError::Empty));
        check("a\0b", Err(TopicError::Nul));
        check("$share/g/a/+", Ok((Some("g"), "a/+")));
        check("$share/g//", Ok((Some("g"), "/")));
        for text in ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a"] {
            check(text, Err(TopicError::MalformedShare));
        }
        check("$share/g/a#", Err(TopicError::MisplacedWildcard));
    }

    #[test]
    fn matching() {
        let check = |filter: &str, topic: &str, expected: bool| {
            let filter = TopicFilter::parse(filter).expect("a filter");
            assert_eq!(filter.matches(topic), expected, "{filter} and {topic}");
        };
        check("a/b", "a/b", true);
        check("a/b", "a/b/", false);
        check("a/b", "a", false);
        check("a/b", "A/b", false);
        // Nothing is normalised or left out [MQTT-4.7.3-4], [MQTT-1.5.3-3].
        check("\u{e9}", "e\u{301}", false);
        check("\u{feff}a", "\u{feff}a", true);
        check("\u{feff}a", "a", false);
        check("+", "a", true);
        check("+", "/a", false);
        check("+/+", "/a", true);
        check("/+", "/a", true);
        check("a/+", "a/", true);
        check("a/+", "a", false);
        check("a/+/c", "a/b/c", true);
        check("a/+/c", "a/b/d/c", false);
        check("#", "a/b", true);
        check("#", "/", true);
        check("a/#", "a/b/c", true);
        check("a/#", "a", true);
        check("a/#", "ab", false);
        check("+/#", "a", true);
        check("#", "$aws/x", false);
        check("+/x", "$aws/x", false);
        check("$aws/#", "$aws/x", true);
        check("$aws/+", "$aws/x", true);
        check("$share/g/a/#", "a/b", true);
        check("$share/g/#", "$share/g/x", false);
    }

    #[test]
    fn the_parent_may_be_left_out() {
        let filter = TopicFilter::parse("a/#").expect("a filter");
        assert!(filter.matches_with("a", MultiLevel::WithParent));
        assert!(!filter.matches_with("a", MultiLevel::BelowParent));
        assert!(filter.matches_with("a/", MultiLevel::BelowParent));
        let all = TopicFilter::parse("#").expect("a filter");
        assert!(all.matches_with("a", MultiLevel::BelowParent));
    }
}
