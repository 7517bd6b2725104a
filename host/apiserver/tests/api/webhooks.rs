//! Mutating webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{World, refusal};

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

fn webhook(change: &Value) -> Value {
    let mut webhook = json!({
        "name": "test.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        // Nothing listens there.
        "clientConfig": { "url": "https://127.0.0.1:1/", "caBundle": STANDARD.encode("") },
        "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        webhook[name] = value.clone();
    }
    webhook
}

/// Returns the answer to the creation of a ConfigMap with a configuration.
async fn create_with(change: Value) -> Value {
    let world = World::new().await;
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "test" },
        "webhooks": [webhook(&change)],
    });
    let created = world.post(CONFIGURATIONS, &configuration).await;
    assert_eq!(created["kind"], "MutatingWebhookConfiguration", "{created}");
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "map", "labels": { "a": "b" } } });
    let path = "/api/v1/namespaces/default/configmaps";
    world.post(path, &map).await
}

#[tokio::test]
async fn a_webhook_that_fails_refuses_the_object_or_is_ignored() {
    let refused = create_with(json!({})).await;
    let (code, message) = refusal(&refused);
    assert_eq!(code, 500);
    let start = "Internal error occurred: failed calling webhook \"test.example.com\": ";
    assert!(message.starts_with(start), "{message}");
    let created = create_with(json!({ "failurePolicy": "Ignore" })).await;
    assert_eq!(created["kind"], "ConfigMap");
}

#[tokio::test]
async fn a_webhook_is_called_for_what_it_selects_only() {
    let expression =
        |text: &str| json!({ "matchConditions": [{ "name": "x", "expression": text }] });
    let rule = |field: &str, value: Value| {
        let mut rules = webhook(&json!({}))["rules"].clone();
        rules[0][field] = value;
        json!({ "rules": rules })
    };
    let cases = [
        (
            json!({ "objectSelector": { "matchLabels": { "a": "b" } } }),
            true,
        ),
        (
            json!({ "objectSelector": { "matchLabels": { "a": "c" } } }),
            false,
        ),
        (
            json!({ "namespaceSelector": { "matchExpressions": [
                { "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["default"] },
            ] } }),
            false,
        ),
        (expression("object.metadata.name == 'map'"), true),
        (expression("has(object.metadata.annotations)"), false),
        (expression("object.metadata.annotations.x == 'y'"), true),
        (rule("resources", json!(["pods"])), false),
        (rule("apiGroups", json!(["*"])), true),
        (rule("scope", json!("Cluster")), false),
    ];
    for (change, is_called) in cases {
        let answer = create_with(change.clone()).await;
        assert_eq!(answer["code"] == 500, is_called, "{change}: {answer}");
    }
}

#[tokio::test]
async fn a_configuration_of_something_else_is_refused() {
    let world = World::new().await;
    let service = json!({ "clientConfig": { "service": { "name": "a", "namespace": "b" } } });
    let update = json!({ "rules": [{ "operations": ["UPDATE"] }] });
    for change in [service, update] {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": "test" }, "webhooks": [webhook(&change)],
        });
        let answer = world.post(CONFIGURATIONS, &configuration).await;
        assert_eq!(refusal(&answer).0, 422, "{answer}");
    }
}
