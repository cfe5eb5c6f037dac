//! Patterns of policies: literals, `*`, `?` and `${variables}`, compiled once and matched without allocation.
//!
//! `*` is any run of characters, the empty one and `/` included; `?` is one character. `+` and `#` mean nothing here.
//! `${*}`, `${?}` and `${$}` are the characters themselves. A variable's value is compared as it is: a `*` inside it
//! is no wildcard. (IAM user guide, "IAM policy elements: Variables and tags"; AWS IoT, "AWS IoT Core policy variables")

use super::Context;
use super::glob::Glob;

#[derive(Clone, Debug)]
pub(crate) struct Pattern<K> {
    pub(super) pieces: Vec<Piece<K>>,
}

#[derive(Clone, Debug)]
pub(super) enum Piece<K> {
    Literal(Box<str>),
    AnyRun,
    AnyOne,
    Variable {
        key: K,
        /// The `'text'` of `${key, 'text'}`.
        fallback: Option<Box<str>>,
    },
}

/// How the text of a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) wildcards: Wildcards,
    pub(super) variables: Variables,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    Match,
    /// `StringEquals` and its kind: `*` is an asterisk.
    Literal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variables {
    Substitute,
    /// The same, and `$(*)`, `$(?)` and `$($)` beside the forms with braces: AWS IoT's guide writes them so.
    SubstituteInIot,
    /// Version 2008-10-17: `${aws:x}` is text.
    Literal,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    UnclosedVariable,
    EmptyVariable,
}

impl PatternError {
    pub(super) const fn text(&self) -> &'static str {
        match self {
            Self::UnclosedVariable => "\"${\" without its \"}\"; write ${$} for a dollar sign",
            Self::EmptyVariable => "\"${}\" names no variable",
        }
    }
}

impl<K: for<'name> From<&'name str>> Pattern<K> {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        loop {
            let mut characters = rest.chars();
            let Some(character) = characters.next() else { break };
            let after = characters.as_str();
            match character {
                '*' | '?' if syntax.wildcards == Wildcards::Match => {
                    flush(&mut literal, &mut pieces);
                    push_wildcard(character, &mut pieces);
                }
                '$' if syntax.variables != Variables::Literal && after.starts_with('{') => {
                    let inside = after.strip_prefix('{').unwrap_or(after);
                    let (inside, end) = inside.split_once('}').ok_or(PatternError::UnclosedVariable)?;
                    match inside {
                        "*" | "?" | "$" => literal.push_str(inside),
                        _ => {
                            flush(&mut literal, &mut pieces);
                            pieces.push(variable(inside)?);
                        }
                    }
                    rest = end;
                    continue;
                }
                '$' if syntax.variables == Variables::SubstituteInIot
                    && let Some((escaped, end)) = escaped_in_parentheses(after) =>
                {
                    literal.push_str(escaped);
                    rest = end;
                    continue;
                }
                _ => literal.push(character),
            }
            rest = after;
        }
        flush(&mut literal, &mut pieces);
        Ok(Self { pieces })
    }
}

fn escaped_in_parentheses(after_dollar: &str) -> Option<(&str, &str)> {
    let (inside, end) = after_dollar.strip_prefix('(')?.split_once(')')?;
    matches!(inside, "*" | "?" | "$").then_some((inside, end))
}

fn flush<K>(literal: &mut String, pieces: &mut Vec<Piece<K>>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal).into_boxed_str()));
    }
}

/// A run of `*` is one `*`: it matches the same and spares the matcher the repeats.
fn push_wildcard<K>(character: char, pieces: &mut Vec<Piece<K>>) {
    if character == '?' {
        pieces.push(Piece::AnyOne);
    } else if !matches!(pieces.last(), Some(Piece::AnyRun)) {
        pieces.push(Piece::AnyRun);
    }
}

fn variable<K: for<'name> From<&'name str>>(inside: &str) -> Result<Piece<K>, PatternError> {
    let (name, fallback) = match inside.split_once(',') {
        Some((name, fallback)) => {
            let fallback = fallback.trim();
            let quoted = fallback.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            (name, Some(quoted.unwrap_or(fallback).into()))
        }
        None => (inside, None),
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(PatternError::EmptyVariable);
    }
    Ok(Piece::Variable { key: K::from(name), fallback })
}

impl<K> Pattern<K> {
    /// Whether every variable has a value. A pattern with an unresolved one matches nothing.
    pub(super) fn is_resolved<C: Context<Key = K>>(&self, context: &C) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Variable { key, fallback } => fallback.is_some() || context.substitute(key).is_some(),
            _ => true,
        })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { key, fallback: None } => Some(key),
            _ => None,
        })
    }

    pub(super) fn has_variables(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    /// The pattern with the values in place of the variables; `None` where one has no value.
    pub(super) fn resolve<C: Context<Key = K>>(&self, context: &C) -> Option<Glob> {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut literal = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => literal.push_str(text),
                Piece::Variable { key, fallback } => literal.push_str(context.substitute(key).or(fallback.as_deref())?),
                Piece::AnyOne | Piece::AnyRun => {
                    flush(&mut literal, &mut pieces);
                    pieces.push(if matches!(piece, Piece::AnyOne) { Piece::AnyOne } else { Piece::AnyRun });
                }
            }
        }
        flush(&mut literal, &mut pieces);
        Some(Glob::new(pieces))
    }

    pub(crate) fn matches<C: Context<Key = K>>(&self, text: &str, context: &C) -> bool {
        self.walk(text, |key| context.substitute(key))
    }

    /// For patterns that know no variables, such as those of actions.
    pub(super) fn matches_plainly(&self, text: &str) -> bool {
        self.walk(text, |_| None)
    }

    /// The greedy walk with one point of return: only the last `*` is ever widened, since an earlier one that took
    /// less leaves the later ones more to take. Time is at most pattern length times text length.
    fn walk<'c>(&self, text: &str, substitute: impl Fn(&K) -> Option<&'c str>) -> bool {
        let (mut piece, mut at) = (0, 0);
        // The piece after the last `*`, and where that `*` ends for now.
        let mut widen: Option<(usize, usize)> = None;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let next = match self.pieces.get(piece) {
                None if rest.is_empty() => return true,
                None => None,
                Some(Piece::AnyRun) => {
                    piece += 1;
                    if piece == self.pieces.len() {
                        return true;
                    }
                    widen = Some((piece, at));
                    continue;
                }
                Some(Piece::AnyOne) => rest.chars().next().map(|character| at + character.len_utf8()),
                Some(Piece::Literal(literal)) => end_of(literal, rest, at),
                Some(Piece::Variable { key, fallback }) => match substitute(key) {
                    Some(value) => end_of(value, rest, at),
                    None => match fallback {
                        Some(value) => end_of(value, rest, at),
                        None => return false,
                    },
                },
            };
            if let Some(next) = next {
                (piece, at) = (piece + 1, next);
                continue;
            }
            let Some((after_star, end)) = widen else { return false };
            let Some(skipped) = text.get(end..).and_then(|rest| rest.chars().next()) else { return false };
            (piece, at) = (after_star, end + skipped.len_utf8());
            widen = Some((after_star, at));
        }
    }

    /// The text of a pattern without wildcards; `None` where a variable has no value.
    pub(super) fn text<C: Context<Key = K>>(&self, context: &C) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::AnyRun => text.push('*'),
                Piece::AnyOne => text.push('?'),
                Piece::Variable { key, fallback } => text.push_str(context.substitute(key).or(fallback.as_deref())?),
            }
        }
        Some(text)
    }
}

fn end_of(literal: &str, rest: &str, at: usize) -> Option<usize> {
    rest.starts_with(literal).then_some(at + literal.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    use super::super::Values;
    use super::{Context, Pattern, PatternError, Syntax, Variables, Wildcards};

    const LIKE: Syntax = Syntax { wildcards: Wildcards::Match, variables: Variables::Substitute };

    /// `${v}` has a value with wildcards in it; nothing else has one.
    struct OneVariable;

    impl Context for OneVariable {
        type Key = String;

        fn values(&self, _key: &String) -> Values<'_> {
            Values::Absent
        }

        fn substitute(&self, key: &String) -> Option<&str> {
            (key == "v").then_some("a*?é")
        }
    }

    fn is_match(pattern: &str, text: &str, syntax: Syntax) -> bool {
        Pattern::parse(pattern, syntax).unwrap().matches(text, &OneVariable)
    }

    #[test]
    fn table() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b/é", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxcxxbxxaxx", false),
            ("?", "é", true),
            ("?", "", false),
            ("?", "ab", false),
            ("*?", "é", true),
            ("a/+/#", "a/+/#", true),
            ("a/+/#", "a/b/c", false),
            ("${v}", "a*?é", true),
            ("${v}", "abcé", false),
            ("x${ v }*", "xa*?é/y", true),
            ("${missing}", "${missing}", false),
            ("*${missing}", "anything", false),
            ("${missing, 'd'}", "d", true),
            ("a${*}${?}${$}b", "a*?$b", true),
            ("a${*}b", "axb", false),
            ("$aws/things/*", "$aws/things/x", true),
            ("$$", "$$", true),
        ] {
            assert_eq!(is_match(pattern, text, LIKE), expected, "{pattern:?} on {text:?}");
        }
        let iot = Syntax { variables: Variables::SubstituteInIot, ..LIKE };
        for (pattern, text, expected) in [
            ("a/$(*)/${?}", "a/*/?", true),
            ("a/$(*)", "a/b", false),
            ("$($)aws/$(?)", "$aws/?", true),
            ("$(x)*", "$(x)y", true),
            ("$(${v}", "$(a*?é", true),
        ] {
            assert_eq!(is_match(pattern, text, iot), expected, "{pattern:?} on {text:?}");
        }
        assert!(is_match("$(*)", "$(x)", LIKE), "IAM knows the braces only");
        let old = Syntax { variables: Variables::Literal, ..LIKE };
        assert!(is_match("${v}*", "${v}x", old), "2008-10-17 knows no variables");
        let exact = Syntax { wildcards: Wildcards::Literal, ..LIKE };
        assert!(is_match("a*", "a*", exact) && !is_match("a*", "ab", exact));
        for (pattern, error) in [
            ("a${b", PatternError::UnclosedVariable),
            ("${", PatternError::UnclosedVariable),
            ("${}", PatternError::EmptyVariable),
            ("${ , 'x'}", PatternError::EmptyVariable),
        ] {
            assert_eq!(Pattern::<String>::parse(pattern, LIKE).unwrap_err(), error, "{pattern:?}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(500) + "b";
        assert!(!is_match(&pattern, &"a".repeat(2000), LIKE));
    }

    /// The definition, in the plainest words.
    fn naive(pattern: &[&str], text: &str) -> bool {
        let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
        let mut characters = text.chars();
        match *first {
            "*" => naive(rest, text) || (characters.next().is_some() && naive(pattern, characters.as_str())),
            "?" => characters.next().is_some() && naive(rest, characters.as_str()),
            other => {
                let literal = match other {
                    "${v}" => "a*?é",
                    "${*}" => "*",
                    "${?}" => "?",
                    "${$}" => "$",
                    "${missing}" => return false,
                    plain => plain,
                };
                text.strip_prefix(literal).is_some_and(|text| naive(rest, text))
            }
        }
    }

    fn token() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            6 => prop_oneof![Just("a"), Just("b"), Just("/"), Just("é"), Just("+")],
            4 => prop_oneof![Just("*"), Just("?")],
            1 => prop_oneof![Just("${v}"), Just("${*}"), Just("${?}"), Just("${$}"), Just("${missing}")],
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            pattern in proptest::collection::vec(token(), 0..10),
            text in "[ab/é+*?$]{0,12}",
        ) {
            let expected = naive(&pattern, &text);
            assert_eq!(is_match(&pattern.concat(), &text, LIKE), expected);
            let resolved = Pattern::parse(&pattern.concat(), LIKE).unwrap().resolve(&OneVariable);
            assert_eq!(resolved.is_some_and(|glob| glob.matches(&text)), expected);
        }

        #[test]
        fn matches_what_it_was_made_from(
            tokens in proptest::collection::vec((token(), "[ab/é]{0,3}"), 0..12),
        ) {
            let mut text = String::new();
            let mut pattern = String::new();
            for (token, run) in tokens.iter().filter(|(token, _)| *token != "${missing}") {
                pattern.push_str(token);
                match *token {
                    "*" => text.push_str(run),
                    "${v}" => text.push_str("a*?é"),
                    "${*}" => text.push('*'),
                    "${$}" => text.push('$'),
                    "?" | "${?}" => text.push('?'),
                    plain => text.push_str(plain),
                }
            }
            assert!(is_match(&pattern, &text, LIKE), "{pattern:?} on {text:?}");
        }

        #[test]
        fn any_text_parses_or_says_why(text in "\\PC{0,60}") {
            let _ = Pattern::<String>::parse(&text, LIKE);
        }
    }
}
