//! A policy document as a small tree in which every value knows where it stands.
//!
//! serde_json parses; this layer reads one level at a time as raw text, which keeps the byte offsets that
//! serde_json's own tree drops, refuses a key given twice (serde_json keeps the last, which would let one document
//! read two ways), and bounds the depth.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::malformed::Fault;

/// Document, statement list, statement, Condition, operator, value list, value: nothing in a policy lies deeper.
const DEPTH_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Node {
    /// Byte offset of the value's first character.
    pub(super) at: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug)]
pub(super) struct Member {
    /// Byte offset of the name's opening quote.
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) node: Node,
}

impl Value {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

pub(super) fn parse(document: &str) -> Result<Node, Fault> {
    let raw: &RawValue = serde_json::from_str(document).map_err(|error| syntax_fault(&error, document, 0))?;
    Reader { document }.node(raw, 1)
}

struct Reader<'a> {
    document: &'a str,
}

impl<'a> Reader<'a> {
    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node, Fault> {
        let text = raw.get();
        let at = self.offset(text);
        if depth > DEPTH_MAX {
            return Err(Fault::new(at, format!("nested more than {DEPTH_MAX} levels deep: no policy element is")));
        }
        let fault = |error: serde_json::Error| syntax_fault(&error, self.document, at);
        let value = match text.as_bytes().first() {
            Some(b'{') => Value::Object(self.members(text, at, depth)?),
            Some(b'[') => {
                let items: Vec<&'a RawValue> =
                    serde_json::Deserializer::from_str(text).deserialize_seq(Items).map_err(fault)?;
                let nodes = items.into_iter().map(|item| self.node(item, depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(text).map_err(fault)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(text.to_owned()),
        };
        Ok(Node { at, value })
    }

    fn members(&self, text: &'a str, at: usize, depth: usize) -> Result<Vec<Member>, Fault> {
        let entries: Vec<(String, &'a RawValue)> = serde_json::Deserializer::from_str(text)
            .deserialize_map(Entries)
            .map_err(|error| syntax_fault(&error, self.document, at))?;
        let mut members: Vec<Member> = Vec::with_capacity(entries.len());
        // A name begins after the brace or the comma that follows the value before it.
        let mut previous_end = at + 1;
        for (name, raw) in entries {
            let gap = self.document.get(previous_end..).unwrap_or_default();
            let name_at = previous_end + gap.find('"').unwrap_or(0);
            if members.iter().any(|member| member.name == name) {
                return Err(Fault::new(name_at, format!("\"{name}\" is given twice; keep one")));
            }
            previous_end = self.offset(raw.get()) + raw.get().len();
            members.push(Member { at: name_at, name, node: self.node(raw, depth + 1)? });
        }
        Ok(members)
    }

    /// `part` is always a slice of the document: serde_json borrows raw values from its input.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.document.as_ptr() as usize)
    }
}

/// serde_json names line and column within the text it was given, which begins at `start` of the document.
fn syntax_fault(error: &serde_json::Error, document: &str, start: usize) -> Fault {
    let text = document.get(start..).unwrap_or_default();
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut at = (start + line_start + error.column().saturating_sub(1)).min(document.len());
    while !document.is_char_boundary(at) {
        at -= 1;
    }
    let whole = error.to_string();
    let what = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(what, _)| what);
    Fault::new(at, format!("not valid JSON: {what}"))
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
