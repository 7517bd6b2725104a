//! The controller: requests, polling, and the objects that it publishes and deletes.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use stoker::auth::AuthConfig;
use stoker_api::RefResolutionStatus;
use stoker_tests::TestCluster;
use tokio::time::timeout;

#[tokio::test]
async fn a_resolved_ref_is_published_for_the_agents() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.annotated_tag("v1").await?;
    cluster.send_json(&json!({"ref": "refs/tags/v1"})).await?;
    cluster.until_resolved(commit.as_str()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
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
        ("v1", cluster.git.url(), "false")
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
async fn what_others_remove_from_the_config_map_is_restored() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster
        .create(json!({"polling": {"enabled": false}}))
        .await?;
    cluster.start(AuthConfig::default()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
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
            .map_err(|_| anyhow::anyhow!("not restored: {removed}"))??;
    }
    Ok(())
}

#[tokio::test]
async fn a_poll_finds_a_new_commit() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster
        .create(json!({"polling": {"interval": "200ms"}}))
        .await?;
    cluster.start(AuthConfig::default()).await?;
    let first = cluster.git.commit("main", "First").await?;
    cluster.until_resolved(first.as_str()).await?;
    let second = cluster.git.commit("main", "Second").await?;
    cluster.until_resolved(second.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_branch_that_has_the_announced_commit_later_is_followed() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster
        .create(json!({"polling": {"interval": "1h"}}))
        .await?;
    cluster.start(AuthConfig::default()).await?;
    let old = cluster.git.commit("main", "Before").await?;
    cluster
        .send_json(&json!({"ref": "refs/heads/main"}))
        .await?;
    cluster.until_handled(old.as_str()).await?;
    let new = cluster.git.commit("next", "Announced").await?;
    let push = json!({"ref": "refs/heads/main", "after": new.as_str()});
    assert_eq!(cluster.send_json(&push).await?.status, 202);
    let is_behind = |object: &stoker_api::GatewaySync| {
        object.requested_commit() == Some(new.as_str())
            && object.status.as_ref().is_some_and(|status| {
                status.ref_resolution_status == Some(RefResolutionStatus::Resolving)
            })
    };
    let object = cluster.until("the server is behind", is_behind).await?;
    let status = object.status.unwrap_or_default();
    assert_eq!(status.last_sync_commit.as_deref(), Some(old.as_str()));
    cluster.git.set_ref("refs/heads/main", new.as_str()).await?;
    cluster.until_handled(new.as_str()).await?;
    let is_cleared = |object: &stoker_api::GatewaySync| {
        object.requested_ref().is_none()
            && !object
                .annotations()
                .contains_key("stoker.io/requested-commit")
    };
    cluster.until("the request is removed", is_cleared).await?;
    Ok(())
}

#[tokio::test]
async fn a_ref_that_a_user_requests_is_resolved() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v1").await?;
    cluster.git.commit("main", "Later").await?;
    cluster
        .patch(json!({"metadata": {"annotations": {"stoker.io/requested-ref": "v1"}}}))
        .await?;
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_request_is_removed_once_the_spec_has_the_same_ref() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v1").await?;
    cluster.send_json(&json!({"ref": "v1"})).await?;
    cluster.until_resolved(commit.as_str()).await?;
    cluster
        .patch(json!({"spec": {"git": {"ref": "v1"}}}))
        .await?;
    let is_cleared = |object: &stoker_api::GatewaySync| object.requested_ref().is_none();
    let object = cluster.until("the request is removed", is_cleared).await?;
    assert!(
        object
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("stoker.io/requested-at")
    );
    Ok(())
}

/// A ConfigMap that an agent of the Go operator creates.
fn agent_status() -> Result<ConfigMap> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "stoker-status-plant", "labels": {
            "app.kubernetes.io/managed-by": "stoker-agent", "stoker.io/cr-name": "plant",
        }},
        "data": {"gw-0": "{}"},
    }))?)
}

#[tokio::test]
async fn the_config_maps_of_an_object_are_deleted_with_it() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.send_json(&json!({"ref": "main"})).await?;
    let object = cluster.until_resolved(commit.as_str()).await?;
    let uid = object.metadata.uid.unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    maps.create(&PostParams::default(), &agent_status()?)
        .await?;
    cluster
        .objects()
        .delete("plant", &DeleteParams::default())
        .await?;
    await_condition(cluster.objects(), "plant", conditions::is_deleted(&uid)).await?;
    // They are gone before the object, also without a garbage collector, which a kube-apiserver alone does not have.
    for name in ["stoker-metadata-plant", "stoker-status-plant"] {
        assert_eq!(maps.get_opt(name).await?, None, "{name}");
    }
    assert_eq!(
        cluster.send_json(&json!({"ref": "main"})).await?.status,
        404
    );
    Ok(())
}

#[tokio::test]
async fn objects_of_others_are_neither_changed_nor_deleted() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let names = [
        "stoker-metadata-plant",
        "stoker-status-plant",
        "stoker-changes-plant",
    ];
    let mut before = Vec::new();
    for name in names {
        // Those for agents belong to the object without any label.
        let labels = json!({"app.kubernetes.io/managed-by": "Helm"});
        let map = json!({"metadata": {"name": name, "labels": labels}, "data": {"mine": "yes"}});
        let map = serde_json::from_value(map)?;
        before.push(maps.create(&PostParams::default(), &map).await?);
    }
    let secret = json!({"metadata": {"name": "stoker-github-token-plant"}});
    let secret = secrets
        .create(&PostParams::default(), &serde_json::from_value(secret)?)
        .await?;
    cluster.git.commit("main", "A release").await?;
    cluster.create(json!({})).await?;
    cluster.start(AuthConfig::default()).await?;
    let is_reported = |object: &stoker_api::GatewaySync| {
        object
            .status
            .as_ref()
            .and_then(|status| status.condition("Ready"))
            .is_some_and(|ready| ready.message.contains("was not created by Stoker"))
    };
    let object = cluster
        .until("the conflict is reported", is_reported)
        .await?;
    let uid = object.metadata.uid.unwrap_or_default();
    cluster
        .objects()
        .delete("plant", &DeleteParams::default())
        .await?;
    await_condition(cluster.objects(), "plant", conditions::is_deleted(&uid)).await?;
    for (name, map) in names.iter().zip(before) {
        assert_eq!(maps.get(name).await?, map);
    }
    assert_eq!(secrets.get("stoker-github-token-plant").await?, secret);
    Ok(())
}

#[tokio::test]
async fn a_tag_of_a_directory_is_reported_and_not_published() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.git.commit("main", "A release").await?;
    cluster.git.annotate("v0.9-tree", "main^{tree}").await?;
    cluster.create(json!({"git": {"ref": "v0.9-tree"}})).await?;
    cluster.start(AuthConfig::default()).await?;
    let is_reported = |object: &stoker_api::GatewaySync| {
        object
            .status
            .as_ref()
            .and_then(|status| status.condition("RefResolved"))
            .is_some_and(|resolved| {
                resolved.status == "False"
                    && resolved.message.contains("is not a commit but a directory")
            })
    };
    cluster.until("the error is reported", is_reported).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    assert!(maps.get_opt("stoker-metadata-plant").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn an_invalid_spec_is_refused_with_its_field() -> Result<()> {
    let cluster = TestCluster::new().await?;
    let Err(error) = cluster.create(json!({"git": {"repo": ""}})).await else {
        panic!("accepted")
    };
    let text = error.to_string();
    assert!(text.contains("spec.git.repo"), "{text}");
    Ok(())
}

#[tokio::test]
async fn addresses_that_would_read_files_or_run_programs_are_refused() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    for repo in ["file:///etc", "/srv/git/x"] {
        let created = cluster.create(json!({"git": {"repo": repo}})).await;
        assert!(created.is_err(), "{repo}");
    }
    // The rules of the definition accept it, and the controller does not.
    let repo = "ext::sh -c true";
    cluster.create(json!({"git": {"repo": repo}})).await?;
    cluster.start(AuthConfig::default()).await?;
    let refused = |object: &stoker_api::GatewaySync| {
        object
            .status
            .as_ref()
            .and_then(|status| status.condition("RefResolved"))
            .is_some_and(|condition| {
                condition.status == "False" && condition.reason == "RefResolutionFailed"
            })
    };
    cluster.until("the error is reported", refused).await?;
    Ok(())
}
