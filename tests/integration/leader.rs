//! Several replicas: all of them receive, and one reconciles.

use anyhow::Result;
use serde_json::json;
use stoker_tests::Stage;

#[tokio::test]
async fn every_replica_receives_and_the_leader_reconciles() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.create(json!({})).await?;
    stage.identity = Some("first");
    stage.start_signed().await?;
    stage
        .until_metrics(|text| text.contains("stoker_controller_leader 1"))
        .await?;
    stage.identity = Some("second");
    stage.start_signed().await?;

    // The second replica receives the webhook, and the first reconciles.
    let commit = stage.git.commit("main", "A release").await?;
    stage.git.annotated_tag("v1").await?;
    assert_eq!(stage.send_json(&json!({"ref": "v1"})).await?.status, 202);
    stage.until_resolved(commit.as_str()).await?;
    stage
        .until_metrics(|text| {
            text.contains("stoker_controller_leader 0")
                && !text.contains("stoker_controller_cr_ready{")
        })
        .await?;

    // The first replica ends, and the second continues alone.
    stage.stop().await?;
    let commit = stage.git.commit("main", "Another").await?;
    stage.git.annotated_tag("v2").await?;
    assert_eq!(stage.send_json(&json!({"ref": "v2"})).await?.status, 202);
    stage.until_resolved(commit.as_str()).await?;
    stage
        .until_metrics(|text| {
            text.contains("stoker_controller_leader 1")
                && text.contains("stoker_controller_cr_ready{")
        })
        .await?;
    Ok(())
}
