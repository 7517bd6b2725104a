use serde_json::json;

use super::*;

fn found(path: &str, object: &Value) -> Vec<Value> {
    let path = JsonPath::parse(path).expect(path);
    path.find(object).into_iter().cloned().collect()
}

#[test]
fn paths_lead_to_fields_items_and_matches() {
    let object = json!({ "metadata": { "labels": { "a.io/b": "c" } }, "spec": { "list": [1, 2, 3] },
        "status": { "conditions": [
            { "type": "Synced", "status": "False" },
            { "type": "Ready", "status": "True", "reason": "Fine" } ] } });
    let ready = r#".status.conditions[?(@.type=="Ready")].status"#;
    assert_eq!(found(ready, &object), [json!("True")]);
    assert_eq!(
        found(".status.conditions[?(@.type=='Ready')].reason", &object),
        [json!("Fine")]
    );
    assert_eq!(
        found(".status.conditions[?(@.type!=\"Ready\")].type", &object),
        [json!("Synced")]
    );
    assert_eq!(found(".spec.list[1]", &object), [json!(2)]);
    assert_eq!(found(".spec.list[-1]", &object), [json!(3)]);
    assert_eq!(
        found(".spec.list[*]", &object),
        [json!(1), json!(2), json!(3)]
    );
    assert_eq!(found(r".metadata.labels.a\.io/b", &object), [json!("c")]);
    assert_eq!(found(".metadata.labels['a.io/b']", &object), [json!("c")]);
    assert_eq!(found(".status.nothing.here", &object), Vec::<Value>::new());
}

#[test]
fn other_paths_are_refused() {
    assert!(matches!(
        JsonPath::parse("spec"),
        Err(PathError::Invalid(_))
    ));
    assert!(matches!(
        JsonPath::parse(".spec[0"),
        Err(PathError::Invalid(_))
    ));
    assert!(matches!(
        JsonPath::parse("..spec"),
        Err(PathError::Unimplemented(_))
    ));
    assert!(matches!(
        JsonPath::parse(".a[0:2]"),
        Err(PathError::Unimplemented(_))
    ));
    assert!(matches!(
        JsonPath::parse(".a[?(@.b>1)]"),
        Err(PathError::Unimplemented(_))
    ));
}

#[test]
fn cells_have_the_type_of_their_column() {
    let column = |kind: &str, path: &str| Column {
        kind: kind.to_owned(),
        cell: Cell::Path(JsonPath::parse(path).expect(path)),
        ..Column::name()
    };
    let object = json!({ "a": 3, "b": "x", "c": [1, 2], "d": null });
    assert_eq!(column("integer", ".a").value(&object), json!(3));
    assert_eq!(column("string", ".a").value(&object), json!("3"));
    assert_eq!(column("integer", ".b").value(&object), Value::Null);
    assert_eq!(column("string", ".c[*]").value(&object), json!("1 2"));
    assert_eq!(column("string", ".d").value(&object), Value::Null);
    assert_eq!(column("string", ".e").value(&object), Value::Null);
}

#[test]
fn a_table_has_a_row_per_object() {
    let object = json!({ "kind": "ConfigMap", "metadata": { "name": "x" }, "data": { "a": "b" } });
    let list = [&object];
    let table = table(
        &Column::of_config_maps(),
        list.into_iter(),
        Include::Metadata,
        &json!({}),
    );
    assert_eq!(table["columnDefinitions"][1]["name"], "Data");
    assert_eq!(table["rows"][0]["cells"], json!(["x", 1, "<unknown>"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[test]
fn events_say_when_they_were_last_seen() {
    let event = json!({ "series": { "count": 4, "lastObservedTime": "2020-01-01T00:00:00.000000Z" },
        "eventTime": "bad", "involvedObject": { "kind": "GatewaySync", "name": "x" } });
    let cells: Vec<_> = Column::of_events()
        .iter()
        .map(|column| column.value(&event))
        .collect();
    assert!(cells[0].as_str().is_some_and(|age| age.contains('y')));
    assert_eq!(cells[3], "gatewaysync/x");
    assert_eq!(cells[8], 4);
}
