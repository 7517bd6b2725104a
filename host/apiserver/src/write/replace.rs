//! Changes of existing objects, by replacement or patch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Intent, Written, check_content, check_kind, check_place, create, shape};
use crate::builtin::prepare;
use crate::lifecycle;
use crate::patch::fields;
use crate::patch::managers::Owners;
use crate::status::{Cause, Failure};
use crate::store::State;

/// Metadata that a write does not change.
const KEPT: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "generation",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
];

/// Replaces an object with the sent one.
pub(crate) fn update(state: &mut State, intent: &Intent, body: Value) -> Result<Written, Failure> {
    check_kind(intent, &body)?;
    let mut object = body;
    let warnings = shape(intent, &mut object)?;
    check_place(intent, &mut object)?;
    let name = intent.name.clone().unwrap_or_default();
    let Some(old) = state.get(&intent.key(&name)).cloned() else {
        if intent.resource.rules.upsert && !intent.status {
            let object = create::store(state, intent, intent.unview(object), None)?;
            return Ok(Written {
                object: intent.view(&object),
                created: true,
                warnings,
            });
        }
        return Err(Failure::not_found(&intent.resource.name, &name));
    };
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if version.is_empty() && !intent.resource.rules.unconditional {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(0),
            "must be specified for an update",
        );
        return Err(intent.invalid(&name, &[cause]));
    }
    let object = store(state, intent, &old, intent.unview(object), None)?;
    Ok(Written {
        object: intent.view(&object),
        created: false,
        warnings,
    })
}

/// Stores a changed object. `old` is in its stored form.
pub(super) fn store(
    state: &mut State,
    intent: &Intent,
    old: &Arc<Value>,
    changed: Value,
    owners: Option<Owners>,
) -> Result<Value, Failure> {
    let stored = &intent.stored;
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    check_unchanged(intent, old, &changed, name)?;
    let base = if changed["metadata"]["managedFields"].is_array() {
        Owners::of(&changed)
    } else {
        Owners::of(old)
    };
    let before = fields::of_object(old, &stored.schema);
    let mut object = combined(intent, old, changed);
    let after = fields::of_object(&object, &stored.schema);
    prepare::fill(stored, &mut object, Some(old));
    check_finalizers(intent, old, &object)?;
    check_content(intent, &object, Some(old))?;
    let resources = super::defined(state, intent, &object)?;
    let owners = owners.unwrap_or_else(|| {
        let mut owners = base;
        owners.updated(&intent.manager, &before, &after);
        owners
    });
    owners.write(&mut object);
    let leaves = lifecycle::is_terminating(&object)
        && !lifecycle::is_held(&object)
        && !stored.is("", "namespaces");
    // Nothing changed: watches are not notified, and the object keeps its version.
    if (object == **old && !leaves) || intent.dry_run {
        return Ok(object);
    }
    if stored.rules.generation && content(&object) != content(old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
        object["metadata"]["generation"] = json!(generation + 1);
    }
    let key = intent.key(name);
    if leaves {
        lifecycle::erase(state, &key);
        return Ok(object);
    }
    let object = state.put(&key, object);
    super::serve(state, &object, resources);
    Ok((*object).clone())
}

/// Optimistic concurrency: refuses a write that is based on another version.
fn check_unchanged(
    intent: &Intent,
    old: &Value,
    changed: &Value,
    name: &str,
) -> Result<(), Failure> {
    let sent = |field: &str| {
        changed["metadata"][field]
            .as_str()
            .filter(|text| !text.is_empty())
    };
    let (old, resource) = (&old["metadata"], &intent.resource.name);
    if let Some(uid) = sent("uid").filter(|uid| old["uid"] != *uid) {
        let present = old["uid"].as_str().unwrap_or_default();
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {present}"
        );
        return Err(Failure::conflict(resource, name, &why));
    }
    let Some(version) = sent("resourceVersion") else {
        return Ok(());
    };
    if version.parse::<u64>().is_err() {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(version),
            "must be an unsigned integer",
        );
        return Err(intent.invalid(name, &[cause]));
    }
    if version != "0" && old["resourceVersion"] != version {
        return Err(Failure::modified(resource, name));
    }
    Ok(())
}

/// Combines the part of the old object that a write to this path keeps with the part of the changed one that it
/// replaces.
fn combined(intent: &Intent, old: &Value, changed: Value) -> Value {
    if intent.status {
        let mut object = old.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
            if !changed["status"].is_null() {
                fields.insert("status".into(), changed["status"].clone());
            }
        }
        return object;
    }
    let mut object = changed;
    let keep = |target: &mut Value, source: &Value, field: &str| {
        let Some(target) = target.as_object_mut() else {
            return;
        };
        target.remove(field);
        if !source[field].is_null() {
            target.insert(field.to_owned(), source[field].clone());
        }
    };
    for field in KEPT {
        keep(&mut object["metadata"], &old["metadata"], field);
    }
    if intent.stored.status {
        keep(&mut object, old, "status");
    }
    object
}

/// Refuses new finalizers on an object that is being deleted.
fn check_finalizers(intent: &Intent, old: &Value, object: &Value) -> Result<(), Failure> {
    if !lifecycle::is_terminating(old) {
        return Ok(());
    }
    let list = |object: &Value| {
        object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = list(old);
    let added: Vec<String> = list(object)
        .iter()
        .filter(|one| !before.contains(one))
        .map(ToString::to_string)
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    let name = old["metadata"]["name"].as_str().unwrap_or_default();
    Err(intent.invalid(name, &[Cause::forbidden("metadata.finalizers", &why)]))
}

/// The part of an object whose changes `metadata.generation` counts.
fn content(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion"))
        .collect()
}
