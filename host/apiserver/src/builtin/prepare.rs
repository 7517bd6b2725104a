//! Fills in and checks fields in objects of built-in kinds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::status::Cause;

/// The maximum size of all values of a ConfigMap or Secret together, in bytes: `MaxSecretSize` of Kubernetes. Keys do
/// not count. For base64, the decoded bytes count.
const DATA_LIMIT: usize = 1024 * 1024;

/// Sets the fields that only the server sets.
///
/// An object with fields of wrong types is not changed, because its validation reports them.
pub(crate) fn fill(resource: &Resource, object: &mut Value, old: Option<&Value>) {
    let causes = resource.schema.validate(object);
    if causes
        .iter()
        .any(|cause| cause.reason == "FieldValueTypeInvalid")
    {
        return;
    }
    match (resource.name.group.as_str(), resource.name.plural.as_str()) {
        ("", "secrets") => encode_text(object),
        ("", "namespaces") => fill_namespace(object, old),
        // Nothing runs pods here, so a pod stays as it was created until a client writes its status.
        ("", "pods") if old.is_none() => object["status"] = json!({ "phase": "Pending" }),
        (crate::crd::GROUP, _) => crate::crd::fill(object, old),
        _ => {}
    }
}

/// Checks the rules of built-in kinds that a schema cannot express.
pub(crate) fn check(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    match (resource.name.group.as_str(), resource.name.plural.as_str()) {
        ("", "secrets") => {
            check_data(object, old, &mut causes);
            check_size("data", &[("data", Form::Base64)], object, &mut causes);
            if old.is_some_and(|old| old["type"] != object["type"]) {
                causes.push(Cause::invalid(
                    "type",
                    &object["type"],
                    "field is immutable",
                ));
            }
        }
        ("", "configmaps") => {
            check_data(object, old, &mut causes);
            let fields = [("data", Form::Text), ("binaryData", Form::Base64)];
            // Kubernetes names the whole object in this message.
            check_size("[]", &fields, object, &mut causes);
        }
        ("rbac.authorization.k8s.io", "rolebindings")
            if old.is_some_and(|old| old["roleRef"] != object["roleRef"]) =>
        {
            let why = "cannot change roleRef";
            causes.push(Cause::invalid("roleRef", &object["roleRef"], why));
        }
        (crate::crd::GROUP, _) => check_definition(object, old, &mut causes),
        (crate::webhooks::GROUP, _) => crate::webhooks::check(object, &mut causes),
        ("" | "events.k8s.io", "events") => check_event(object, &mut causes),
        _ => {}
    }
    causes
}

fn encode_text(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else {
        return;
    };
    let Some(Value::Object(texts)) = fields.remove("stringData") else {
        return;
    };
    let data = fields.entry("data").or_insert_with(|| json!({}));
    for (name, text) in texts {
        data[name] = base64(text.as_str().unwrap_or_default().as_bytes()).into();
    }
}

fn fill_namespace(namespace: &mut Value, old: Option<&Value>) {
    let name = namespace["metadata"]["name"].clone();
    if !name.is_null() {
        if namespace["metadata"]["labels"].is_null() {
            namespace["metadata"]["labels"] = json!({});
        }
        namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    }
    if let Some(old) = old {
        // The finalizers are removed with the content.
        namespace["spec"] = old["spec"].clone();
    } else {
        namespace["spec"] = json!({ "finalizers": ["kubernetes"] });
        namespace["status"] = json!({ "phase": "Active" });
    }
}

fn check_data(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for (field, other) in [("data", "binaryData"), ("binaryData", "data")] {
        for name in object[field]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let dots = name == "." || name == ".." || name.starts_with("..");
            if name.is_empty() || name.len() > 253 || dots || !name.bytes().all(allowed) {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
                           (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(
                    format!("{field}[{name}]"),
                    &json!(name),
                    why,
                ));
            }
            if object[other].get(name).is_some() {
                causes.push(Cause::invalid(
                    format!("{field}[{name}]"),
                    &json!(name),
                    &format!("duplicate of key present in {other}"),
                ));
            }
        }
    }
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return;
    };
    for field in ["immutable", "data", "binaryData"] {
        if old[field] != object[field] {
            causes.push(Cause::forbidden(
                field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}

/// The encoding of bytes in a field.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Base64,
}

/// Returns the number of bytes that a value represents.
fn size(value: &Value, form: Form) -> usize {
    let text = value.as_str().unwrap_or_default();
    match form {
        Form::Text => text.len(),
        Form::Base64 => text.trim_end_matches('=').len() * 3 / 4,
    }
}

fn check_size(named: &str, fields: &[(&str, Form)], object: &Value, causes: &mut Vec<Cause>) {
    let values = fields.iter().flat_map(|(field, form)| {
        let values = object[field].as_object().into_iter().flatten();
        values.map(|(_, value)| size(value, *form))
    });
    if values.sum::<usize>() > DATA_LIMIT {
        causes.push(Cause::too_long(named, DATA_LIMIT as u64));
    }
}

/// Checks that the scope and the kind of a definition do not change.
fn check_definition(definition: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old else { return };
    for (field, place) in [
        ("spec.scope", "/spec/scope"),
        ("spec.names.kind", "/spec/names/kind"),
    ] {
        let value = definition.pointer(place);
        if value != old.pointer(place) {
            causes.push(Cause::invalid(
                field,
                value.unwrap_or(&Value::Null),
                "field is immutable",
            ));
        }
    }
}

fn check_event(event: &Value, causes: &mut Vec<Cause>) {
    let about = event["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let expected = if about.is_empty() { "default" } else { about };
    if namespace != expected && !(about.is_empty() && namespace == "kube-system") {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &json!(about),
            why,
        ));
    }
    if event["eventTime"].is_null() {
        return;
    }
    for field in [
        "reportingComponent",
        "reportingInstance",
        "action",
        "reason",
    ] {
        if event[field].as_str().unwrap_or_default().is_empty() {
            let newer = if field == "reportingComponent" {
                "reportingController"
            } else {
                field
            };
            causes.push(Cause::required(newer, ""));
        }
    }
    let kind = &event["type"];
    if kind != "Normal" && kind != "Warning" {
        causes.push(Cause::invalid("type", kind, "has invalid value: "));
    }
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_secret_become_its_data() {
        let mut secret = json!({ "data": { "a": "Zg==" }, "stringData": { "b": "foo" } });
        encode_text(&mut secret);
        assert_eq!(secret, json!({ "data": { "a": "Zg==", "b": "Zm9v" } }));
    }

    #[test]
    fn immutable_content_stays() {
        let old = json!({ "immutable": true, "data": { "a": "1" } });
        let mut causes = Vec::new();
        check_data(
            &json!({ "immutable": true, "data": { "a": "2", "b/c": "" } }),
            Some(&old),
            &mut causes,
        );
        let fields: Vec<_> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["data[b/c]", "data"]);
    }
}
