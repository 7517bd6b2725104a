//! Patches of all kinds.

use serde_json::{Value, json};

use super::{Intent, Unknown, Written, check_kind, check_place, create, replace, shape};
use crate::patch::apply::{Applied, apply};
use crate::patch::managers::Manager;
use crate::patch::{PatchKind, patched};
use crate::request::Query;
use crate::status::{Cause, Failure};
use crate::store::State;

/// Checks that an apply names its manager, and that only an apply is forced.
pub(crate) fn check_options(kind: PatchKind, query: &Query) -> Result<(), Failure> {
    let apply = kind == PatchKind::Apply;
    let cause = if apply && query.get("fieldManager").is_none() {
        Cause::required("fieldManager", "is required for apply patch")
    } else if !apply && query.flag("force") {
        Cause::forbidden("force", "may not be specified for non-apply patch")
    } else {
        return Ok(());
    };
    Err(Failure::invalid(
        "meta.k8s.io",
        "PatchOptions",
        "",
        &[cause],
    ))
}

/// Applies a patch to an object.
pub(crate) fn patch(
    state: &mut State,
    intent: &Intent,
    kind: PatchKind,
    body: &[u8],
) -> Result<Written, Failure> {
    if kind == PatchKind::Apply {
        return applied(state, intent, body);
    }
    let name = intent.name.clone().unwrap_or_default();
    let Some(old) = state.get(&intent.key(&name)).cloned() else {
        return Err(Failure::not_found(&intent.resource.name, &name));
    };
    let mut object = patched(kind, &intent.view(&old), body, &intent.resource)?;
    check_kind(intent, &object)?;
    let warnings =
        shape(intent, &mut object).map_err(|failure| as_patch(intent, &name, body, failure))?;
    check_place(intent, &mut object)?;
    let object = replace::store(state, intent, &old, intent.unview(object), None)?;
    Ok(Written {
        object: intent.view(&object),
        created: false,
        warnings,
    })
}

/// Refuses a patch with unknown fields.
fn as_patch(intent: &Intent, name: &str, body: &[u8], failure: Failure) -> Failure {
    let Some((_, why)) = failure.message.split_once(": strict") else {
        return failure;
    };
    let text = String::from_utf8_lossy(body);
    intent.invalid(
        name,
        &[Cause::invalid(
            "patch",
            &json!(text),
            &format!("strict{why}"),
        )],
    )
}

fn applied(state: &mut State, intent: &Intent, body: &[u8]) -> Result<Written, Failure> {
    let mut config = configuration(intent, body)?;
    let name = intent.name.clone().unwrap_or_default();
    let stored = &intent.stored;
    let old = state.get(&intent.key(&name)).cloned();
    if old.is_none() && intent.status {
        return Err(Failure::not_found(&intent.resource.name, &name));
    }
    let version = config["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let current = old
        .as_ref()
        .map_or(&Value::Null, |old| &old["metadata"]["resourceVersion"]);
    if !version.is_empty() && *current != version.as_str() {
        return Err(Failure::modified(&intent.resource.name, &name));
    }
    narrow(intent, &mut config);
    let manager = Manager {
        apply: true,
        ..intent.manager.clone()
    };
    let live = old.as_deref().unwrap_or(&Value::Null);
    let Applied { mut object, owners } =
        apply(live, &config, &stored.schema, &manager, intent.force)?;
    stored.schema.fill(&mut object);
    super::drop_null_metadata(&mut object);
    object["apiVersion"] = stored.api_version().into();
    object["kind"] = stored.kind.clone().into();
    let (object, created) = match &old {
        Some(old) => (
            replace::store(state, intent, old, object, Some(owners))?,
            false,
        ),
        None => (create::store(state, intent, object, Some(owners))?, true),
    };
    Ok(Written {
        object: intent.view(&object),
        created,
        warnings: Vec::new(),
    })
}

/// The configuration of an apply, in the stored form.
fn configuration(intent: &Intent, body: &[u8]) -> Result<Value, Failure> {
    let mut config: Value = crate::body::yaml(body)
        .map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))?;
    check_kind(intent, &config)?;
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    match &config["metadata"] {
        Value::Null => config["metadata"] = json!({}),
        Value::Object(_) => {}
        _ => {
            return Err(Failure::bad_request(
                "error decoding YAML: metadata must be an object",
            ));
        }
    }
    if config["metadata"]["name"].is_null() {
        config["metadata"]["name"] = intent.name.clone().into();
    }
    check_place(intent, &mut config)?;
    let unknown = intent.resource.schema.prune(&mut config);
    if let Some(first) = unknown.first()
        && intent.unknown != Unknown::Ignore
    {
        let (namespace, kind) = (&intent.namespace, &intent.resource.kind);
        let (name, version) = (
            intent.name.as_deref().unwrap_or_default(),
            intent.resource.api_version(),
        );
        return Err(Failure::new(
            500,
            "",
            format!(
                "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): \
             .{first}: field not declared in schema"
            ),
        ));
    }
    Ok(intent.unview(config))
}

/// Keeps the part of a configuration that its path can write.
fn narrow(intent: &Intent, config: &mut Value) {
    let Some(fields) = config.as_object_mut() else {
        return;
    };
    if intent.status {
        fields.retain(|name, _| name == "status");
    } else if intent.stored.status {
        fields.remove("status");
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
        metadata.remove("creationTimestamp");
    }
}
