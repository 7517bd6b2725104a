//! Sets of fields, as in `metadata.managedFields`.
//!
//! A field is the path to it. Each step is written as in the `FieldsV1` format: `f:` and a name,
//! `k:` and the keys of a list's item, or `v:` and an item itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::schema::{ListKind, Schema};

/// The path of a field.
pub(crate) type Path = Vec<String>;
/// A set of fields.
pub(crate) type FieldSet = BTreeSet<Path>;
/// Fields with their values. A field that only contains others has null.
pub(crate) type Fields = BTreeMap<Path, Value>;

/// Fields without owners: only the server writes them, or they identify the object.
const UNOWNED: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
];

/// The fields of an object that can be owned.
pub(crate) fn of_object(object: &Value, schema: &Schema) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        if name == "apiVersion" || name == "kind" {
            continue;
        }
        collect(value, schema.field(name), vec![field(name)], &mut fields);
    }
    fields.retain(|path, _| !is_unowned(path));
    fields
}

fn is_unowned(path: &[String]) -> bool {
    let [first, second, ..] = path else {
        return path == ["f:metadata"];
    };
    first == "f:metadata"
        && second
            .strip_prefix("f:")
            .is_some_and(|name| UNOWNED.contains(&name) || name == "deletionGracePeriodSeconds")
}

fn field(name: &str) -> String {
    format!("f:{name}")
}

fn collect(value: &Value, schema: Option<&Schema>, path: Path, fields: &mut Fields) {
    let below = |step: String| {
        let mut path = path.clone();
        path.push(step);
        path
    };
    match (value, schema.map(|schema| &schema.list)) {
        (Value::Object(object), _)
            if !object.is_empty() && !schema.is_some_and(|schema| schema.atomic) =>
        {
            for (name, value) in object {
                let path = below(field(name));
                // The keys of a map have owners. The fields of a typed object do not.
                if value.is_object() && schema.is_some_and(|one| !one.declares(name)) {
                    fields.insert(path.clone(), Value::Null);
                }
                collect(
                    value,
                    schema.and_then(|schema| schema.field(name)),
                    path,
                    fields,
                );
            }
        }
        (Value::Array(items), Some(ListKind::Map(keys))) => {
            for item in items {
                let path = below(item_step(item, keys));
                fields.insert(path.clone(), Value::Null);
                collect(
                    item,
                    schema.and_then(|schema| schema.items.as_deref()),
                    path,
                    fields,
                );
            }
        }
        (Value::Array(items), Some(ListKind::Set)) => {
            for item in items {
                fields.insert(below(format!("v:{item}")), item.clone());
            }
        }
        _ => {
            fields.insert(path, value.clone());
        }
    }
}

/// The step to an item of a keyed list.
pub(crate) fn item_step(item: &Value, keys: &[String]) -> String {
    let named: Map<String, Value> = keys
        .iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
        .collect();
    format!("k:{}", Value::Object(named))
}

/// The fields without their values.
pub(crate) fn set_of(fields: &Fields) -> FieldSet {
    fields.keys().cloned().collect()
}

/// The fields that are new or have changed.
pub(crate) fn changed(before: &Fields, after: &Fields) -> FieldSet {
    let differs = |(path, value): &(&Path, &Value)| before.get(*path) != Some(*value);
    after
        .iter()
        .filter(differs)
        .map(|(path, _)| path.clone())
        .collect()
}

/// Reads `FieldsV1`.
pub(crate) fn parse(value: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    parse_at(value, &mut Vec::new(), &mut set);
    set
}

fn parse_at(value: &Value, path: &mut Path, set: &mut FieldSet) {
    let Some(object) = value.as_object() else {
        return;
    };
    if object.is_empty() && !path.is_empty() {
        set.insert(path.clone());
    }
    for (step, below) in object {
        if step == "." {
            set.insert(path.clone());
            continue;
        }
        path.push(normal(step));
        parse_at(below, path, set);
        path.pop();
    }
}

/// Normalises a step, so that equal items have equal texts.
fn normal(step: &str) -> String {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    for prefix in ["k:", "v:"] {
        if let Some(value) = step.strip_prefix(prefix).and_then(parsed) {
            return format!("{prefix}{value}");
        }
    }
    step.to_owned()
}

/// Writes `FieldsV1`.
pub(crate) fn to_value(set: &FieldSet) -> Value {
    let mut root = Value::Object(Map::new());
    for path in set {
        let mut node = &mut root;
        for step in path {
            // A dot means that the field itself is owned, in addition to the fields below it.
            node = &mut node[step.as_str()];
            if node.is_null() {
                *node = Value::Object(Map::new());
            }
        }
        let children = set.range(path.clone()..).nth(1);
        if children.is_some_and(|next| next.starts_with(path)) {
            node["."] = Value::Object(Map::new());
        }
    }
    root
}

/// A path for messages: `.spec.git.repo`, `.status.conditions[type="Ready"].status`.
pub(crate) fn shown(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        match parts(step) {
            ("k:", keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                text.push('[');
                text.push_str(&pairs.join(","));
                text.push(']');
            }
            ("v:", value) => {
                text.push_str("[=");
                text.push_str(value);
                text.push(']');
            }
            (_, name) => {
                text.push('.');
                text.push_str(name);
            }
        }
    }
    text
}

/// Removes a field from an object, and its parents that become empty.
pub(crate) fn remove(object: &mut Value, path: &[String]) {
    let [step, rest @ ..] = path else { return };
    let (prefix, text) = parts(step);
    if prefix == "f:" {
        let Some(fields) = object.as_object_mut() else {
            return;
        };
        let Some(inner) = fields.get_mut(text) else {
            return;
        };
        remove(inner, rest);
        if rest.is_empty() || is_empty(inner) {
            fields.remove(text);
        }
        return;
    }
    let wanted: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(list) = object.as_array_mut() else {
        return;
    };
    let matches = |item: &Value| match (prefix, wanted.as_object()) {
        ("k:", Some(keys)) => keys.iter().all(|(key, value)| item.get(key) == Some(value)),
        _ => *item == wanted,
    };
    let Some(at) = list.iter().position(matches) else {
        return;
    };
    if rest.is_empty() {
        list.remove(at);
    } else {
        remove(&mut list[at], rest);
    }
}

/// The kind of a step and its content. A client can send an invalid step.
fn parts(step: &str) -> (&str, &str) {
    step.split_at_checked(2).unwrap_or((step, ""))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}
