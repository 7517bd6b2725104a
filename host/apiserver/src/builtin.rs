//! The built-in resources.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::resource::{GroupResource, Registry, Resource, Rules, View};
use crate::schema::Schema;
use crate::table::Column;

pub(crate) mod events;
pub(crate) mod prepare;

const META: &str = include_str!("../schemas/meta.yaml");
const CORE: &str = include_str!("../schemas/core.yaml");

const EVENT_FIELDS: [&str; 12] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
    "message",
];

/// One entry of the table of built-in resources.
struct Entry {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
    schema: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
    rules: Rules,
    selectable: &'static [&'static str],
    columns: fn() -> Vec<Column>,
}

const PLAIN: Rules = Rules {
    generation: false,
    unconditional: false,
    upsert: false,
};

const ENTRIES: [Entry; 11] = [
    Entry {
        group: "",
        version: "v1",
        plural: "configmaps",
        kind: "ConfigMap",
        schema: "ConfigMap",
        short: &["cm"],
        namespaced: true,
        status: false,
        rules: Rules {
            unconditional: true,
            ..PLAIN
        },
        selectable: &[],
        columns: Column::of_config_maps,
    },
    Entry {
        group: "",
        version: "v1",
        plural: "secrets",
        kind: "Secret",
        schema: "Secret",
        short: &[],
        namespaced: true,
        status: false,
        rules: Rules {
            unconditional: true,
            ..PLAIN
        },
        selectable: &["type"],
        columns: Column::of_secrets,
    },
    Entry {
        group: "",
        version: "v1",
        plural: "namespaces",
        kind: "Namespace",
        schema: "Namespace",
        short: &["ns"],
        namespaced: false,
        status: true,
        rules: PLAIN,
        selectable: &["status.phase"],
        columns: Column::of_namespaces,
    },
    Entry {
        group: "",
        version: "v1",
        plural: "serviceaccounts",
        kind: "ServiceAccount",
        schema: "ServiceAccount",
        short: &["sa"],
        namespaced: true,
        status: false,
        rules: PLAIN,
        selectable: &[],
        columns: Column::of_service_accounts,
    },
    Entry {
        group: "",
        version: "v1",
        plural: "pods",
        kind: "Pod",
        schema: "Pod",
        short: &["po"],
        namespaced: true,
        status: true,
        rules: Rules {
            unconditional: true,
            ..PLAIN
        },
        selectable: &["spec.nodeName", "spec.serviceAccountName", "status.phase"],
        columns: Column::of_pods,
    },
    Entry {
        group: "rbac.authorization.k8s.io",
        version: "v1",
        plural: "rolebindings",
        kind: "RoleBinding",
        schema: "RoleBinding",
        short: &[],
        namespaced: true,
        status: false,
        rules: Rules {
            unconditional: true,
            upsert: true,
            ..PLAIN
        },
        selectable: &[],
        columns: Column::of_role_bindings,
    },
    Entry {
        group: "",
        version: "v1",
        plural: "events",
        kind: "Event",
        schema: "Event",
        short: &["ev"],
        namespaced: true,
        status: false,
        rules: Rules {
            unconditional: true,
            upsert: true,
            ..PLAIN
        },
        selectable: &EVENT_FIELDS,
        columns: Column::of_events,
    },
    Entry {
        group: "events.k8s.io",
        version: "v1",
        plural: "events",
        kind: "Event",
        schema: "EventView",
        short: &["ev"],
        namespaced: true,
        status: false,
        rules: Rules {
            unconditional: true,
            upsert: true,
            ..PLAIN
        },
        selectable: &EVENT_FIELDS,
        columns: Column::of_events,
    },
    Entry {
        group: "coordination.k8s.io",
        version: "v1",
        plural: "leases",
        kind: "Lease",
        schema: "Lease",
        short: &[],
        namespaced: true,
        status: false,
        rules: Rules {
            upsert: true,
            ..PLAIN
        },
        selectable: &[],
        columns: Column::of_leases,
    },
    Entry {
        group: "admissionregistration.k8s.io",
        version: "v1",
        plural: "mutatingwebhookconfigurations",
        kind: "MutatingWebhookConfiguration",
        schema: "MutatingWebhookConfiguration",
        short: &[],
        namespaced: false,
        status: false,
        rules: Rules {
            generation: true,
            ..PLAIN
        },
        selectable: &[],
        columns: Column::of_webhooks,
    },
    Entry {
        group: "apiextensions.k8s.io",
        version: "v1",
        plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition",
        schema: "CustomResourceDefinition",
        short: &["crd", "crds"],
        namespaced: false,
        status: true,
        rules: Rules {
            generation: true,
            ..PLAIN
        },
        selectable: &[],
        columns: Column::of_definitions,
    },
];

/// The registry of a new server.
pub(crate) fn registry() -> Result<Registry, Error> {
    let meta = read(META)?;
    let core = read(CORE)?;
    let mut registry = Registry::default();
    for entry in &ENTRIES {
        registry.add(resource(entry, &meta, core[entry.schema].clone())?);
    }
    Ok(registry)
}

/// The schema of `metadata`, for custom resources.
pub(crate) fn metadata() -> Result<Value, Error> {
    read(META)
}

/// Adds the fields of every object to the schema of its content.
pub(crate) fn with_envelope(mut content: Value, meta: &Value) -> Value {
    let Some(schema) = content.as_object_mut() else {
        return content;
    };
    let properties = schema
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    // A value of another type is refused later, with the name of the definition.
    let Some(properties) = properties.as_object_mut() else {
        return content;
    };
    properties.insert("apiVersion".into(), json!({ "type": "string", "description": "The group and version the object is written in." }));
    properties.insert(
        "kind".into(),
        json!({ "type": "string", "description": "What the object is." }),
    );
    properties.insert("metadata".into(), meta.clone());
    content
}

fn read(text: &str) -> Result<Value, Error> {
    serde_saphyr::from_str(text).map_err(|error| Error::BuiltIn {
        reason: error.to_string(),
    })
}

fn resource(entry: &Entry, meta: &Value, content: Value) -> Result<Resource, Error> {
    let source = with_envelope(content, meta);
    let schema = Schema::compile(&source, entry.kind).map_err(|refusal| Error::BuiltIn {
        reason: format!("{refusal:?}"),
    })?;
    Ok(Resource {
        name: GroupResource::new(entry.group, entry.plural),
        version: entry.version.to_owned(),
        kind: entry.kind.to_owned(),
        list_kind: format!("{}List", entry.kind),
        singular: entry.kind.to_lowercase(),
        short_names: entry.short.iter().map(ToString::to_string).collect(),
        categories: Vec::new(),
        namespaced: entry.namespaced,
        custom: false,
        status: entry.status,
        rules: entry.rules,
        schema,
        source,
        columns: (entry.columns)(),
        view: if entry.schema == "EventView" {
            View::Events
        } else {
            View::Plain
        },
        selectable: entry.selectable.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_schemas_compile() {
        let registry = registry().expect("the built-in registry");
        assert_eq!(registry.all().count(), ENTRIES.len());
        assert!(registry.find("events.k8s.io", "v1", "events").is_some());
    }
}
