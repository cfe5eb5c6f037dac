//! The values of rule SQL: those of JSON, and Undefined.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::SqlVersion;
use super::number::Number;

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Never inside an array or an object: there it is left out.
    Undefined,
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Members in the order in which they came, each name once.
#[derive(Clone, Debug, Default)]
pub(super) struct Object(Vec<(String, Value)>);

impl Object {
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Replaces a member of that name in its place. Undefined is not stored.
    pub fn insert(&mut self, name: &str, value: Value) {
        if matches!(value, Value::Undefined) {
            return;
        }
        match self.0.iter_mut().find(|(given, _)| given == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// As `insert`, under a path of names: objects are made on the way, and what is no object is replaced by one.
    pub fn insert_at(&mut self, path: &[String], value: Value) {
        match path {
            [] => {}
            [name] => self.insert(name, value),
            _ if matches!(value, Value::Undefined) => {}
            [name, rest @ ..] => {
                let index = match self.0.iter().position(|(given, _)| given == name) {
                    Some(index) => index,
                    None => {
                        self.0.push((name.clone(), Value::Undefined));
                        self.0.len() - 1
                    }
                };
                let Some((_, place)) = self.0.get_mut(index) else { return };
                if !matches!(place, Value::Object(_)) {
                    *place = Value::Object(Self::default());
                }
                if let Value::Object(object) = place {
                    object.insert_at(rest, value);
                }
            }
        }
    }

    /// Every member of the other, replacing those of the same name.
    pub fn merge(&mut self, other: &Self) {
        let places: BTreeMap<String, usize> =
            self.0.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        for (name, value) in &other.0 {
            match places.get(name).and_then(|place| self.0.get_mut(*place)) {
                Some((_, place)) => *place = value.clone(),
                None => self.0.push((name.clone(), value.clone())),
            }
        }
    }

    fn equals(&self, other: &Self) -> bool {
        let others: BTreeMap<&str, &Value> = other.0.iter().map(|(name, value)| (name.as_str(), value)).collect();
        self.0.len() == others.len()
            && self.0.iter().all(|(name, value)| others.get(name.as_str()).is_some_and(|other| value.equals(other)))
    }
}

impl Value {
    /// `None` where the bytes are no JSON.
    pub fn from_json(bytes: &[u8], version: SqlVersion) -> Option<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Json(version).deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        Some(value)
    }

    pub fn to_json(&self) -> Vec<u8> {
        match self {
            // Undefined by itself becomes an empty string, AWS says; no bytes at all.
            Self::Undefined => Vec::new(),
            value => serde_json::to_vec(value).unwrap_or_default(),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn number(number: Option<Number>) -> Self {
        number.map_or(Self::Undefined, Self::Number)
    }

    pub fn int(value: usize) -> Self {
        Self::Number(Number::Int(value as i128))
    }

    /// Only a boolean and the strings "true" and "false" are one.
    pub fn to_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// A number, or a string in the form of one.
    pub fn to_number(&self, version: SqlVersion) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => Number::from_text(text, version),
            _ => None,
        }
    }

    /// Null and Undefined have no text; arrays and objects have their JSON.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Undefined | Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            value => String::from_utf8(value.to_json()).ok(),
        }
    }

    /// Equality within one type; values of different types are not equal.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(left), Self::Boolean(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left.compare(*right).is_some_and(std::cmp::Ordering::is_eq),
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Self::Object(left), Self::Object(right)) => left.equals(right),
            _ => false,
        }
    }

    /// About how many bytes the value takes, for the budget of an evaluation.
    pub fn weight(&self) -> usize {
        const EACH: usize = 16;
        match self {
            Self::Text(text) => EACH + text.len(),
            Self::Array(items) => items.iter().map(Self::weight).sum::<usize>() + EACH,
            Self::Object(object) => {
                object.0.iter().map(|(name, value)| EACH + name.len() + value.weight()).sum::<usize>() + EACH
            }
            _ => EACH,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Undefined | Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Number(Number::Int(value)) => serializer.serialize_i128(*value),
            Self::Number(Number::Decimal(value)) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.0.len()))?;
                for (name, value) in &object.0 {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads JSON under a version of the language, which decides what `10.0` is.
#[derive(Clone, Copy)]
struct Json(SqlVersion);

impl<'de> DeserializeSeed<'de> for Json {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::Int(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(Number::Int(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::number(Number::decimal(value, self.0)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    /// Of a name given twice the last value counts, at the first place.
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(self)?;
            match places.get(&name).and_then(|place| members.get_mut(*place)) {
                Some((_, place)) => *place = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
        Ok(Value::Object(Object(members)))
    }
}
