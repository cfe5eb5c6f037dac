//! Regular expressions, in Java's notation as AWS has them: `\d`, `\w` and `\s` are ASCII's. The engine's time is linear in
//! the text; what it cannot have for that (look-around, back-references, possessive quantifiers) is no regular expression
//! here, and the result Undefined.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use crate::sql::evaluation::Evaluation;
use crate::sql::value::Value;

/// A pattern as it is written, and its program.
const PATTERN_BYTES_MAX: usize = 1024;
const PROGRAM_BYTES_MAX: usize = 64 * 1024;

/// What it costs the budget of an evaluation to compile a pattern that is only known with the message, and to look at one
/// byte of text: the engine may visit each of some hundred states for it.
const COMPILING_COST_BYTES: usize = 128 * 1024;
const LOOKING_COST_BYTES: usize = 32;

#[derive(Clone, Debug)]
pub(in crate::sql) struct Pattern(Regex);

impl Pattern {
    /// `None` for what is no regular expression.
    pub fn compile(pattern: &str) -> Option<Self> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return None;
        }
        RegexBuilder::new(&in_rust(pattern)).size_limit(PROGRAM_BYTES_MAX).nest_limit(32).build().ok().map(Self)
    }

    pub fn compile_for(evaluation: &Evaluation<'_>, pattern: &Value) -> Option<Self> {
        let pattern = pattern.to_text()?;
        if evaluation.afford(COMPILING_COST_BYTES) { Self::compile(&pattern) } else { None }
    }
}

/// The classes that Java takes from ASCII, and its word boundary.
fn in_rust(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            written.push(letter);
            continue;
        }
        match letters.next() {
            Some('d') => written.push_str("[0-9]"),
            Some('D') => written.push_str("[^0-9]"),
            Some('w') => written.push_str("[0-9A-Za-z_]"),
            Some('W') => written.push_str("[^0-9A-Za-z_]"),
            Some('s') => written.push_str("[ \\t\\n\\x0b\\f\\r]"),
            Some('S') => written.push_str("[^ \\t\\n\\x0b\\f\\r]"),
            Some('b') => written.push_str("(?-u:\\b)"),
            Some(other) => {
                written.push('\\');
                written.push(other);
            }
            None => written.push('\\'),
        }
    }
    written
}

/// The text, if the evaluation can afford to look at it.
fn looked_at(evaluation: &Evaluation<'_>, text: &Value) -> Option<String> {
    let text = text.to_text()?;
    evaluation.afford(text.len().saturating_mul(LOOKING_COST_BYTES)).then_some(text)
}

pub(super) fn matches(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _] = arguments else { return None };
    Some(Value::Boolean(pattern.0.is_match(&looked_at(evaluation, text)?)))
}

/// The first match.
pub(super) fn substr(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _] = arguments else { return None };
    let text = looked_at(evaluation, text)?;
    pattern.0.find(&text).map(|found| Value::text(found.as_str()))
}

pub(super) fn replace(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _, by] = arguments else { return None };
    let (text, by) = (looked_at(evaluation, text)?, Replacement::parse(&by.to_text()?, &pattern.0)?);
    let (mut replaced, mut from) = (String::new(), 0);
    for found in pattern.0.captures_iter(&text) {
        let whole = found.get(0)?;
        let before = replaced.len();
        replaced.push_str(text.get(from..whole.start())?);
        by.write(&found, &mut replaced);
        if !evaluation.afford(replaced.len() - before) {
            return None;
        }
        from = whole.end();
    }
    replaced.push_str(text.get(from..)?);
    Some(Value::Text(replaced))
}

/// A replacement in Java's notation: `$1`, `${name}`, and `\` before what is meant as it stands.
struct Replacement(Vec<Piece>);

enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// `None` where it names a group that is not there, or ends in the middle.
    fn parse(text: &str, pattern: &Regex) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => plain.push(letters.next()?),
                '$' => {
                    let group = if letters.next_if_eq(&'{').is_some() {
                        let name: String = std::iter::from_fn(|| letters.next_if(|letter| *letter != '}')).collect();
                        letters.next()?;
                        pattern.capture_names().position(|known| known == Some(name.as_str()))?
                    } else {
                        let mut group = letters.next()?.to_digit(10)? as usize;
                        // As many digits as there are groups for.
                        while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                            let longer = group * 10 + digit as usize;
                            if longer >= pattern.captures_len() {
                                break;
                            }
                            group = longer;
                            letters.next();
                        }
                        group
                    };
                    if group >= pattern.captures_len() {
                        return None;
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Group(group));
                }
                letter => plain.push(letter),
            }
        }
        pieces.push(Piece::Text(plain));
        Some(Self(pieces))
    }

    fn write(&self, found: &Captures<'_>, replaced: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => replaced.push_str(text),
                Piece::Group(group) => replaced.push_str(found.get(*group).map_or("", |group| group.as_str())),
            }
        }
    }
}
