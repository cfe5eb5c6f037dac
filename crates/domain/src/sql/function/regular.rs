//! Regular expressions, in Java's notation as AWS has them: `\d`, `\w` and `\s` are ASCII's. The engine's time is linear in
//! the text; what it cannot have for that (look-around, back-references, possessive quantifiers) is no regular expression
//! here, and the result Undefined.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use crate::sql::evaluation::Evaluation;
use crate::sql::value::Value;

const PATTERN_BYTES_MAX: usize = 1024;
/// The sizes of program that are told apart; a pattern that needs more than the last is none.
const PROGRAM_BYTES: [usize; 7] = [1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16];

/// What it costs the budget of an evaluation to compile a pattern that is only known with the message.
const COMPILING_COST_BYTES: usize = 128 * 1024;
/// Looking at a byte of text costs the program's size over this: the engine may visit each of the program's states for it,
/// which was measured at a microsecond for a program of 1 KiB. So the budget is some tenths of a second.
const PROGRAM_BYTES_PER_COST: usize = 20;

#[derive(Clone, Debug)]
pub(in crate::sql) struct Pattern {
    regex: Regex,
    /// For each byte that is looked at.
    cost_bytes: usize,
    /// Whether a search may look far beyond the match that it finds.
    looks_ahead: bool,
}

impl Pattern {
    /// `None` for what is no regular expression.
    pub fn compile(pattern: &str) -> Option<Self> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return None;
        }
        // Without repetition a match is no longer than the pattern.
        let looks_ahead = pattern.contains(['*', '+', '{']);
        let pattern = in_rust(pattern);
        for program_bytes in PROGRAM_BYTES {
            match RegexBuilder::new(&pattern).size_limit(program_bytes).nest_limit(32).build() {
                Ok(regex) => {
                    let cost_bytes = program_bytes / PROGRAM_BYTES_PER_COST * regex.captures_len();
                    return Some(Self { regex, cost_bytes, looks_ahead });
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => return None,
            }
        }
        None
    }

    pub fn compile_for(evaluation: &Evaluation<'_>, pattern: &Value) -> Option<Self> {
        let pattern = pattern.to_text()?;
        if evaluation.afford(COMPILING_COST_BYTES) { Self::compile(&pattern) } else { None }
    }

    fn may_look_at(&self, evaluation: &Evaluation<'_>, bytes: usize) -> bool {
        evaluation.afford(bytes.saturating_mul(self.cost_bytes))
    }

    /// The text, if the evaluation can afford to look at it.
    fn looked_at(&self, evaluation: &Evaluation<'_>, text: &Value) -> Option<String> {
        let text = text.to_text()?;
        self.may_look_at(evaluation, text.len()).then_some(text)
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

pub(super) fn matches(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _] = arguments else { return None };
    Some(Value::Boolean(pattern.regex.is_match(&pattern.looked_at(evaluation, text)?)))
}

/// The first match.
pub(super) fn substr(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _] = arguments else { return None };
    let text = pattern.looked_at(evaluation, text)?;
    pattern.regex.find(&text).map(|found| Value::text(found.as_str()))
}

pub(super) fn replace(evaluation: &Evaluation<'_>, pattern: &Pattern, arguments: &[Cow<'_, Value>]) -> Option<Value> {
    let [text, _, by] = arguments else { return None };
    let (text, by) = (pattern.looked_at(evaluation, text)?, Replacement::parse(&by.to_text()?, &pattern.regex)?);
    let (mut replaced, mut from) = (String::new(), 0);
    for found in pattern.regex.captures_iter(&text) {
        let whole = found.get(0)?;
        let before = replaced.len();
        replaced.push_str(text.get(from..whole.start())?);
        by.write(&found, &mut replaced);
        from = whole.end();
        // `.*x|a` looks to the end of the text for each `a`.
        let ahead = if pattern.looks_ahead { text.len() - from } else { 0 };
        if !evaluation.afford(replaced.len() - before) || !pattern.may_look_at(evaluation, ahead) {
            return None;
        }
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
