//! The keys of objects and the global key, in Secrets of the cluster.

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use stoker::auth::{AuthConfig, SIGNATURE_HEADER, sign};
use stoker_api::SecretKey;
use stoker_tests::{SECRET, TestCluster};

const BODY: &[u8] = br#"{"ref":"v1"}"#;

fn secrets(cluster: &TestCluster) -> Api<Secret> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

async fn create_secret(cluster: &TestCluster, name: &str, value: &str) -> Result<()> {
    let secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"webhook-secret": value},
    }))?;
    let params = PostParams::default();
    secrets(cluster).create(&params, &secret).await?;
    Ok(())
}

async fn set_secret(cluster: &TestCluster, name: &str, values: serde_json::Value) -> Result<()> {
    let patch = Patch::Merge(json!({"stringData": values}));
    let params = PatchParams::default();
    secrets(cluster).patch(name, &params, &patch).await?;
    Ok(())
}

/// Sends a webhook that is signed with a key, and returns the status.
async fn status(cluster: &TestCluster, key: &str) -> Result<u16> {
    let signature = sign(key.as_bytes(), BODY);
    let headers = [(SIGNATURE_HEADER, signature.as_str())];
    Ok(cluster.post(&cluster.url()?, &headers, BODY).await?.status)
}

/// Sends webhooks that are signed with a key until the status is the expected one.
async fn until_status(cluster: &TestCluster, key: &str, expected: u16) -> Result<()> {
    let started = std::time::Instant::now();
    let mut last = status(cluster, key).await?;
    while last != expected {
        anyhow::ensure!(
            started.elapsed().as_secs() < 20,
            "the status is still {last}"
        );
        tokio::task::yield_now().await;
        last = status(cluster, key).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_key_of_an_object_replaces_the_global_one_and_is_rotated_without_a_restart()
-> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.git.tag("v1").await?;
    create_secret(&cluster, "hook", "first-key").await?;
    let reference = json!({"name": "hook", "key": "webhook-secret"});
    cluster
        .create(json!({"webhook": {"secretRef": reference}}))
        .await?;
    cluster.start_signed().await?;
    assert_eq!(status(&cluster, "first-key").await?, 202);
    assert_eq!(status(&cluster, SECRET).await?, 401);

    let rotated = json!({"webhook-secret": "second-key", "webhook-secret-previous": "first-key"});
    set_secret(&cluster, "hook", rotated).await?;
    until_status(&cluster, "second-key", 202).await?;
    assert_eq!(status(&cluster, "first-key").await?, 202);
    set_secret(&cluster, "hook", json!({"webhook-secret-previous": ""})).await?;
    until_status(&cluster, "first-key", 401).await?;
    assert_eq!(status(&cluster, "second-key").await?, 202);

    secrets(&cluster)
        .delete("hook", &DeleteParams::default())
        .await?;
    until_status(&cluster, "second-key", 401).await?;
    assert_eq!(status(&cluster, SECRET).await?, 401);
    Ok(())
}

#[tokio::test]
async fn the_global_key_is_read_from_a_secret_of_the_own_namespace() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.git.tag("v1").await?;
    cluster.create(json!({})).await?;
    let stored = SecretKey {
        name: "global".to_owned(),
        key: "webhook-secret".to_owned(),
    };
    let auth = AuthConfig {
        stored: Some(stored),
        ..AuthConfig::default()
    };
    cluster.start(auth).await?;
    assert_eq!(
        status(&cluster, "first-key").await?,
        503,
        "there is no Secret"
    );
    create_secret(&cluster, "global", "first-key").await?;
    until_status(&cluster, "first-key", 202).await?;
    set_secret(&cluster, "global", json!({"webhook-secret": "second-key"})).await?;
    until_status(&cluster, "second-key", 202).await?;
    assert_eq!(status(&cluster, "first-key").await?, 401);
    Ok(())
}

#[tokio::test]
async fn an_object_that_was_created_an_instant_ago_is_opened_by_its_own_key_alone() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.git.tag("v1").await?;
    create_secret(&cluster, "hook", "own-key").await?;
    cluster.start_signed().await?;
    assert_eq!(status(&cluster, SECRET).await?, 404);
    let reference = json!({"name": "hook", "key": "webhook-secret"});
    cluster
        .create(json!({"webhook": {"secretRef": reference}}))
        .await?;
    assert_eq!(status(&cluster, SECRET).await?, 401);
    assert_eq!(status(&cluster, "own-key").await?, 202);
    Ok(())
}
