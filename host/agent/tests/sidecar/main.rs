//! The agent beside a gateway: from what is published in a cluster to the files on the gateway's disk.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod site;

use http::StatusCode;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use stoker_api::GatewaySync;

use site::{Site, get};

#[tokio::test]
async fn a_published_commit_reaches_the_disk_and_the_gateway() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    let agent = site.start().await;
    assert_eq!(get(agent.ports.health, "/healthz").await.0, 200);
    site.publish(&first, false).await;
    let report = site
        .until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    assert_eq!(report["syncedRef"], "main");
    assert_eq!(report["lastScanResult"], "projects=200 config=200");
    assert_eq!(report["filesChanged"], 3);
    assert_eq!(report["projectsSynced"], json!(["boiler"]));
    assert_eq!(report["profileName"], "default");
    assert!(site.boiler().unwrap().contains("\"setpoint\": 81"));
    assert!(site.path("data/projects/boiler/project.json").is_file());
    assert_eq!(
        get(agent.ports.health, "/readyz").await,
        (200, "ok".to_owned())
    );

    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    assert_eq!(report["filesChanged"], 2);
    assert_eq!(report["history"].as_array().unwrap().len(), 2);
    assert_eq!(report["history"][0]["commit"], second);
    assert!(site.boiler().unwrap().contains("\"setpoint\": 82"));

    let metrics = get(agent.ports.metrics, "/metrics").await.1;
    let line = "stoker_agent_sync_total{profile=\"default\",result=\"success\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
    agent.stop().await;
    let events: Api<Event> = site.api();
    let events = events.list(&ListParams::default()).await.unwrap();
    let texts: Vec<_> = events
        .items
        .iter()
        .filter(|event| event.involved_object.name.as_deref() == Some("plant"))
        .map(|event| event.message.clone().unwrap_or_default())
        .collect();
    let expected = format!(
        "Sync completed on blue: commit {}, 3 file(s) changed",
        &first[..12]
    );
    assert!(texts.contains(&expected), "{texts:?}");
}

#[tokio::test]
async fn a_commit_that_cannot_be_fetched_is_an_error_and_the_next_one_is_synced() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    site.publish(&"9".repeat(40), false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": first}))
        .await;
    let message = report["errorMessage"].as_str().unwrap();
    assert!(message.starts_with("git fetch: "), "{message}");
    assert_eq!(message.matches("git fetch").count(), 1);
    assert!(site.boiler().unwrap().contains("81"), "nothing was changed");
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_scan_is_an_error_and_is_done_with_the_next_sync() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    site.gateway
        .answer_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": second}))
        .await;
    let text = "error: scan/projects: after 3 retries: HTTP 500";
    assert_eq!(report["errorMessage"], text);
    assert_eq!(report["lastScanResult"], text);
    site.gateway.answer_with(None);
    let scans = site.gateway.scans().len();
    let third = site.commit("Three").await;
    site.publish(&third, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": third}))
        .await;
    assert_eq!(site.gateway.scans()[scans..], ["projects", "config"]);
    agent.stop().await;
}

#[tokio::test]
async fn a_paused_object_keeps_what_is_there_until_the_pause_is_over() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, true).await;
    let agent = site.start().await;
    let report = site.until(json!({"syncStatus": "Pending"})).await;
    assert_eq!(report["syncedCommit"], "");
    assert_eq!(get(agent.ports.health, "/readyz").await.0, 200);
    assert_eq!(site.boiler(), None);
    site.publish(&first, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_gateway_that_has_replaced_the_files_with_its_key_gets_them_again() {
    let site = Site::new().await;
    site.gateway
        .answer_with(Some(StatusCode::SERVICE_UNAVAILABLE));
    let commit = site.commit("One").await;
    site.publish(&commit, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Pending", "syncedCommit": commit}))
        .await;
    let boiler = site.boiler().unwrap();
    // The gateway replaces files at its first start, and does not know the key any more.
    std::fs::write(site.path("data/config/tags/boiler.json"), "{}").unwrap();
    site.gateway.answer_with(Some(StatusCode::UNAUTHORIZED));
    site.until(json!({
        "syncStatus": "Error", "errorMessage": "the gateway refuses the API key (HTTP 401)", "filesChanged": 1,
    }))
    .await;
    assert_eq!(site.boiler().unwrap(), boiler);
    assert_eq!(site.gateway.scans(), [""; 0]);
    site.gateway.answer_with(None);
    site.until(json!({"syncStatus": "Synced", "lastScanResult": "projects=200 config=200"}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn designers_hold_a_sync_until_they_are_closed() {
    let mut site = Site::new().await;
    site.profile["designerSessionPolicy"] = json!("fail");
    site.gateway.set_designers(&[("admin", "boiler")]);
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    let text = "designer sessions active (policy=fail): admin on boiler";
    site.until(json!({"syncStatus": "Error", "errorMessage": text}))
        .await;
    assert_eq!(site.boiler(), None);
    site.gateway.set_designers(&[]);
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": second}))
        .await;
    agent.stop().await;
}

#[tokio::test]
async fn reports_of_other_gateways_stay_and_a_restart_goes_on_with_the_history() {
    let site = Site::new().await;
    let maps: Api<ConfigMap> = site.api();
    let other: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "stoker-status-plant"}, "data": {"green": "{}"},
    }))
    .unwrap();
    maps.create(&PostParams::default(), &other).await.unwrap();
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    for syncs in 1..=2 {
        let agent = site.start().await;
        let is_synced =
            json!({"syncStatus": "Synced", "filesChanged": if syncs == 1 { 3 } else { 0 }});
        let report = site.until(is_synced).await;
        assert_eq!(report["history"].as_array().unwrap().len(), syncs);
        agent.stop().await;
    }
    let map = maps.get("stoker-status-plant").await.unwrap();
    assert_eq!(map.data.unwrap()["green"], "{}");
}

#[tokio::test]
async fn mass_deletions_are_held_until_the_object_confirms_the_commit() {
    let site = Site::new().await;
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": first}))
        .await;
    let stray = |index: usize| site.path(&format!("data/config/stray-{index}.json"));
    for index in 0..50 {
        std::fs::write(stray(index), "{}").unwrap();
    }
    let second = site.commit("Two").await;
    site.publish(&second, false).await;
    let report = site
        .until(json!({"syncStatus": "Error", "syncedCommit": first}))
        .await;
    let message = report["errorMessage"].as_str().unwrap();
    assert!(message.contains("would delete 50 of"), "{message}");
    let command = format!("gatewaysync plant stoker.io/confirm-deletes={second}");
    assert!(message.ends_with(&command), "{message}");
    assert!(stray(0).exists());

    let third = site.commit("Three").await;
    let objects: Api<GatewaySync> = site.api();
    let annotations = json!({"stoker.io/confirm-deletes": third});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    objects
        .patch("plant", &PatchParams::default(), &patch)
        .await
        .unwrap();
    site.publish(&third, false).await;
    site.until(json!({"syncStatus": "Synced", "syncedCommit": third}))
        .await;
    assert!(!stray(0).exists());
    agent.stop().await;
}

#[tokio::test]
async fn files_that_others_change_are_put_back_if_the_profile_says_so() {
    let mut site = Site::new().await;
    site.profile["driftPolicy"] = json!("repair");
    let first = site.commit("One").await;
    site.publish(&first, false).await;
    let agent = site.start().await;
    site.until(json!({"syncStatus": "Synced", "filesChanged": 3}))
        .await;
    let before = site.boiler();
    std::fs::write(site.path("data/config/tags/boiler.json"), "{}").unwrap();
    site.until(json!({"syncStatus": "Synced", "filesChanged": 1}))
        .await;
    assert_eq!(site.boiler(), before);
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_first_sync_keeps_the_gateway_from_starting_unless_it_runs_or_the_profile_allows_it()
 {
    for (allows, runs, status) in [(false, false, 503), (true, false, 200), (false, true, 200)] {
        let mut site = Site::new().await;
        let starting = (!runs).then_some(StatusCode::SERVICE_UNAVAILABLE);
        site.gateway.answer_with(starting);
        site.profile = json!({
            "mappings": [{"source": "nowhere", "destination": "config", "required": true}],
            "startWithoutSync": allows,
        });
        let first = site.commit("One").await;
        site.publish(&first, false).await;
        let agent = site.start().await;
        let report = site.until(json!({"syncStatus": "Error"})).await;
        let message = report["errorMessage"].as_str().unwrap();
        let text = "sync engine: mapping[0]: required source does not exist: nowhere";
        assert_eq!(message, text);
        assert_eq!(report["syncedCommit"], "");
        assert_eq!(get(agent.ports.health, "/readyz").await.0, status);
        agent.stop().await;
    }
}
