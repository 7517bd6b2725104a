//! Strategic merge patches. Maps are merged. Lists are merged if their schema says so.
//!
//! Two directives are supported: the order of a list, and deletions from a list of strings. Other directives are
//! refused with a message that names them.

use serde_json::{Map, Value};

use crate::schema::{ListKind, Schema, Strategy};
use crate::status::Failure;

const ORDER: &str = "$setElementOrder/";
const REMOVED: &str = "$deleteFromPrimitiveList/";

/// Merges `patch` into `target`.
pub(super) fn merge(
    target: &mut Value,
    patch: &Value,
    schema: Option<&Schema>,
) -> Result<(), Failure> {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else {
        return Ok(());
    };
    for (name, change) in changes.iter().filter(|(name, _)| !name.starts_with('$')) {
        let schema = schema.and_then(|schema| schema.field(name));
        match change {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(_) => {
                let field = fields.entry(name.clone()).or_insert(Value::Null);
                merge(field, change, schema)?;
            }
            Value::Array(items)
                if schema.is_some_and(|schema| schema.strategy == Strategy::Merge) =>
            {
                let field = fields
                    .entry(name.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                merge_list(field, items, schema)?;
            }
            _ => {
                fields.insert(name.clone(), change.clone());
            }
        }
    }
    for (name, value) in changes.iter().filter(|(name, _)| name.starts_with('$')) {
        directive(fields, name, value, schema)?;
    }
    Ok(())
}

fn merge_list(target: &mut Value, items: &[Value], schema: Option<&Schema>) -> Result<(), Failure> {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(list) = target.as_array_mut() else {
        return Ok(());
    };
    for item in items {
        if item.get("$patch").is_some() || item.get("$retainKeys").is_some() {
            return Err(refused("$patch and $retainKeys"));
        }
        let same = |one: &Value| is_same(one, item, schema);
        match list.iter_mut().find(|one| same(one)) {
            Some(present) if item.is_object() => {
                merge(
                    present,
                    item,
                    schema.and_then(|schema| schema.items.as_deref()),
                )?;
            }
            Some(_) => {}
            None => list.push(item.clone()),
        }
    }
    Ok(())
}

fn directive(
    fields: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    schema: Option<&Schema>,
) -> Result<(), Failure> {
    let values = value.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(field) = name.strip_prefix(ORDER) {
        let schema = schema.and_then(|schema| schema.field(field));
        if let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut) {
            // Items that the order does not list come last.
            list.sort_by_key(|item| {
                values
                    .iter()
                    .position(|one| is_same(item, one, schema))
                    .unwrap_or(values.len())
            });
        }
        return Ok(());
    }
    if let Some(field) = name.strip_prefix(REMOVED) {
        if let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut) {
            list.retain(|item| !values.contains(item));
        }
        return Ok(());
    }
    Err(refused(name))
}

fn refused(name: &str) -> Failure {
    Failure::not_implemented(format!("{name} in a strategic merge patch"))
}

fn is_same(one: &Value, other: &Value, schema: Option<&Schema>) -> bool {
    match schema.map(|schema| &schema.list) {
        Some(ListKind::Map(keys)) => keys.iter().all(|key| one.get(key) == other.get(key)),
        _ => one == other,
    }
}
