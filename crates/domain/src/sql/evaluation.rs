//! One statement over one message. The payload is parsed when the first expression asks for it, and not otherwise.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;

use super::expression::{BinaryOperator, Case, CastType, Comparison, Expression, Step};
use super::number::{Arithmetic, Number};
use super::statement::Input;
use super::value::Value;
use super::{EVALUATION_BYTES_MAX, SqlVersion};

pub(super) struct Evaluation<'i> {
    input: &'i Input<'i>,
    version: SqlVersion,
    /// `None` inside: the payload is no JSON.
    payload: OnceCell<Option<Value>>,
    /// Bytes that may still be read or made.
    left: Cell<usize>,
    exhausted: Cell<bool>,
}

impl<'i> Evaluation<'i> {
    pub fn new(input: &'i Input<'i>, version: SqlVersion) -> Self {
        Self {
            input,
            version,
            payload: OnceCell::new(),
            left: Cell::new(EVALUATION_BYTES_MAX),
            exhausted: Cell::new(false),
        }
    }

    pub fn input(&self) -> &'i Input<'i> {
        self.input
    }

    pub fn version(&self) -> SqlVersion {
        self.version
    }

    pub fn payload(&self) -> Option<&Value> {
        self.payload.get_or_init(|| Value::from_json(self.input.payload, self.version)).as_ref()
    }

    /// Takes the bytes from the budget; `false` when it does not hold them, and from then on.
    pub fn afford(&self, bytes: usize) -> bool {
        match self.left.get().checked_sub(bytes) {
            Some(left) if !self.exhausted.get() => self.left.set(left),
            _ => self.exhausted.set(true),
        }
        !self.exhausted.get()
    }

    /// Whether some value is missing because the budget did not hold it.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    pub fn evaluate<'v>(&'v self, expression: &'v Expression) -> Cow<'v, Value> {
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
            Expression::Call(function, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(|argument| self.evaluate(argument)).collect();
                if !self.afford(arguments.iter().map(|argument| argument.weight()).sum()) {
                    return UNDEFINED;
                }
                function.call(self, &arguments)
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
