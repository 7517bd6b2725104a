//! Deletion.

use http::Method;
use serde_json::{Value, json};
use stoker_apiserver::ApiServer;

use crate::support::{CONFIGS, SYNCS, World, config, refusal, sync, version};

async fn delete(world: &World, path: &str, options: &Value) -> Value {
    world
        .send(
            Method::DELETE,
            path,
            "application/json",
            &options.to_string(),
        )
        .await
}

fn owned(name: &str, owners: &[&Value]) -> Value {
    let mut object = config(name);
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({ "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"] })
        })
        .collect();
    object["metadata"]["ownerReferences"] = references.into();
    object
}

#[tokio::test]
async fn a_deletion_says_what_is_gone() {
    let world = World::new().await;
    let created = world.post(SYNCS, &sync("x")).await;
    let path = format!("{SYNCS}/x");
    let refused = delete(
        &world,
        &path,
        &json!({ "preconditions": { "uid": "other" } }),
    )
    .await;
    assert_eq!(
        (refusal(&refused).0, &refused["reason"]),
        (409, &json!("Conflict"))
    );
    let refused = delete(
        &world,
        &path,
        &json!({ "preconditions": { "resourceVersion": "1" } }),
    )
    .await;
    assert_eq!(refusal(&refused).0, 409);
    let options = json!({ "propagationPolicy": "Foreground",
        "preconditions": { "uid": created["metadata"]["uid"], "resourceVersion": version(&created) } });
    let done = delete(&world, &path, &options).await;
    assert_eq!(done["status"], "Success");
    assert_eq!(
        done["details"],
        json!({ "name": "x", "group": "stoker.io", "kind": "gatewaysyncs", "uid": created["metadata"]["uid"] })
    );
    assert_eq!(refusal(&delete(&world, &path, &json!({})).await).0, 404);
    assert_eq!(
        refusal(&delete(&world, &path, &json!({ "propagationPolicy": "Sideways" })).await).0,
        422
    );
}

#[tokio::test]
async fn a_finalizer_holds_an_object_back() {
    let world = World::new().await;
    let mut object = sync("x");
    object["metadata"]["finalizers"] = json!(["stoker.io/x"]);
    world.post(SYNCS, &object).await;
    let path = format!("{SYNCS}/x");
    let waiting = delete(&world, &path, &json!({})).await;
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(waiting["metadata"]["generation"], 2);
    assert_eq!(delete(&world, &path, &json!({})).await, waiting);
    let refused = world
        .merge(
            &path,
            &json!({ "metadata": { "finalizers": ["stoker.io/x", "stoker.io/y"] } }),
        )
        .await;
    assert!(
        refusal(&refused)
            .1
            .contains("no new finalizers can be added if the object is being deleted")
    );
    world
        .merge(&path, &json!({ "metadata": { "finalizers": [] } }))
        .await;
    assert_eq!(refusal(&world.get(&path).await).0, 404);
}

#[tokio::test]
async fn dependents_go_with_the_last_of_their_owners() {
    let world = World::new().await;
    let (one, two) = (
        world.post(SYNCS, &sync("one")).await,
        world.post(SYNCS, &sync("two")).await,
    );
    world.post(CONFIGS, &owned("both", &[&one, &two])).await;
    world.post(CONFIGS, &owned("first", &[&one])).await;
    world.post(CONFIGS, &owned("second", &[&two])).await;
    delete(&world, &format!("{SYNCS}/one"), &json!({})).await;
    assert_eq!(
        refusal(&world.get(&format!("{CONFIGS}/first")).await).0,
        404
    );
    let both = world.get(&format!("{CONFIGS}/both")).await;
    assert_eq!(
        both["metadata"]["ownerReferences"].as_array().map(Vec::len),
        Some(1)
    );
    delete(
        &world,
        &format!("{SYNCS}/two"),
        &json!({ "propagationPolicy": "Orphan" }),
    )
    .await;
    let orphan = world.get(&format!("{CONFIGS}/second")).await;
    assert_eq!(orphan["metadata"]["ownerReferences"], json!([]));
}

#[tokio::test]
async fn without_garbage_collection_dependents_stay() {
    let world = World::with(ApiServer::builder().garbage_collection(false)).await;
    let owner = world.post(SYNCS, &sync("x")).await;
    world.post(CONFIGS, &owned("c", &[&owner])).await;
    delete(&world, &format!("{SYNCS}/x"), &json!({})).await;
    assert_eq!(world.get(&format!("{CONFIGS}/c")).await["data"]["a"], "1");
}

#[tokio::test]
async fn a_selection_is_deleted_together() {
    let world = World::new().await;
    for (name, label) in [("x", "yes"), ("y", "no"), ("z", "yes")] {
        let mut object = config(name);
        object["metadata"]["labels"] = json!({ "go": label });
        world.post(CONFIGS, &object).await;
    }
    let gone = delete(
        &world,
        &format!("{CONFIGS}?labelSelector=go%3Dyes"),
        &json!({}),
    )
    .await;
    assert_eq!(
        (&gone["kind"], gone["items"].as_array().map(Vec::len)),
        (&json!("ConfigMapList"), Some(2))
    );
    let left = world.get(CONFIGS).await;
    assert_eq!(left["items"][0]["metadata"]["name"], "y");
}

#[tokio::test]
async fn a_namespace_takes_its_content_along() {
    let world = World::new().await;
    let spaces = "/api/v1/namespaces";
    world
        .post(
            spaces,
            &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "n" } }),
        )
        .await;
    let inside = "/api/v1/namespaces/n/configmaps";
    let mut held = config("held");
    held["metadata"]["finalizers"] = json!(["a.io/b"]);
    world.post(inside, &held).await;
    world.post(inside, &config("free")).await;
    let waiting = delete(&world, "/api/v1/namespaces/n", &json!({})).await;
    assert_eq!(waiting["status"]["phase"], "Terminating");
    assert_eq!(refusal(&world.get(&format!("{inside}/free")).await).0, 404);
    let refused = world.post(inside, &config("new")).await;
    assert_eq!(refusal(&refused).0, 403);
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    world
        .merge(
            &format!("{inside}/held"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    assert_eq!(refusal(&world.get("/api/v1/namespaces/n").await).0, 404);
    assert_eq!(
        refusal(&delete(&world, "/api/v1/namespaces/default", &json!({})).await).0,
        403
    );
}

#[tokio::test]
async fn a_definition_waits_for_its_objects() {
    let world = World::new().await;
    let mut object = sync("x");
    object["metadata"]["finalizers"] = json!(["stoker.io/x"]);
    world.post(SYNCS, &object).await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewaysyncs.stoker.io";
    let waiting = delete(&world, path, &json!({})).await;
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    world
        .merge(
            &format!("{SYNCS}/x"),
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    assert_eq!(refusal(&world.get(path).await).0, 404);
    assert_eq!(refusal(&world.get(SYNCS).await).0, 404);
}
