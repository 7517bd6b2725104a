//! Objects as rows of a table, as `kubectl get` shows them.

use serde_json::{Value, json};

mod builtin;
mod path;

pub(crate) use path::{JsonPath, PathError};

use crate::time;

/// One column: its description and the source of its cells.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// The source of a cell.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// A path in the object.
    Path(JsonPath),
    /// A time in the object, shown as its age.
    Age(JsonPath),
    /// Computed, for built-in kinds.
    Computed(fn(&Value) -> Value),
}

/// The part of the object that a row includes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Its metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
    /// Nothing.
    None,
}

impl Column {
    /// The first column of every table.
    pub(crate) fn name() -> Self {
        Self {
            format: "name".to_owned(),
            ..Self::computed("Name", "string", 0, |object| {
                object["metadata"]["name"].clone()
            })
        }
    }

    /// The age of the object.
    pub(crate) fn age() -> Self {
        Self::computed("Age", "string", 0, |object| {
            age(&object["metadata"]["creationTimestamp"])
        })
    }

    pub(crate) fn computed(
        name: &str,
        kind: &str,
        priority: i64,
        cell: fn(&Value) -> Value,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority,
            cell: Cell::Computed(cell),
        }
    }

    fn value(&self, object: &Value) -> Value {
        match &self.cell {
            Cell::Computed(compute) => compute(object),
            Cell::Age(path) => path
                .find(object)
                .first()
                .map_or(Value::Null, |time| age(time)),
            Cell::Path(path) => self.shown(&path.find(object)),
        }
    }

    /// Several strings are joined. Of other types, the first value is shown.
    fn shown(&self, found: &[&Value]) -> Value {
        match (self.kind.as_str(), found) {
            (_, []) => Value::Null,
            ("string", [first]) if first.is_null() => Value::Null,
            ("string", _) => found
                .iter()
                .map(|one| text(one))
                .collect::<Vec<_>>()
                .join(" ")
                .into(),
            ("integer", [first, ..]) => first.as_i64().map_or(Value::Null, Value::from),
            ("number", [first, ..]) => first.as_f64().map_or(Value::Null, Value::from),
            ("boolean", [first, ..]) => first.as_bool().map_or(Value::Null, Value::from),
            _ => Value::Null,
        }
    }

    fn to_value(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }
}

/// A string as it is, any other value as JSON.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The age of a time, as a cell.
fn age(value: &Value) -> Value {
    let Some(text) = value.as_str() else {
        return "<unknown>".into();
    };
    time::seconds_since(text).map_or_else(|| "<invalid>".into(), |age| time::human(age).into())
}

/// The table of some objects. `metadata` is the list's.
pub(crate) fn table<'a>(
    columns: &[Column],
    objects: impl Iterator<Item = &'a Value>,
    include: Include,
    metadata: &Value,
) -> Value {
    let rows: Vec<Value> = objects
        .map(|object| row(columns, object, include))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns.iter().map(Column::to_value).collect::<Vec<_>>(),
        "rows": rows,
    })
}

fn row(columns: &[Column], object: &Value, include: Include) -> Value {
    let cells: Vec<Value> = columns.iter().map(|column| column.value(object)).collect();
    let mut row = json!({ "cells": cells });
    match include {
        Include::Metadata => row["object"] = partial(object),
        Include::Object => row["object"] = object.clone(),
        Include::None => {}
    }
    row
}

/// The metadata of an object as a `PartialObjectMetadata`.
pub(crate) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

#[cfg(test)]
mod tests;
