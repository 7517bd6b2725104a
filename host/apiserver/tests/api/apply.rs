//! Server-side apply, as the Kubernetes client sends it.

use kube::Error;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{SYNCS, World, refusal, sync};

async fn apply(
    world: &World,
    manager: &str,
    force: bool,
    object: &Value,
) -> Result<DynamicObject, Error> {
    let mut params = PatchParams::apply(manager);
    params.force = force;
    world
        .syncs()
        .patch("x", &params, &Patch::Apply(object))
        .await
}

#[tokio::test]
async fn applies_create_change_and_remove() {
    let world = World::new().await;
    let mut object = sync("x");
    object["metadata"]["labels"] = json!({ "a": "b" });
    object["spec"]["paused"] = true.into();
    let created = apply(&world, "one", false, &object)
        .await
        .expect("a first apply");
    assert_eq!(created.data["spec"]["polling"]["interval"], "60s");
    let again = apply(&world, "one", false, &object)
        .await
        .expect("the same apply");
    assert_eq!(
        again.metadata.resource_version,
        created.metadata.resource_version
    );
    let less = apply(&world, "one", false, &sync("x"))
        .await
        .expect("a second apply");
    assert_eq!(less.data["spec"]["paused"], json!(null));
    assert_eq!(less.metadata.labels, None);
    assert_eq!(less.data["spec"]["polling"]["interval"], "60s");
    assert_eq!(less.metadata.generation, Some(2));
}

#[tokio::test]
async fn another_managers_field_is_a_conflict() {
    let world = World::new().await;
    apply(&world, "one", false, &sync("x"))
        .await
        .expect("a first apply");
    let mut other = sync("x");
    other["spec"]["git"]["repo"] = "https://git.example.com/other.git".into();
    let conflict = apply(&world, "two", false, &other)
        .await
        .expect_err("a conflict");
    let Error::Api(status) = conflict else {
        panic!("{conflict}")
    };
    assert_eq!(status.code, 409);
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.git.repo"
    );
    let causes = status
        .details
        .map(|details| details.causes)
        .unwrap_or_default();
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].field, ".spec.git.repo");
    let forced = apply(&world, "two", true, &other).await.expect("forced");
    let owners = forced.metadata.managed_fields.unwrap_or_default();
    assert_eq!(
        owners
            .iter()
            .map(|owner| owner.manager.as_deref())
            .collect::<Vec<_>>(),
        [Some("two")]
    );
}

#[tokio::test]
async fn the_status_is_applied_by_its_own_path() {
    let world = World::new().await;
    world.post(SYNCS, &sync("x")).await;
    let condition = |kind: &str| {
        json!({ "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "spec": { "paused": true },
            "status": { "conditions": [{ "type": kind, "status": "True" }] } })
    };
    let syncs = world.syncs();
    for (manager, kind) in [("one", "Ready"), ("two", "Synced")] {
        let patch = condition(kind);
        syncs
            .patch_status("x", &PatchParams::apply(manager), &Patch::Apply(&patch))
            .await
            .expect(kind);
    }
    let object = world.get(&format!("{SYNCS}/x")).await;
    assert_eq!(
        object["status"]["conditions"],
        json!([{ "type": "Ready", "status": "True" }, { "type": "Synced", "status": "True" }])
    );
    assert_eq!(object["spec"]["paused"], json!(null));
    let owners = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(
        owners
            .iter()
            .filter(|owner| owner["subresource"] == "status")
            .count(),
        2
    );
    let nothing =
        json!({ "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "status": {} });
    syncs
        .patch_status("x", &PatchParams::apply("two"), &Patch::Apply(&nothing))
        .await
        .expect("two lets go");
    let object = world.get(&format!("{SYNCS}/x")).await;
    assert_eq!(
        object["status"]["conditions"],
        json!([{ "type": "Ready", "status": "True" }])
    );
}

#[tokio::test]
async fn an_apply_is_asked_to_be_clear() {
    let world = World::new().await;
    let path = format!("{SYNCS}/x");
    let send = async |query: &str, body: &Value| {
        let path = format!("{path}?{query}");
        world
            .send(
                http::Method::PATCH,
                &path,
                "application/apply-patch+yaml",
                &body.to_string(),
            )
            .await
    };
    assert_eq!(refusal(&send("", &sync("x")).await).0, 422);
    assert_eq!(refusal(&send("fieldManager=a", &sync("y")).await).0, 400);
    let mut owned = sync("x");
    owned["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(
        refusal(&send("fieldManager=a", &owned).await),
        (400, "metadata.managedFields must be nil")
    );
    let mut unknown = sync("x");
    unknown["spec"]["nope"] = 1.into();
    assert!(
        refusal(&send("fieldManager=a", &unknown).await)
            .1
            .ends_with(".spec.nope: field not declared in schema")
    );
}
