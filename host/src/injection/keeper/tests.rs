use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use kube::Config;
use kube::api::DeleteParams;
use stoker_apiserver::ApiServer;

use super::*;
use crate::fake_client::{client, status};

const NAME: &str = "stoker-webhook-service.default.svc";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An API server, and the keeper of a replica.
pub(in crate::injection) async fn start() -> (ApiServer, Keeper) {
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

pub(in crate::injection) fn secrets(keeper: &Keeper) -> Api<Secret> {
    Api::namespaced(keeper.client.clone(), &keeper.namespace)
}

pub(in crate::injection) async fn configure(keeper: &Keeper) -> Api<MutatingWebhookConfiguration> {
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
    let (one, other) = tokio::join!(keeper.certificate(now, None), keeper.certificate(now, None));
    let one = one.unwrap();
    assert_eq!(one, other.unwrap());
    assert_eq!(keeper.certificate(now, None).await.unwrap(), one);
    let stored = secrets(&keeper).get("webhook-cert").await.unwrap();
    assert_eq!(stored.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(stored.labels()[label::MANAGED_BY], label::OPERATOR);
    assert!(is_usable(&one));
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time() {
    let (_server, keeper) = start().await;
    let first = keeper.certificate(at("2026-11-26T12:00:00Z"), None).await;
    let first = first.unwrap();
    let before = keeper.certificate(at("2027-07-27T11:59:59Z"), None).await;
    assert_eq!(before.unwrap(), first);
    let due = at("2027-07-27T12:00:00Z");
    let (one, other) = tokio::join!(keeper.certificate(due, None), keeper.certificate(due, None));
    let renewed = one.unwrap();
    assert_eq!(renewed, other.unwrap());
    assert_ne!(renewed.chain, first.chain);
    assert!(renewed.authorities.ends_with(&first.authorities));
}

#[tokio::test]
async fn an_unusable_secret_is_repaired() {
    let (_server, keeper) = start().await;
    let now = at("2026-11-26T12:00:00Z");
    let mut before = keeper.certificate(now, None).await.unwrap();
    for change in [
        json!({ "data": { "tls.key": null } }),
        json!({ "data": { "tls.key": "eA==" } }),
        json!({ "data": { "tls.crt": "/w==" } }),
        json!({ "metadata": { "annotations": { DIGEST: "no" } } }),
        json!({ "metadata": { "annotations": { DIGEST: null } } }),
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
        let after = keeper.certificate(now, None).await.unwrap();
        assert_ne!(after.key, before.key, "{change}");
        assert!(is_usable(&after), "{change}");
        before = after;
    }
}

#[tokio::test]
async fn the_certificate_of_another_issuer_is_replaced() {
    let (_server, keeper) = start().await;
    let now = at("2026-11-26T12:00:00Z");
    keeper.certificate(now, None).await.unwrap();
    // The other issuer leaves the annotations.
    let other = Certificate::issue(&keeper.names, at("2025-12-26T12:00:00Z"), None).unwrap();
    let data = [
        (AUTHORITIES, &other.authorities),
        (CERTIFICATE, &other.chain),
        (KEY, &other.key),
    ];
    let data: BTreeMap<_, _> = data.map(|(key, text)| (key, STANDARD.encode(text))).into();
    let replaced = Patch::Merge(json!({ "data": data }));
    let params = PatchParams::default();
    let api = secrets(&keeper);
    api.patch("webhook-cert", &params, &replaced).await.unwrap();
    let own = keeper.certificate(now, None).await.unwrap();
    assert_ne!(own.chain, other.chain);
    assert_eq!(keeper.certificate(now, None).await.unwrap(), own);
    let stored = api.get("webhook-cert").await.unwrap();
    assert_eq!(stored.annotations()[DIGEST], digest(&own.chain));
}

#[tokio::test]
async fn the_certificate_in_use_stays_trusted_when_the_secret_is_deleted_or_damaged() {
    let (_server, keeper) = start().await;
    let now = at("2026-11-26T12:00:00Z");
    let used = keeper.certificate(now, None).await.unwrap();
    let api = secrets(&keeper);
    api.delete("webhook-cert", &DeleteParams::default())
        .await
        .unwrap();
    let next = keeper.certificate(now, Some(&used)).await.unwrap();
    assert_ne!(next.chain, used.chain);
    assert!(next.authorities.ends_with(&used.authorities));
    let damaged = Patch::Merge(json!({ "data": { CERTIFICATE: "eA==" } }));
    let params = PatchParams::default();
    api.patch("webhook-cert", &params, &damaged).await.unwrap();
    let last = keeper.certificate(now, Some(&used)).await.unwrap();
    assert!(last.authorities.ends_with(&used.authorities));
}

#[tokio::test]
async fn a_certificate_that_others_always_store_first_is_given_up() {
    let creations = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&creations);
    let client = client(move |request| {
        let (code, reason) = if request.method() == Method::POST {
            counter.fetch_add(1, Ordering::Relaxed);
            (409, "AlreadyExists")
        } else {
            (404, "NotFound")
        };
        std::future::ready(status(code, reason, "no"))
    });
    let keeper = Keeper {
        client,
        namespace: "default".to_owned(),
        secret: "webhook-cert".to_owned(),
        names: vec![NAME.to_owned()],
        configuration: None,
    };
    let kept = keeper.certificate(at("2026-11-26T12:00:00Z"), None).await;
    assert_eq!(
        kept.unwrap_err().to_string(),
        "cannot write the Secret webhook-cert"
    );
    assert_eq!(creations.load(Ordering::Relaxed), TRIES);
}

#[tokio::test]
async fn the_api_server_trusts_the_certificate() {
    let (_server, keeper) = start().await;
    let certificate = keeper
        .certificate(at("2026-11-26T12:00:00Z"), None)
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
