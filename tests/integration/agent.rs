//! The whole way: from a webhook, over the controller, to the files on a gateway's disk and the status of the object.

use anyhow::Result;
use http::StatusCode;
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_local_cluster::FakeGateway;
use stoker_tests::{GatewayPod, TestCluster};

fn is_ready_with(object: &GatewaySync, commit: &str) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let is_ready = status
        .condition("Ready")
        .is_some_and(|ready| ready.status == "True");
    let gateways = &status.discovered_gateways;
    let has_commit =
        |gateway: &stoker_api::DiscoveredGateway| gateway.synced_commit.as_deref() == Some(commit);
    is_ready && gateways.len() == 1 && gateways.iter().all(has_commit)
}

#[tokio::test]
async fn a_gateway_starts_during_a_pause_before_the_first_commit_and_gets_the_commit_afterwards()
-> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let mappings = json!([{"source": "plants/plant-1/config", "destination": "config"}]);
    cluster
        .create(json!({
            "paused": true,
            "polling": {"enabled": false},
            "sync": {"profiles": {"edge": {"mappings": mappings}}},
        }))
        .await?;
    cluster.start_signed().await?;
    // The gateway does not answer, because it waits for the agent.
    let api = FakeGateway::start().await?;
    api.answer_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let gateway = GatewayPod::start_beside(&cluster, api).await?;
    gateway.until_may_start().await?;
    assert_eq!(gateway.file("config/tags/boiler.json"), None);
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.patch(json!({"spec": {"paused": false}})).await?;
    let has_commit = |object: &GatewaySync| {
        let gateways = object.status.iter();
        let mut gateways = gateways.flat_map(|status| &status.discovered_gateways);
        gateways.any(|gateway| gateway.synced_commit.as_deref() == Some(commit.as_str()))
    };
    cluster
        .until("the gateway has the commit", has_commit)
        .await?;
    assert!(gateway.file("config/tags/boiler.json").is_some());
    gateway.stop().await
}

#[tokio::test]
async fn a_webhook_ends_with_files_on_the_disk_and_a_ready_object() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let mappings = json!([
        {"source": "plants/plant-1/config", "destination": "config"},
        {"source": "plants/plant-1/projects", "destination": "projects"},
    ]);
    cluster
        .create(json!({
            "polling": {"enabled": false},
            "sync": {"profiles": {"edge": {"mappings": mappings}}},
        }))
        .await?;
    cluster.start_signed().await?;
    let gateway = GatewayPod::start(&cluster).await?;
    for revision in 2..=3 {
        let commit = cluster.git.commit("main", "A release").await?;
        cluster.git.tag(&format!("v{revision}")).await?;
        cluster
            .send_json(&json!({"ref": format!("v{revision}")}))
            .await?;
        let what = format!("the gateway has revision {revision}");
        let is_ready = |object: &GatewaySync| is_ready_with(object, commit.as_str());
        cluster.until(&what, is_ready).await?;
        let file = gateway.file("config/tags/boiler.json").unwrap();
        let setpoint = format!("\"setpoint\": {}", 80 + revision);
        assert!(file.contains(&setpoint), "{file}");
    }
    assert!(gateway.api.scans().len() >= 4);
    gateway.stop().await
}
