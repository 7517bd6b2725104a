//! Validation, pruning and defaults of written objects.

use http::Method;
use serde_json::{Value, json};

use crate::support::{CONFIGS, DEFINITION, SYNCS, World, config, refusal, sync};
use stoker_apiserver::{ApiServer, Error};

#[tokio::test]
async fn a_wrong_object_is_refused_field_by_field() {
    let world = World::new().await;
    let mut object = sync("x");
    object["spec"] = json!({ "git": { "repo": "" }, "gateway": { "port": "http" },
        "sync": { "profiles": { "p": { "mappings": [{ "source": "a", "destination": "b", "type": "x" }] } } } });
    let refused = world.post(SYNCS, &object).await;
    let expected = "GatewaySync.stoker.io \"x\" is invalid: [\
        spec.gateway.port: Invalid value: \"string\": spec.gateway.port in body must be of type integer: \"string\", \
        spec.git.repo: Invalid value: \"\": spec.git.repo in body should be at least 1 chars long, \
        spec.sync.profiles.p.mappings[0].type: Unsupported value: \"x\": supported values: \"dir\", \"file\"]";
    assert_eq!(refusal(&refused), (422, expected));
    let fields: Vec<&Value> = refused["details"]["causes"]
        .as_array()
        .expect("causes")
        .iter()
        .map(|cause| &cause["field"])
        .collect();
    assert_eq!(
        fields,
        [
            "spec.gateway.port",
            "spec.git.repo",
            "spec.sync.profiles.p.mappings[0].type"
        ]
    );
    let mut empty = sync("x");
    empty["spec"] = json!({ "git": {} });
    assert_eq!(
        refusal(&world.post(SYNCS, &empty).await).1,
        "GatewaySync.stoker.io \"x\" is invalid: spec.git.repo: Required value"
    );
}

#[tokio::test]
async fn unknown_fields_are_dropped_told_of_or_refused() {
    let world = World::new().await;
    let mut object = sync("x");
    object["spec"]["nope"] = 1.into();
    object["spec"]["extra"] = json!({ "anything": [1] });
    let strict = world
        .post(&format!("{SYNCS}?fieldValidation=Strict"), &object)
        .await;
    let message = "GatewaySync in version \"v1alpha1\" cannot be handled as a GatewaySync: \
                   strict decoding error: unknown field \"spec.nope\"";
    assert_eq!(refusal(&strict), (400, message));
    let request = http::Request::post(SYNCS).header("content-type", "application/json");
    let request = request
        .body(kube::client::Body::from(object.to_string().into_bytes()))
        .expect("a request");
    let response = world.client.send(request).await.expect("an answer");
    assert_eq!(response.status(), 201);
    assert_eq!(
        response.headers()["warning"],
        "299 - \"unknown field \\\"spec.nope\\\"\""
    );
    let stored = world.get(&format!("{SYNCS}/x")).await;
    assert_eq!(stored["spec"]["nope"], json!(null));
    assert_eq!(stored["spec"]["extra"]["anything"], json!([1]));
}

/// Base64 of as many zero bytes, which has `A` for each six bits.
fn encoded(bytes: usize) -> String {
    let rest = ["", "==", "="][bytes % 3];
    let letters = (bytes * 8).div_ceil(6);
    "A".repeat(letters) + rest
}

#[tokio::test]
async fn config_maps_and_secrets_hold_one_mebibyte_of_values() {
    const LIMIT: usize = 1 << 20;
    let world = World::new().await;
    let too_long = "Too long: may not be more than 1048576 bytes";
    let map = |name: &str, text: usize, binary: usize| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
            "data": { "a-key-that-does-not-count": "x".repeat(text) }, "binaryData": { "b": encoded(binary) } })
    };
    for (name, text, binary) in [
        ("text", LIMIT, 0),
        ("binary", 0, LIMIT),
        ("both", 5, LIMIT - 5),
    ] {
        let stored = world.post(CONFIGS, &map(name, text, binary)).await;
        assert_eq!(stored["metadata"]["name"], name);
        let refused = world.post(CONFIGS, &map("more", text, binary + 1)).await;
        let expected = format!("ConfigMap \"more\" is invalid: []: {too_long}");
        assert_eq!(refusal(&refused), (422, expected.as_str()));
    }
    let secret = |bytes: usize| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" },
            "data": { "a-key-that-does-not-count": encoded(bytes) } })
    };
    let secrets = "/api/v1/namespaces/default/secrets";
    let refused = world.post(secrets, &secret(LIMIT + 1)).await;
    let expected = format!("Secret \"x\" is invalid: data: {too_long}");
    assert_eq!(refusal(&refused), (422, expected.as_str()));
    let stored = world.post(secrets, &secret(LIMIT)).await;
    assert_eq!(stored["metadata"]["name"], "x");
}

#[tokio::test]
async fn a_key_is_text_or_binary() {
    let world = World::new().await;
    let mut map = config("x");
    map["data"] = json!({ "a": "1" });
    map["binaryData"] = json!({ "a": "AA==" });
    let refused = world.post(CONFIGS, &map).await;
    let expected = "ConfigMap \"x\" is invalid: [\
        data[a]: Invalid value: \"a\": duplicate of key present in binaryData, \
        binaryData[a]: Invalid value: \"a\": duplicate of key present in data]";
    assert_eq!(refusal(&refused), (422, expected));
}

#[tokio::test]
async fn patches_and_status_are_validated_too() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    let path = format!("{SYNCS}/x");
    let refused = world
        .merge(&path, &json!({ "spec": { "polling": { "interval": 3 } } }))
        .await;
    assert_eq!(refusal(&refused).0, 422);
    let refused = world
        .merge(
            &format!("{path}/status"),
            &json!({ "status": { "conditions": [{ "type": "Ready", "status": "Yes" }] } }),
        )
        .await;
    assert!(
        refusal(&refused)
            .1
            .contains("status.conditions[0].status: Unsupported value")
    );
    let refused = world
        .merge(
            &format!("{path}?fieldValidation=Strict"),
            &json!({ "spec": { "nope": 1 } }),
        )
        .await;
    assert!(
        refusal(&refused).1.contains("patch: Invalid value"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_body_has_to_be_of_the_kind_of_its_path() {
    let world = World::new().await;
    for (field, value) in [
        ("kind", json!("ConfigMap")),
        ("apiVersion", json!("v1")),
        ("kind", json!(null)),
        ("metadata", json!({ "labels": { "a": 1 } })),
    ] {
        let mut object = sync("x");
        object[field] = value;
        assert_eq!(
            refusal(&world.post(SYNCS, &object).await).0,
            400,
            "{object}"
        );
    }
    assert_eq!(
        refusal(
            &world
                .send(Method::POST, SYNCS, "application/json", "[]")
                .await
        )
        .0,
        400
    );
    let mut named = sync("Upper");
    named["metadata"]["labels"] = json!({ "a b": "c" });
    let refused = world.post(SYNCS, &named).await;
    assert_eq!(refusal(&refused).0, 422);
    assert_eq!(
        refused["details"]["causes"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn a_definition_is_served_as_soon_as_it_is_created() {
    let world = World::new().await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.io" }, "spec": { "group": "example.io", "scope": "Cluster",
            "names": { "plural": "things", "kind": "Thing" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "properties": { "a": { "type": "string" } } } } }] } });
    let created = world.post(definitions, &definition).await;
    assert_eq!(created["status"]["conditions"][1]["type"], "Established");
    assert_eq!(created["status"]["acceptedNames"]["listKind"], "ThingList");
    let thing = json!({ "apiVersion": "example.io/v1", "kind": "Thing", "metadata": { "name": "t" }, "a": "1" });
    assert_eq!(
        world.post("/apis/example.io/v1/things", &thing).await["a"],
        "1"
    );
    let wider = json!({ "spec": { "versions": [{ "name": "v1", "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "properties": { "b": { "type": "string" } } } } }] } });
    world
        .merge(&format!("{definitions}/things.example.io"), &wider)
        .await;
    let changed = world
        .merge("/apis/example.io/v1/things/t", &json!({ "b": "2" }))
        .await;
    assert_eq!((&changed["a"], &changed["b"]), (&json!(null), &json!("2")));
    world
        .send(
            Method::DELETE,
            &format!("{definitions}/things.example.io"),
            "application/json",
            "",
        )
        .await;
    assert_eq!(
        refusal(&world.get("/apis/example.io/v1/things").await).0,
        404
    );
    let mut ruled = definition;
    ruled["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{ "rule": "self.a == oldSelf.a" }]);
    let refused = world.post(definitions, &ruled).await;
    assert_eq!(refusal(&refused).0, 501);
    assert!(
        refusal(&refused)
            .1
            .starts_with("the embedded API server does not implement oldSelf in a rule")
    );
}

#[tokio::test]
async fn a_server_does_not_start_with_a_definition_it_cannot_serve() {
    assert!(matches!(
        ApiServer::builder().crd("a: ["),
        Err(Error::Unreadable { .. })
    ));
    let scaled = DEFINITION.replace(
        "        status: {}\n",
        "        status: {}\n        scale: {}\n",
    );
    let started = ApiServer::builder()
        .crd(&scaled)
        .expect("YAML")
        .start()
        .await;
    let Err(Error::Definition { name, reason }) = started else {
        panic!("it started")
    };
    assert_eq!(name, "gatewaysyncs.stoker.io");
    assert!(reason.contains("scale"), "{reason}");
    let outside = ApiServer::builder().ip([0, 0, 0, 0].into()).start().await;
    assert!(matches!(outside, Err(Error::NotLoopback { .. })));
}

/// Objects with one invalid field.
fn odd_objects(version: &str, kind: &str, value: &Value) -> Vec<Value> {
    let mut objects = Vec::new();
    for field in [
        "metadata",
        "spec",
        "status",
        "data",
        "stringData",
        "involvedObject",
        "regarding",
        "series",
    ] {
        let mut object =
            json!({ "apiVersion": version, "kind": kind, "metadata": { "generateName": "x" } });
        object[field] = value.clone();
        objects.push(object);
    }
    let schema =
        json!({ "type": "object", "properties": value, "required": value, "items": value });
    let versions = json!([{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }]);
    for field in ["names", "versions", "group", "conversion", "scope", "other"] {
        let mut spec = json!({ "group": "a.io", "names": { "plural": "as", "kind": "A" }, "scope": "Cluster", "versions": versions });
        spec[field] = value.clone();
        objects.push(json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "as.a.io" }, "spec": spec }));
    }
    objects
}

#[tokio::test]
async fn no_shape_of_an_object_breaks_the_server() {
    let world = World::new().await;
    let kinds = [
        (SYNCS, "stoker.io/v1alpha1", "GatewaySync"),
        ("/api/v1/namespaces/default/secrets", "v1", "Secret"),
        ("/api/v1/namespaces/default/events", "v1", "Event"),
        (
            "/apis/events.k8s.io/v1/namespaces/default/events",
            "events.k8s.io/v1",
            "Event",
        ),
        ("/api/v1/namespaces", "v1", "Namespace"),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
        ),
    ];
    for (path, version, kind) in kinds {
        for value in [json!(1), json!("x"), json!([]), json!([[1]]), json!(true)] {
            for object in odd_objects(version, kind, &value) {
                world.post(path, &object).await;
                let path = format!("{path}/x?fieldManager=a");
                world
                    .send(
                        Method::PATCH,
                        &path,
                        "application/apply-patch+yaml",
                        &object.to_string(),
                    )
                    .await;
            }
        }
    }
    assert_eq!(world.get("/version").await["major"], "1");
}
