//! Reading from a JSON value with the path to what is wrong.
//!
//! The fast way reads text straight into structs and keeps no paths. Where it fails, and for YAML, the value is read
//! again from here: the same structs, slower, with errors that know where they are.

use crate::input::convert::{quoted, shown};
use crate::problem::{Place, Problem, ProblemKind, near_miss};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A JSON value to be read, whose errors are [`Fault`]s.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a>(pub &'a Value);

/// What is wrong with a value, and the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// From the innermost outwards.
    steps: Vec<Step>,
    kind: ProblemKind,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
}

impl Fault {
    fn new(kind: ProblemKind) -> Self {
        Fault { steps: Vec::new(), kind }
    }

    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The problem, with its place in `root`. If the way leads through an object among `objects` or `items`, the place is
    /// that object and the rest of the way.
    pub fn in_root(self, root: &Value) -> Problem {
        let mut at = Some(root);
        let mut object = None;
        let steps: Vec<&Step> = self.steps.iter().rev().collect();
        for (taken, step) in steps.iter().enumerate() {
            at = match step {
                Step::Field(name) => at.and_then(|value| value.get(name)),
                Step::Index(index) => at.and_then(|value| value.get(index)),
            };
            if let (Some(value), Step::Index(_), Some(Step::Field(list))) =
                (at, step, taken.checked_sub(1).and_then(|before| steps.get(before)))
                && matches!(list.as_str(), "objects" | "items")
            {
                object = Some((value, taken + 1));
            }
        }
        match object {
            Some((value, taken)) if value.get("kind").is_some() => {
                Problem::new(Place::in_object(title(value), path(&steps[taken..])), self.kind)
            }
            _ if root.get("metadata").is_some() => {
                Problem::new(Place::in_object(title(root), path(&steps)), self.kind)
            }
            _ => Problem::new(Place::at(path(&steps)), self.kind),
        }
    }

    /// The problem, with its place in the object that is called `title`.
    pub fn under_title(self, title: String) -> Problem {
        let steps: Vec<&Step> = self.steps.iter().rev().collect();
        Problem::new(Place::in_object(title, path(&steps)), self.kind)
    }

    /// The problem, with its place in `object`.
    pub fn in_object(self, object: &Value) -> Problem {
        self.under_title(title(object))
    }
}

fn path(steps: &[&Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
        }
    }
    text
}

/// An object as messages name it: ``Pod `default/web` ``.
pub(crate) fn title(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    titled(text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// An object as messages name it: ``Pod `default/web` ``.
pub(crate) fn titled(kind: &str, namespace: &str, name: &str) -> String {
    match (namespace, name) {
        (_, "") => format!("unnamed {kind}"),
        ("", name) => format!("{kind} `{name}`"),
        (namespace, name) => format!("{kind} `{namespace}/{name}`"),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<&Step> = self.steps.iter().rev().collect();
        write!(f, "{}: {}", path(&steps), self.kind)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::new(ProblemKind::Syntax { message: message.to_string(), line: 0, column: 0 })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let allowed = match expected.to_string().as_str() {
            "i64" | "i32" => "an integer".to_owned(),
            "u64" | "u32" => "an integer, 0 or more".to_owned(),
            "f64" => "a number".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a sequence" => "a list".to_owned(),
            "a map" => "an object".to_owned(),
            other => other.to_owned(),
        };
        Fault::new(ProblemKind::Value { found: unexpected(found), allowed, near: None })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Fault::new(ProblemKind::Value {
            found: quoted(variant),
            allowed: format!("one of {}", expected.join(", ")),
            near: near_miss(variant, expected.iter().copied()).map(str::to_owned),
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Fault::new(ProblemKind::UnknownField {
            name: field.to_owned(),
            near: near_miss(field, expected.iter().copied()).map(str::to_owned),
            known: expected.to_vec(),
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::new(ProblemKind::Missing { name: field.to_owned() })
    }
}

fn unexpected(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => quoted(text),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        other => other.to_string(),
    }
}

impl<'de> Deserializer<'de> for Located<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => visitor.visit_seq(Elements { values: values.iter(), index: 0 }),
            Value::Object(fields) => visitor.visit_map(Fields::new(fields)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

struct Elements<'de> {
    values: std::slice::Iter<'de, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Located(value)).map(Some).map_err(|fault| fault.under(Step::Index(index)))
    }
}

/// The fields of an object, those first on which the meaning of the rest depends.
struct Fields<'de> {
    fields: &'de Map<String, Value>,
    first: [Option<&'static str>; 3],
    rest: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
}

const FIRST: [&str; 3] = ["apiVersion", "kind", "scenario"];

impl<'de> Fields<'de> {
    fn new(fields: &'de Map<String, Value>) -> Self {
        Fields { fields, first: FIRST.map(Some), rest: fields.iter(), value: None }
    }

    fn advance(&mut self) -> Option<(&'de str, &'de Value)> {
        for first in &mut self.first {
            if let Some(name) = first.take()
                && let Some(value) = self.fields.get(name)
            {
                return Some((name, value));
            }
        }
        self.rest
            .by_ref()
            .find(|(name, _)| !FIRST.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value))
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.value = self.advance();
        match self.value {
            Some((name, _)) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, value)) = self.value.take() else {
            return Err(Fault::new(ProblemKind::Value {
                found: shown(&Value::Null),
                allowed: "a value after a key".to_owned(),
                near: None,
            }));
        };
        seed.deserialize(Located(value)).map_err(|fault| fault.under(Step::Field(name.to_owned())))
    }
}
