//! Several replicas. All of them receive webhooks, and one reconciles.

use anyhow::Result;
use serde_json::json;
use stoker_tests::TestCluster;

#[tokio::test]
async fn every_replica_receives_and_the_leader_reconciles() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    cluster.config.identity = Some("first".to_owned());
    cluster.start_signed().await?;
    cluster
        .until_metrics(|text| text.contains("stoker_controller_leader 1"))
        .await?;
    cluster.config.identity = Some("second".to_owned());
    cluster.start_signed().await?;

    // The second replica receives the webhook, and the first reconciles.
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.annotated_tag("v1").await?;
    assert_eq!(cluster.send_json(&json!({"ref": "v1"})).await?.status, 202);
    cluster.until_resolved(commit.as_str()).await?;
    cluster
        .until_metrics(|text| {
            text.contains("stoker_controller_leader 0")
                && !text.contains("stoker_controller_cr_ready{")
        })
        .await?;

    // The first replica ends, and the second continues alone.
    cluster.stop().await?;
    let commit = cluster.git.commit("main", "Another").await?;
    cluster.git.annotated_tag("v2").await?;
    assert_eq!(cluster.send_json(&json!({"ref": "v2"})).await?.status, 202);
    cluster.until_resolved(commit.as_str()).await?;
    cluster
        .until_metrics(|text| {
            text.contains("stoker_controller_leader 1")
                && text.contains("stoker_controller_cr_ready{")
        })
        .await?;
    Ok(())
}
