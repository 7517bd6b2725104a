//! What an object accepts: `spec.webhook`, and what the object remembers.

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use stoker_tests::TestCluster;

async fn with_rules(webhook: Value) -> Result<TestCluster> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({ "webhook": webhook })).await?;
    cluster.start(stoker::auth::AuthConfig::default()).await?;
    Ok(cluster)
}

/// A release webhook of GitHub, with a delivery id.
async fn release(
    cluster: &TestCluster,
    tag: &str,
    published_at: &str,
    repository: &str,
) -> Result<(u16, Value)> {
    let body = json!({
        "action": "published",
        "release": {"tag_name": tag, "draft": false, "prerelease": false, "published_at": published_at},
        "repository": {"full_name": repository},
    });
    let id = format!("delivery-of-{tag}");
    let headers = [("x-github-event", "release"), ("x-github-delivery", &id)];
    let answer = cluster.send(&headers, &serde_json::to_vec(&body)?).await?;
    Ok((answer.status, answer.body))
}

/// Waits for an event with a reason, and returns its message.
async fn note_of(cluster: &TestCluster, reason: &str) -> Result<String> {
    let object = cluster.object().await?;
    let namespace = object
        .metadata
        .namespace
        .context("the object has a namespace")?;
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), &namespace);
    let events = watcher(events, watcher::Config::default()).applied_objects();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let event = event?;
        if event.reason.as_deref() == Some(reason) {
            return event.message.context("the event has a message");
        }
    }
    anyhow::bail!("the watch has ended")
}

#[tokio::test]
async fn a_source_that_is_no_network_is_refused_when_the_object_is_applied() -> Result<()> {
    let cluster = TestCluster::new().await?;
    for source in ["10.0.0.0/99", "10.0.0.256", "2001:db8::/129", "example.com"] {
        let webhook = json!({"allowedSources": [source]});
        let error = cluster.create(json!({ "webhook": webhook })).await;
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("allowedSources"), "{source}: {error}");
    }
    let webhook = json!({"allowedSources": ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]});
    cluster.create(json!({ "webhook": webhook })).await?;
    Ok(())
}

#[tokio::test]
async fn a_webhook_about_another_repository_is_ignored_and_reported() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let before = cluster.object().await?;
    let (status, body) =
        release(&cluster, "v1", "2026-01-01T00:00:00Z", "other/repository").await?;
    assert_eq!(status, 200);
    let reason = body["ignored"].as_str().unwrap();
    assert!(
        reason.contains("other/repository") && reason.contains(cluster.git.url()),
        "{reason}"
    );
    let note = note_of(&cluster, "WebhookIgnored").await?;
    assert!(note.contains("other/repository"), "{note}");
    let after = cluster.object().await?;
    assert_eq!(after.metadata.annotations, before.metadata.annotations);
    Ok(())
}

#[tokio::test]
async fn only_the_refs_and_versions_that_an_object_accepts_are_requested() -> Result<()> {
    let cluster = with_rules(json!({"refs": ["v*", "!v1.0"], "semver": ">=1 <2"})).await?;
    for (git_ref, status) in [
        ("refs/heads/main", 200),
        ("v1.0", 200),
        ("v2.0.0", 200),
        ("refs/pull/1/head", 200),
        ("refs/tags/v1.1.0", 202),
    ] {
        let answer = cluster.send_json(&json!({ "ref": git_ref })).await?;
        assert_eq!(answer.status, status, "{git_ref} {:?}", answer.body);
    }
    let object = cluster.object().await?;
    let annotations = object.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations["stoker.io/requested-ref"], "refs/tags/v1.1.0");
    Ok(())
}

#[tokio::test]
async fn a_rule_that_is_invalid_refuses_and_is_reported() -> Result<()> {
    let cluster = with_rules(json!({"semver": "newest"})).await?;
    let answer = cluster.send_json(&json!({"ref": "v1"})).await?;
    assert_eq!(answer.status, 422);
    let error = answer.body["error"].as_str().unwrap();
    assert!(error.contains("spec.webhook.semver"), "{error}");
    let note = note_of(&cluster, "WebhookRefused").await?;
    assert!(note.contains("spec.webhook.semver"), "{note}");
    assert_eq!(cluster.object().await?.metadata.annotations, None);
    Ok(())
}

#[tokio::test]
async fn a_repeated_delivery_and_an_earlier_event_change_nothing() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let name = "demo/plant";
    let (status, body) = release(&cluster, "v1", "2026-01-01T10:00:00Z", name).await?;
    assert_eq!((status, &body["message"]), (202, &json!("ref requested")));
    let (status, _) = release(&cluster, "v2", "2026-01-01T11:00:00Z", name).await?;
    assert_eq!(status, 202);
    let before = cluster.object().await?;
    // The sender repeats the first delivery.
    let (status, body) = release(&cluster, "v1", "2026-01-01T10:00:00Z", name).await?;
    assert_eq!((status, &body["duplicate"]), (202, &json!(true)));
    // A delivery is late.
    let (status, body) = release(&cluster, "v1.5", "2026-01-01T10:30:00Z", name).await?;
    assert_eq!(status, 200);
    let reason = body["ignored"].as_str().unwrap();
    assert!(reason.starts_with("superseded by v2"), "{reason}");
    let after = cluster.object().await?;
    assert_eq!(after.metadata.annotations, before.metadata.annotations);
    Ok(())
}
