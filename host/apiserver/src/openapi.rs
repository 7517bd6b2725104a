//! The schemas of the resources, as `OpenAPI` 3 documents.
//!
//! A document contains the schemas and, for each resource, the operations with the query parameters
//! that clients check before they use them.
//!
//! kubectl validates a `List` by the document of version 2, which it reads only as a protocol buffer. It does not
//! validate kinds that are missing there, and then sends each item, which is validated here. So this document is empty.

use serde_json::{Map, Value, json};

use crate::resource::{Registry, Resource, api_version};

/// The media type, without parameters, by which clients ask for version 2 as a protocol buffer.
pub(crate) const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2";
/// The media type of the answer.
pub(crate) const V2_PROTOBUF_ANSWER: &str =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The protocol buffer of a document of version 2 without anything: the first field is the version.
pub(crate) const V2_EMPTY: &str = "\n\u{3}2.0";

/// `/openapi/v2`.
pub(crate) fn without_schemas() -> Value {
    json!({ "swagger": "2.0", "info": info(), "paths": {} })
}

fn info() -> Value {
    json!({ "title": "Stoker's embedded API server", "version": env!("CARGO_PKG_VERSION") })
}

/// `/openapi/v3`.
pub(crate) fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for (group, versions) in registry.groups() {
        for version in versions {
            let path = document_path(&group, &version);
            paths.insert(
                path.clone(),
                json!({ "serverRelativeURL": format!("/openapi/v3/{path}") }),
            );
        }
    }
    json!({ "paths": paths })
}

fn document_path(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", api_version(group, version))
}

/// `/openapi/v3/apis/GROUP/VERSION`.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let served = registry.of_version(group, version);
    if served.is_empty() {
        return None;
    }
    let (mut schemas, mut paths) = (Map::new(), Map::new());
    for resource in served {
        let mut schema = resource.source.clone();
        schema["x-kubernetes-group-version-kind"] = json!([kind(resource)]);
        schemas.insert(schema_name(resource), schema);
        let base = format!("/{}", document_path(group, version));
        let namespace = if resource.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let path = format!("{base}{namespace}/{}", resource.name.plural);
        paths.insert(
            path.clone(),
            json!({ "get": operation(resource, "list"), "post": operation(resource, "post") }),
        );
        paths.insert(
            format!("{path}/{{name}}"),
            json!({
                "get": operation(resource, "get"),
                "put": operation(resource, "put"),
                "patch": operation(resource, "patch"),
                "delete": operation(resource, "delete"),
            }),
        );
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

fn kind(resource: &Resource) -> Value {
    json!({ "group": resource.name.group, "version": resource.version, "kind": resource.kind })
}

/// The group with its parts reversed, as Kubernetes names the schemas of custom resources.
fn schema_name(resource: &Resource) -> String {
    let group = if resource.name.group.is_empty() {
        "core"
    } else {
        &resource.name.group
    };
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.push(&resource.version);
    parts.push(&resource.kind);
    parts.join(".")
}

fn operation(resource: &Resource, action: &str) -> Value {
    let names: &[&str] = match action {
        "list" => &[
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "watch",
            "timeoutSeconds",
            "allowWatchBookmarks",
        ],
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" => &["dryRun", "propagationPolicy"],
        _ => &[],
    };
    let parameter = |name: &&str| {
        let kind = if matches!(*name, "watch" | "force" | "allowWatchBookmarks") {
            "boolean"
        } else {
            "string"
        };
        json!({ "name": name, "in": "query", "schema": { "type": kind } })
    };
    let reference = json!({ "$ref": format!("#/components/schemas/{}", schema_name(resource)) });
    json!({
        "parameters": names.iter().map(parameter).collect::<Vec<_>>(),
        "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": reference } } } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind(resource),
    })
}
