//! Filter patterns: terms, and conditions on JSON events. Space-delimited patterns and regular expressions are refused by
//! name. (CloudWatch Logs: filter pattern syntax)

mod json;

use super::invalid;
use crate::Error;
use json::Condition;

#[derive(Debug)]
pub(super) enum FilterPattern {
    Terms(Terms),
    Json(Condition),
}

/// Terms that must all be there, `-term` that must not, `?term` of which one must, quotes around words with spaces.
#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl FilterPattern {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.starts_with('{') {
            return Condition::parse(text).map(Self::Json);
        }
        if text.starts_with(['[', '%']) {
            return Err(invalid(
                "filterPattern: space-delimited and regular expression patterns are not served yet; use terms or JSON conditions.",
            ));
        }
        Terms::parse(text).map(Self::Terms)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Terms(terms) => terms.matches(text),
            Self::Json(condition) => {
                let is_object = text.trim_start().starts_with('{');
                is_object && serde_json::from_str(text).is_ok_and(|event| condition.holds(&event))
            }
        }
    }
}

impl Terms {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (sign, unsigned) = match rest.strip_prefix(['-', '?']) {
                Some(unsigned) => (rest.chars().next(), unsigned),
                None => (None, rest),
            };
            let (term, after) = match unsigned.strip_prefix('"') {
                Some(quoted) => {
                    quoted.split_once('"').ok_or_else(|| invalid("Invalid filter pattern: a quote is not closed."))?
                }
                None => unsigned.split_once(char::is_whitespace).unwrap_or((unsigned, "")),
            };
            match sign {
                Some('-') => terms.none.push(term.to_owned()),
                Some(_) => terms.any.push(term.to_owned()),
                None => terms.all.push(term.to_owned()),
            }
            rest = after.trim_start();
        }
        Ok(terms)
    }

    fn matches(&self, text: &str) -> bool {
        self.all.iter().all(|term| text.contains(term))
            && !self.none.iter().any(|term| text.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| text.contains(term)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, cases: &[(&str, Option<bool>)]) {
        for (pattern, expected) in cases {
            let matches = FilterPattern::parse(pattern).ok().map(|pattern| pattern.matches(line));
            assert_eq!(matches, *expected, "{pattern}");
        }
    }

    #[test]
    fn terms() {
        check(
            "2026-11-23T00:00:00Z\tid\tERROR\tAccess denied for iot:CreatePolicy",
            &[
                ("", Some(true)),
                ("ERROR", Some(true)),
                ("error", Some(false)),
                ("ERROR iot:CreatePolicy", Some(true)),
                ("ERROR iot:AttachPolicy", Some(false)),
                ("\"Access denied\"", Some(true)),
                ("\"denied Access\"", Some(false)),
                ("ERROR -denied", Some(false)),
                ("?WARN ?ERROR", Some(true)),
                ("?WARN ?FATAL", Some(false)),
                ("{ $.level = \"ERROR\" }", Some(false)),
                ("[a, b]", None),
                ("%ERR.*%", None),
                ("\"open", None),
            ],
        );
    }

    #[test]
    fn conditions_on_json() {
        check(
            r#"{"level":"ERROR","code":404,"user":{"name":"ada","tags":["a","b"]},"ok":false,"none":null,"size":1.5}"#,
            &[
                ("{ $.level = \"ERROR\" }", Some(true)),
                ("{$.level=ERROR}", Some(true)),
                ("{ $.level != \"ERROR\" }", Some(false)),
                ("{ $.level = \"ERR*\" }", Some(true)),
                ("{ $.level = \"*RO*\" }", Some(true)),
                ("{ $.level = \"WARN*\" }", Some(false)),
                ("{ $.code = 404 }", Some(true)),
                ("{ $.code >= 400 && $.code < 500 }", Some(true)),
                ("{ $.code > 404 || $.size < 2 }", Some(true)),
                ("{ ($.code > 404 || $.size < 2) && $.level = \"INFO\" }", Some(false)),
                ("{ $.code = 4* }", Some(true)),
                ("{ $.user.name = \"ada\" }", Some(true)),
                ("{ $.user.tags[1] = \"b\" }", Some(true)),
                ("{ $.user.tags[2] = \"b\" }", Some(false)),
                ("{ $.ok IS FALSE }", Some(true)),
                ("{ $.ok IS TRUE }", Some(false)),
                ("{ $.none IS NULL }", Some(true)),
                ("{ $.nothere NOT EXISTS }", Some(true)),
                ("{ $.level NOT EXISTS }", Some(false)),
                ("{ $.nothere = 1 }", Some(false)),
                ("{ $.nothere != 1 }", Some(false)),
                ("{ $.level }", None),
                ("{ level = 1 }", None),
                ("{ $.a = 1", None),
                ("{ $.a = \"x }", None),
                ("{ ($.a = 1 }", None),
                ("{ $.a = %x% }", None),
                ("{ $.a = 1 } x", None),
            ],
        );
        check("plain text", &[("{ $.a NOT EXISTS }", Some(false))]);
        let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(500), ")".repeat(500));
        assert!(FilterPattern::parse(&deep).is_err(), "nesting is bounded");
    }
}
