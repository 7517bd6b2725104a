use serde_json::json;

use super::*;

fn schema(source: &Value) -> Schema {
    Schema::compile(source, "schema").expect("a schema")
}

fn complaints(source: &Value, value: &Value) -> Vec<String> {
    schema(source)
        .validate(value)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// One property `a` of the given schema.
fn of_a(source: &Value, value: &Value) -> Vec<String> {
    complaints(
        &json!({ "type": "object", "properties": { "a": source } }),
        &json!({ "a": value }),
    )
}

#[test]
fn each_keyword_has_its_words() {
    let cases = [
        (
            json!({ "type": "integer" }),
            json!("x"),
            "a: Invalid value: \"string\": a in body must be of type integer: \"string\"",
        ),
        (
            json!({ "type": "string", "minLength": 1 }),
            json!(""),
            "a: Invalid value: \"\": a in body should be at least 1 chars long",
        ),
        (
            json!({ "type": "string", "maxLength": 1 }),
            json!("ab"),
            "a: Too long: may not be more than 1 bytes",
        ),
        (
            json!({ "type": "string", "enum": ["dir", "file"] }),
            json!("x"),
            "a: Unsupported value: \"x\": supported values: \"dir\", \"file\"",
        ),
        (
            json!({ "type": "string", "pattern": "^a$" }),
            json!("b"),
            "a: Invalid value: \"b\": a in body should match '^a$'",
        ),
        (
            json!({ "type": "integer", "minimum": 1 }),
            json!(0),
            "a: Invalid value: 0: a in body should be greater than or equal to 1",
        ),
        (
            json!({ "type": "integer", "maximum": 3 }),
            json!(4),
            "a: Invalid value: 4: a in body should be less than or equal to 3",
        ),
        (
            json!({ "type": "integer", "multipleOf": 2 }),
            json!(3),
            "a: Invalid value: 3: a in body should be a multiple of 2",
        ),
    ];
    for (source, value, complaint) in cases {
        assert_eq!(of_a(&source, &value), [complaint]);
    }
}

#[test]
fn each_keyword_for_lists_and_objects_has_its_words() {
    let cases = [
        (
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
            json!([]),
            "a: Invalid value: []: a in body should have at least 1 items",
        ),
        (
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": 1 }),
            json!(["x", "y"]),
            "a: Too many: 2: must have at most 1 items",
        ),
        (
            json!({ "type": "object", "minProperties": 1 }),
            json!({}),
            "a: Invalid value: {}: a in body should have at least 1 properties",
        ),
        (
            json!({ "type": "object", "required": ["b"] }),
            json!({}),
            "a.b: Required value",
        ),
        (
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            json!({ "b": 1 }),
            "a.b: Invalid value: \"integer\": a.b in body must be of type string: \"integer\"",
        ),
        (
            json!({ "type": "string" }),
            json!(null),
            "a: Invalid value: \"null\": a in body must be of type string: \"null\"",
        ),
        (
            json!({ "type": "string", "format": "date-time" }),
            json!("x"),
            "a: Invalid value: \"x\": a in body must be of type date-time: \"x\"",
        ),
    ];
    for (source, value, complaint) in cases {
        assert_eq!(of_a(&source, &value), [complaint]);
    }
}

#[test]
fn what_fits_is_not_complained_about() {
    let cases = [
        (json!({ "type": "string", "nullable": true }), json!(null)),
        (
            json!({ "x-kubernetes-int-or-string": true, "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            json!("50%"),
        ),
        (json!({ "x-kubernetes-int-or-string": true }), json!(5)),
        (json!({ "type": "number" }), json!(5)),
        (json!({ "type": "integer" }), json!(5.0)),
        (
            json!({ "x-kubernetes-preserve-unknown-fields": true }),
            json!([1, { "b": null }]),
        ),
    ];
    for (source, value) in cases {
        assert_eq!(of_a(&source, &value), Vec::<String>::new());
    }
}

#[test]
fn combinations_restrict() {
    let source = json!({ "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } },
        "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] });
    assert_eq!(
        complaints(&source, &json!({ "a": 1 })),
        Vec::<String>::new()
    );
    assert_eq!(complaints(&source, &json!({ "a": 1, "b": 1 })).len(), 1);
}

#[test]
fn keys_of_list_maps_are_unique() {
    let source = json!({ "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": { "type": "object", "properties": { "type": { "type": "string" }, "status": { "type": "string" } } } });
    let twice =
        json!([{ "type": "Ready", "status": "True" }, { "type": "Ready", "status": "False" }]);
    assert_eq!(
        of_a(&source, &twice),
        ["a[1]: Duplicate value: {\"type\":\"Ready\"}"]
    );
}

#[test]
fn unknown_fields_are_pruned_and_named() {
    let schema = schema(&json!({ "type": "object", "properties": {
        "known": { "type": "object", "properties": { "x": { "type": "string" } } },
        "list": { "type": "array", "items": { "type": "object" } },
        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": { "tight": { "type": "object" } } },
        "map": { "type": "object", "additionalProperties": { "type": "string" } },
    } }));
    let mut value = json!({ "known": { "x": "1", "y": 2 }, "list": [{ "z": 1 }], "other": 1,
        "free": { "a": 1, "tight": { "b": 1 } }, "map": { "k": "v" } });
    assert_eq!(
        schema.prune(&mut value),
        ["free.tight.b", "known.y", "list[0].z", "other"]
    );
    assert_eq!(
        value,
        json!({ "known": { "x": "1" }, "list": [{}], "free": { "a": 1, "tight": {} }, "map": { "k": "v" } })
    );
}

#[test]
fn defaults_are_filled_in_from_the_outside() {
    let schema = schema(&json!({ "type": "object", "properties": {
        "polling": { "type": "object", "default": {}, "properties": {
            "interval": { "type": "string", "default": "60s" },
            "enabled": { "type": "boolean", "default": true } } },
        "absent": { "type": "object", "properties": { "x": { "type": "string", "default": "y" } } },
    } }));
    let mut value = json!({ "polling": { "interval": null, "enabled": false } });
    schema.fill(&mut value);
    assert_eq!(
        value,
        json!({ "polling": { "interval": "60s", "enabled": false } })
    );
    let mut value = json!({});
    schema.fill(&mut value);
    assert_eq!(
        value,
        json!({ "polling": { "interval": "60s", "enabled": true } })
    );
}

#[test]
fn a_rule_sees_the_value_of_its_field() {
    let message = "write a URL";
    let rule = "!has(self.scheme) || self.scheme.matches('^(?i:https?)$')";
    let schema = json!({ "type": "object", "properties": { "repos": { "type": "array", "items": {
        "type": "object",
        "properties": { "scheme": { "type": "string" } },
        "x-kubernetes-validations": [{ "rule": rule, "message": message }],
    } } } });
    let schema = Schema::compile(&schema, "schema").expect("a schema");
    let causes = |value: &Value| -> Vec<String> {
        let causes = schema.validate(value).into_iter();
        causes
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    };
    let valid = json!({ "repos": [{}, { "scheme": "HTTPS" }] });
    assert_eq!(causes(&valid), [""; 0]);
    let invalid = json!({ "repos": [{}, { "scheme": "ftp" }] });
    assert_eq!(
        causes(&invalid),
        ["repos[1]: Invalid value: \"object\": write a URL"]
    );
    // A value of another type is reported by itself.
    let other = json!({ "repos": [{ "scheme": 1 }] });
    assert_eq!(causes(&other).len(), 1);
}

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    let refused = |source: &Value| Schema::compile(source, "schema").expect_err("a refusal");
    for rule in [
        json!({ "rule": "self.a == oldSelf.a" }),
        json!({ "rule": "self.a.find('x') == ''" }),
        json!({ "rule": "true", "reason": "FieldValueForbidden" }),
    ] {
        let ruled = json!({ "type": "object", "x-kubernetes-validations": [rule] });
        let refusal = refused(&ruled);
        assert!(matches!(refusal, Refusal::Unimplemented(_)), "{refusal:?}");
    }
    let broken = json!({ "type": "object", "x-kubernetes-validations": [{ "rule": "self.a ==" }] });
    assert!(matches!(refused(&broken), Refusal::Invalid { .. }));
    assert!(matches!(
        refused(&json!({ "$ref": "#/x" })),
        Refusal::Invalid { .. }
    ));
    assert!(matches!(
        refused(&json!({ "type": "object", "properties": { "a": {} } })),
        Refusal::Invalid { .. }
    ));
    assert!(matches!(
        refused(&json!({ "type": "string", "pattern": "(" })),
        Refusal::Invalid { .. }
    ));
}
