//! Deletion: finalizers, and the objects that are deleted with an object.
//!
//! The deletion of a namespace includes its content, that of a definition includes the objects of its kind, and that of
//! an owner includes its dependents. Finalizers are respected in all cases.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::crd;
use crate::resource::{GroupResource, Registry};
use crate::store::{Key, State};
use crate::time;

/// The result of a deletion.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// The object was removed.
    Gone(Arc<Value>),
    /// The object waits for its finalizers or its dependents.
    Waiting(Arc<Value>),
}

/// Returns whether finalizers or dependents keep the object.
pub(crate) fn is_held(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Deletes an object, or marks it as being deleted if something keeps it.
pub(crate) fn delete(state: &mut State, key: &Key) -> Option<Deletion> {
    let object = state.get(key)?.clone();
    if key.resource == GroupResource::new("", "namespaces") {
        return delete_namespace(state, key, &object);
    }
    if key.resource == GroupResource::new(crd::GROUP, crd::PLURAL) {
        return delete_definition(state, key, &object);
    }
    if is_held(&object) {
        let marked = if is_terminating(&object) {
            object
        } else {
            state.put(key, marked(&object))
        };
        return Some(Deletion::Waiting(marked));
    }
    erase(state, key).map(Deletion::Gone)
}

/// Returns the object, marked as being deleted.
fn marked(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = &mut object["metadata"];
    metadata["deletionTimestamp"] = time::now().into();
    metadata["deletionGracePeriodSeconds"] = json!(0);
    if let Some(generation) = metadata["generation"].as_i64() {
        metadata["generation"] = json!(generation + 1);
    }
    object
}

/// Removes an object and everything that waited for its removal.
pub(crate) fn erase(state: &mut State, key: &Key) -> Option<Arc<Value>> {
    let last = state.remove(key)?;
    if key.resource == GroupResource::new(crd::GROUP, crd::PLURAL) {
        let mut registry: Registry = (*state.registry).clone();
        registry.remove(&crd::defines(&last));
        state.registry = Arc::new(registry);
    }
    if state.collect {
        collect(state, key, &last["metadata"]["uid"]);
    }
    finish_namespace(state, &key.namespace);
    finish_definition(state, &key.resource);
    Some(last)
}

/// Deletes the dependents of the removed object that have no other owner.
fn collect(state: &mut State, owner: &Key, uid: &Value) {
    if uid.is_null() {
        return;
    }
    let reference = |one: &Value| one["uid"] == *uid;
    let dependents: Vec<Key> = state
        .all()
        .filter(|(key, object)| {
            let near = owner.namespace.is_empty() || key.namespace == owner.namespace;
            let owners = object["metadata"]["ownerReferences"].as_array();
            near && owners.is_some_and(|list| list.iter().any(reference))
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in dependents {
        let Some(dependent) = state.get(&key).cloned() else {
            continue;
        };
        let mut owners = dependent["metadata"]["ownerReferences"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        owners.retain(|one| !reference(one));
        if owners.iter().any(|one| exists(state, &one["uid"])) {
            let mut dependent = (*dependent).clone();
            dependent["metadata"]["ownerReferences"] = owners.into();
            state.put(&key, dependent);
        } else {
            delete(state, &key);
        }
    }
}

fn exists(state: &State, uid: &Value) -> bool {
    state
        .all()
        .any(|(_, object)| object["metadata"]["uid"] == *uid)
}

/// Removes the owner references to an object from its dependents, so that the dependents stay.
pub(crate) fn orphan(state: &mut State, uid: &Value) {
    let owned: Vec<(Key, Arc<Value>)> = state
        .all()
        .filter(|(_, object)| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|list| list.iter().any(|one| one["uid"] == *uid))
        })
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    for (key, object) in owned {
        let mut object = (*object).clone();
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|one| one["uid"] != *uid);
        }
        state.put(&key, object);
    }
}

fn delete_namespace(state: &mut State, key: &Key, object: &Value) -> Option<Deletion> {
    if !is_terminating(object) {
        let mut namespace = marked(object);
        namespace["status"]["phase"] = "Terminating".into();
        state.put(key, namespace);
    }
    let marked = state.get(key)?.clone();
    let content: Vec<Key> = state
        .all()
        .map(|(key, _)| key)
        .filter(|one| one.namespace == key.name)
        .cloned()
        .collect();
    for one in content {
        delete(state, &one);
    }
    finish_namespace(state, &key.name);
    Some(Deletion::Waiting(marked))
}

/// Removes a namespace that is being deleted, if the namespace is empty.
fn finish_namespace(state: &mut State, name: &str) {
    if name.is_empty() || state.all().any(|(key, _)| key.namespace == name) {
        return;
    }
    let key = Key {
        resource: GroupResource::new("", "namespaces"),
        namespace: String::new(),
        name: name.to_owned(),
    };
    if state
        .get(&key)
        .is_some_and(|one| is_terminating(one) && !is_held(one))
    {
        erase(state, &key);
    }
}

fn delete_definition(state: &mut State, key: &Key, object: &Value) -> Option<Deletion> {
    let defined = crd::defines(object);
    let objects: Vec<Key> = state
        .list(&defined, None)
        .map(|(key, _)| key.clone())
        .collect();
    if !is_terminating(object) && (is_held(object) || !objects.is_empty()) {
        let mut definition = marked(object);
        let mut finalizers = definition["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !objects.is_empty() {
            finalizers.push(crd::FINALIZER.into());
        }
        definition["metadata"]["finalizers"] = finalizers.into();
        let condition = crd::condition(
            "Terminating",
            "InstanceDeletionInProgress",
            "CustomResource deletion is in progress",
        );
        if let Some(conditions) = definition["status"]["conditions"].as_array_mut() {
            conditions.push(condition);
        }
        state.put(key, definition);
    }
    let marked = state.get(key)?.clone();
    for one in objects {
        delete(state, &one);
    }
    // The deletion of the objects may have removed the namespace already.
    if state.get(key).is_some_and(|one| !is_held(one)) {
        erase(state, key);
    }
    if state.get(key).is_none() {
        Some(Deletion::Gone(marked))
    } else {
        Some(Deletion::Waiting(marked))
    }
}

/// Removes the finalizer of a definition that is being deleted, if no object of its kind remains.
fn finish_definition(state: &mut State, resource: &GroupResource) {
    if state.list(resource, None).next().is_some() {
        return;
    }
    let key = Key {
        resource: GroupResource::new(crd::GROUP, crd::PLURAL),
        namespace: String::new(),
        name: resource.to_string(),
    };
    let Some(definition) = state.get(&key).filter(|one| is_terminating(one)).cloned() else {
        return;
    };
    let mut definition = (*definition).clone();
    if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|one| one != crd::FINALIZER);
    }
    if is_held(&definition) {
        state.put(&key, definition);
    } else {
        erase(state, &key);
    }
}
