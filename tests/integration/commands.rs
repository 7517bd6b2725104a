//! `stoker status` and `stoker sync` on a cluster.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use stoker::app::{SyncResult, show_status, sync};
use stoker::cli::{OutputFormat, StatusFlags, SyncFlags};
use stoker_api::detection::{GitRef, ObjectKey};
use stoker_tests::TestCluster;

fn flags(cluster: &TestCluster, git_ref: Option<&str>) -> Result<SyncFlags> {
    Ok(SyncFlags {
        object: ObjectKey::new(&cluster.namespace, "plant")?,
        r#ref: git_ref.map(GitRef::parse).transpose()?,
        timeout: Duration::from_secs(20),
        no_wait: false,
        kubeconfig: None,
    })
}

/// Requests a sync. Returns how it ended, and the steps without their times.
async fn synced(cluster: &TestCluster, git_ref: Option<&str>) -> Result<(SyncResult, Vec<String>)> {
    let mut out = Vec::new();
    let result = sync(&cluster.client, &flags(cluster, git_ref)?, &mut out).await?;
    let text = String::from_utf8(out)?;
    let step = |line: &str| {
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Ok((result, text.lines().map(step).collect()))
}

#[tokio::test]
async fn a_sync_is_requested_and_awaited() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let (key, commit) = (
        format!("{}/plant", cluster.namespace),
        cluster.git.commit("main", "A release").await?,
    );
    cluster.git.tag("v1").await?;
    let (result, steps) = synced(&cluster, Some("v1")).await?;
    let expected = [
        format!("requested v1 for {key}"),
        format!("resolved {commit}"),
        "done the object has no gateways".to_owned(),
    ];
    assert_eq!((result, steps), (SyncResult::Synced, expected.to_vec()));
    let object = cluster.until_handled(commit.as_str()).await?;
    assert_eq!(object.requested_ref(), Some("v1"));

    // Without a ref, the present one is looked up again.
    cluster
        .patch(json!({"metadata": {"annotations": {"stoker.io/requested-ref": null}}}))
        .await?;
    let next = cluster.git.commit("main", "Next").await?;
    let (result, steps) = synced(&cluster, None).await?;
    assert_eq!(result, SyncResult::Synced);
    assert_eq!(
        steps[..2],
        [
            format!("requested main for {key}"),
            format!("resolved {next}")
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_spec_that_is_changed_after_a_sync_wins() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v1").await?;
    let next = cluster.git.commit("dev", "Work").await?;
    synced(&cluster, Some("v1")).await?;
    // The ref stays requested if it is only looked up again.
    synced(&cluster, None).await?;
    cluster
        .patch(json!({"spec": {"git": {"ref": "dev"}}}))
        .await?;
    let object = cluster.until_resolved(next.as_str()).await?;
    assert_eq!(object.effective_ref(), "dev");
    Ok(())
}

#[tokio::test]
async fn a_sync_that_fails_says_why() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let (result, steps) = synced(&cluster, Some("missing")).await?;
    assert_eq!(result, SyncResult::Failed);
    let last = steps.last().map(String::as_str).unwrap_or_default();
    assert!(
        last.starts_with("failed Ref resolution failed"),
        "{steps:?}"
    );

    cluster.patch(json!({"spec": {"paused": true}})).await?;
    let error = synced(&cluster, Some("main")).await.unwrap_err();
    assert!(error.to_string().contains("is paused"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_sync_that_nobody_handles_ends_in_time() -> Result<()> {
    let cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let flags = SyncFlags {
        timeout: Duration::from_millis(100),
        ..flags(&cluster, None)?
    };
    let mut out = Vec::new();
    let result = sync(&cluster.client, &flags, &mut out).await?;
    assert_eq!(result, SyncResult::NotInTime);
    let out = String::from_utf8(out)?;
    for expected in [
        "no controller has handled the request; check that a replica leads",
        "not complete after 0 s; the request stays on the object",
    ] {
        assert!(out.contains(expected), "{out}");
    }
    Ok(())
}

#[tokio::test]
async fn the_status_of_objects_is_shown() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    synced(&cluster, None).await?;
    let mut flags = StatusFlags {
        object: None,
        namespace: Some(cluster.namespace.clone()),
        output: OutputFormat::Json,
        watch: false,
        kubeconfig: None,
    };
    let mut out = Vec::new();
    show_status(&cluster.client, &flags, &mut out).await?;
    let document: Value = serde_json::from_slice(&out)?;
    let shown = &document["objects"][0];
    let expected = [json!("plant"), json!("Resolved"), json!(commit.as_str())];
    assert_eq!(
        [
            shown["name"].clone(),
            shown["state"].clone(),
            shown["commit"].clone()
        ],
        expected
    );

    (flags.output, flags.object) = (OutputFormat::Text, Some("plant".parse()?));
    let mut out = Vec::new();
    show_status(&cluster.client, &flags, &mut out).await?;
    assert!(String::from_utf8(out)?.contains(commit.as_str()));
    let own = &cluster.namespace;
    // The form of `stoker sync` needs no flag.
    (flags.namespace, flags.object) = (Some(String::new()), Some(format!("{own}/plant").parse()?));
    let mut out = Vec::new();
    show_status(&cluster.client, &flags, &mut out).await?;
    assert!(String::from_utf8(out)?.contains(commit.as_str()));
    for (namespace, object, expected) in [
        (
            Some(own),
            "other".to_owned(),
            format!("there is no GatewaySync {own}/other"),
        ),
        (
            None,
            format!("{own}/other"),
            format!("there is no GatewaySync {own}/other"),
        ),
        (
            Some(own),
            "elsewhere/plant".to_owned(),
            format!(
                "the object is in the namespace elsewhere, and not in {own} as --namespace says"
            ),
        ),
    ] {
        (flags.namespace, flags.object) = (namespace.cloned(), Some(object.parse()?));
        let error = show_status(&cluster.client, &flags, &mut Vec::new()).await;
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
    Ok(())
}
