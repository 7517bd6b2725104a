//! The examples of the user guide, with the payloads that the guide prints.

use anyhow::Result;
use serde_json::{Value, json};
use stoker_tests::TestCluster;

const GITHUB: &str = r#"{
  "action": "published",
  "release": {
    "tag_name": "v2.0.0"
  }
}
"#;

const ARGOCD: &str = r#"{
  "app": {
    "metadata": {
      "annotations": {
        "git.ref": "v2.0.0"
      }
    }
  }
}
"#;

const KARGO: &str = r#"{
  "freight": {
    "commits": [
      {
        "tag": "v2.0.0"
      }
    ]
  }
}
"#;

const GENERIC: &str = r#"{
  "ref": "v2.0.0"
}
"#;

async fn example(plugin: &str, body: &str) -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.annotated_tag("v2.0.0").await?;

    let answer = cluster.send(&[], body.as_bytes()).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    let expected = json!({
        "accepted": true, "reason": "requested", "ref": "v2.0.0", "plugin": plugin,
        "message": "ref requested",
    });
    assert_eq!(answer.body, expected);

    let object = cluster.until_resolved(commit.as_str()).await?;
    let annotations = object.metadata.annotations.unwrap_or_default();
    assert_eq!(annotations["stoker.io/requested-ref"], "v2.0.0");
    assert_eq!(annotations["stoker.io/requested-by"], plugin);
    let requested_at: jiff::Timestamp = annotations["stoker.io/requested-at"].parse()?;
    assert!(
        requested_at.subsec_nanosecond() != 0
            || annotations["stoker.io/requested-at"].contains('.')
    );
    Ok(())
}

#[tokio::test]
async fn github_release() -> Result<()> {
    example("github", GITHUB).await
}

#[tokio::test]
async fn argocd_notification() -> Result<()> {
    example("argocd", ARGOCD).await
}

#[tokio::test]
async fn kargo_promotion() -> Result<()> {
    example("kargo", KARGO).await
}

#[tokio::test]
async fn generic() -> Result<()> {
    example("generic", GENERIC).await
}

#[tokio::test]
async fn the_curl_of_the_github_setup_needs_no_signature_without_a_secret() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    cluster.start(stoker::auth::AuthConfig::default()).await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v1.0.0").await?;
    let json = [("content-type", "application/json")];
    let answer = cluster
        .post(&cluster.url()?, &json, br#"{"ref": "v1.0.0"}"#)
        .await?;
    assert_eq!(answer.status, 202);
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn webhooks_are_handled_at_once_with_a_long_interval_and_without_polling() -> Result<()> {
    for polling in [
        json!({"enabled": true, "interval": "5m"}),
        json!({"enabled": false}),
    ] {
        let mut cluster = TestCluster::new().await?;
        cluster.create(json!({"polling": polling})).await?;
        cluster.start(stoker::auth::AuthConfig::default()).await?;
        let first = cluster.git.commit("main", "First").await?;
        assert_eq!(
            cluster.send_json(&json!({"ref": "main"})).await?.status,
            202
        );
        cluster.until_resolved(first.as_str()).await?;
        // A repeated request for a branch resolves the branch again.
        let second = cluster.git.commit("main", "Second").await?;
        assert_eq!(
            cluster.send_json(&json!({"ref": "main"})).await?.status,
            202
        );
        cluster.until_resolved(second.as_str()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn missing_and_invalid_signatures_are_401() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let body = br#"{"ref": "v1.0.0"}"#;
    let mut answers: Vec<Value> = Vec::new();
    for headers in [
        &[][..],
        &[("x-hub-signature-256", "sha256=00")],
        &[("x-hub-signature-256", "sha1=00")],
    ] {
        let answer = cluster.post(&cluster.url()?, headers, body).await?;
        assert_eq!(answer.status, 401);
        answers.push(answer.body);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "all refusals look alike: {answers:?}"
    );
    let object = cluster.object().await?;
    assert!(
        !object
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("stoker.io/requested-ref")
    );
    Ok(())
}
