//! Drop-in plugins that serve: their order, replacement, failures, and changes of their sources.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use stoker::app::EXAMPLE_PLUGIN;
use stoker::metrics::Metrics;
use stoker::plugin::{
    Bundles, Capacity, Catalog, Chain, PluginState, Sandbox, SettingsSource, Supply,
};
use stoker_tests::TestCluster;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::plugin_files::{DOZEN, catalog, open};

const DOZEN_STD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/dozen-std.wasm"));
const UNFILTERED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/unfiltered.wasm"));

#[tokio::test]
async fn a_plugin_without_a_pre_filter_that_fails_costs_no_other_sender_anything() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    std::fs::write(cluster.plugins.path().join("a.wasm"), UNFILTERED)?;
    let settings = cluster.plugins.path().join("settings.yaml");
    std::fs::write(&settings, "plugins: {a: {settings: {fails: always}}}")?;
    cluster.config.plugin_settings.file = Some(settings.clone());
    cluster.create(json!({})).await?;
    cluster.start_signed().await?;
    let failures = || {
        let text = cluster.metrics().unwrap();
        let line = "stoker_plugin_calls_total{plugin=\"a.wasm\",outcome=\"trap\"} ";
        let count = text.lines().find_map(|text| text.strip_prefix(line));
        count.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    // The first delivery reveals that the plugin fails, and `generic` takes the delivery. After that, the plugin is
    // asked last.
    for _ in 0..8 {
        assert_eq!(
            cluster.send_json(&json!({"ref": "main"})).await?.status,
            202
        );
    }
    assert_eq!(failures(), 1);
    // A delivery that no other plugin claims may belong to this plugin.
    let own = json!({"unfiltered": "main"});
    for _ in 1..5 {
        assert_eq!(cluster.send_json(&own).await?.status, 500);
    }
    assert_eq!(cluster.send_json(&own).await?.status, 503);
    assert_eq!(
        cluster.send_json(&json!({"ref": "main"})).await?.status,
        202
    );
    assert_eq!(failures(), 5);

    std::fs::write(&settings, "plugins: {}")?;
    let is_serving = |state: &PluginState| *state == PluginState::Serving;
    cluster.until_state("a.wasm", is_serving).await?;
    assert_eq!(cluster.send_json(&own).await?.body["plugin"], "unfiltered");
    Ok(())
}

#[test]
fn a_plugin_of_a_dozen_lines_is_small() {
    for (bytes, limit) in [(DOZEN, 8 << 10), (DOZEN_STD, 15 << 10)] {
        assert!(bytes.len() <= limit, "{} of {limit} bytes", bytes.len());
    }
}

#[tokio::test]
async fn a_plugin_of_a_dozen_lines_serves() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v4").await?;
    let body = json!({"acme": {"tag": "v4"}});
    for (name, bytes) in [("dozen", DOZEN), ("dozen-std", DOZEN_STD)] {
        let file = cluster.plugins.path().join("acme.wasm");
        std::fs::write(&file, bytes)?;
        cluster.until_plugin(name, "acme.wasm").await?;
        let answer = cluster.send_json(&body).await?;
        assert_eq!(answer.body["plugin"].as_str(), Some(name), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_files_with_one_name_the_first_serves() -> Result<()> {
    let directory = TempDir::new()?;
    std::fs::write(directory.path().join("a.wasm"), EXAMPLE_PLUGIN)?;
    std::fs::write(directory.path().join("b.wasm"), EXAMPLE_PLUGIN)?;
    std::fs::write(directory.path().join("c.txt"), b"not a plugin")?;
    std::fs::write(directory.path().join("..hidden.wasm"), b"not a plugin")?;
    let chain = open(&directory).await;
    let status = chain.status();
    let state = |from: &str| {
        status
            .iter()
            .find(|plugin| plugin.from == from)
            .unwrap()
            .state
            .clone()
    };
    assert_eq!(state("a.wasm"), PluginState::Serving);
    assert!(matches!(state("b.wasm"), PluginState::Refused { why } if why.contains("a.wasm")));
    let names: Vec<_> = chain
        .plugins()
        .iter()
        .map(|plugin| plugin.descriptor().name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "shipit",
            "gitea",
            "github",
            "gitlab",
            "bitbucket",
            "azure-devops",
            "codecommit",
            "registry",
            "cloudevents",
            "argocd",
            "kargo",
            "generic"
        ]
    );
    Ok(())
}

/// The name and the state of a file.
fn state(catalog: &Catalog, file: &str) -> (Option<String>, PluginState) {
    let status = catalog.chain().status();
    let status = status.into_iter().find(|plugin| plugin.from == file);
    let status = status.unwrap();
    (status.name, status.state)
}

#[tokio::test]
async fn an_update_whose_new_name_is_taken_waits_while_the_previous_version_serves() -> Result<()> {
    let directory = TempDir::new()?;
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("a.wasm"), EXAMPLE_PLUGIN)?;
    std::fs::write(file("b.wasm"), DOZEN)?;
    let mut catalog = catalog(&directory).await;
    std::fs::write(file("b.wasm"), EXAMPLE_PLUGIN)?;
    catalog.rescan().await;
    let (name, previous) = state(&catalog, "b.wasm");
    assert_eq!(name.as_deref(), Some("dozen"));
    let by_a = |why: &str| why.contains("\"shipit\" is taken by a.wasm");
    assert!(
        matches!(&previous, PluginState::ServingPrevious { why } if by_a(why)),
        "{previous:?}"
    );
    let asked = catalog.chain().plugins();
    assert!(
        asked
            .iter()
            .any(|plugin| plugin.descriptor().name == "dozen")
    );

    std::fs::remove_file(file("a.wasm"))?;
    catalog.rescan().await;
    let serving = (Some("shipit".to_owned()), PluginState::Serving);
    assert_eq!(state(&catalog, "b.wasm"), serving);
    Ok(())
}

#[tokio::test]
async fn two_files_can_exchange_their_plugins() -> Result<()> {
    let directory = TempDir::new()?;
    let write = |a: &[u8], b: &[u8]| {
        std::fs::write(directory.path().join("a.wasm"), a)?;
        std::fs::write(directory.path().join("b.wasm"), b)
    };
    write(EXAMPLE_PLUGIN, DOZEN)?;
    let mut catalog = catalog(&directory).await;
    write(DOZEN, EXAMPLE_PLUGIN)?;
    catalog.rescan().await;
    for (file, name) in [("a.wasm", "dozen"), ("b.wasm", "shipit")] {
        let serving = (Some(name.to_owned()), PluginState::Serving);
        assert_eq!(state(&catalog, file), serving);
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_is_disabled_by_the_name_of_its_file_and_by_its_own() -> Result<()> {
    let directory = TempDir::new()?;
    let settings = "plugins: {dozen: {enabled: false}, github: {enabled: false}}";
    std::fs::write(directory.path().join("settings.yaml"), settings)?;
    std::fs::write(directory.path().join("acme-2.wasm"), DOZEN)?;
    std::fs::write(directory.path().join("github.wasm"), EXAMPLE_PLUGIN)?;
    let catalog = catalog(&directory).await;
    for file in ["acme-2.wasm", "github.wasm", "built-in github"] {
        assert_eq!(state(&catalog, file).1, PluginState::Disabled, "{file}");
    }
    assert_eq!(state(&catalog, "built-in gitlab").1, PluginState::Serving);
    Ok(())
}

#[tokio::test]
async fn a_format_is_rejected_before_and_accepted_after_its_plugin_is_dropped_in() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v3").await?;
    let body = json!({"shipit": {"pipeline": "plant", "at": "2026-03-02T09:00:00Z", "promoted": {
        "version": "v3", "revision": commit.as_str(), "repository": "demo/plant"}}});
    assert_eq!(cluster.send_json(&body).await?.status, 400);
    std::fs::write(cluster.plugins.path().join("shipit.wasm"), EXAMPLE_PLUGIN)?;
    cluster.until_plugin("shipit", "shipit.wasm").await?;
    let answer = cluster.send_json(&body).await?;
    assert_eq!(
        (answer.status, answer.body["plugin"].as_str()),
        (202, Some("shipit")),
        "{answer:?}"
    );
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_links() -> Result<()> {
    // The layout is that of kubelet: files are links through `..data`, which is replaced by a link to a new version.
    let cluster = TestCluster::with_host().await?;
    let root = cluster.plugins.path();
    let version = |name: &str| {
        let directory = root.join(name);
        std::fs::create_dir(&directory)?;
        std::fs::write(directory.join("site.wasm"), EXAMPLE_PLUGIN)
    };
    version("..2026_01")?;
    std::os::unix::fs::symlink("..2026_01", root.join("..data"))?;
    std::os::unix::fs::symlink("..data/site.wasm", root.join("site.wasm"))?;
    cluster.until_plugin("shipit", "site.wasm").await?;

    std::fs::create_dir(root.join("..2026_02"))?;
    std::fs::write(root.join("..2026_02/site.wasm"), b"broken")?;
    std::os::unix::fs::symlink("..2026_02", root.join("..data_tmp"))?;
    std::fs::rename(root.join("..data_tmp"), root.join("..data"))?;
    // If the new version of a file cannot be used, the previous version stays in use.
    let is_previous = |state: &PluginState| matches!(state, PluginState::ServingPrevious { .. });
    cluster.until_state("site.wasm", is_previous).await?;
    cluster.until_plugin("shipit", "site.wasm").await?;
    Ok(())
}

#[tokio::test]
async fn plugins_are_not_all_known_before_their_supply_is() -> Result<()> {
    let (sender, supply) = watch::channel(None);
    let sandbox = Sandbox::new(Capacity::default())?;
    let chain = Arc::new(Chain::new(sandbox.into()));
    let settings = SettingsSource::default();
    let mut catalog = Catalog::open(
        Arc::clone(&chain),
        Metrics::new().plugin,
        vec![Supply::Bundles(supply)],
        settings,
    )
    .await?;
    assert!(!chain.is_complete());
    sender.send_replace(Some(Bundles::default()));
    catalog.rescan().await;
    assert!(chain.is_complete());
    Ok(())
}

#[tokio::test]
async fn a_file_that_came_before_the_watch_is_taken() -> Result<()> {
    let directory = TempDir::new()?;
    let catalog = catalog(&directory).await;
    std::fs::write(directory.path().join("shipit.wasm"), EXAMPLE_PLUGIN)?;
    let chain = Arc::clone(catalog.chain());
    let taken = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while chain.status().iter().all(|file| file.from != "shipit.wasm") {
            tick.tick().await;
        }
    };
    tokio::select! {
        () = stoker::plugin::watch(catalog) => unreachable!("it has no end"),
        // The change is noticed before the next periodic scan.
        waited = tokio::time::timeout(Duration::from_secs(20), taken) => Ok(waited?),
    }
}

#[tokio::test]
async fn no_webhook_fails_while_its_plugin_is_replaced() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.tag("v3").await?;
    let file = cluster.plugins.path().join("shipit.wasm");
    std::fs::write(&file, EXAMPLE_PLUGIN)?;
    cluster.until_plugin("shipit", "shipit.wasm").await?;
    let body = json!({"shipit": {"promoted": {"version": "v3", "repository": "demo/plant"}}});
    let replaced = async {
        for number in 0..30_u8 {
            // An additional custom section makes another file with the same plugin. Between two such files, there is
            // one that cannot be used.
            let part = cluster.plugins.path().join(".part");
            let section = [0, 3, 1, b'v', number];
            std::fs::write(&part, [EXAMPLE_PLUGIN, &section].concat())?;
            std::fs::rename(&part, &file)?;
            let digest = hex::encode(Sha256::digest(std::fs::read(&file)?));
            cluster.until_digest("shipit.wasm", &digest).await?;
            std::fs::write(&part, [EXAMPLE_PLUGIN, &[0, 200]].concat())?;
            std::fs::rename(&part, &file)?;
        }
        anyhow::Ok(())
    };
    let mut replaced = std::pin::pin!(replaced);
    let mut answered = 0;
    loop {
        tokio::select! {
            result = &mut replaced => break result?,
            answer = cluster.send_json(&body) => {
                let answer = answer?;
                anyhow::ensure!(answer.body["plugin"] == "shipit" && answer.status == 202, "{answer:?}");
                answered += 1;
            }
        }
    }
    assert!(answered > 0);
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}
