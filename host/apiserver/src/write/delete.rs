//! Deletion of one object or of many.

use serde_json::{Value, json};

use super::Intent;
use crate::lifecycle::{self, Deletion};
use crate::selector::Selection;
use crate::status::{self, Cause, Failure};
use crate::store::{Key, State};

/// Namespaces that cannot be deleted.
const PERMANENT: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The options of a deletion.
struct Options<'a> {
    body: &'a Value,
    orphan: bool,
    dry_run: bool,
}

impl<'a> Options<'a> {
    fn read(intent: &Intent, body: &'a Value, policy: Option<&str>) -> Result<Self, Failure> {
        let policy = body["propagationPolicy"].as_str().or(policy);
        if let Some(other) =
            policy.filter(|one| !matches!(*one, "Background" | "Foreground" | "Orphan"))
        {
            let known = [json!("Background"), json!("Foreground"), json!("Orphan")];
            let cause = Cause::unsupported("propagationPolicy", &json!(other), &known);
            return Err(Failure::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                &[cause],
            ));
        }
        let dry_run = body["dryRun"]
            .as_array()
            .is_some_and(|list| list.contains(&json!("All")));
        let orphan = policy == Some("Orphan") || body["orphanDependents"] == true;
        Ok(Self {
            body,
            orphan,
            dry_run: dry_run || intent.dry_run,
        })
    }
}

/// Deletes one object. Returns the object if something keeps it, and a `Status` if it was removed.
pub(crate) fn delete(
    state: &mut State,
    intent: &Intent,
    body: &Value,
    policy: Option<&str>,
) -> Result<Value, Failure> {
    let options = Options::read(intent, body, policy)?;
    let name = intent.name.as_deref().unwrap_or_default();
    let key = intent.key(name);
    match remove(state, intent, &key, &options)? {
        Deletion::Waiting(object) => Ok(intent.view(&object)),
        Deletion::Gone(object) => {
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            Ok(status::deleted(&intent.resource.name, name, uid))
        }
    }
}

fn remove(
    state: &mut State,
    intent: &Intent,
    key: &Key,
    options: &Options<'_>,
) -> Result<Deletion, Failure> {
    let resource = &intent.resource.name;
    let missing = || Failure::not_found(resource, &key.name);
    let object = state.get(key).cloned().ok_or_else(missing)?;
    check_preconditions(intent, &key.name, &object, options.body)?;
    if intent.stored.is("", "namespaces") && PERMANENT.contains(&key.name.as_str()) {
        return Err(Failure::forbidden(
            resource,
            &key.name,
            "this namespace may not be deleted",
        ));
    }
    if options.dry_run {
        return Ok(Deletion::Gone(object));
    }
    if options.orphan && state.collect {
        lifecycle::orphan(state, &object["metadata"]["uid"]);
    }
    lifecycle::delete(state, key).ok_or_else(missing)
}

fn check_preconditions(
    intent: &Intent,
    name: &str,
    object: &Value,
    body: &Value,
) -> Result<(), Failure> {
    let wanted = &body["preconditions"];
    for (field, shown, word) in [
        ("uid", "UID", "UID in object meta"),
        (
            "resourceVersion",
            "ResourceVersion",
            "ResourceVersion in object meta",
        ),
    ] {
        let (expected, present) = (&wanted[field], &object["metadata"][field]);
        if !expected.is_null() && expected != present {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let why = format!(
                "Precondition failed: {shown} in precondition: {}, {word}: {}",
                text(expected),
                text(present)
            );
            return Err(Failure::conflict(&intent.resource.name, name, &why));
        }
    }
    Ok(())
}

/// Deletes all selected objects and returns them.
pub(crate) fn delete_all(
    state: &mut State,
    intent: &Intent,
    body: &Value,
    policy: Option<&str>,
    selection: &Selection,
) -> Result<Vec<Value>, Failure> {
    let options = Options::read(intent, body, policy)?;
    let namespace = intent
        .resource
        .namespaced
        .then_some(intent.namespace.as_str());
    let namespace = namespace.filter(|name| !name.is_empty());
    let listed = state.list(&intent.stored.name, namespace);
    let chosen: Vec<(Key, Value)> = listed
        .filter(|(_, object)| selection.matches(object))
        .map(|(key, object)| (key.clone(), intent.view(object)))
        .collect();
    let mut deleted = Vec::new();
    for (key, object) in chosen {
        // It may have been removed with another object.
        match remove(state, intent, &key, &options) {
            Ok(_) => deleted.push(object),
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(deleted)
}
