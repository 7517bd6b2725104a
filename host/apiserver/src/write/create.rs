//! Creation of objects.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Intent, Written, check_content, check_kind, check_namespace, check_place, shape};
use crate::builtin::prepare;
use crate::meta;
use crate::patch::fields;
use crate::patch::managers::Owners;
use crate::status::Failure;
use crate::store::State;
use crate::time;

/// Metadata that only the server sets.
const SERVERS: [&str; 5] = [
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
];

/// Stores a new object.
pub(crate) fn create(state: &mut State, intent: &Intent, body: Value) -> Result<Written, Failure> {
    check_kind(intent, &body)?;
    let mut object = body;
    let warnings = shape(intent, &mut object)?;
    check_place(intent, &mut object)?;
    let object = store(state, intent, intent.unview(object), None)?;
    Ok(Written {
        object: intent.view(&object),
        created: true,
        warnings,
    })
}

/// Stores a new object in its stored form.
pub(super) fn store(
    state: &mut State,
    intent: &Intent,
    mut object: Value,
    owners: Option<Owners>,
) -> Result<Value, Failure> {
    name(&mut object);
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    check_namespace(state, intent, &name)?;
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if !version.is_empty() && version != "0" {
        return Err(Failure::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let base = Owners::of(&object);
    let stored = &intent.stored;
    if stored.status
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !SERVERS.contains(&name.as_str()) && name != "resourceVersion");
        metadata.insert("uid".into(), Uuid::new_v4().to_string().into());
        metadata.insert("creationTimestamp".into(), time::now().into());
        if stored.rules.generation {
            metadata.insert("generation".into(), json!(1));
        }
    }
    let sent = fields::of_object(&object, &stored.schema);
    prepare::fill(stored, &mut object, None);
    check_content(intent, &object, None)?;
    let resources = super::defined(state, intent, &object)?;
    let key = intent.key(&name);
    if state.get(&key).is_some() {
        return Err(Failure::already_exists(&intent.resource.name, &name));
    }
    let owners = owners.unwrap_or_else(|| {
        let mut owners = base;
        owners.updated(&intent.manager, &fields::Fields::new(), &sent);
        owners
    });
    owners.write(&mut object);
    if intent.dry_run {
        return Ok(object);
    }
    let object = state.put(&key, object);
    super::serve(state, &object, resources);
    Ok((*object).clone())
}

fn name(object: &mut Value) {
    let metadata = &mut object["metadata"];
    if metadata["name"].as_str().is_none_or(str::is_empty)
        && let Some(prefix) = metadata["generateName"]
            .as_str()
            .filter(|prefix| !prefix.is_empty())
    {
        metadata["name"] = meta::generated(prefix).into();
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
}
