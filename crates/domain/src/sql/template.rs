//! Substitution templates: a text of an action with `${expression}` in it
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/iot-substitution-templates.html>).
//!
//! The expressions look at the message as it came, not at what SELECT made of it. One without a value leaves nothing to
//! write in its place: the action fails.

use super::evaluation::Evaluation;
use super::expression::Expression;
use super::statement::Input;
use super::{EVALUATION_BYTES_MAX, SQL_BYTES_MAX, SqlError, SqlVersion, parser};

#[derive(Clone, Debug)]
pub struct Template {
    version: SqlVersion,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// The expression and how it is written.
    Expression(Box<Expression>, String),
}

/// Why a template has no text for this message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The expression, as it is written.
    Undefined(String),
    TooLarge,
}

impl Template {
    pub fn parse(text: &str, version: SqlVersion) -> Result<Self, SqlError> {
        if text.len() > SQL_BYTES_MAX {
            let message = format!("the template is longer than {SQL_BYTES_MAX} bytes");
            return Err(SqlError::at(text, 0, message));
        }
        let mut parts = Vec::new();
        let mut from = 0;
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let Some(at) = rest.find("${") else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            if at > 0 {
                parts.push(Part::Text(rest.get(..at).unwrap_or_default().to_owned()));
            }
            let start = from + at + "${".len();
            let (expression, end) = parser::parse_in_braces(text, start, version)?;
            let written = text.get(start..end).unwrap_or_default().trim_end_matches('}').trim().to_owned();
            parts.push(Part::Expression(Box::new(expression), written));
            from = end;
        }
        Ok(Self { version, parts })
    }

    /// The text, where it is the same for every message.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub fn render(&self, input: &Input<'_>) -> Result<String, RenderError> {
        let evaluation = Evaluation::new(input, self.version);
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Expression(expression, written) => {
                    let value = evaluation.evaluate(expression);
                    if evaluation.is_exhausted() || !evaluation.afford(value.weight()) {
                        return Err(RenderError::TooLarge);
                    }
                    let text = value.to_text().ok_or_else(|| RenderError::Undefined(written.clone()))?;
                    rendered.push_str(&text);
                }
            }
        }
        Ok(rendered)
    }
}

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Undefined(written) => write!(f, "${{{written}}} has no value in this message"),
            Self::TooLarge => write!(f, "the template needs more than {EVALUATION_BYTES_MAX} bytes for this message"),
        }
    }
}

impl std::error::Error for RenderError {}
