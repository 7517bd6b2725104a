use kube::Config;
use stoker_apiserver::ApiServer;

use super::*;

const NAME: &str = "stoker-webhook-service.default.svc";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An API server, and the keeper of a replica.
async fn start() -> (ApiServer, Keeper) {
    let server = ApiServer::builder().start().await.unwrap();
    let client = Client::try_from(Config::new(server.url().parse().unwrap())).unwrap();
    let keeper = Keeper {
        client,
        namespace: "default".to_owned(),
        secret: "webhook-cert".to_owned(),
        names: vec![NAME.to_owned()],
        configuration: Some("pod-injection".to_owned()),
    };
    (server, keeper)
}

fn secrets(keeper: &Keeper) -> Api<Secret> {
    Api::namespaced(keeper.client.clone(), &keeper.namespace)
}

async fn configure(keeper: &Keeper) -> Api<MutatingWebhookConfiguration> {
    let api = Api::all(keeper.client.clone());
    let webhook = |name: &str| {
        json!({
            "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": "https://localhost:1/mutate-v1-pod" },
        })
    };
    let configuration = serde_json::from_value(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "pod-injection" },
        "webhooks": [webhook("one.stoker.io"), webhook("two.stoker.io")],
    }));
    api.create(&PostParams::default(), &configuration.unwrap())
        .await
        .unwrap();
    api
}

#[tokio::test]
async fn replicas_share_one_certificate() {
    let (_server, keeper) = start().await;
    let now = at("2026-11-26T12:00:00Z");
    let (one, other) = tokio::join!(keeper.certificate(now), keeper.certificate(now));
    let one = one.unwrap();
    assert_eq!(one, other.unwrap());
    assert_eq!(keeper.certificate(now).await.unwrap(), one);
    let stored = secrets(&keeper).get("webhook-cert").await.unwrap();
    assert_eq!(stored.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(stored.labels()[label::MANAGED_BY], label::OPERATOR);
    assert!(is_usable(&one));
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time() {
    let (_server, keeper) = start().await;
    let first = keeper.certificate(at("2026-11-26T12:00:00Z")).await;
    let first = first.unwrap();
    let before = keeper.certificate(at("2027-07-27T11:59:59Z")).await;
    assert_eq!(before.unwrap(), first);
    let due = at("2027-07-27T12:00:00Z");
    let (one, other) = tokio::join!(keeper.certificate(due), keeper.certificate(due));
    let renewed = one.unwrap();
    assert_eq!(renewed, other.unwrap());
    assert_ne!(renewed.chain, first.chain);
    assert!(renewed.authorities.ends_with(&first.authorities));
}

#[tokio::test]
async fn an_unusable_secret_is_repaired() {
    let (_server, keeper) = start().await;
    let now = at("2026-11-26T12:00:00Z");
    let mut before = keeper.certificate(now).await.unwrap();
    for change in [
        json!({ "data": { "tls.key": null } }),
        json!({ "data": { "tls.key": "eA==" } }),
        json!({ "data": { "tls.crt": "/w==" } }),
        json!({ "metadata": { "annotations": { RENEW_AT: "soon" } } }),
        json!({ "metadata": { "annotations": { NAMES: "other.svc" } } }),
    ] {
        secrets(&keeper)
            .patch(
                "webhook-cert",
                &PatchParams::default(),
                &Patch::Merge(&change),
            )
            .await
            .unwrap();
        let after = keeper.certificate(now).await.unwrap();
        assert_ne!(after.key, before.key, "{change}");
        assert!(is_usable(&after), "{change}");
        before = after;
    }
}

#[tokio::test]
async fn the_api_server_trusts_the_certificate() {
    let (_server, keeper) = start().await;
    let certificate = keeper
        .certificate(at("2026-11-26T12:00:00Z"))
        .await
        .unwrap();
    let missing = keeper.trust(&certificate).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "cannot read the MutatingWebhookConfiguration pod-injection"
    );
    let api = configure(&keeper).await;
    assert!(!keeper.trust(&certificate).await.unwrap());
    let version = |found: &MutatingWebhookConfiguration| found.resource_version().unwrap();
    let trusted = api.get("pod-injection").await.unwrap();
    for webhook in trusted.webhooks.iter().flatten() {
        let bundle = webhook.client_config.ca_bundle.as_ref().unwrap();
        assert_eq!(bundle.0, certificate.authorities.as_bytes());
    }
    assert!(keeper.trust(&certificate).await.unwrap());
    let unchanged = api.get("pod-injection").await.unwrap();
    assert_eq!(version(&unchanged), version(&trusted), "nothing is written");
    // Somebody else removes one of them.
    let removed = json!([{ "op": "remove", "path": "/webhooks/1/clientConfig/caBundle" }]);
    let removed: Patch<Value> = Patch::Json(serde_json::from_value(removed).unwrap());
    api.patch("pod-injection", &PatchParams::default(), &removed)
        .await
        .unwrap();
    assert!(!keeper.trust(&certificate).await.unwrap());
    assert!(keeper.trust(&certificate).await.unwrap());
}

#[test]
fn a_patch_is_for_one_version_and_only_for_what_differs() {
    let configuration = |bundles: [Option<&str>; 2]| {
        let webhooks = bundles.map(|bundle| {
            let bundle = bundle.map(|bundle| STANDARD.encode(bundle));
            json!({
                "name": "x", "sideEffects": "None", "admissionReviewVersions": [],
                "clientConfig": { "caBundle": bundle },
            })
        });
        serde_json::from_value(
            json!({ "metadata": { "resourceVersion": "7" }, "webhooks": webhooks }),
        )
        .unwrap()
    };
    assert_eq!(
        bundle_patch(&configuration([Some("a"), Some("a")]), b"a"),
        [json!(null); 0]
    );
    let patch = bundle_patch(&configuration([Some("a"), None]), b"a");
    assert_eq!(
        patch,
        [
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": "7" }),
            json!({ "op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "YQ==" }),
        ]
    );
}
