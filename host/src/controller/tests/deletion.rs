use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use serde_json::json;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT};

fn deleted(sync: GatewaySync) -> GatewaySync {
    sync.with(|sync| {
        sync.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-03-01T11:00:00Z")).unwrap();
    })
}

const CLEANED: [&str; 5] = [
    "DELETE /api/v1/namespaces/edge/configmaps/stoker-metadata-plant",
    "DELETE /api/v1/namespaces/edge/configmaps/stoker-status-plant",
    "DELETE /api/v1/namespaces/edge/configmaps/stoker-changes-plant",
    "DELETE /api/v1/namespaces/edge/secrets/stoker-github-token-plant",
    "PATCH /apis/stoker.io/v1alpha1/namespaces/edge/gatewaysyncs/plant",
];

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
async fn a_deleted_object_goes_with_all_that_belongs_to_it() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    assert!(bench.api.get(METADATA).is_some());
    bench.change(deleted);
    bench.api.calls();
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), CLEANED);
    assert!(bench.api.get(METADATA).is_none());
    assert!(bench.api.get(OBJECT).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_paused_object_goes_too() {
    let bench = Bench::new(&deleted(
        GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)),
    ));
    bench.pass().await.unwrap();
    assert_eq!(bench.api.calls(), CLEANED);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_goes_too() {
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
async fn an_object_that_cannot_be_read_waits_for_a_change() {
    let bench = Bench::new(&GatewaySync::sample());
    let invalid = InvalidObject {
        error: "no spec".to_owned(),
        metadata: bench.object().metadata,
    };
    let object = Arc::new(DeserializeGuard(Err(invalid)));
    let error = reconcile(Arc::clone(&object), Arc::clone(&bench.context))
        .await
        .unwrap_err();
    assert_eq!(
        report::chain(&error).to_string(),
        "the object does not have the form of a GatewaySync: no spec"
    );
    assert_eq!(
        retry(object, &error, Arc::clone(&bench.context)),
        Action::await_change()
    );
    assert_eq!(bench.api.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_others_still_hold_is_left_to_them() {
    let sync = deleted(GatewaySync::sample())
        .with(|sync| sync.metadata.finalizers = Some(vec!["other/one".to_owned()]));
    let bench = Bench::new(&sync);
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_tried_again() {
    let bench = Bench::new(&deleted(GatewaySync::sample()));
    bench.api.refuse(CLEANED[1], 500, "no");
    let object = Arc::new(DeserializeGuard(Ok(bench.object())));
    let error = reconcile(Arc::clone(&object), Arc::clone(&bench.context))
        .await
        .unwrap_err();
    assert_eq!(
        report::chain(&error).to_string(),
        "the API server refused to delete a ConfigMap: no: InternalError"
    );
    assert!(bench.object().has_finalizer());
    assert_eq!(
        retry(object, &error, Arc::clone(&bench.context)),
        Action::requeue(Duration::from_secs(1))
    );
}
