use serde_json::json;

use super::apply::{Applied, apply};
use super::managers::{Manager, Owners};
use super::*;
use crate::schema::Schema;

fn schema() -> Schema {
    let source = json!({ "type": "object", "properties": {
        "metadata": { "type": "object", "properties": {
            "name": { "type": "string" },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "finalizers": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set" },
            "managedFields": { "x-kubernetes-preserve-unknown-fields": true } } },
        "spec": { "type": "object", "properties": {
            "a": { "type": "string" }, "b": { "type": "string" },
            "list": { "type": "array", "items": { "type": "string" } },
            "rooms": { "type": "object", "additionalProperties": { "type": "object", "properties": {
                "x": { "type": "string" }, "y": { "type": "string" } } } } } },
        "status": { "type": "object", "properties": { "conditions": { "type": "array",
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": { "type": "object", "properties": {
                "type": { "type": "string" }, "status": { "type": "string" } } } } } } } });
    Schema::compile(&source, "schema").expect("a schema")
}

fn manager(name: &str) -> Manager {
    Manager {
        name: name.into(),
        apply: true,
        api_version: "a.io/v1".into(),
        subresource: String::new(),
    }
}

fn applied(live: &Value, config: &Value, name: &str, force: bool) -> Result<Value, Failure> {
    let Applied { mut object, owners } = apply(live, config, &schema(), &manager(name), force)?;
    owners.write(&mut object);
    Ok(object)
}

#[test]
fn fields_left_out_of_the_next_apply_go_away() {
    let first = json!({ "metadata": { "name": "x", "labels": { "l": "1" } },
        "spec": { "a": "1", "b": "2", "rooms": { "one": { "x": "1" }, "two": { "x": "2" } } } });
    let live = applied(&Value::Null, &first, "me", false).expect("the first apply");
    assert_eq!(live["spec"], first["spec"]);
    let second = json!({ "metadata": { "name": "x" }, "spec": { "a": "1", "rooms": { "one": { "x": "1" } } } });
    let live = applied(&live, &second, "me", false).expect("the second apply");
    assert_eq!(live["spec"], second["spec"]);
    assert_eq!(live["metadata"]["labels"], Value::Null);
}

#[test]
fn a_shared_field_stays_until_its_last_owner_lets_go() {
    let both = json!({ "metadata": { "name": "x" }, "spec": { "a": "1" } });
    let none = json!({ "metadata": { "name": "x" } });
    let live = applied(&Value::Null, &both, "one", false).expect("one");
    let live = applied(&live, &both, "two", false).expect("two");
    let live = applied(&live, &none, "one", false).expect("one lets go");
    assert_eq!(live["spec"]["a"], "1");
    let live = applied(&live, &none, "two", false).expect("two lets go");
    assert_eq!(live["spec"], Value::Null);
    assert_eq!(live["metadata"]["managedFields"], Value::Null);
}

#[test]
fn another_owner_is_a_conflict_unless_forced() {
    let one = json!({ "metadata": { "name": "x" }, "spec": { "a": "1", "list": ["x"] } });
    let two = json!({ "metadata": { "name": "x" }, "spec": { "a": "2" } });
    let live = applied(&Value::Null, &one, "one", false).expect("one");
    let failure = applied(&live, &two, "two", false).expect_err("a conflict");
    assert_eq!(
        failure.message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.a"
    );
    assert_eq!(failure.details["causes"][0]["field"], ".spec.a");
    let live = applied(&live, &two, "two", true).expect("forced");
    assert_eq!(live["spec"]["a"], "2");
    let owners = Owners::of(&live);
    assert_eq!(
        fields::to_value(&owners.fields_of(&manager("one"))),
        json!({ "f:spec": { "f:list": {} } })
    );
}

#[test]
fn items_of_keyed_lists_have_owners_of_their_own() {
    let condition = |kind: &str, status: &str| json!({ "status": { "conditions": [{ "type": kind, "status": status }] } });
    let live = applied(
        &json!({ "metadata": {} }),
        &condition("Ready", "True"),
        "one",
        false,
    )
    .expect("one");
    let live = applied(&live, &condition("Synced", "False"), "two", false).expect("two");
    assert_eq!(
        live["status"]["conditions"].as_array().map(Vec::len),
        Some(2)
    );
    let failure =
        applied(&live, &condition("Ready", "False"), "two", false).expect_err("a conflict");
    assert!(
        failure
            .message
            .ends_with(".status.conditions[type=\"Ready\"].status"),
        "{}",
        failure.message
    );
    let live = applied(&live, &json!({}), "two", false).expect("two lets go");
    assert_eq!(live["status"], condition("Ready", "True")["status"]);
}

#[test]
fn a_plain_write_takes_what_it_changes() {
    let one = json!({ "metadata": { "name": "x" }, "spec": { "a": "1", "b": "1" } });
    let live = applied(&Value::Null, &one, "one", false).expect("one");
    let mut edited = live.clone();
    edited["spec"]["a"] = "2".into();
    let editor = Manager {
        name: "editor".into(),
        apply: false,
        ..manager("")
    };
    let mut owners = Owners::of(&live);
    let schema = schema();
    owners.updated(
        &editor,
        &fields::of_object(&live, &schema),
        &fields::of_object(&edited, &schema),
    );
    owners.write(&mut edited);
    let entries = &edited["metadata"]["managedFields"];
    assert_eq!(entries[0]["fieldsV1"], json!({ "f:spec": { "f:b": {} } }));
    assert_eq!(entries[1]["fieldsV1"], json!({ "f:spec": { "f:a": {} } }));
    assert_eq!(entries[1]["operation"], "Update");
    let failure = applied(&edited, &one, "one", false).expect_err("a conflict");
    assert!(
        failure
            .message
            .contains("conflict with \"editor\" using a.io/v1 at "),
        "{}",
        failure.message
    );
}

#[test]
fn field_sets_survive_the_way_there_and_back() {
    let value = json!({ "f:metadata": { "f:labels": { ".": {}, "f:a": {} } },
        "f:status": { "f:conditions": { "k:{\"type\":\"Ready\"}": { ".": {}, "f:type": {} } } },
        "f:x": { "v:\"one\"": {} } });
    assert_eq!(fields::to_value(&fields::parse(&value)), value);
}

#[test]
fn strategic_patches_merge_maps_and_marked_lists() {
    let registry = crate::builtin::registry().expect("the built-in registry");
    let resource = registry.find("", "v1", "configmaps").expect("config maps");
    let object = json!({ "metadata": { "finalizers": ["a", "b"], "ownerReferences": [{ "uid": "1", "name": "x" }] },
        "data": { "k": "1", "l": "2" } });
    let patch = json!({ "metadata": { "finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"],
        "$setElementOrder/finalizers": ["c", "b"],
        "ownerReferences": [{ "uid": "1", "controller": true }, { "uid": "2", "name": "y" }] },
        "data": { "k": null, "m": "3" } });
    let body = patch.to_string();
    let result =
        patched(PatchKind::Strategic, &object, body.as_bytes(), &resource).expect("a result");
    assert_eq!(
        result,
        json!({ "metadata": { "finalizers": ["c", "b"], "ownerReferences": [
        { "uid": "1", "name": "x", "controller": true }, { "uid": "2", "name": "y" }] },
        "data": { "l": "2", "m": "3" } })
    );
    let replace = json!({ "data": { "$patch": "replace" } }).to_string();
    let failure = patched(PatchKind::Strategic, &object, replace.as_bytes(), &resource)
        .expect_err("a refusal");
    assert_eq!(failure.code, 501);
}

#[test]
fn a_failing_test_operation_is_unprocessable() {
    let registry = crate::builtin::registry().expect("the built-in registry");
    let resource = registry.find("", "v1", "configmaps").expect("config maps");
    let patch = br#"[{"op":"test","path":"/data/a","value":"2"}]"#;
    let failure = patched(
        PatchKind::Json,
        &json!({ "data": { "a": "1" } }),
        patch,
        &resource,
    )
    .expect_err("a failure");
    assert_eq!((failure.code, failure.reason), (422, "Invalid"));
    assert_eq!(
        patched(PatchKind::Json, &json!({}), b"{}", &resource)
            .expect_err("no patch")
            .code,
        400
    );
}
