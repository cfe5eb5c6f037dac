//! Expressions: precedence climbing for the operators, recursive descent for the rest.

use super::{Parser, is_reserved};
use crate::sql::expression::{BinaryOperator, Case, CastType, Comparison, Expression, Select, Step};
use crate::sql::function::{self, Function};
use crate::sql::lexer::{Token, shown};
use crate::sql::number::{Arithmetic, Number};
use crate::sql::value::Value;
use crate::sql::{EXPRESSION_DEPTH_MAX, OPERATOR_CHAIN_MAX, SqlError, SqlVersion};

/// An expression with the levels it is deep: a long chain of operators is as deep as it is long.
pub(super) struct Parsing {
    pub expression: Expression,
    pub height: usize,
}

impl Parsing {
    fn leaf(expression: Expression) -> Self {
        Self { expression, height: 1 }
    }
}

impl<'s> Parser<'s> {
    pub(super) fn expression(&mut self) -> Result<Parsing, SqlError> {
        self.operators(0)
    }

    /// Everything that binds tighter than `minimum`.
    fn operators(&mut self, minimum: u8) -> Result<Parsing, SqlError> {
        let (_, offset) = self.peek()?;
        if self.depth >= EXPRESSION_DEPTH_MAX {
            let message = format!("the expression is more than {EXPRESSION_DEPTH_MAX} levels deep");
            return Err(self.error(offset, message));
        }
        self.depth += 1;
        let mut left = self.prefix()?;
        loop {
            let (token, offset) = self.peek()?;
            if token.is_word("IN") {
                return Err(self.error(offset, "IN is not served yet; use = and OR"));
            }
            let Some((operator, strength)) = binary_operator(&token) else { break };
            if strength <= minimum {
                break;
            }
            self.next()?;
            let right = self.operators(strength)?;
            let height = left.height.max(right.height) + 1;
            if height > OPERATOR_CHAIN_MAX {
                let message = format!("the expression has more than {OPERATOR_CHAIN_MAX} operators in a chain");
                return Err(self.error(offset, message));
            }
            let expression = Expression::Binary(operator, Box::new(left.expression), Box::new(right.expression));
            left = Parsing { expression, height };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Parsing, SqlError> {
        if self.take_word("NOT")? {
            let operand = self.operators(NOT_STRENGTH)?;
            let height = operand.height + 1;
            return Ok(Parsing { expression: Expression::Not(Box::new(operand.expression)), height });
        }
        if self.take_symbol("-")? {
            let operand = self.operators(NEGATE_STRENGTH)?;
            let height = operand.height + 1;
            let expression = match operand.expression {
                Expression::Literal(Value::Number(number)) => Expression::Literal(Value::Number(number.negate())),
                expression => Expression::Negate(Box::new(expression)),
            };
            return Ok(Parsing { expression, height });
        }
        let primary = self.primary()?;
        self.steps_after(primary)
    }

    /// `.name` and `[0]` after a value.
    fn steps_after(&mut self, base: Parsing) -> Result<Parsing, SqlError> {
        let mut steps = Vec::new();
        loop {
            if self.take_symbol(".")? {
                match self.next()? {
                    (Token::Word(word), _) => steps.push(Step::Member(word.to_owned())),
                    (token, offset) => {
                        return Err(self.error(offset, format!("expected a name after `.`, found {token}")));
                    }
                }
            } else if self.take_symbol("[")? {
                match self.next()? {
                    (Token::Integer(index), offset) => {
                        let index =
                            usize::try_from(index).map_err(|_| self.error(offset, "this index is too large"))?;
                        steps.push(Step::Item(index));
                    }
                    (token, offset) => {
                        return Err(self.error(offset, format!("expected an index after `[`, found {token}")));
                    }
                }
                self.expect_symbol("]")?;
            } else {
                break;
            }
        }
        if steps.is_empty() {
            return Ok(base);
        }
        Ok(match base.expression {
            Expression::Path(mut path) => {
                path.append(&mut steps);
                Parsing::leaf(Expression::Path(path))
            }
            expression => {
                Parsing { expression: Expression::Member(Box::new(expression), steps), height: base.height + 1 }
            }
        })
    }

    fn primary(&mut self) -> Result<Parsing, SqlError> {
        let (token, offset) = self.next()?;
        match token {
            Token::Text(text) => Ok(Parsing::leaf(Expression::Literal(Value::text(text)))),
            Token::Integer(value) => Ok(Parsing::leaf(Expression::Literal(Value::Number(Number::int(value))))),
            Token::Decimal(value) => {
                Ok(Parsing::leaf(Expression::Literal(Value::number(Number::decimal(value, self.version)))))
            }
            Token::Symbol("(") => {
                let (inner, select) = self.peek()?;
                if inner.is_word("SELECT") {
                    return self.nested_select(select);
                }
                let expression = self.expression()?;
                self.expect_symbol(")")?;
                Ok(expression)
            }
            Token::Symbol(symbol @ ("[" | "{")) => self.literal(symbol, offset),
            Token::Word(word) => self.word(word, offset),
            token => Err(self.error(offset, format!("expected an expression, found {token}"))),
        }
    }

    /// `(SELECT n FROM e WHERE v > 1)`, after the parenthesis.
    fn nested_select(&mut self, offset: usize) -> Result<Parsing, SqlError> {
        if self.version < SqlVersion::V2016_03_23 {
            return Err(self.error(offset, "a nested SELECT needs awsIotSqlVersion 2016-03-23"));
        }
        self.expect_word("SELECT")?;
        let (selection, mut height) = self.selection()?;
        self.expect_word("FROM")?;
        let source = match self.next()? {
            (Token::Word(word), _) if !is_reserved(word) => {
                let path = Parsing::leaf(Expression::Path(vec![Step::Member(word.to_owned())]));
                self.steps_after(path)?.expression
            }
            (token, offset) => {
                return Err(self.error(offset, format!("expected the name of an array after FROM, found {token}")));
            }
        };
        let mut condition = None;
        if self.take_word("WHERE")? {
            let parsed = self.expression()?;
            height = height.max(parsed.height);
            condition = Some(parsed.expression);
        }
        self.expect_symbol(")")?;
        let select = Select { selection, source, condition };
        Ok(Parsing { expression: Expression::Select(Box::new(select)), height: height + 1 })
    }

    fn word(&mut self, word: &'s str, offset: usize) -> Result<Parsing, SqlError> {
        if self.peek_is_symbol("(") && !is_reserved(word) {
            return self.call(word, offset);
        }
        let literal = |value| Ok(Parsing::leaf(Expression::Literal(value)));
        match word.to_ascii_uppercase().as_str() {
            "TRUE" => literal(Value::Boolean(true)),
            "FALSE" => literal(Value::Boolean(false)),
            "NULL" => literal(Value::Null),
            "CASE" => self.case(),
            _ if is_reserved(word) => Err(self.error(offset, format!("expected an expression, found `{word}`"))),
            _ => Ok(Parsing::leaf(Expression::Path(vec![Step::Member(word.to_owned())]))),
        }
    }

    fn case(&mut self) -> Result<Parsing, SqlError> {
        let (first, offset) = self.peek()?;
        if first.is_word("WHEN") {
            return Err(self.error(offset, "CASE needs a value before WHEN: CASE value WHEN other THEN result END"));
        }
        let subject = self.expression()?;
        let mut height = subject.height;
        let mut arms = Vec::new();
        self.expect_word("WHEN")?;
        loop {
            let matched = self.expression()?;
            self.expect_word("THEN")?;
            let result = self.expression()?;
            height = height.max(matched.height).max(result.height);
            arms.push((matched.expression, result.expression));
            if !self.take_word("WHEN")? {
                break;
            }
        }
        let mut otherwise = None;
        if self.take_word("ELSE")? {
            let result = self.expression()?;
            height = height.max(result.height);
            otherwise = Some(result.expression);
        }
        self.expect_word("END")?;
        let case = Case { subject: subject.expression, arms, otherwise };
        Ok(Parsing { expression: Expression::Case(Box::new(case)), height: height + 1 })
    }

    fn call(&mut self, name: &str, offset: usize) -> Result<Parsing, SqlError> {
        self.expect_symbol("(")?;
        if name.eq_ignore_ascii_case("cast") {
            return self.cast();
        }
        let function = self.function(name, offset)?;
        let mut arguments = Vec::new();
        let mut height = 0;
        while !self.peek_is_symbol(")") {
            if !arguments.is_empty() {
                self.expect_symbol(",")?;
            }
            if self.take_symbol("*")? {
                arguments.push(Expression::Payload);
                continue;
            }
            let argument = self.expression()?;
            height = height.max(argument.height);
            arguments.push(argument.expression);
        }
        self.expect_symbol(")")?;
        let expression = if function.name == "encode" && matches!(arguments.first(), Some(Expression::Payload)) {
            arguments.remove(0);
            Expression::Call(&function::ENCODE_PAYLOAD, arguments, None)
        } else {
            let pattern = function.prepare(&arguments).map(Box::new);
            Expression::Call(function, arguments, pattern)
        };
        Ok(Parsing { expression, height: height + 1 })
    }

    fn function(&self, name: &str, offset: usize) -> Result<&'static Function, SqlError> {
        match function::find(name) {
            Some(found) if self.version >= found.since => Ok(found),
            Some(found) => Err(self.error(
                offset,
                format!(
                    "the function {}() needs awsIotSqlVersion {}; this statement has {}",
                    found.name,
                    found.since.as_str(),
                    self.version.as_str()
                ),
            )),
            None if function::is_unserved(name) => {
                Err(self.error(offset, format!("the function {}() is not served yet", name.to_ascii_lowercase())))
            }
            None => Err(self.error(offset, format!("there is no function `{}`", shown(name)))),
        }
    }

    fn cast(&mut self) -> Result<Parsing, SqlError> {
        let operand = self.expression()?;
        self.expect_word("AS")?;
        let (token, offset) = self.next()?;
        let Token::Word(word) = token else {
            return Err(self.error(offset, format!("expected a type after AS, found {token}")));
        };
        let late = self.version >= SqlVersion::V2016_03_23;
        let to = match word.to_ascii_lowercase().as_str() {
            "string" | "nvarchar" | "text" | "ntext" | "varchar" => CastType::Text,
            "int" | "integer" => CastType::Int,
            "double" => CastType::Decimal,
            "decimal" if late => CastType::Decimal,
            "bool" | "boolean" if late => CastType::Boolean,
            "decimal" | "bool" | "boolean" => {
                let message = format!("cast to {word} needs awsIotSqlVersion 2016-03-23");
                return Err(self.error(offset, message));
            }
            _ => return Err(self.error(offset, format!("there is no type `{}` to cast to", shown(word)))),
        };
        self.expect_symbol(")")?;
        Ok(Parsing { expression: Expression::Cast(Box::new(operand.expression), to), height: operand.height + 1 })
    }

    /// `[a, b]` and `{'name': a}`.
    fn literal(&mut self, open: &str, offset: usize) -> Result<Parsing, SqlError> {
        if self.version < SqlVersion::V2016_03_23 {
            let message = "array and object literals need awsIotSqlVersion 2016-03-23";
            return Err(self.error(offset, message));
        }
        let mut height = 0;
        if open == "[" {
            let mut items = Vec::new();
            while !self.peek_is_symbol("]") {
                if !items.is_empty() {
                    self.expect_symbol(",")?;
                }
                let item = self.expression()?;
                height = height.max(item.height);
                items.push(item.expression);
            }
            self.expect_symbol("]")?;
            return Ok(Parsing { expression: Expression::Array(items), height: height + 1 });
        }
        let mut members = Vec::new();
        while !self.peek_is_symbol("}") {
            if !members.is_empty() {
                self.expect_symbol(",")?;
            }
            let (token, offset) = self.next()?;
            let Token::Text(name) = token else {
                return Err(self.error(offset, format!("expected a key in quotes, found {token}")));
            };
            self.expect_symbol(":")?;
            let value = self.expression()?;
            height = height.max(value.height);
            members.push((name.into_owned(), value.expression));
        }
        self.expect_symbol("}")?;
        Ok(Parsing { expression: Expression::Object(members), height: height + 1 })
    }
}

const NOT_STRENGTH: u8 = 3;
const NEGATE_STRENGTH: u8 = 7;

/// The operator and how tightly it binds; all of them lean to the left.
fn binary_operator(token: &Token<'_>) -> Option<(BinaryOperator, u8)> {
    let compare = |comparison| Some((BinaryOperator::Compare(comparison), 4));
    let arithmetic = |operation, strength| Some((BinaryOperator::Arithmetic(operation), strength));
    match token {
        Token::Word(word) if word.eq_ignore_ascii_case("OR") => Some((BinaryOperator::Or, 1)),
        Token::Word(word) if word.eq_ignore_ascii_case("AND") => Some((BinaryOperator::And, 2)),
        Token::Symbol("=") => compare(Comparison::Equal),
        Token::Symbol("<>") => compare(Comparison::NotEqual),
        Token::Symbol("<") => compare(Comparison::Less),
        Token::Symbol("<=") => compare(Comparison::LessOrEqual),
        Token::Symbol(">") => compare(Comparison::Greater),
        Token::Symbol(">=") => compare(Comparison::GreaterOrEqual),
        Token::Symbol("+") => arithmetic(Arithmetic::Add, 5),
        Token::Symbol("-") => arithmetic(Arithmetic::Subtract, 5),
        Token::Symbol("*") => arithmetic(Arithmetic::Multiply, 6),
        Token::Symbol("/") => arithmetic(Arithmetic::Divide, 6),
        Token::Symbol("%") => arithmetic(Arithmetic::Remainder, 6),
        _ => None,
    }
}
