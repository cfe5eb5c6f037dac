//! The compiled form of an expression.

use super::function::{Function, Pattern};
use super::number::Arithmetic;
use super::value::Value;

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Literal(Value),
    /// `*` as an argument: the whole message.
    Payload,
    /// `a.b[0]`, from the root of the message.
    Path(Vec<Step>),
    /// `get(a, 0).b`, from any other value.
    Member(Box<Expression>, Vec<Step>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Binary(BinaryOperator, Box<Expression>, Box<Expression>),
    Case(Box<Case>),
    Cast(Box<Expression>, CastType),
    /// With the pattern compiled, where the function takes one and the statement writes it out.
    Call(&'static Function, Vec<Expression>, Option<Box<Pattern>>),
    /// `(SELECT v FROM e WHERE n = 'x')`.
    Select(Box<Select>),
    Array(Vec<Expression>),
    Object(Vec<(String, Expression)>),
}

#[derive(Clone, Debug)]
pub(super) struct Select {
    pub selection: Selection,
    pub source: Expression,
    pub condition: Option<Expression>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub subject: Expression,
    pub arms: Vec<(Expression, Expression)>,
    pub otherwise: Option<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOperator {
    Or,
    And,
    Compare(Comparison),
    Arithmetic(Arithmetic),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CastType {
    Text,
    Int,
    Decimal,
    Boolean,
}

/// What a statement selects.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    /// `SELECT *`: the message as it came.
    Everything,
    /// `SELECT VALUE expression`.
    Value(Expression),
    Columns(Vec<Column>),
}

#[derive(Clone, Debug)]
pub(super) enum Column {
    /// `*` among others: the members of the message.
    Everything,
    Named {
        path: Vec<String>,
        expression: Expression,
    },
}
