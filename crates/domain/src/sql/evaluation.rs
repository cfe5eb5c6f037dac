//! One statement over one message. The payload is parsed when the first expression asks for it, and not otherwise.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;

use super::expression::{BinaryOperator, Case, CastType, Comparison, Expression, Select, Selection, Step};
use super::number::{Arithmetic, Number};
use super::statement::{Input, select};
use super::value::Value;
use super::{EVALUATION_BYTES_MAX, SqlVersion};

pub(super) struct Evaluation<'i> {
    input: &'i Input<'i>,
    version: SqlVersion,
    root: Root<'i>,
    meter: MeterOf<'i>,
}

/// Where paths begin.
enum Root<'i> {
    /// `None` inside: the payload is no JSON.
    Message(OnceCell<Option<Value>>),
    /// What a nested SELECT looks at.
    Item(&'i Value),
}

/// A nested SELECT lives on the meter of the statement around it.
enum MeterOf<'i> {
    Own(Meter),
    Outer(&'i Meter),
}

struct Meter {
    /// Bytes that may still be read or made.
    left: Cell<usize>,
    exhausted: Cell<bool>,
    /// How often chance was asked.
    draws: Cell<u64>,
}

/// What each expression of a nested SELECT costs, for each item: the statement's length times the message's would be no
/// bound.
const NESTED_COST_BYTES: usize = 16;

impl<'i> Evaluation<'i> {
    pub fn new(input: &'i Input<'i>, version: SqlVersion) -> Self {
        Self {
            input,
            version,
            root: Root::Message(OnceCell::new()),
            meter: MeterOf::Own(Meter {
                left: Cell::new(EVALUATION_BYTES_MAX),
                exhausted: Cell::new(false),
                draws: Cell::new(0),
            }),
        }
    }

    pub fn input(&self) -> &'i Input<'i> {
        self.input
    }

    pub fn version(&self) -> SqlVersion {
        self.version
    }

    pub fn payload(&self) -> Option<&Value> {
        match &self.root {
            Root::Message(parsed) => parsed.get_or_init(|| Value::from_json(self.input.payload, self.version)).as_ref(),
            Root::Item(item) => Some(item),
        }
    }

    /// Whether somebody looked into the message and found no JSON.
    pub fn is_unreadable(&self) -> bool {
        matches!(&self.root, Root::Message(parsed) if matches!(parsed.get(), Some(None)))
    }

    /// The bytes of `*`: the message's as they came, an item's as JSON.
    pub fn payload_bytes(&self) -> Cow<'_, [u8]> {
        match self.root {
            Root::Message(_) => Cow::Borrowed(self.input.payload),
            Root::Item(item) => Cow::Owned(item.to_json()),
        }
    }

    fn meter(&self) -> &Meter {
        match &self.meter {
            MeterOf::Own(meter) => meter,
            MeterOf::Outer(meter) => meter,
        }
    }

    /// The number of a draw from chance.
    pub fn next_draw(&self) -> u64 {
        let draws = &self.meter().draws;
        draws.set(draws.get() + 1);
        draws.get()
    }

    /// Takes the bytes from the budget; `false` when it does not hold them, and from then on.
    pub fn afford(&self, bytes: usize) -> bool {
        let Meter { left, exhausted, .. } = self.meter();
        match left.get().checked_sub(bytes) {
            Some(bytes) if !exhausted.get() => left.set(bytes),
            _ => exhausted.set(true),
        }
        !exhausted.get()
    }

    /// Whether some value is missing because the budget did not hold it.
    pub fn is_exhausted(&self) -> bool {
        self.meter().exhausted.get()
    }

    pub fn evaluate<'v>(&'v self, expression: &'v Expression) -> Cow<'v, Value> {
        if matches!(self.root, Root::Item(_)) && !self.afford(NESTED_COST_BYTES) {
            return UNDEFINED;
        }
        let value = match expression {
            Expression::Literal(value) => return Cow::Borrowed(value),
            Expression::Payload => return self.payload().map_or(UNDEFINED, Cow::Borrowed),
            Expression::Path(steps) => return self.payload().map_or(UNDEFINED, |payload| self.follow(payload, steps)),
            Expression::Member(base, steps) => match self.evaluate(base) {
                Cow::Borrowed(base) => return self.follow(base, steps),
                Cow::Owned(base) => self.follow(&base, steps).into_owned(),
            },
            Expression::Not(operand) => {
                self.evaluate(operand).to_boolean().map_or(Value::Undefined, |value| Value::Boolean(!value))
            }
            Expression::Negate(operand) => {
                Value::number(self.evaluate(operand).to_number(self.version).map(Number::negate))
            }
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right),
            Expression::Case(case) => return self.case(case),
            Expression::Cast(operand, to) => self.cast(&self.evaluate(operand), *to),
            Expression::Select(select) => self.select(select),
            Expression::Call(function, arguments, pattern) => {
                let arguments: Vec<_> = arguments.iter().map(|argument| self.evaluate(argument)).collect();
                if !self.afford(arguments.iter().map(|argument| argument.weight()).sum()) {
                    return UNDEFINED;
                }
                function.call(self, &arguments, pattern.as_deref())
            }
            Expression::Array(items) => self.array(items),
            Expression::Object(members) => self.object(members),
        };
        Cow::Owned(value)
    }

    fn follow<'v>(&self, base: &'v Value, steps: &[Step]) -> Cow<'v, Value> {
        let mut value = base;
        for step in steps {
            let found = match (step, value) {
                (Step::Member(name), Value::Object(object)) if self.afford(object.len()) => object.member(name),
                (Step::Item(index), Value::Array(items)) => items.get(*index),
                _ => None,
            };
            let Some(found) = found else { return UNDEFINED };
            value = found;
        }
        Cow::Borrowed(value)
    }

    fn binary(&self, operator: BinaryOperator, left: &Expression, right: &Expression) -> Value {
        let (left, right) = (self.evaluate(left), self.evaluate(right));
        match operator {
            // Both sides must be boolean even where one would decide: AWS's tables have no short cut.
            BinaryOperator::And | BinaryOperator::Or => match (left.to_boolean(), right.to_boolean()) {
                (Some(left), Some(right)) if operator == BinaryOperator::And => Value::Boolean(left && right),
                (Some(left), Some(right)) => Value::Boolean(left || right),
                _ => Value::Undefined,
            },
            BinaryOperator::Compare(comparison) => self.compare(comparison, &left, &right),
            BinaryOperator::Arithmetic(operation) => self.arithmetic(operation, &left, &right),
        }
    }

    /// Equality is of one type; order is of numbers, and of strings that have the form of numbers.
    fn compare(&self, comparison: Comparison, left: &Value, right: &Value) -> Value {
        let equal = |expected: bool| match (left, right) {
            (Value::Undefined, _) | (_, Value::Undefined) => Value::Undefined,
            _ if self.afford(left.weight().min(right.weight())) => Value::Boolean(left.equals(right) == expected),
            _ => Value::Undefined,
        };
        let ordered = |holds: fn(Ordering) -> bool| {
            let (left, right) = (left.to_number(self.version), right.to_number(self.version));
            let ordering = left.zip(right).and_then(|(left, right)| left.compare(right));
            ordering.map_or(Value::Undefined, |ordering| Value::Boolean(holds(ordering)))
        };
        match comparison {
            Comparison::Equal => equal(true),
            Comparison::NotEqual => equal(false),
            Comparison::Less => ordered(Ordering::is_lt),
            Comparison::LessOrEqual => ordered(Ordering::is_le),
            Comparison::Greater => ordered(Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
        }
    }

    pub fn arithmetic(&self, operation: Arithmetic, left: &Value, right: &Value) -> Value {
        let is_text = matches!(left, Value::Text(_)) || matches!(right, Value::Text(_));
        if operation == Arithmetic::Add && is_text {
            if !self.afford(left.weight().saturating_add(right.weight())) {
                return Value::Undefined;
            }
            return match (left.to_text(), right.to_text()) {
                (Some(left), Some(right)) => Value::Text(left + &right),
                _ => Value::Undefined,
            };
        }
        match (left.to_number(self.version), right.to_number(self.version)) {
            (Some(left), Some(right)) => Value::number(left.compute(operation, right, self.version)),
            _ => Value::Undefined,
        }
    }

    /// The first match counts; an Undefined subject matches nothing, ELSE included.
    fn case<'v>(&'v self, case: &'v Case) -> Cow<'v, Value> {
        let subject = self.evaluate(&case.subject);
        if matches!(*subject, Value::Undefined) {
            return UNDEFINED;
        }
        for (candidate, result) in &case.arms {
            let candidate = self.evaluate(candidate);
            if !self.afford(subject.weight().min(candidate.weight())) {
                return UNDEFINED;
            }
            if subject.equals(&candidate) {
                return self.evaluate(result);
            }
        }
        case.otherwise.as_ref().map_or(UNDEFINED, |otherwise| self.evaluate(otherwise))
    }

    fn cast(&self, value: &Value, to: CastType) -> Value {
        let number = || match value {
            Value::Boolean(value) => Number::decimal(f64::from(u8::from(*value)), self.version),
            value => value.to_number(self.version),
        };
        match to {
            CastType::Text if self.afford(value.weight()) => value.to_text().map_or(Value::Undefined, Value::Text),
            CastType::Text => Value::Undefined,
            CastType::Decimal => Value::number(number()),
            CastType::Int => Value::number(number().map(|number| number.to_int(f64::floor))),
            CastType::Boolean => match value {
                Value::Number(number) => Value::Boolean(number.as_f64() != 0.0),
                value => value.to_boolean().map_or(Value::Undefined, Value::Boolean),
            },
        }
    }

    /// Of an array what is selected of each item that fits; of an object what is selected of it.
    fn select(&self, select: &Select) -> Value {
        match &*self.evaluate(&select.source) {
            Value::Array(items) => {
                let mut selected = Vec::new();
                for item in items {
                    match self.select_of(select, item) {
                        Value::Undefined if self.is_exhausted() => return Value::Undefined,
                        Value::Undefined => {}
                        value => selected.push(value),
                    }
                }
                Value::Array(selected)
            }
            object @ Value::Object(_) => self.select_of(select, object),
            _ => Value::Undefined,
        }
    }

    fn select_of(&self, query: &Select, item: &Value) -> Value {
        if !self.afford(NESTED_COST_BYTES) {
            return Value::Undefined;
        }
        let inner = Evaluation {
            input: self.input,
            version: self.version,
            root: Root::Item(item),
            meter: MeterOf::Outer(self.meter()),
        };
        if query.condition.as_ref().is_some_and(|condition| inner.evaluate(condition).to_boolean() != Some(true)) {
            return Value::Undefined;
        }
        match &query.selection {
            Selection::Everything if self.afford(item.weight()) => item.clone(),
            Selection::Everything => Value::Undefined,
            Selection::Value(expression) => inner.owned(expression),
            Selection::Columns(columns) => select(&inner, columns).map_or(Value::Undefined, Value::Object),
        }
    }

    fn array(&self, items: &[Expression]) -> Value {
        let mut array = Vec::new();
        for item in items {
            match self.owned(item) {
                Value::Undefined => {}
                value => array.push(value),
            }
        }
        Value::Array(array)
    }

    fn object(&self, members: &[(String, Expression)]) -> Value {
        let mut object = super::value::Object::default();
        for (name, member) in members {
            if self.afford(object.len()) {
                object.insert(name, self.owned(member));
            }
        }
        Value::Object(object)
    }

    /// The value as the evaluation's own, if the budget holds it.
    pub fn owned(&self, expression: &Expression) -> Value {
        let value = self.evaluate(expression);
        if self.afford(value.weight()) { value.into_owned() } else { Value::Undefined }
    }
}

const UNDEFINED: Cow<'_, Value> = Cow::Owned(Value::Undefined);
