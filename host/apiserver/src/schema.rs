//! Structural schemas: validation, pruning and defaults of objects.
//!
//! A schema is compiled once from its JSON form. It prunes, sets defaults and validates. It also defines for the
//! `patch` modules how lists and maps are merged. It does not depend on requests or storage.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

mod compile;
mod format;
mod rule;
mod shape;
mod validate;

pub(crate) use compile::Refusal;

/// A compiled structural schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    pub(crate) properties: BTreeMap<String, Self>,
    /// The schema of fields that `properties` does not list.
    pub(crate) additional: Option<Box<Self>>,
    pub(crate) items: Option<Box<Self>>,
    pub(crate) list: ListKind,
    /// Whether the object is owned and replaced as one value.
    pub(crate) atomic: bool,
    /// The effect of a strategic merge patch on a list.
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
    rules: Vec<rule::Rule>,
}

/// The effect of a strategic merge patch on a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    #[default]
    Replace,
    Merge,
}

/// The JSON type of a schema.
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

/// The merge behaviour of a list, and the ownership of its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ListKind {
    #[default]
    Atomic,
    Set,
    /// These fields identify an item.
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
    /// The name of the type in a schema.
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

/// The name of a value's type.
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

    /// Whether the schema declares a field by its name, so that it is not the key of a map.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }
}

#[cfg(test)]
mod tests;
