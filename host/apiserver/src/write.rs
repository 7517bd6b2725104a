//! Writes objects: from the body of a request to the stored object.
//!
//! All writes run under the store's lock, so a check is valid until the write is complete.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::builtin::events;
use crate::crd;
use crate::patch::managers::Manager;
use crate::request::{Place, Query};
use crate::resource::{GroupResource, Resource, View};
use crate::status::{Cause, Failure};
use crate::store::{Key, State};

mod create;
mod delete;
mod patch;
mod replace;

pub(crate) use create::create;
pub(crate) use delete::{delete, delete_all};
pub(crate) use patch::{check_options, patch};
pub(crate) use replace::update;

/// The treatment of fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Ignore,
    Warn,
    Refuse,
}

/// One write: its target, its writer and its options.
pub(crate) struct Intent {
    /// The resource of the request.
    pub(crate) resource: Arc<Resource>,
    /// The stored resource. It differs for the second view of events.
    pub(crate) stored: Arc<Resource>,
    pub(crate) namespace: String,
    pub(crate) name: Option<String>,
    /// Whether only the status is written.
    pub(crate) status: bool,
    pub(crate) manager: Manager,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) unknown: Unknown,
}

/// The result of a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) created: bool,
    /// Warnings for the client.
    pub(crate) warnings: Vec<String>,
}

impl Intent {
    pub(crate) fn new(
        state: &State,
        resource: Arc<Resource>,
        place: &Place,
        query: &Query,
        user_agent: &str,
    ) -> Result<Self, Failure> {
        let unknown = match query.get("fieldValidation") {
            None | Some("Warn") => Unknown::Warn,
            Some("Ignore") => Unknown::Ignore,
            Some("Strict") => Unknown::Refuse,
            Some(other) => {
                let known = [json!("Ignore"), json!("Strict"), json!("Warn")];
                let cause = Cause::unsupported("fieldValidation", &json!(other), &known);
                return Err(Failure::invalid(
                    "meta.k8s.io",
                    "CreateOptions",
                    "",
                    &[cause],
                ));
            }
        };
        let stored = state.registry.any(&resource.stored_as()).cloned();
        let stored = if resource.view == View::Events {
            stored
        } else {
            None
        };
        let status = place.subresource.is_some();
        let named = query.get("fieldManager");
        let agent = user_agent.split('/').next().filter(|name| !name.is_empty());
        let manager = Manager {
            name: named
                .or(agent)
                .unwrap_or("unknown")
                .chars()
                .take(128)
                .collect(),
            apply: false,
            api_version: stored.as_ref().unwrap_or(&resource).api_version(),
            subresource: if status {
                "status".to_owned()
            } else {
                String::new()
            },
        };
        Ok(Self {
            stored: stored.unwrap_or_else(|| resource.clone()),
            namespace: place.namespace.clone().unwrap_or_default(),
            name: place.name.clone(),
            status,
            manager,
            dry_run: query.dry_run()?,
            force: query.flag("force"),
            unknown,
            resource,
        })
    }

    fn key(&self, name: &str) -> Key {
        Key {
            resource: self.stored.name.clone(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    fn invalid(&self, name: &str, causes: &[Cause]) -> Failure {
        Failure::invalid(&self.resource.name.group, &self.resource.kind, name, causes)
    }

    /// The object in the form of the request.
    fn view(&self, object: &Value) -> Value {
        view(&self.resource, object)
    }

    /// The sent object in the stored form.
    fn unview(&self, object: Value) -> Value {
        let mut object = if self.resource.view == View::Events {
            events::to_stored(&object)
        } else {
            object
        };
        object["apiVersion"] = self.stored.api_version().into();
        object["kind"] = self.stored.kind.clone().into();
        object
    }
}

/// A stored object in one of its versions.
pub(crate) fn view(resource: &Resource, object: &Value) -> Value {
    let mut object = if resource.view == View::Events {
        events::to_newer(object)
    } else {
        object.clone()
    };
    object["apiVersion"] = resource.api_version().into();
    object
}

/// Checks that the body is an object of the right kind.
fn check_kind(intent: &Intent, body: &Value) -> Result<(), Failure> {
    let resource = &intent.resource;
    if !body.is_object() {
        return Err(Failure::bad_request(
            "couldn't get version/kind; json parse error: the body is no object",
        ));
    }
    let (version, kind) = (&body["apiVersion"], &body["kind"]);
    if resource.custom && (version.is_null() || kind.is_null()) {
        let field = if kind.is_null() { "Kind" } else { "apiVersion" };
        return Err(Failure::bad_request(format!(
            "Object '{field}' is missing in '{body}'"
        )));
    }
    let expected = resource.api_version();
    if !version.is_null() && *version != expected.as_str() {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({expected})",
            version.as_str().unwrap_or_default()
        )));
    }
    if !kind.is_null() && *kind != resource.kind.as_str() {
        return Err(Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}",
            kind.as_str().unwrap_or_default(),
            resource.version,
            resource.kind
        )));
    }
    Ok(())
}

/// Prunes an object and sets its defaults. Returns warnings for the client.
fn shape(intent: &Intent, object: &mut Value) -> Result<Vec<String>, Failure> {
    let resource = &intent.resource;
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    let cannot = |why: String| {
        let (kind, version) = (&resource.kind, &resource.version);
        Failure::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
        ))
    };
    if let Some(metadata) = resource.schema.field("metadata") {
        let mut causes = Vec::new();
        metadata.check(&object["metadata"], "metadata", &mut causes);
        // Metadata is typed: a value of the wrong type cannot be decoded.
        if let Some(cause) = causes
            .iter()
            .find(|cause| cause.reason == "FieldValueTypeInvalid")
        {
            return Err(cannot(format!(
                "json: cannot unmarshal {}: {}",
                cause.field, cause.message
            )));
        }
    }
    let unknown: Vec<String> = resource
        .schema
        .prune(object)
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    if resource.custom || resource.is(crd::GROUP, crd::PLURAL) {
        drop_null_metadata(object);
    } else {
        drop_nulls(object);
    }
    resource.schema.fill(object);
    match intent.unknown {
        Unknown::Refuse if !unknown.is_empty() => Err(cannot(format!(
            "strict decoding error: {}",
            unknown.join(", ")
        ))),
        Unknown::Warn => Ok(unknown),
        _ => Ok(Vec::new()),
    }
}

/// Removes nulls of built-in kinds. They are typed, and a null is a missing field.
fn drop_nulls(object: &mut Value) {
    drop_null_metadata(object);
    for field in object
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
    {
        if let Some(fields) = field.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}

/// Removes nulls of metadata. It is typed, and a null is a missing field.
fn drop_null_metadata(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null() && *value != json!([]) && *value != json!({}));
    }
}

/// Checks the name and the namespace of the body against the path.
fn check_place(intent: &Intent, object: &mut Value) -> Result<(), Failure> {
    let metadata = &mut object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    if intent.resource.namespaced {
        if !namespace.is_empty() && namespace != intent.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata["namespace"] = intent.namespace.clone().into();
    } else if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("namespace");
    }
    let Some(expected) = &intent.name else {
        return Ok(());
    };
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Failure::bad_request(
            "name is required: metadata.name of the object is empty",
        ));
    }
    if name != expected {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({expected})"
        )));
    }
    Ok(())
}

/// Returns all violations of an object that is about to be stored.
fn check_content(intent: &Intent, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let names = if intent.stored.is("", "namespaces") {
        crate::meta::NameKind::Label
    } else {
        crate::meta::NameKind::Subdomain
    };
    let mut causes = crate::meta::check(object, names);
    causes.extend(intent.stored.schema.validate(object));
    causes.extend(crate::builtin::prepare::check(&intent.stored, object, old));
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(intent.invalid(name, &causes))
}

/// Checks that the namespace exists and is not being deleted.
fn check_namespace(state: &State, intent: &Intent, name: &str) -> Result<(), Failure> {
    if !intent.resource.namespaced {
        return Ok(());
    }
    let namespaces = GroupResource::new("", "namespaces");
    let key = Key {
        resource: namespaces.clone(),
        namespace: String::new(),
        name: intent.namespace.clone(),
    };
    let Some(namespace) = state.get(&key) else {
        return Err(Failure::not_found(&namespaces, &intent.namespace));
    };
    if !crate::lifecycle::is_terminating(namespace) {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {} because it is being terminated",
        intent.namespace
    );
    let cause = Cause {
        reason: "NamespaceTerminating",
        field: "metadata.namespace".to_owned(),
        message: format!("namespace {} is being terminated", intent.namespace),
    };
    Err(Failure::forbidden(&intent.resource.name, name, &why).with_causes(&[cause]))
}

/// The resources that a definition defines, or `None` for other objects.
fn defined(
    state: &State,
    intent: &Intent,
    object: &Value,
) -> Result<Option<Vec<Resource>>, Failure> {
    if !intent.stored.is(crd::GROUP, crd::PLURAL) {
        return Ok(None);
    }
    let name = crd::defines(object);
    if state
        .registry
        .any(&name)
        .is_some_and(|resource| !resource.custom)
    {
        return Err(Failure::not_implemented(format!(
            "another definition of the built-in {name}"
        )));
    }
    crd::resources(object).map(Some)
}

/// Serves the resources of a definition from now on.
fn serve(state: &mut State, definition: &Value, resources: Option<Vec<Resource>>) {
    let Some(resources) = resources else { return };
    let mut registry = (*state.registry).clone();
    registry.remove(&crd::defines(definition));
    for resource in resources {
        registry.add(resource);
    }
    state.registry = Arc::new(registry);
}
