//! `{ $.level = "ERROR" && ($.code >= 400 || $.user.name = ada*) }`

use serde_json::Value;

use super::invalid;
use crate::Error;

/// Parentheses within parentheses; people write two.
const DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub(in crate::logs) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare { path: Vec<Step>, operator: Operator, operand: Operand },
    Is { path: Vec<Step>, value: Value },
    NotExists { path: Vec<Step> },
}

#[derive(Debug)]
pub(in crate::logs) enum Step {
    Member(String),
    Element(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logs) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(in crate::logs) enum Operand {
    Number(f64),
    /// The parts between its asterisks.
    Text(Vec<String>),
}

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { rest: text, depth: 0 };
        parser.expect("{")?;
        let condition = parser.any()?;
        parser.expect("}")?;
        match parser.rest.trim().is_empty() {
            true => Ok(condition),
            false => Err(parser.wrong("nothing after the closing brace")),
        }
    }

    pub(super) fn holds(&self, event: &Value) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(event)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(event)),
            Self::Is { path, value } => at(event, path) == Some(value),
            Self::NotExists { path } => at(event, path).is_none(),
            Self::Compare { path, operator, operand } => {
                at(event, path).is_some_and(|found| compares(found, *operator, operand))
            }
        }
    }
}

fn at<'a>(event: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(event, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Element(index) => value.get(index),
    })
}

fn compares(found: &Value, operator: Operator, operand: &Operand) -> bool {
    match (operand, found) {
        (Operand::Number(number), Value::Number(value)) => {
            let Some(value) = value.as_f64() else { return false };
            match operator {
                Operator::Equal => value == *number,
                Operator::NotEqual => value != *number,
                Operator::Less => value < *number,
                Operator::LessOrEqual => value <= *number,
                Operator::Greater => value > *number,
                Operator::GreaterOrEqual => value >= *number,
            }
        }
        (Operand::Number(_), _) => operator == Operator::NotEqual,
        (Operand::Text(parts), found) => {
            let text = match found {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return operator == Operator::NotEqual,
            };
            match operator {
                Operator::Equal => fits(&text, parts),
                Operator::NotEqual => !fits(&text, parts),
                _ => false,
            }
        }
    }
}

/// Parts in their order, the first at the beginning, the last at the end.
fn fits(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    for part in middle {
        let Some(found) = rest.find(part.as_str()) else { return false };
        rest = rest.get(found + part.len()..).unwrap_or_default();
    }
    true
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Condition, Error> {
        let mut conditions = vec![self.all()?];
        while self.take("||") {
            conditions.push(self.all()?);
        }
        Ok(Condition::Any(conditions))
    }

    fn all(&mut self) -> Result<Condition, Error> {
        let mut conditions = vec![self.one()?];
        while self.take("&&") {
            conditions.push(self.one()?);
        }
        Ok(Condition::All(conditions))
    }

    fn one(&mut self) -> Result<Condition, Error> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.wrong("fewer parentheses"));
            }
            let condition = self.any()?;
            self.expect(")")?;
            self.depth -= 1;
            return Ok(condition);
        }
        let path = self.path()?;
        if self.take("IS") {
            for (word, value) in [("NULL", Value::Null), ("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false))] {
                if self.take(word) {
                    return Ok(Condition::Is { path, value });
                }
            }
            return Err(self.wrong("TRUE, FALSE or NULL"));
        }
        if self.take("NOT") {
            self.expect("EXISTS")?;
            return Ok(Condition::NotExists { path });
        }
        let operator = self.operator()?;
        let operand = self.operand()?;
        Ok(Condition::Compare { path, operator, operand })
    }

    fn path(&mut self) -> Result<Vec<Step>, Error> {
        self.expect("$")?;
        let mut path = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || "_-@".contains(c))).unwrap_or(rest.len());
                let (name, rest) = rest.split_at(end);
                if name.is_empty() {
                    return Err(self.wrong("a member's name"));
                }
                path.push(Step::Member(name.to_owned()));
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let (index, rest) = rest.split_once(']').ok_or_else(|| self.wrong("a closing bracket"))?;
                let quoted = index.trim().trim_matches(['"', '\'']);
                path.push(match index.trim().parse() {
                    Ok(index) => Step::Element(index),
                    Err(_) if quoted != index.trim() => Step::Member(quoted.to_owned()),
                    Err(_) => return Err(self.wrong("an element's number")),
                });
                self.rest = rest;
            } else if path.is_empty() {
                return Err(self.wrong("a member, as in $.name"));
            } else {
                return Ok(path);
            }
        }
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        for (text, operator) in [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.take(text) {
                return Ok(operator);
            }
        }
        Err(self.wrong("an operator: = != < <= > >= IS NOT"))
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let text = self.rest.trim_start();
        if text.starts_with('%') {
            return Err(invalid("filterPattern: regular expressions are not served yet."));
        }
        if let Some(quoted) = text.strip_prefix('"') {
            let (text, rest) = quoted.split_once('"').ok_or_else(|| self.wrong("a closing quote"))?;
            self.rest = rest;
            return Ok(Operand::Text(text.split('*').map(str::to_owned).collect()));
        }
        let end = text.find(|c: char| c.is_whitespace() || "&|(){}".contains(c)).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if word.is_empty() {
            return Err(self.wrong("a value"));
        }
        self.rest = rest;
        Ok(match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Operand::Number(number),
            _ => Operand::Text(word.split('*').map(str::to_owned).collect()),
        })
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), Error> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(token)) }
    }

    fn wrong(&self, expected: &str) -> Error {
        let rest: String = self.rest.trim_start().chars().take(40).collect();
        invalid(format!("Invalid filter pattern: expected {expected}, at '{rest}'."))
    }
}
