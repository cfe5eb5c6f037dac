//! Text to tokens, one at a time. A lexer is a position in the text: copy it to look ahead.

use std::borrow::Cow;
use std::fmt;

use super::SqlError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'s> {
    /// A name or a keyword; which one it is depends on where it stands.
    Word(&'s str),
    Text(Cow<'s, str>),
    Integer(i128),
    Decimal(f64),
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    /// Whether this is the keyword, in any case.
    pub fn is_word(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{}`", shown(word)),
            Self::Text(text) => write!(f, "the string '{}'", shown(text)),
            Self::Integer(number) => write!(f, "the number {number}"),
            Self::Decimal(number) => write!(f, "the number {number}"),
            Self::Symbol(symbol) => write!(f, "`{symbol}`"),
            Self::End => f.write_str("the end of the statement"),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Lexer<'s> {
    sql: &'s str,
    offset: usize,
}

/// Longer ones first: `<=` must not be read as `<`.
const SYMBOLS: [&str; 20] =
    ["<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ".", ":"];

impl<'s> Lexer<'s> {
    pub fn new(sql: &'s str) -> Self {
        Self { sql, offset: 0 }
    }

    /// From the middle of a text.
    pub fn at(sql: &'s str, offset: usize) -> Self {
        Self { sql, offset }
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn sql(&self) -> &'s str {
        self.sql
    }

    /// The next token and the offset of its first byte.
    pub fn next(&mut self) -> Result<(Token<'s>, usize), SqlError> {
        self.skip_space();
        let start = self.offset;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, start));
        };
        let token = match first {
            '\'' | '"' => self.text(first)?,
            '0'..='9' => self.number()?,
            _ if starts_word(first) => {
                let end = rest.find(|c| !continues_word(c)).unwrap_or(rest.len());
                Token::Word(self.take(end))
            }
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.take(symbol.len());
                    Token::Symbol(symbol)
                }
                None if rest.starts_with("!=") => return Err(self.error("`!=` is written `<>` in rule SQL")),
                None if first == ';' => return Err(self.error("a statement does not end with `;`")),
                None => return Err(self.error(format!("unexpected character {first:?}"))),
            },
        };
        Ok((token, start))
    }

    /// What stands up to the next white space: a topic filter without quotes.
    pub fn bare_text(&mut self) -> (&'s str, usize) {
        self.skip_space();
        let start = self.offset;
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        (self.take(end), start)
    }

    /// Whether this character stands here, with no space before it.
    pub fn touches(&self, character: char) -> bool {
        self.rest().starts_with(character)
    }

    pub fn is_at_space(&self) -> bool {
        self.rest().starts_with(char::is_whitespace)
    }

    /// Whether a quoted text comes next.
    pub fn is_at_quote(&mut self) -> bool {
        self.skip_space();
        self.rest().starts_with(['\'', '"'])
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'s str {
        self.sql.get(self.offset..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'s str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.offset += taken.len();
        taken
    }

    /// Either kind of quote, as AWS's pages use both; a quote inside is doubled.
    fn text(&mut self, quote: char) -> Result<Token<'s>, SqlError> {
        let start = self.offset;
        self.take(1);
        let mut text = Cow::Borrowed("");
        loop {
            let Some(end) = self.rest().find(quote) else {
                return Err(SqlError::at(self.sql, start, format!("this string has no closing {quote}")));
            };
            let part = self.take(end);
            self.take(1);
            if text.is_empty() {
                text = Cow::Borrowed(part);
            } else {
                text.to_mut().push_str(part);
            }
            if !self.rest().starts_with(quote) {
                return Ok(Token::Text(text));
            }
            self.take(1);
            text.to_mut().push(quote);
        }
    }

    fn number(&mut self) -> Result<Token<'s>, SqlError> {
        let rest = self.rest();
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            from + tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
        };
        let bytes = rest.as_bytes();
        let whole = digits(0);
        let mut end = whole;
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if bytes.get(end).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1 + sign);
            }
        }
        if rest.get(end..).and_then(|tail| tail.chars().next()).is_some_and(continues_word) {
            return Err(self.error("a name cannot begin with a digit; use get(*, 'name') for such a key"));
        }
        let text = rest.get(..end).unwrap_or_default();
        let number = if end == whole {
            text.parse().ok().map(Token::Integer)
        } else {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Decimal)
        };
        let number = number.ok_or_else(|| self.error("this number is too large"))?;
        self.take(end);
        Ok(number)
    }

    fn error(&self, message: impl Into<String>) -> SqlError {
        SqlError::at(self.sql, self.offset, message)
    }
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What a message quotes of the statement.
pub(super) fn shown(text: &str) -> &str {
    const CHARACTERS_MAX: usize = 64;
    text.char_indices().nth(CHARACTERS_MAX).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}
