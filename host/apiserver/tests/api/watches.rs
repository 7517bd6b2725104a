//! Watches, and the client's watcher and reflector.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use serde_json::{Value, json};
use stoker_apiserver::ApiServer;
use tokio::sync::mpsc;

use crate::support::{CONFIGS, SYNCS, World, config, refusal, sync, version};

/// The events of a watch until it ends.
async fn events(world: &World, path: &str) -> Vec<Value> {
    let request = http::Request::get(path)
        .body(Vec::new())
        .expect("a request");
    let lines = world
        .client
        .request_stream(request)
        .await
        .expect("a watch")
        .lines();
    let lines: Vec<String> = lines.try_collect().await.expect("lines");
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect()
}

fn short(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| {
            (
                text(&event["type"]),
                text(&event["object"]["metadata"]["name"]),
            )
        })
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_watch_tells_what_happened_since_a_version() {
    let world = World::new().await;
    let first = world.post(CONFIGS, &config("x")).await;
    world
        .merge(&format!("{CONFIGS}/x"), &json!({ "data": { "a": "2" } }))
        .await;
    world
        .merge(&format!("{CONFIGS}/x"), &json!({ "data": { "a": "2" } }))
        .await;
    world
        .send(
            http::Method::DELETE,
            &format!("{CONFIGS}/x"),
            "application/json",
            "",
        )
        .await;
    world.post(CONFIGS, &config("y")).await;
    let query = format!(
        "watch=1&resourceVersion={}&timeoutSeconds=1&allowWatchBookmarks=true",
        version(&first)
    );
    let seen = events(&world, &format!("{CONFIGS}?{query}")).await;
    assert_eq!(
        short(&seen),
        pairs(&[
            ("MODIFIED", "x"),
            ("DELETED", "x"),
            ("ADDED", "y"),
            ("BOOKMARK", "")
        ])
    );
    assert!(version(&seen[1]["object"]) > version(&seen[0]["object"]));
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let world = World::new().await;
    world.post(CONFIGS, &config("x")).await;
    let seen = events(
        &world,
        &format!("{CONFIGS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dx"),
    )
    .await;
    assert_eq!(short(&seen), pairs(&[("ADDED", "x")]));
    let query = "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let seen = events(&world, &format!("{CONFIGS}?{query}")).await;
    assert_eq!(
        seen[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn what_leaves_a_selection_is_deleted_for_its_watch() {
    let world = World::new().await;
    let list = world.get(CONFIGS).await;
    let path = format!("{CONFIGS}/x");
    world.post(CONFIGS, &config("x")).await;
    for label in [json!("yes"), json!("yes"), json!("no")] {
        world
            .merge(&path, &json!({ "metadata": { "labels": { "go": label } } }))
            .await;
    }
    let query = format!(
        "watch=1&resourceVersion={}&timeoutSeconds=1&labelSelector=go%3Dyes",
        version(&list)
    );
    let seen = events(&world, &format!("{CONFIGS}?{query}")).await;
    assert_eq!(short(&seen), pairs(&[("ADDED", "x"), ("DELETED", "x")]));
    assert_eq!(seen[1]["object"]["metadata"]["labels"]["go"], "yes");
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_gone() {
    let world = World::with(ApiServer::builder().history(2)).await;
    let first = world.post(CONFIGS, &config("x")).await;
    for value in ["2", "3", "4"] {
        world
            .merge(&format!("{CONFIGS}/x"), &json!({ "data": { "a": value } }))
            .await;
    }
    let seen = events(
        &world,
        &format!("{CONFIGS}?watch=1&resourceVersion={}", version(&first)),
    )
    .await;
    assert_eq!(
        (&seen[0]["type"], &seen[0]["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(seen[0]["object"]["reason"], "Expired");
    let refused = world.get(&format!("{CONFIGS}?resourceVersion=9999")).await;
    assert_eq!(refusal(&refused).0, 504);
    assert_eq!(
        refusal(&world.get(&format!("{CONFIGS}?resourceVersion=x")).await).0,
        400
    );
}

#[tokio::test]
async fn tables_are_watched_too() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    let request = http::Request::get(format!("{SYNCS}?watch=1&timeoutSeconds=1"))
        .header(
            "accept",
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        )
        .body(Vec::new())
        .expect("a request");
    let mut lines = world
        .client
        .request_stream(request)
        .await
        .expect("a watch")
        .lines();
    let line = lines.try_next().await.expect("a line").expect("an event");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["object"]["kind"], "Table");
    assert_eq!(event["object"]["rows"][0]["cells"][1], "main");
}

#[tokio::test]
async fn a_watch_ends_with_its_resource() {
    let world = World::new().await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewaysyncs.stoker.io";
    let created = world.post(SYNCS, &sync("x")).await;
    let params = WatchParams::default();
    let syncs = world.syncs();
    let mut watch = syncs
        .watch(&params, version(&created))
        .await
        .expect("a watch")
        .boxed();
    world
        .send(http::Method::DELETE, path, "application/json", "")
        .await;
    let event = watch.try_next().await.expect("an event");
    assert!(matches!(event, Some(WatchEvent::Deleted(_))), "{event:?}");
    assert!(watch.try_next().await.expect("an end").is_none());
}

#[tokio::test]
async fn the_clients_watcher_follows_in_both_ways() {
    for settings in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let world = World::new().await;
        world.post(SYNCS, &sync("x")).await;
        let mut stream = watcher(world.syncs(), settings).boxed();
        let mut next = async || {
            stream
                .try_next()
                .await
                .expect("no error")
                .expect("an event")
        };
        assert!(matches!(next().await, watcher::Event::Init));
        assert!(matches!(next().await, watcher::Event::InitApply(_)));
        assert!(matches!(next().await, watcher::Event::InitDone));
        world
            .merge(
                &format!("{SYNCS}/x"),
                &json!({ "spec": { "paused": true } }),
            )
            .await;
        assert!(
            matches!(next().await, watcher::Event::Apply(object) if object.data["spec"]["paused"] == true)
        );
        world
            .send(
                http::Method::DELETE,
                &format!("{SYNCS}/x"),
                "application/json",
                "",
            )
            .await;
        assert!(matches!(next().await, watcher::Event::Delete(_)));
    }
}

#[tokio::test]
async fn a_controller_reconciles_what_changes() {
    let world = World::new().await;
    let (sender, mut reconciled) = mpsc::unbounded_channel();
    let reconcile = |object: Arc<DynamicObject>, sender: Arc<mpsc::UnboundedSender<i64>>| async move {
        sender
            .send(object.metadata.generation.unwrap_or_default())
            .ok();
        Ok::<_, std::io::Error>(Action::await_change())
    };
    let kind = kube::api::GroupVersionKind::gvk("stoker.io", "v1alpha1", "GatewaySync");
    let kind = kube::api::ApiResource::from_gvk_with_plural(&kind, "gatewaysyncs");
    let controller = Controller::new_with(world.syncs(), watcher::Config::default(), kind)
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(sender),
        )
        .for_each(|_| std::future::ready(()));
    let controller = tokio::spawn(controller);
    world.post(SYNCS, &sync("x")).await;
    assert_eq!(reconciled.recv().await, Some(1));
    world
        .merge(
            &format!("{SYNCS}/x"),
            &json!({ "spec": { "paused": true } }),
        )
        .await;
    assert_eq!(reconciled.recv().await, Some(2));
    controller.abort();
}
