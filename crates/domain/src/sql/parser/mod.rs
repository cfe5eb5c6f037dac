//! Tokens to a compiled statement. This file has the clauses; `expression` has what stands in them.

mod expression;

use mqtt::TopicFilter;

use super::expression::{Column, Expression, Selection, Step};
use super::lexer::{Lexer, Token, shown};
use super::{EXPRESSION_DEPTH_MAX, SQL_BYTES_MAX, SqlError, SqlVersion};
use expression::Parsing;

/// Words that cannot name a member at the start of a path. `end` can: it is a likely key, and ends a CASE only where
/// an operator could stand.
const RESERVED: [&str; 9] = ["SELECT", "FROM", "WHERE", "AS", "AND", "OR", "NOT", "IN", "CASE"];

pub(super) struct Parsed {
    pub selection: Selection,
    pub filter: Option<TopicFilter>,
    pub condition: Option<Expression>,
}

pub(super) fn parse(sql: &str, version: SqlVersion) -> Result<Parsed, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        let message = format!("the statement is longer than {SQL_BYTES_MAX} bytes");
        return Err(SqlError::at(sql, 0, message));
    }
    Parser { lexer: Lexer::new(sql), version, depth: 0 }.statement()
}

/// An expression from `start` on that a `}` ends; the offset after that.
pub(super) fn parse_in_braces(text: &str, start: usize, version: SqlVersion) -> Result<(Expression, usize), SqlError> {
    let mut parser = Parser { lexer: Lexer::at(text, start), version, depth: 0 };
    let Parsing { expression, .. } = parser.expression()?;
    parser.expect_symbol("}")?;
    Ok((expression, parser.lexer.offset()))
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    version: SqlVersion,
    /// How many expressions are open around this place.
    depth: usize,
}

impl<'s> Parser<'s> {
    fn statement(&mut self) -> Result<Parsed, SqlError> {
        self.expect_word("SELECT")?;
        let (selection, _) = self.selection()?;
        let filter = if self.take_word("FROM")? { Some(self.topic_filter()?) } else { None };
        let condition = if self.take_word("WHERE")? { Some(self.expression()?.expression) } else { None };
        match self.peek()? {
            (Token::End, _) => Ok(Parsed { selection, filter, condition }),
            (token, offset) => {
                let expected = match (&filter, &condition) {
                    (_, Some(_)) => "an operator or the end of the statement",
                    (Some(_), None) => "WHERE or the end of the statement",
                    (None, None) => "`,`, FROM, WHERE or the end of the statement",
                };
                Err(self.error(offset, format!("expected {expected}, found {token}")))
            }
        }
    }

    /// With the levels that it is deep.
    fn selection(&mut self) -> Result<(Selection, usize), SqlError> {
        if self.peek()?.0.is_word("VALUE") && self.value_is_keyword()? {
            self.next()?;
            if self.take_symbol("*")? {
                return Ok((Selection::Everything, 0));
            }
            let Parsing { expression, height } = self.expression()?;
            let selection = (Selection::Value(expression), height);
            let (token, offset) = self.peek()?;
            return match token {
                Token::Symbol(",") => Err(self.error(offset, "SELECT VALUE takes one expression")),
                _ => Ok(selection),
            };
        }
        let mut columns = Vec::new();
        let mut height = 0;
        loop {
            let (column, column_height) = self.column()?;
            columns.push(column);
            height = height.max(column_height);
            if !self.take_symbol(",")? {
                break;
            }
        }
        match columns.as_slice() {
            [Column::Everything] => Ok((Selection::Everything, 0)),
            _ => Ok((Selection::Columns(columns), height)),
        }
    }

    /// `value` is the name of a member in `SELECT value FROM`, `value.x`, `value[0]`, `value * 2` and `value - 2`, and
    /// the keyword where an expression begins after it, `VALUE -2` included.
    fn value_is_keyword(&self) -> Result<bool, SqlError> {
        let mut ahead = self.lexer;
        ahead.next()?;
        let touches_bracket = ahead.touches('[');
        Ok(match ahead.next()?.0 {
            Token::Word(word) => {
                !is_reserved(word) || word.eq_ignore_ascii_case("CASE") || word.eq_ignore_ascii_case("NOT")
            }
            Token::Text(_) | Token::Integer(_) | Token::Decimal(_) | Token::Symbol("(" | "{") => true,
            Token::Symbol("[") => !touches_bracket,
            Token::Symbol("-") => !ahead.is_at_space(),
            Token::Symbol("*") => {
                let after = ahead.next()?.0;
                after == Token::End || after.is_word("FROM") || after.is_word("WHERE")
            }
            _ => false,
        })
    }

    fn column(&mut self) -> Result<(Column, usize), SqlError> {
        if self.take_symbol("*")? {
            return Ok((Column::Everything, 0));
        }
        let (first, offset) = self.peek()?;
        let Parsing { expression, height } = self.expression()?;
        let path = if self.take_word("AS")? { self.alias()? } else { self.own_name(&expression, &first, offset)? };
        Ok((Column::Named { path, expression }, height))
    }

    fn alias(&mut self) -> Result<Vec<String>, SqlError> {
        let mut path = Vec::new();
        loop {
            match self.next()? {
                (Token::Word(word), _) if !is_reserved(word) || !path.is_empty() => path.push(word.to_owned()),
                (Token::Text(text), _) => path.push(text.into_owned()),
                (token, offset) => {
                    return Err(self.error(offset, format!("expected a name after AS, found {token}")));
                }
            }
            if !self.take_symbol(".")? {
                return Ok(path);
            }
            if path.len() >= EXPRESSION_DEPTH_MAX {
                let (_, offset) = self.peek()?;
                let message = format!("the name after AS is more than {EXPRESSION_DEPTH_MAX} levels deep");
                return Err(self.error(offset, message));
            }
        }
    }

    /// A column without AS has the last name of its path, or the name of its function.
    fn own_name(&self, expression: &Expression, first: &Token<'_>, offset: usize) -> Result<Vec<String>, SqlError> {
        let last_member = |steps: &[Step]| {
            steps.iter().rev().find_map(|step| match step {
                Step::Member(name) => Some(name.clone()),
                Step::Item(_) => None,
            })
        };
        let name = match (expression, first) {
            (Expression::Path(steps), _) => last_member(steps),
            (Expression::Member(_, steps), _) if last_member(steps).is_some() => last_member(steps),
            (Expression::Call(..) | Expression::Cast(..), Token::Word(word)) => Some((*word).to_owned()),
            _ => None,
        };
        match name {
            Some(name) => Ok(vec![name]),
            None => Err(self.error(offset, "this column has no name: add `AS name` after it")),
        }
    }

    /// In quotes, or bare up to the next white space as AWS's page on the registration event shows it.
    fn topic_filter(&mut self) -> Result<TopicFilter, SqlError> {
        let (text, offset) = if self.lexer.is_at_quote() {
            match self.next()? {
                (Token::Text(text), offset) => (text.into_owned(), offset),
                (token, offset) => return Err(self.error(offset, format!("expected a topic filter, found {token}"))),
            }
        } else {
            let (text, offset) = self.lexer.bare_text();
            if text.is_empty() || text.eq_ignore_ascii_case("WHERE") || text.contains(['(', ')', ',', '\'', '"']) {
                return Err(self.error(offset, "expected a topic filter in quotes after FROM"));
            }
            (text.to_owned(), offset)
        };
        TopicFilter::parse(&text).map_err(|_| self.error(offset, format!("'{}' is not a topic filter", shown(&text))))
    }

    fn next(&mut self) -> Result<(Token<'s>, usize), SqlError> {
        self.lexer.next()
    }

    fn peek(&self) -> Result<(Token<'s>, usize), SqlError> {
        let mut ahead = self.lexer;
        ahead.next()
    }

    fn peek_is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Ok((Token::Symbol(found), _)) if found == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> Result<bool, SqlError> {
        let found = matches!(self.peek()?.0, Token::Symbol(found) if found == symbol);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn take_word(&mut self, keyword: &str) -> Result<bool, SqlError> {
        let found = self.peek()?.0.is_word(keyword);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        match self.next()? {
            (Token::Symbol(found), _) if found == symbol => Ok(()),
            (token, offset) => Err(self.error(offset, format!("expected `{symbol}`, found {token}"))),
        }
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), SqlError> {
        match self.next()? {
            (token, _) if token.is_word(keyword) => Ok(()),
            (token, offset) => Err(self.error(offset, format!("expected {keyword}, found {token}"))),
        }
    }

    fn error(&self, offset: usize, message: impl Into<String>) -> SqlError {
        SqlError::at(self.lexer.sql(), offset, message)
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
