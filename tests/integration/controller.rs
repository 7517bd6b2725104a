//! The controller's side: what a request leads to, what polling finds, and what is left behind.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use stoker::auth::AuthConfig;
use stoker_tests::Stage;
use tokio::time::timeout;

#[tokio::test]
async fn a_resolved_ref_is_published_for_the_agents() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.commit("main", "A release").await?;
    stage.git.annotated_tag("v1").await?;
    stage.send_json(&json!({"ref": "refs/tags/v1"})).await?;
    stage.until_resolved(commit.as_str()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let is_published = |map: Option<&ConfigMap>| {
        map.and_then(|map| map.data.as_ref())
            .is_some_and(|data| data["commit"] == commit.as_str() && data["ref"] == "v1")
    };
    let map = await_condition(maps, "stoker-metadata-plant", is_published)
        .await?
        .unwrap();
    let data = map.data.unwrap();
    assert_eq!(
        (
            data["ref"].as_str(),
            data["gitURL"].as_str(),
            data["paused"].as_str()
        ),
        ("v1", stage.git.url(), "false")
    );
    let profiles: Value = serde_json::from_str(&data["profiles"])?;
    assert_eq!(
        profiles["edge"]["mappings"],
        json!([{"source": "config", "destination": "config"}])
    );
    assert_eq!(map.metadata.owner_references.unwrap()[0].name, "plant");
    Ok(())
}

#[tokio::test]
async fn what_others_remove_of_it_is_put_back() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.create(json!({"polling": {"enabled": false}})).await?;
    stage.start(AuthConfig::default()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let is_whole = |map: Option<&ConfigMap>| {
        map.is_some_and(|map| {
            map.data
                .as_ref()
                .is_some_and(|data| data.contains_key("commit"))
                && map.metadata.owner_references.is_some()
                && map.labels().contains_key("app.kubernetes.io/managed-by")
        })
    };
    let name = "stoker-metadata-plant";
    await_condition(maps.clone(), name, is_whole).await?;
    for removed in [
        json!({"data": {"commit": null}}),
        json!({"metadata": {"ownerReferences": null}}),
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
    ] {
        let patch = Patch::Merge(&removed);
        maps.patch(name, &PatchParams::default(), &patch).await?;
        let repaired = await_condition(maps.clone(), name, is_whole);
        timeout(Duration::from_secs(20), repaired)
            .await
            .map_err(|_| anyhow::anyhow!("it stays away: {removed}"))??;
    }
    Ok(())
}

#[tokio::test]
async fn a_poll_finds_a_new_commit() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage
        .create(json!({"polling": {"interval": "200ms"}}))
        .await?;
    stage.start(AuthConfig::default()).await?;
    let first = stage.git.commit("main", "First").await?;
    stage.until_resolved(first.as_str()).await?;
    let second = stage.git.commit("main", "Second").await?;
    stage.until_resolved(second.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_ref_that_is_annotated_by_hand_is_resolved() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.commit("main", "A release").await?;
    stage.git.tag("v1").await?;
    stage.git.commit("main", "Later").await?;
    stage
        .patch(json!({"metadata": {"annotations": {"stoker.io/requested-ref": "v1"}}}))
        .await?;
    stage.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_request_goes_once_the_spec_says_the_same() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.commit("main", "A release").await?;
    stage.git.tag("v1").await?;
    stage.send_json(&json!({"ref": "v1"})).await?;
    stage.until_resolved(commit.as_str()).await?;
    stage.patch(json!({"spec": {"git": {"ref": "v1"}}})).await?;
    let is_cleared = |object: &stoker_api::GatewaySync| object.requested_ref().is_none();
    let object = stage.until("the request is cleared", is_cleared).await?;
    assert!(
        object
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("stoker.io/requested-at")
    );
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_an_object_goes_with_it() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.commit("main", "A release").await?;
    stage.send_json(&json!({"ref": "main"})).await?;
    let object = stage.until_resolved(commit.as_str()).await?;
    let uid = object.metadata.uid.unwrap_or_default();
    stage
        .objects()
        .delete("plant", &DeleteParams::default())
        .await?;
    await_condition(stage.objects(), "plant", conditions::is_deleted(&uid)).await?;
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    assert!(maps.get_opt("stoker-metadata-plant").await?.is_none());
    assert_eq!(stage.send_json(&json!({"ref": "main"})).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_bad_spec_is_refused_with_its_field() -> Result<()> {
    let stage = Stage::set().await?;
    let Err(error) = stage.create(json!({"git": {"repo": ""}})).await else {
        panic!("accepted")
    };
    let text = error.to_string();
    assert!(text.contains("spec.git.repo"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_reads_files_or_runs_programs_is_never_asked_for_refs() -> Result<()> {
    for repo in ["file:///etc", "ext::sh -c true", "/srv/git/x"] {
        let mut stage = Stage::set().await?;
        stage.create(json!({"git": {"repo": repo}})).await?;
        stage.start(AuthConfig::default()).await?;
        let refused = |object: &stoker_api::GatewaySync| {
            object
                .status
                .as_ref()
                .and_then(|status| status.condition("RefResolved"))
                .is_some_and(|condition| {
                    condition.status == "False" && condition.reason == "RefResolutionFailed"
                })
        };
        stage.until("the refusal is told", refused).await?;
    }
    Ok(())
}
