//! Merge, JSON and strategic merge patches.

use http::Method;
use serde_json::{Value, json};

use crate::support::{CONFIGS, SYNCS, World, config, refusal, sync, version};

async fn patch(world: &World, path: &str, media: &str, body: &Value) -> Value {
    world
        .send(Method::PATCH, path, media, &body.to_string())
        .await
}

#[tokio::test]
async fn merge_patches_set_and_remove() {
    let world = World::new().await;
    let created = world.post(SYNCS, &sync("x")).await;
    let path = format!("{SYNCS}/x");
    let annotated = world
        .merge(
            &path,
            &json!({ "metadata": { "annotations": { "a": "b" } } }),
        )
        .await;
    assert_eq!(annotated["metadata"]["generation"], 1);
    let removed = world
        .merge(
            &path,
            &json!({ "metadata": { "annotations": { "a": null } }, "spec": { "paused": true } }),
        )
        .await;
    assert_eq!(removed["metadata"]["annotations"], json!(null));
    assert_eq!(removed["metadata"]["generation"], 2);
    let stale = world.merge(&path, &json!({ "metadata": { "resourceVersion": version(&created) }, "spec": { "paused": false } })).await;
    assert_eq!(
        (refusal(&stale).0, &stale["reason"]),
        (409, &json!("Conflict"))
    );
    let other = world
        .merge(&path, &json!({ "metadata": { "uid": "other" } }))
        .await;
    assert_eq!(refusal(&other).0, 409);
    assert_eq!(
        refusal(&world.merge(&format!("{SYNCS}/y"), &json!({})).await).0,
        404
    );
}

#[tokio::test]
async fn json_patches_can_test() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    let path = format!("{SYNCS}/x");
    let media = "application/json-patch+json";
    let failed = patch(
        &world,
        &path,
        media,
        &json!([{ "op": "test", "path": "/spec/git/repo", "value": "x" }]),
    )
    .await;
    assert_eq!(
        (refusal(&failed).0, &failed["reason"]),
        (422, &json!("Invalid"))
    );
    let done = patch(
        &world,
        &path,
        media,
        &json!([
            { "op": "test", "path": "/spec/git/ref", "value": "main" },
            { "op": "replace", "path": "/spec/git/ref", "value": "dev" },
        ]),
    )
    .await;
    assert_eq!(done["spec"]["git"]["ref"], "dev");
}

#[tokio::test]
async fn strategic_merge_patches_are_for_built_in_kinds() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    world.post(CONFIGS, &config("x")).await;
    let media = "application/strategic-merge-patch+json";
    let refused = patch(&world, &format!("{SYNCS}/x"), media, &json!({ "spec": {} })).await;
    let message = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    assert_eq!(refusal(&refused), (415, message));
    let path = format!("{CONFIGS}/x");
    for finalizer in ["a.io/1", "a.io/2"] {
        patch(
            &world,
            &path,
            media,
            &json!({ "metadata": { "finalizers": [finalizer] } }),
        )
        .await;
    }
    let object = world.get(&path).await;
    assert_eq!(
        object["metadata"]["finalizers"],
        json!(["a.io/1", "a.io/2"])
    );
    let refused = patch(
        &world,
        &path,
        media,
        &json!({ "data": { "$patch": "replace" } }),
    )
    .await;
    assert_eq!(
        refusal(&refused),
        (
            501,
            "the embedded API server does not implement $patch in a strategic merge patch"
        )
    );
}
