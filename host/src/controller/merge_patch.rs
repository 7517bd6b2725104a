//! Merge patches from the present state of an object to the wanted one. Pure.
//!
//! What others have written stays: labels, annotations, owner references and fields of the status.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value, json};
use stoker_api::detection::ObjectKey;

use super::ownership;

/// Returns the merge patch that changes fields of an owned object and restores its metadata, or `None` if nothing
/// changes. The patch applies only to the version that was read.
pub(super) fn of_owned(
    key: &ObjectKey,
    present: &ObjectMeta,
    wanted: &ObjectMeta,
    fields: Map<String, Value>,
) -> Option<Value> {
    of_version(present, metadata(key, present, wanted), fields)
}

/// Returns the merge patch with these changes, or `None` if there are none. It applies only to the version that was
/// read.
pub(super) fn of_version(
    present: &ObjectMeta,
    mut metadata: Map<String, Value>,
    mut fields: Map<String, Value>,
) -> Option<Value> {
    if fields.is_empty() && metadata.is_empty() {
        return None;
    }
    let version = json!(present.resource_version);
    metadata.insert("resourceVersion".to_owned(), version);
    fields.insert("metadata".to_owned(), metadata.into());
    Some(fields.into())
}

/// Sets the version to which a merge patch applies.
pub(super) fn set_version(patch: &mut Value, version: String) {
    patch["metadata"]["resourceVersion"] = version.into();
}

/// Returns a field with its changes, or nothing if there are none.
pub(super) fn field(name: &str, changes: Map<String, Value>) -> Map<String, Value> {
    let field = (!changes.is_empty()).then(|| (name.to_owned(), changes.into()));
    field.into_iter().collect()
}

/// Returns the changes that turn a map into another one.
pub(super) fn replacement<V: PartialEq + Serialize>(
    present: Option<&BTreeMap<String, V>>,
    wanted: Option<&BTreeMap<String, V>>,
) -> Map<String, Value> {
    let is_wanted = |name: &String| wanted.is_some_and(|wanted| wanted.contains_key(name));
    let stray = present.into_iter().flat_map(BTreeMap::keys);
    let stray = stray.filter(|name| !is_wanted(name));
    let removed = stray.map(|name| (name.clone(), Value::Null));
    removed.chain(additions(present, wanted)).collect()
}

/// Returns the changes that add the wanted values to a map.
fn additions<V: PartialEq + Serialize>(
    present: Option<&BTreeMap<String, V>>,
    wanted: Option<&BTreeMap<String, V>>,
) -> Map<String, Value> {
    let before = |name: &String| present.and_then(|present| present.get(name));
    let wanted = wanted.into_iter().flatten();
    let added = wanted.filter(|(name, value)| before(name) != Some(value));
    added
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect()
}

fn metadata(key: &ObjectKey, present: &ObjectMeta, wanted: &ObjectMeta) -> Map<String, Value> {
    let labels = additions(present.labels.as_ref(), wanted.labels.as_ref());
    let annotations = additions(present.annotations.as_ref(), wanted.annotations.as_ref());
    let mut changes = field("labels", labels);
    changes.extend(field("annotations", annotations));
    if let Some(owner) = wanted.owner_references.iter().flatten().next() {
        let owners = ownership::owners(present, key, &owner.uid);
        let before = present.owner_references.as_deref().unwrap_or_default();
        if !ownership::is_same(before, &owners) {
            changes.insert("ownerReferences".to_owned(), json!(owners));
        }
    }
    changes
}
