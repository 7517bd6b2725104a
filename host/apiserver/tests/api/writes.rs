//! Creation, reading and replacement of objects.

use http::Method;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder};
use serde_json::json;

use crate::support::{CONFIGS, SYNCS, World, config, refusal, sync, version};

#[tokio::test]
async fn a_created_object_has_what_the_server_gives_it() {
    let world = World::new().await;
    let created = world.post(SYNCS, &sync("x")).await;
    let metadata = &created["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["uid"].as_str().map(str::len), Some(36));
    assert_eq!(
        metadata["creationTimestamp"].as_str().map(str::len),
        Some("2020-01-01T00:00:00Z".len())
    );
    assert_eq!(
        created["spec"]["polling"],
        json!({ "enabled": true, "interval": "60s" })
    );
    assert_eq!(created["spec"]["gateway"]["port"], 8088);
    assert_eq!(world.get(&format!("{SYNCS}/x")).await, created);
}

#[tokio::test]
async fn names_are_unique_or_generated() {
    let world = World::new().await;
    world.post(CONFIGS, &config("x")).await;
    let again = world.post(CONFIGS, &config("x")).await;
    assert_eq!(refusal(&again), (409, "configmaps \"x\" already exists"));
    assert_eq!(again["reason"], "AlreadyExists");
    let mut generated = config("");
    generated["metadata"] = json!({ "generateName": "x-" });
    let generated = world.post(CONFIGS, &generated).await;
    assert_eq!(
        generated["metadata"]["name"].as_str().map(str::len),
        Some(7)
    );
    let mut nameless = config("");
    nameless["metadata"] = json!({});
    let nameless = world.post(CONFIGS, &nameless).await;
    assert_eq!(
        refusal(&nameless),
        (
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required"
        )
    );
}

#[tokio::test]
async fn objects_need_a_namespace_that_is_there() {
    let world = World::new().await;
    let missing = world
        .post("/api/v1/namespaces/nowhere/configmaps", &config("x"))
        .await;
    assert_eq!(refusal(&missing), (404, "namespaces \"nowhere\" not found"));
    let mut other = config("x");
    other["metadata"]["namespace"] = "kube-system".into();
    assert_eq!(refusal(&world.post(CONFIGS, &other).await).0, 400);
}

#[tokio::test]
async fn a_replacement_needs_the_version_it_is_based_on() {
    let world = World::new().await;
    let path = format!("{SYNCS}/x");
    let first = world.post(SYNCS, &sync("x")).await;
    let mut changed = first.clone();
    changed["spec"]["paused"] = true.into();
    let second = world.put(&path, &changed).await;
    assert_eq!(second["metadata"]["generation"], 2);
    let stale = world.put(&path, &changed).await;
    let message = "Operation cannot be fulfilled on gatewaysyncs.stoker.io \"x\": the object has been modified; \
                   please apply your changes to the latest version and try again";
    assert_eq!(refusal(&stale), (409, message));
    let versionless = world.put(&path, &sync("x")).await;
    assert_eq!(refusal(&versionless).0, 422);
    assert!(
        refusal(&versionless)
            .1
            .contains("must be specified for an update")
    );
    let missing = world.put(&format!("{SYNCS}/y"), &sync("y")).await;
    assert_eq!(
        refusal(&missing),
        (404, "gatewaysyncs.stoker.io \"y\" not found")
    );
    let misnamed = world.put(&path, &sync("y")).await;
    assert_eq!(
        refusal(&misnamed),
        (
            400,
            "the name of the object (y) does not match the name on the URL (x)"
        )
    );
}

#[tokio::test]
async fn some_built_in_kinds_can_be_replaced_without_a_version() {
    let world = World::new().await;
    world.post(CONFIGS, &config("x")).await;
    let mut changed = config("x");
    changed["data"]["a"] = "2".into();
    let replaced = world.put(&format!("{CONFIGS}/x"), &changed).await;
    assert_eq!(replaced["data"]["a"], "2");
    assert_eq!(replaced["metadata"]["generation"], json!(null));
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_the_version() {
    let world = World::new().await;
    let created = world.post(SYNCS, &sync("x")).await;
    let path = format!("{SYNCS}/x");
    assert_eq!(world.put(&path, &created).await, created);
    assert_eq!(
        world
            .merge(&path, &json!({ "spec": { "gateway": { "port": 8088 } } }))
            .await,
        created
    );
}

#[tokio::test]
async fn the_status_has_a_path_of_its_own() {
    let world = World::new().await;
    let mut with_status = sync("x");
    with_status["status"] = json!({ "gatewayCount": 1 });
    let created = world.post(SYNCS, &with_status).await;
    assert_eq!(created["status"], json!(null));
    let mut changed = created.clone();
    changed["status"] = json!({ "gatewayCount": 2 });
    changed["spec"]["paused"] = true.into();
    changed["metadata"]["labels"] = json!({ "a": "b" });
    let updated = world.put(&format!("{SYNCS}/x/status"), &changed).await;
    assert_eq!(updated["status"]["gatewayCount"], 2);
    assert_eq!(updated["spec"], created["spec"]);
    assert_eq!(updated["metadata"]["labels"], json!(null));
    assert_eq!(updated["metadata"]["generation"], 1);
    assert_ne!(version(&updated), version(&created));
    let ignored = world
        .merge(
            &format!("{SYNCS}/x"),
            &json!({ "status": { "gatewayCount": 3 } }),
        )
        .await;
    assert_eq!(ignored, updated);
    assert_eq!(world.get(&format!("{SYNCS}/x/status")).await, updated);
    assert_eq!(
        refusal(&world.get(&format!("{CONFIGS}/x/status")).await).0,
        404
    );
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    let tried = world
        .post(&format!("{CONFIGS}?dryRun=All"), &config("x"))
        .await;
    assert_eq!(tried["data"]["a"], "1");
    assert_eq!(refusal(&world.get(&format!("{CONFIGS}/x")).await).0, 404);
    world.post(CONFIGS, &config("x")).await;
    let tried = world
        .merge(
            &format!("{CONFIGS}/x?dryRun=All"),
            &json!({ "data": { "a": "2" } }),
        )
        .await;
    assert_eq!(tried["data"]["a"], "2");
    world
        .send(
            Method::DELETE,
            &format!("{CONFIGS}/x?dryRun=All"),
            "application/json",
            "",
        )
        .await;
    assert_eq!(world.get(&format!("{CONFIGS}/x")).await["data"]["a"], "1");
    assert_eq!(
        refusal(
            &world
                .post(&format!("{CONFIGS}?dryRun=Some"), &config("y"))
                .await
        )
        .0,
        400
    );
}

#[tokio::test]
async fn lists_select_by_labels_and_fields() {
    let world = World::new().await;
    for (name, tier) in [("x", "web"), ("y", "db")] {
        let mut object = config(name);
        object["metadata"]["labels"] = json!({ "tier": tier });
        world.post(CONFIGS, &object).await;
    }
    let names = async |query: &str| {
        let list = world.get(&format!("{CONFIGS}?{query}")).await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|item| {
                item["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["x", "y"]);
    assert_eq!(names("labelSelector=tier%3Dweb").await, ["x"]);
    assert_eq!(names("labelSelector=tier+notin+(web)").await, ["y"]);
    assert_eq!(names("fieldSelector=metadata.name%3Dy").await, ["y"]);
    assert_eq!(
        refusal(
            &world
                .get(&format!("{CONFIGS}?fieldSelector=data.a%3D1"))
                .await
        )
        .0,
        400
    );
    let refused = world.get(&format!("{CONFIGS}?continue=abc")).await;
    assert_eq!(refusal(&refused).0, 501);
    assert!(
        refusal(&refused)
            .1
            .starts_with("the embedded API server does not implement")
    );
}

#[tokio::test]
async fn bodies_can_be_yaml_and_have_a_limit() {
    let world = World::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: read}\ndata:\n  a: 'yes'\n";
    let created = world
        .send(Method::POST, CONFIGS, "application/yaml", yaml)
        .await;
    assert_eq!(created["data"]["a"], "yes");
    let large = "x".repeat(3 * 1024 * 1024 + 1);
    let refused = world
        .send(Method::POST, CONFIGS, "application/json", &large)
        .await;
    assert_eq!(refusal(&refused).0, 413);
    let refused = world
        .send(Method::POST, CONFIGS, "application/cbor", "x")
        .await;
    assert_eq!(
        (refusal(&refused).0, &refused["reason"]),
        (415, &json!("UnsupportedMediaType"))
    );
}

#[tokio::test]
async fn both_views_of_an_event_show_the_same() {
    let world = World::new().await;
    let event = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e" },
        "regarding": { "kind": "GatewaySync", "name": "x", "namespace": "default", "uid": "1" },
        "reason": "Synced", "note": "done", "type": "Normal", "action": "Sync",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "stoker.io/stoker", "reportingInstance": "a" });
    let created = world
        .post("/apis/events.k8s.io/v1/namespaces/default/events", &event)
        .await;
    assert_eq!(created["note"], "done");
    let selector = "fieldSelector=involvedObject.name%3Dx,involvedObject.uid%3D1,reason%3DSynced";
    let list = world
        .get(&format!("/api/v1/namespaces/default/events?{selector}"))
        .await;
    assert_eq!(list["items"][0]["message"], "done");
    assert_eq!(list["items"][0]["reportingComponent"], "stoker.io/stoker");
    let newer = world
        .get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dx")
        .await;
    assert_eq!(newer["items"][0]["regarding"]["name"], "x");
}

#[tokio::test]
async fn the_clients_recorder_and_leases_work() {
    let world = World::new().await;
    let object = world.post(SYNCS, &sync("x")).await;
    let text = |value: &serde_json::Value| value.as_str().map(ToOwned::to_owned);
    let reference = ObjectReference {
        api_version: text(&object["apiVersion"]),
        kind: text(&object["kind"]),
        name: text(&object["metadata"]["name"]),
        namespace: text(&object["metadata"]["namespace"]),
        uid: text(&object["metadata"]["uid"]),
        ..ObjectReference::default()
    };
    let recorder = Recorder::new(world.client.clone(), "stoker.io/stoker".into());
    let event = Event {
        type_: EventType::Normal,
        reason: "Synced".into(),
        note: Some("done".into()),
        action: "Sync".into(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder
            .publish(&event, &reference)
            .await
            .expect("an event");
    }
    let uid = reference.uid.as_deref().unwrap_or_default();
    let list = world
        .get(&format!(
            "/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid%3D{uid}"
        ))
        .await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["items"][0]["series"]["count"], 2);
    let leases: Api<Lease> = Api::default_namespaced(world.client.clone());
    let lease = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "a", "leaseDurationSeconds": 15,
        "renewTime": "2026-01-01T00:00:00.000000Z" } });
    let lease: Lease = serde_json::from_value(lease).expect("a lease");
    let mut created = leases
        .create(&PostParams::default(), &lease)
        .await
        .expect("created");
    let stale = created.clone();
    created.spec.get_or_insert_default().holder_identity = Some("b".into());
    leases
        .replace("l", &PostParams::default(), &created)
        .await
        .expect("replaced");
    let refused = leases
        .replace("l", &PostParams::default(), &stale)
        .await
        .expect_err("stale");
    assert!(matches!(refused, kube::Error::Api(status) if status.is_conflict()));
}
