//! What the schema of the custom resource needs beyond what is derived.

use schemars::transform::transform_subschemas;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// Takes `null` out of every optional field: an API server drops a null on its own where the schema does not name it,
/// and fills in the default. It would keep the null, and leave the default out, where the schema does.
pub(super) fn without_null(schema: &mut Schema) {
    transform_subschemas(&mut without_null, schema);
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(inner) = optional(fields) {
        fields.remove("anyOf");
        for (name, value) in inner {
            fields.entry(name).or_insert(value);
        }
    }
}

/// The schema of `T`, where the fields are those of an `Option<T>`.
fn optional(fields: &Map<String, Value>) -> Option<Map<String, Value>> {
    let [Value::Object(inner), null] = fields.get("anyOf")?.as_array()?.as_slice() else {
        return None;
    };
    (null == &json!({ "type": "null" })).then(|| inner.clone())
}

/// A pod's resource requirements. Nothing here reads them, so they stay as they were written.
pub(super) fn resource_requirements(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "claims": {
                "description": "Names of the claims, defined in the pod, that the container uses.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": { "type": "string" },
                        "request": { "type": "string" },
                    },
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "limits": quantities("The most that the container may use."),
            "requests": quantities("The least that the container needs."),
        },
    })
}

fn quantities(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": {
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// Names of plugins, each a DNS label: a set that is not empty, since an object that takes no webhook needs none.
pub(super) fn detectors(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "The plugins that may answer for this object, by name. Without this list, any plugin may.",
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        },
        "x-kubernetes-list-type": "set",
    })
}

/// Conditions with the limits that Kubernetes sets for its own, one of each type.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let type_pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "message": { "type": "string", "maxLength": 32768 },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "type": { "type": "string", "maxLength": 316, "pattern": type_pattern },
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}
