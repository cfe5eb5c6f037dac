//! The Condition element: operators, set quantifiers, `IfExists`.
//!
//! A condition whose values hold an unresolved variable never makes a negated operator true: what is not known is not
//! proof of a difference. (IAM user guide, "IAM JSON policy elements: Condition operators")

use super::comparison::{AddressBlock, ArnPattern, Order, boolean, date_millis, number};
use super::json::{Member, Node, Value};
use super::malformed::Fault;
use super::pattern::{Pattern, Syntax, Variables, Wildcards};
use super::{Context, statement};

#[derive(Clone, Debug)]
pub(crate) struct Condition<K> {
    key: K,
    quantifier: Quantifier,
    presence: Presence,
    sense: Sense,
    test: Test<K>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// No prefix. Over several values of the key one that fits is enough, and for a negated operator one too many.
    None,
    ForAllValues,
    ForAnyValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Required,
    IfExists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Positive,
    Negated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Exact,
    IgnoreCase,
    Like,
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Ip,
    Null,
}

#[derive(Clone, Debug)]
enum Test<K> {
    Text(Vec<Pattern<K>>),
    TextIgnoringCase(Vec<Pattern<K>>),
    Arn(Vec<ArnPattern<K>>),
    Number(Order, Vec<f64>),
    Date(Order, Vec<f64>),
    Bool(Vec<bool>),
    Ip(Vec<AddressBlock>),
    /// `true`: the key must be absent.
    Null(Vec<bool>),
}

const OPERATORS: [(&str, Family, Sense); 26] = [
    ("StringEquals", Family::Exact, Sense::Positive),
    ("StringNotEquals", Family::Exact, Sense::Negated),
    ("StringEqualsIgnoreCase", Family::IgnoreCase, Sense::Positive),
    ("StringNotEqualsIgnoreCase", Family::IgnoreCase, Sense::Negated),
    ("StringLike", Family::Like, Sense::Positive),
    ("StringNotLike", Family::Like, Sense::Negated),
    // ArnEquals takes wildcards as ArnLike does; AWS says that the two behave the same.
    ("ArnEquals", Family::Arn, Sense::Positive),
    ("ArnNotEquals", Family::Arn, Sense::Negated),
    ("ArnLike", Family::Arn, Sense::Positive),
    ("ArnNotLike", Family::Arn, Sense::Negated),
    ("NumericEquals", Family::Number(Order::Equal), Sense::Positive),
    ("NumericNotEquals", Family::Number(Order::Equal), Sense::Negated),
    ("NumericLessThan", Family::Number(Order::Less), Sense::Positive),
    ("NumericLessThanEquals", Family::Number(Order::LessOrEqual), Sense::Positive),
    ("NumericGreaterThan", Family::Number(Order::Greater), Sense::Positive),
    ("NumericGreaterThanEquals", Family::Number(Order::GreaterOrEqual), Sense::Positive),
    ("DateEquals", Family::Date(Order::Equal), Sense::Positive),
    ("DateNotEquals", Family::Date(Order::Equal), Sense::Negated),
    ("DateLessThan", Family::Date(Order::Less), Sense::Positive),
    ("DateLessThanEquals", Family::Date(Order::LessOrEqual), Sense::Positive),
    ("DateGreaterThan", Family::Date(Order::Greater), Sense::Positive),
    ("DateGreaterThanEquals", Family::Date(Order::GreaterOrEqual), Sense::Positive),
    ("Bool", Family::Bool, Sense::Positive),
    ("IpAddress", Family::Ip, Sense::Positive),
    ("NotIpAddress", Family::Ip, Sense::Negated),
    ("Null", Family::Null, Sense::Positive),
];

struct Operator {
    quantifier: Quantifier,
    presence: Presence,
    family: Family,
    sense: Sense,
}

impl Operator {
    fn parse(member: &Member) -> Result<Self, Fault> {
        let (quantifier, name) = match member.name.split_once(':') {
            None => (Quantifier::None, member.name.as_str()),
            Some(("ForAllValues", name)) => (Quantifier::ForAllValues, name),
            Some(("ForAnyValue", name)) => (Quantifier::ForAnyValue, name),
            Some((prefix, _)) => {
                let message = format!("\"{prefix}:\" is neither \"ForAllValues:\" nor \"ForAnyValue:\"");
                return Err(Fault::new(member.at, message));
            }
        };
        let (presence, name) = match name.strip_suffix("IfExists") {
            Some(name) if name != "Null" => (Presence::IfExists, name),
            _ => (Presence::Required, name),
        };
        let found = OPERATORS.iter().find(|(operator, ..)| *operator == name);
        let Some(&(_, family, sense)) = found else {
            return Err(Fault::new(member.at, unknown_operator(&member.name, name)));
        };
        Ok(Self { quantifier, presence, family, sense })
    }
}

fn unknown_operator(whole: &str, name: &str) -> String {
    match OPERATORS.iter().find(|(operator, ..)| operator.eq_ignore_ascii_case(name)) {
        Some((operator, ..)) => format!("unknown condition operator \"{whole}\"; did you mean \"{operator}\"?"),
        None => format!("unknown condition operator \"{whole}\""),
    }
}

/// `{ operator: { key: value or list } }`.
pub(super) fn parse<K>(block: &Node, variables: Variables) -> Result<Vec<Condition<K>>, Fault>
where
    K: for<'name> From<&'name str>,
{
    let mut conditions = Vec::new();
    for member in statement::object(block, "\"Condition\"")? {
        let operator = Operator::parse(member)?;
        for entry in statement::object(&member.node, &format!("\"{}\"", member.name))? {
            conditions.push(Condition {
                key: K::from(&entry.name),
                quantifier: operator.quantifier,
                presence: operator.presence,
                sense: operator.sense,
                test: Test::parse(operator.family, entry, variables)?,
            });
        }
    }
    Ok(conditions)
}

impl<K: for<'name> From<&'name str>> Test<K> {
    fn parse(family: Family, entry: &Member, variables: Variables) -> Result<Self, Fault> {
        let exact = Syntax { wildcards: Wildcards::Literal, variables };
        let like = Syntax { wildcards: Wildcards::Match, variables };
        let pattern = |syntax| move |text: &str| Pattern::parse(text, syntax).map_err(|error| error.text());
        Ok(match family {
            Family::Exact => Self::Text(each(entry, pattern(exact))?),
            Family::Like => Self::Text(each(entry, pattern(like))?),
            Family::IgnoreCase => Self::TextIgnoringCase(each(entry, pattern(exact))?),
            Family::Arn => Self::Arn(each(entry, |text| ArnPattern::parse(text, like).map_err(|error| error.text()))?),
            Family::Number(order) => Self::Number(order, each(entry, |text| number(text).ok_or("not a number"))?),
            Family::Date(order) => Self::Date(
                order,
                each(entry, |text| date_millis(text).ok_or("not a date such as 2026-01-31T12:00:00Z"))?,
            ),
            Family::Bool => Self::Bool(each(entry, |text| boolean(text).ok_or("neither true nor false"))?),
            Family::Ip => {
                let block =
                    |text: &str| AddressBlock::parse(text).ok_or("not an address or a block such as 10.0.0.0/8");
                Self::Ip(each(entry, block)?)
            }
            Family::Null => Self::Null(each(entry, |text| boolean(text).ok_or("neither true nor false"))?),
        })
    }
}

/// One value or a list of them, which may be empty: `ForAllValues:StringEquals []` asks that a key have no value.
fn each<T>(entry: &Member, parse: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, Fault> {
    let nodes = match &entry.node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(&entry.node),
    };
    let mut values = Vec::with_capacity(nodes.len());
    for node in nodes {
        let text = match &node.value {
            Value::Text(text) | Value::Number(text) => text.as_str(),
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            other => {
                let message = format!("a value of \"{}\" must be a string, not {}", entry.name, other.kind());
                return Err(Fault::new(node.at, message));
            }
        };
        let value = parse(text).map_err(|what| Fault::new(node.at, format!("\"{}\": {what}", entry.name)))?;
        values.push(value);
    }
    Ok(values)
}

impl<K> Condition<K> {
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        let patterns: Vec<&Pattern<K>> = match &self.test {
            Test::Text(patterns) | Test::TextIgnoringCase(patterns) => patterns.iter().collect(),
            Test::Arn(patterns) => patterns.iter().flat_map(ArnPattern::parts).collect(),
            _ => Vec::new(),
        };
        std::iter::once(&self.key).chain(patterns.into_iter().flat_map(Pattern::keys))
    }

    pub(super) fn holds<C: Context<Key = K>>(&self, context: &C) -> bool {
        let values = context.values(&self.key);
        let values = values.as_slice().filter(|values| !values.is_empty());
        if let Test::Null(expected) = &self.test {
            return expected.contains(&values.is_none());
        }
        if self.sense == Sense::Negated && !self.test.is_resolved(context) {
            return false;
        }
        let Some(values) = values else {
            return match self.quantifier {
                Quantifier::None => self.presence == Presence::IfExists || self.sense == Sense::Negated,
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => self.presence == Presence::IfExists,
            };
        };
        let fits = |value: &&str| self.test.accepts(value, context);
        let stands = |value: &&str| fits(value) == (self.sense == Sense::Positive);
        match self.quantifier {
            Quantifier::None => values.iter().any(fits) == (self.sense == Sense::Positive),
            Quantifier::ForAllValues => values.iter().all(stands),
            Quantifier::ForAnyValue => values.iter().any(stands),
        }
    }
}

impl<K> Test<K> {
    fn is_resolved<C: Context<Key = K>>(&self, context: &C) -> bool {
        match self {
            Self::Text(patterns) | Self::TextIgnoringCase(patterns) => {
                patterns.iter().all(|pattern| pattern.is_resolved(context))
            }
            Self::Arn(patterns) => patterns.iter().all(|pattern| pattern.is_resolved(context)),
            _ => true,
        }
    }

    /// Whether one value of the key fits one of the policy's, before any negation.
    fn accepts<C: Context<Key = K>>(&self, value: &str, context: &C) -> bool {
        match self {
            Self::Text(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Self::TextIgnoringCase(patterns) => {
                let value = value.to_lowercase();
                let mut texts = patterns.iter().filter_map(|pattern| pattern.text(context));
                texts.any(|text| text.to_lowercase() == value)
            }
            Self::Arn(patterns) => patterns.iter().any(|pattern| pattern.matches(value, context)),
            Self::Number(order, expected) => compares(*order, number(value), expected),
            Self::Date(order, expected) => compares(*order, date_millis(value), expected),
            Self::Bool(expected) => boolean(value).is_some_and(|value| expected.contains(&value)),
            Self::Ip(blocks) => blocks.iter().any(|block| block.contains(value)),
            Self::Null(_) => false,
        }
    }
}

fn compares(order: Order, value: Option<f64>, expected: &[f64]) -> bool {
    let Some(value) = value else { return false };
    expected.iter().any(|expected| value.partial_cmp(expected).is_some_and(|found| order.holds(found)))
}
