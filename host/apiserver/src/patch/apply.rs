//! Server-side apply: the fields that a manager sends are set and owned. The fields that it no longer sends are
//! removed, unless another manager owns them too.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fields::{self, FieldSet};
use super::managers::{Manager, Owned, Owners};
use crate::schema::{ListKind, Schema};
use crate::status::{Cause, Failure};

/// An object after an apply, with the owners of its fields.
pub(crate) struct Applied {
    pub(crate) object: Value,
    pub(crate) owners: Owners,
}

/// Applies `config` to `live`, which is null if the object does not exist.
pub(crate) fn apply(
    live: &Value,
    config: &Value,
    schema: &Schema,
    manager: &Manager,
    force: bool,
) -> Result<Applied, Failure> {
    let mut config = config.clone();
    drop_nulls(&mut config);
    let mut owners = Owners::of(live);
    let sent = fields::set_of(&relevant(&config, schema, manager));
    let mut object = live.clone();
    merge(&mut object, &config, Some(schema));
    let before = fields::of_object(live, schema);
    let changed = fields::changed(&before, &fields::of_object(&object, schema));
    let changed: FieldSet = changed.intersection(&sent).cloned().collect();
    let conflicts = owners.conflicts(manager, &changed);
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }
    let others = owners.fields_of_others(manager);
    let mut left: Vec<_> = owners
        .fields_of(manager)
        .into_iter()
        .filter(|path| !sent.contains(path) && !is_held(path, &sent) && !is_held(path, &others))
        .collect();
    // Containers are removed first, because an item without its keys could not be found.
    left.sort_by_key(Vec::len);
    for path in &left {
        fields::remove(&mut object, path);
    }
    let present = fields::set_of(&fields::of_object(&object, schema));
    owners.applied(manager, sent, &changed, &present);
    Ok(Applied { object, owners })
}

/// Returns whether a set contains a field or a field below it.
fn is_held(path: &fields::Path, set: &FieldSet) -> bool {
    set.range(path.clone()..)
        .next()
        .is_some_and(|next| next.starts_with(path))
}

/// The fields that a manager can own through the path of its request.
fn relevant(config: &Value, schema: &Schema, manager: &Manager) -> fields::Fields {
    let mut fields = fields::of_object(config, schema);
    if !manager.subresource.is_empty() {
        let first = format!("f:{}", manager.subresource);
        fields.retain(|path, _| path.first() == Some(&first));
    }
    fields
}

/// Removes nulls from a configuration. Nulls in a configuration have no effect.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn merge(target: &mut Value, config: &Value, schema: Option<&Schema>) {
    match (config, schema.map(|schema| &schema.list)) {
        (Value::Object(fields), _) if !schema.is_some_and(|schema| schema.atomic) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            for (name, value) in fields {
                let schema = schema.and_then(|schema| schema.field(name));
                merge(&mut target[name.as_str()], value, schema);
            }
        }
        (Value::Array(items), Some(ListKind::Map(keys))) => {
            let mut list = target.as_array().cloned().unwrap_or_default();
            for item in items {
                let name = fields::item_step(item, keys);
                match list
                    .iter_mut()
                    .find(|one| fields::item_step(one, keys) == name)
                {
                    Some(present) => {
                        merge(
                            present,
                            item,
                            schema.and_then(|schema| schema.items.as_deref()),
                        );
                    }
                    None => list.push(item.clone()),
                }
            }
            *target = list.into();
        }
        (Value::Array(items), Some(ListKind::Set)) => {
            let mut list = target.as_array().cloned().unwrap_or_default();
            for item in items {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
            *target = list.into();
        }
        _ => *target = config.clone(),
    }
}

fn conflict(conflicts: &[(&Owned, BTreeSet<&fields::Path>)]) -> Failure {
    let mut causes = Vec::new();
    let mut groups = Vec::new();
    for (owner, paths) in conflicts {
        let who = owner.shown();
        let paths: Vec<String> = paths.iter().map(|path| fields::shown(path)).collect();
        groups.push(match paths.as_slice() {
            [path] => format!("conflict with {who}: {path}"),
            _ => format!("conflicts with {who}:\n- {}", paths.join("\n- ")),
        });
        causes.extend(paths.into_iter().map(|field| Cause {
            reason: "FieldManagerConflict",
            field,
            message: format!("conflict with {who}"),
        }));
    }
    let noun = if causes.len() == 1 {
        "conflict"
    } else {
        "conflicts"
    };
    let message = format!(
        "Apply failed with {} {noun}: {}",
        causes.len(),
        groups.join("\n")
    );
    Failure::new(409, "Conflict", message).with_causes(&causes)
}
