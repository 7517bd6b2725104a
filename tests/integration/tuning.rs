//! The configuration of plugins by operators: limits, settings, the plugins that may answer for an object, and the
//! circuit breaker.

use anyhow::Result;
use serde_json::json;
use stoker::plugin::PluginState;
use stoker_tests::TestCluster;

const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile.wasm"));

/// Returns a cluster with this settings file, an object with this spec, and the hostile guest.
async fn cluster(settings: &str, spec: serde_json::Value) -> Result<TestCluster> {
    let mut cluster = TestCluster::new().await?;
    std::fs::write(cluster.plugins.path().join("hostile.wasm"), HOSTILE)?;
    let file = cluster.plugins.path().join("settings.yaml");
    std::fs::write(&file, settings)?;
    cluster.config.plugin_settings.file = Some(file);
    cluster.create(spec).await?;
    cluster.start_signed().await?;
    Ok(cluster)
}

fn error(answer: &stoker_tests::Answer) -> &str {
    answer.body["error"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_plugin_is_switched_off_and_on_while_it_runs() -> Result<()> {
    let cluster = cluster("plugins: {generic: {enabled: false}}", json!({})).await?;
    let body = json!({"ref": "main"});
    assert_eq!(cluster.send_json(&body).await?.status, 400);
    let file = cluster.config.plugin_settings.file.as_ref().unwrap();
    std::fs::write(file, "plugins: {}")?;
    let is_serving = |state: &PluginState| *state == PluginState::Serving;
    cluster.until_state("built-in generic", is_serving).await?;
    assert_eq!(cluster.send_json(&body).await?.status, 202);

    std::fs::write(file, "plugins: {generic: {enabled: false}}")?;
    let is_off = |state: &PluginState| *state == PluginState::Disabled;
    cluster.until_state("built-in generic", is_off).await?;
    assert_eq!(cluster.send_json(&body).await?.status, 400);
    // A plugin that is disabled on purpose must not raise an alert.
    let line = "stoker_plugin_usable{plugin=\"built-in generic\"} 1";
    cluster.until_metrics(|text| text.contains(line)).await?;

    // A file that cannot be read changes nothing.
    std::fs::write(file, "plugins: [")?;
    let line = "stoker_plugin_settings_usable 0";
    cluster.until_metrics(|text| text.contains(line)).await?;
    assert_eq!(cluster.send_json(&body).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_plugin_gets_other_settings_while_it_runs() -> Result<()> {
    let cluster = cluster("plugins: {}", json!({})).await?;
    let body = json!({"build": {"branch": "main", "state": "done"}});
    assert_eq!(cluster.send_json(&body).await?.status, 400);
    let settings =
        "plugins: {generic: {settings: {ref: /build/branch, when: /build/state = done}}}";
    std::fs::write(
        cluster.config.plugin_settings.file.as_ref().unwrap(),
        settings,
    )?;
    // The new settings change the pre-filter.
    let wants = |plugin: &stoker::plugin::Descriptor| plugin.pointers[0] == "/build/branch";
    cluster.until_described("generic", wants).await?;
    let answer = cluster.send_json(&body).await?;
    assert_eq!(
        (answer.status, &answer.body["ref"]),
        (202, &json!("main")),
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_plugin_has_the_limits_that_its_settings_give() -> Result<()> {
    let limits = "plugins: {hostile: {limits: {wallTime: 300ms, memory: 2Mi}}}";
    let cluster = cluster(limits, json!({})).await?;
    let looped = cluster.send(&[("x-behaviour", "loop")], b"{}").await?;
    assert!(error(&looped).contains("within 300ms"), "{looped:?}");
    let grown = cluster.send(&[("x-behaviour", "allocate")], b"{}").await?;
    assert!(
        error(&grown).contains("more than 2097152 bytes"),
        "{grown:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_not_asked_for_a_while() -> Result<()> {
    let cluster = cluster("plugins: {}", json!({})).await?;
    let provoke = || cluster.send(&[("x-behaviour", "panic")], br#"{"ref":"main"}"#);
    for _ in 0..5 {
        assert_eq!(provoke().await?.status, 500);
    }
    // `generic` would claim the delivery, but the header assigns it to the failing plugin.
    let answer = provoke().await?;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(
        error(&answer).contains("hostile failed repeatedly"),
        "{answer:?}"
    );
    let is_benched = |state: &PluginState| *state == PluginState::Benched;
    cluster.until_state("hostile.wasm", is_benched).await?;
    assert_eq!(
        cluster.send_json(&json!({"ref": "main"})).await?.status,
        202
    );
    Ok(())
}

#[tokio::test]
async fn an_object_is_answered_for_only_by_the_plugins_that_it_names() -> Result<()> {
    let detectors = json!({"webhook": {"detectors": ["github", "acme"]}});
    let cluster = cluster("plugins: {}", detectors).await?;
    let answer = cluster.send_json(&json!({"ref": "main"})).await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let reason = |name: &str| {
        let plugins = answer.body["plugins"].as_array().unwrap();
        let one = plugins.iter().find(|one| one["plugin"] == name).unwrap();
        one["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("generic").contains("does not name it"));
    assert!(reason("acme").contains("no such plugin"));
    assert!(reason("github").contains("x-github-event"));
    let push = [("x-github-event", "push")];
    let answer = cluster.send(&push, br#"{"ref":"refs/heads/main"}"#).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_list_of_plugins_that_names_none_is_refused() -> Result<()> {
    let cluster = TestCluster::new().await?;
    for detectors in [json!([]), json!([""]), json!(["A b"]), json!("github")] {
        let created = cluster
            .create(json!({"webhook": {"detectors": detectors}}))
            .await;
        assert!(created.is_err(), "{detectors}");
    }
    Ok(())
}
