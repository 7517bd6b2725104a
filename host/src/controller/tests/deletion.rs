use std::time::Duration;

use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT, after};

fn deleted(sync: GatewaySync) -> GatewaySync {
    sync.with(|sync| {
        sync.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-03-01T11:00:00Z")).unwrap();
    })
}

const TOKEN_SECRET: &str = "/api/v1/namespaces/edge/secrets/stoker-github-token-plant";
const AGENT_STATUS: &str = "/api/v1/namespaces/edge/configmaps/stoker-status-plant";

/// The calls of a last pass that finds nothing to delete. Consecutive reads are sorted.
const CLEANED: [&str; 5] = [
    "GET /api/v1/namespaces/edge/configmaps/stoker-changes-plant",
    "GET /api/v1/namespaces/edge/configmaps/stoker-metadata-plant",
    "GET /api/v1/namespaces/edge/configmaps/stoker-status-plant",
    "GET /api/v1/namespaces/edge/secrets/stoker-github-token-plant",
    "PATCH /apis/stoker.io/v1alpha1/namespaces/edge/gatewaysyncs/plant",
];

/// The ConfigMap of the agents, as those of the Go operator write it.
fn agent_status() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "stoker-status-plant", "namespace": "edge", "uid": "uid-7", "labels": {
            "app.kubernetes.io/managed-by": "stoker-agent", "stoker.io/cr-name": "plant",
        }},
        "data": {"gw-0": "{}"},
    })
}

#[tokio::test(start_paused = true)]
async fn a_new_object_gets_the_finalizer_and_keeps_those_of_others() {
    let sync = GatewaySync::sample()
        .with(|sync| sync.metadata.finalizers = Some(vec!["other/one".to_owned()]));
    let bench = Bench::new(&sync);
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), [format!("PATCH {OBJECT}")]);
    assert_eq!(
        bench.object().metadata.finalizers.unwrap(),
        ["other/one", "stoker.io/finalizer"]
    );
    assert_eq!(bench.object().spec, sync.spec);
}

#[tokio::test(start_paused = true)]
async fn the_published_config_map_is_deleted_before_its_object() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    assert!(bench.api.get(METADATA).is_some());
    bench.change(deleted);
    bench.api.calls();
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    let deletion = format!("DELETE {METADATA}");
    let [changes, metadata, reports, token, finalizer] = CLEANED;
    let expected = [metadata, &deletion, changes, reports, token, finalizer];
    assert_eq!(bench.api.calls(), expected);
    assert!(bench.api.get(METADATA).is_none());
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_config_map_of_the_agents_is_deleted_before_its_object() {
    let labelled = |labels: Value| {
        let mut status = agent_status();
        status["metadata"]["labels"] = labels;
        status
    };
    let unmanaged = labelled(json!({"stoker.io/cr-name": "plant"}));
    // As a person creates it, by its name only.
    let unlabelled = labelled(json!({}));
    let changes = AGENT_STATUS.replace("-status-", "-changes-");
    for status in [agent_status(), unmanaged, unlabelled] {
        let bench = Bench::new(&deleted(GatewaySync::sample()));
        bench.api.put(AGENT_STATUS, status.clone());
        let mut other = status;
        other["metadata"]["name"] = json!("stoker-changes-plant");
        bench.api.put(&changes, other);
        bench.pass().await.unwrap();
        assert!(bench.api.get(AGENT_STATUS).is_none());
        assert!(bench.api.get(&changes).is_none());
        assert!(bench.api.get(OBJECT).is_none());
    }
}

/// The Secret with a token, as the controller writes it.
fn token_secret() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "data": {"token": "eA=="},
        "metadata": {"name": "stoker-github-token-plant", "namespace": "edge", "uid": "uid-9", "labels": {
            "app.kubernetes.io/managed-by": "stoker-controller", "stoker.io/cr-name": "plant",
        }},
    })
}

#[tokio::test(start_paused = true)]
async fn the_secret_with_a_token_is_deleted_before_its_object() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.put(TOKEN_SECRET, token_secret());
    bench.pass().await.unwrap();
    assert!(bench.api.get(TOKEN_SECRET).is_none());
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_secret_with_a_token_is_left_to_the_garbage_collector_without_the_right_to_delete_it() {
    for method in ["GET", "DELETE"] {
        let bench = Bench::new(&deleted(GatewaySync::sample()));
        bench.api.put(TOKEN_SECRET, token_secret());
        let line = format!("{method} {TOKEN_SECRET}");
        bench.api.refuse(&line, 403, "no right to Secrets");
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        assert!(bench.api.calls().contains(&line));
        assert!(bench.api.get(TOKEN_SECRET).is_some());
        assert!(bench.api.get(OBJECT).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_of_the_secret_with_a_token_that_fails_is_retried() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.put(TOKEN_SECRET, token_secret());
    let line = format!("DELETE {TOKEN_SECRET}");
    bench.api.refuse(&line, 500, "etcd is away");
    bench.pass().await.unwrap_err();
    assert!(bench.object().has_finalizer());
    bench.api.allow(&line);
    bench
        .api
        .before(&line, |api| drop(api.remove(TOKEN_SECRET)));
    bench.pass().await.unwrap();
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_is_replaced_in_the_meantime_is_not_deleted() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.put(AGENT_STATUS, agent_status());
    bench.api.before(&format!("DELETE {AGENT_STATUS}"), |api| {
        let labels = json!({"app.kubernetes.io/managed-by": "Helm"});
        api.put(
            AGENT_STATUS,
            json!({"metadata": {"uid": "uid-8", "labels": labels}}),
        );
    });
    assert_eq!(bench.pass().await.unwrap(), after(1));
    assert!(bench.object().has_finalizer());
    bench.pass().await.unwrap();
    assert!(bench.api.get(AGENT_STATUS).is_some());
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_report_in_the_meantime_does_not_keep_the_config_map() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.put(AGENT_STATUS, agent_status());
    bench.api.before(&format!("DELETE {AGENT_STATUS}"), |api| {
        api.put(AGENT_STATUS, api.get(AGENT_STATUS).unwrap());
    });
    assert_eq!(bench.pass().await.unwrap(), after(1));
    bench.pass().await.unwrap();
    assert!(bench.api.get(AGENT_STATUS).is_none());
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_without_its_dependents_keeps_them() {
    let sync = deleted(GatewaySync::sample()).with(|sync| {
        let finalizers = ["orphan", "stoker.io/finalizer"].map(str::to_owned);
        sync.metadata.finalizers = Some(finalizers.into());
    });
    let bench = Bench::new(&sync);
    bench.api.put(AGENT_STATUS, agent_status());
    bench.api.put(TOKEN_SECRET, token_secret());
    bench.pass().await.unwrap();
    assert_eq!(bench.api.calls(), [format!("PATCH {OBJECT}")]);
    assert!(bench.api.get(AGENT_STATUS).is_some() && bench.api.get(TOKEN_SECRET).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_kubernetes_has_orphaned_already_stays() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let mut published = bench.api.get(METADATA).unwrap();
    published["metadata"]["ownerReferences"] = json!([]);
    bench.api.put(METADATA, published);
    bench.api.put(AGENT_STATUS, agent_status());
    bench.api.put(TOKEN_SECRET, token_secret());
    bench.change(deleted);
    bench.pass().await.unwrap();
    assert!(bench.api.get(OBJECT).is_none());
    for path in [METADATA, AGENT_STATUS, TOKEN_SECRET] {
        assert!(bench.api.get(path).is_some(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn objects_of_others_stay_unchanged() {
    let foreign = |kind: &str, name: &str| {
        let plural = if kind == "Secret" {
            "secrets"
        } else {
            "configmaps"
        };
        let path = format!("/api/v1/namespaces/edge/{plural}/{name}-plant");
        let object = json!({
            "apiVersion": "v1", "kind": kind, "data": {"mine": "yes"},
            "metadata": {"name": format!("{name}-plant"), "uid": name, "labels": {
                "app.kubernetes.io/managed-by": "Helm", "stoker.io/cr-name": "plant",
            }},
        });
        (path, object)
    };
    let bench = Bench::new(&GatewaySync::sample());
    let paths = [
        ("ConfigMap", "stoker-metadata"),
        ("ConfigMap", "stoker-status"),
        ("ConfigMap", "stoker-changes"),
        ("Secret", "stoker-github-token"),
    ]
    .map(|(kind, name)| {
        let (path, object) = foreign(kind, name);
        bench.api.put(&path, object);
        path
    });
    let before = paths.each_ref().map(|path| bench.api.get(path));
    bench.pass().await.unwrap_err();
    bench.change(deleted);
    bench.pass().await.unwrap();
    assert!(bench.api.get(OBJECT).is_none());
    assert_eq!(paths.map(|path| bench.api.get(&path)), before);
}

#[tokio::test(start_paused = true)]
async fn a_paused_object_can_be_deleted() {
    let bench = Bench::new(&deleted(
        GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)),
    ));
    bench.pass().await.unwrap();
    assert_eq!(bench.api.calls(), CLEANED);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_object_can_be_deleted() {
    let sync = deleted(GatewaySync::sample());
    let bench = Bench::new(&sync);
    let invalid = InvalidObject {
        error: "no spec".to_owned(),
        metadata: bench.object().metadata,
    };
    let object = Arc::new(DeserializeGuard(Err(invalid)));
    reconcile(object, Arc::clone(&bench.context)).await.unwrap();
    assert_eq!(bench.api.calls(), CLEANED);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_object_is_not_retried_soon() {
    let mut registry = prometheus_client::registry::Registry::default();
    let mut bench = Bench::new(&GatewaySync::sample());
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.metrics = ControllerMetrics::register(&mut registry);
    bench.pass().await.unwrap();
    bench.events();
    bench.api.calls();
    let invalid = InvalidObject {
        error: "invalid type: string \"https://u:s3cret@h\", expected a boolean".to_owned(),
        metadata: bench.object().metadata,
    };
    let object = Arc::new(DeserializeGuard(Err(invalid)));
    let error = reconcile(Arc::clone(&object), Arc::clone(&bench.context))
        .await
        .unwrap_err();
    assert_eq!(
        stoker_report::chain(&error).to_string(),
        "the object does not have the form of a GatewaySync: invalid type: string \"…\", expected a boolean"
    );
    assert_eq!(
        retry(object, &error, Arc::clone(&bench.context)),
        Action::requeue(UNREADABLE_CHECK)
    );
    let expected = "Warning InvalidObject: The object is not reconciled, because it does not have the form of a \
                    GatewaySync: invalid type: string \"…\", expected a boolean";
    assert_eq!(bench.events(), [expected]);
    assert_eq!(bench.api.calls(), [""; 0]);
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    for series in [
        r#"cr_ready{name="plant",namespace="edge"} 0"#,
        r#"condition_status{name="plant",namespace="edge",type="RefResolved"} 0"#,
    ] {
        assert!(shown.contains(series), "{series}\n{shown}");
    }
    assert!(!shown.contains("cr_info{"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn an_object_without_the_finalizer_is_left_to_others() {
    let sync = deleted(GatewaySync::sample())
        .with(|sync| sync.metadata.finalizers = Some(vec!["other/one".to_owned()]));
    let bench = Bench::new(&sync);
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_retried() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.put(AGENT_STATUS, agent_status());
    let line = format!("DELETE {AGENT_STATUS}");
    bench.api.refuse(&line, 500, "no");
    let object = Arc::new(DeserializeGuard(Ok(bench.object())));
    let error = reconcile(Arc::clone(&object), Arc::clone(&bench.context))
        .await
        .unwrap_err();
    assert_eq!(
        stoker_report::chain(&error).to_string(),
        "the API server refused to delete a ConfigMap: no: InternalError"
    );
    assert!(bench.object().has_finalizer());
    assert_eq!(
        retry(object, &error, Arc::clone(&bench.context)),
        Action::requeue(Duration::from_secs(1))
    );
}
