//! Structural schemas: what an object may look like, and what to do with one that does not.
//!
//! A schema is compiled once from its JSON form. It prunes, fills in defaults, validates, and tells
//! the `patch` rooms how lists and maps merge. It knows nothing of requests or storage.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

mod compile;
mod format;
mod shape;
mod validate;

pub(crate) use compile::Refusal;

/// A compiled structural schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    pub(crate) properties: BTreeMap<String, Self>,
    /// The schema of the values under names that `properties` does not list.
    pub(crate) additional: Option<Box<Self>>,
    pub(crate) items: Option<Box<Self>>,
    pub(crate) list: ListKind,
    /// An object that is owned and replaced as one value.
    pub(crate) atomic: bool,
    /// What a strategic merge patch does with a list.
    pub(crate) strategy: Strategy,
    preserve_unknown: bool,
    nullable: bool,
    required: Vec<String>,
    default: Option<Value>,
    allowed: Vec<Value>,
    bounds: Bounds,
    pattern: Option<Regex>,
    format: Option<String>,
    all_of: Vec<Self>,
    any_of: Vec<Self>,
    one_of: Vec<Self>,
    not: Option<Box<Self>>,
}

/// What a strategic merge patch does with a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    #[default]
    Replace,
    Merge,
}

/// The JSON type a schema asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// How a list merges with another and who owns its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    /// Items are told apart by these fields.
    Map(Vec<String>),
}

#[derive(Debug, Clone, Default)]
struct Bounds {
    minimum: Option<f64>,
    maximum: Option<f64>,
    exclusive_minimum: bool,
    exclusive_maximum: bool,
    multiple_of: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    unique_items: bool,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
}

impl Kind {
    /// The name the type has in a schema.
    fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

/// The name of the type a value has.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Schema {
    /// The schema of one field of an object.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Whether the fields of an object of this schema have names of their own instead of being the
    /// keys of a map.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }
}

#[cfg(test)]
mod tests;
