//! Reads one object or a list, in the form that the client requests.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::request::{Form, Place, Query};
use crate::resource::{Resource, View};
use crate::selector::Selection;
use crate::status::{Cause, Failure};
use crate::store::{Key, State};
use crate::table;
use crate::write::view;

/// The selection of a list or watch.
pub(crate) fn selection(resource: &Resource, query: &Query) -> Result<Selection, Failure> {
    let events = resource.stored_as().plural == "events";
    Selection::parse(
        query.get("labelSelector"),
        query.get("fieldSelector"),
        &resource.selectable,
        |path| {
            if events {
                crate::builtin::events::selector_path(path)
            } else {
                path.to_owned()
            }
        },
    )
}

/// The resource version that a client has seen. Zero and a missing version mean any.
pub(crate) fn version(query: &Query) -> Result<Option<u64>, Failure> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    let version: u64 = text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        Failure::bad_request(format!("resourceVersion: Invalid value: {text:?}: {why}"))
    })?;
    Ok(Some(version).filter(|version| *version > 0))
}

/// One object.
pub(crate) fn get(
    state: &State,
    resource: &Resource,
    place: &Place,
    query: &Query,
) -> Result<Value, Failure> {
    check_not_ahead(state, version(query)?)?;
    let name = place.name.as_deref().unwrap_or_default();
    let key = Key {
        resource: resource.stored_as(),
        namespace: place.namespace.clone().unwrap_or_default(),
        name: name.to_owned(),
    };
    let object = state
        .get(&key)
        .ok_or_else(|| Failure::not_found(&resource.name, name))?;
    Ok(view(resource, object))
}

/// A list with its revision.
pub(crate) struct Listed {
    pub(crate) objects: Vec<Arc<Value>>,
    pub(crate) revision: u64,
}

/// The objects that a list selects.
pub(crate) fn list(
    state: &State,
    resource: &Resource,
    place: &Place,
    query: &Query,
) -> Result<Listed, Failure> {
    if query.get("continue").is_some() {
        return Err(Failure::not_implemented(
            "the continuation of lists; a list is always complete",
        ));
    }
    let version = version(query)?;
    check_not_ahead(state, version)?;
    match query.get("resourceVersionMatch") {
        None | Some("NotOlderThan") => {}
        Some("Exact") if version == Some(state.revision()) => {}
        Some("Exact") => {
            return Err(Failure::not_implemented(
                "lists of the past (resourceVersionMatch=Exact)",
            ));
        }
        Some(other) => {
            let known = [json!("Exact"), json!("NotOlderThan")];
            let cause = Cause::unsupported("resourceVersionMatch", &json!(other), &known);
            return Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
        }
    }
    let selection = selection(resource, query)?;
    let stored = resource.stored_as();
    let found = state.list(&stored, place.namespace.as_deref());
    let objects = found
        .map(|(_, object)| object)
        .filter(|object| selection.matches(object));
    Ok(Listed {
        objects: objects.cloned().collect(),
        revision: state.revision(),
    })
}

fn check_not_ahead(state: &State, version: Option<u64>) -> Result<(), Failure> {
    let current = state.revision();
    let Some(wanted) = version.filter(|wanted| *wanted > current) else {
        return Ok(());
    };
    let message = format!("Too large resource version: {wanted}, current: {current}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge",
        field: String::new(),
        message: "Too large resource version".to_owned(),
    };
    Err(Failure::new(504, "Timeout", message).with_causes(&[cause]))
}

/// A list in the form that the client requests.
pub(crate) fn shown_list(resource: &Resource, form: Form, listed: &Listed) -> Value {
    let metadata = json!({ "resourceVersion": listed.revision.to_string() });
    let objects = listed.objects.iter();
    match form {
        Form::Table(include) => table::table(
            &resource.columns,
            objects.map(AsRef::as_ref),
            include,
            &metadata,
        ),
        Form::Partial => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": objects.map(|object| table::partial(object)).collect::<Vec<_>>(),
        }),
        Form::Plain | Form::Discovery => {
            let items: Vec<Value> = objects.map(|object| item(resource, object)).collect();
            list_of(resource, &metadata, &items)
        }
    }
}

/// A list object.
pub(crate) fn list_of(resource: &Resource, metadata: &Value, items: &[Value]) -> Value {
    json!({
        "kind": resource.list_kind,
        "apiVersion": resource.api_version(),
        "metadata": metadata,
        "items": items,
    })
}

/// Returns the items of a list of built-in objects. These items have no `apiVersion` and `kind`.
pub(crate) fn item(resource: &Resource, object: &Value) -> Value {
    let mut object = view(resource, object);
    if !resource.custom
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

/// Returns one object in the form that the client requests. The object is already in its view.
pub(crate) fn shown(resource: &Resource, form: Form, object: Value) -> Value {
    // The answer to a deletion is a `Status`, which has no other form.
    if object["kind"] == "Status" {
        return object;
    }
    match form {
        Form::Table(include) => {
            let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
            // Columns are computed from the stored form.
            let stored = if resource.view == View::Events {
                crate::builtin::events::to_stored(&object)
            } else {
                object
            };
            table::table(
                &resource.columns,
                std::iter::once(&stored),
                include,
                &metadata,
            )
        }
        Form::Partial => table::partial(&object),
        Form::Plain | Form::Discovery => object,
    }
}
