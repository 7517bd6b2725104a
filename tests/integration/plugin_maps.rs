//! Plugins in labelled ConfigMaps that are not mounted.

use anyhow::Result;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use stoker::app::EXAMPLE_PLUGIN;
use stoker::plugin::PluginState;
use stoker_tests::TestCluster;

/// A ConfigMap with one file, as `kubectl create configmap --from-file` makes it.
fn map(name: &str, file: &str, bytes: &[u8]) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        binary_data: Some([(file.to_owned(), ByteString(bytes.to_vec()))].into()),
        ..ConfigMap::default()
    }
}

fn labelled(mut map: ConfigMap) -> ConfigMap {
    map.metadata.labels = Some([("stoker.io/plugin".to_owned(), "true".to_owned())].into());
    map
}

async fn cluster() -> Result<(TestCluster, Api<ConfigMap>)> {
    let mut cluster = TestCluster::new().await?;
    cluster.config.watches_plugin_maps = true;
    let maps = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    Ok((cluster, maps))
}

#[tokio::test]
async fn a_plugin_is_followed_from_its_label_to_its_end() -> Result<()> {
    let (mut cluster, maps) = cluster().await?;
    cluster.start_signed().await?;
    cluster.create(json!({})).await?;
    let commit = cluster.git.tag("v3").await?;
    let body = json!({"shipit": {"promoted": {"version": "v3", "repository": "demo/plant"}}});

    // A ConfigMap without the label is not a bundle of plugins.
    let params = PostParams::default();
    maps.create(&params, &map("site", "site.wasm", EXAMPLE_PLUGIN))
        .await?;
    // Events arrive in order. When the other ConfigMap is known, this one was ignored.
    maps.create(&params, &labelled(map("other", "other.wasm", b"no plugin")))
        .await?;
    let is_refused = |state: &PluginState| matches!(state, PluginState::Refused { .. });
    cluster.until_state("other/other.wasm", is_refused).await?;
    cluster.until_gone("site/site.wasm").await?;
    let label = json!({"metadata": {"labels": {"stoker.io/plugin": "true"}}});
    let patch = PatchParams::default();
    maps.patch("site", &patch, &Patch::Merge(&label)).await?;
    cluster.until_plugin("shipit", "site/site.wasm").await?;
    let answer = cluster.send_json(&body).await?;
    anyhow::ensure!(answer.status == 202, "{answer:?}");
    cluster.until_resolved(commit.as_str()).await?;

    let mut broken = labelled(map("site", "site.wasm", b"broken"));
    broken.metadata.resource_version = maps.get("site").await?.metadata.resource_version;
    maps.replace("site", &params, &broken).await?;
    let is_previous = |state: &PluginState| matches!(state, PluginState::ServingPrevious { .. });
    cluster.until_state("site/site.wasm", is_previous).await?;

    maps.delete("site", &DeleteParams::default()).await?;
    cluster.until_gone("site/site.wasm").await?;
    let answer = cluster.send_json(&body).await?;
    anyhow::ensure!(answer.body["plugin"] != "shipit", "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn bundles_have_an_order_and_files_that_are_no_plugins_are_left_alone() -> Result<()> {
    let (mut cluster, maps) = cluster().await?;
    let params = PostParams::default();
    // ConfigMaps that exist at the start are loaded before the first webhook.
    let mut first = labelled(map("a", "shared.wasm", EXAMPLE_PLUGIN));
    first.data = Some([("README.md".to_owned(), "How to send it.".to_owned())].into());
    for map in [first, labelled(map("b", "second.wasm", EXAMPLE_PLUGIN))] {
        maps.create(&params, &map).await?;
    }
    cluster.start_signed().await?;
    let is_serving = |state: &PluginState| *state == PluginState::Serving;
    cluster.until_state("a/shared.wasm", is_serving).await?;
    // Two plugins have the same name. The first one serves, as in directories.
    let is_refused = |state: &PluginState| matches!(state, PluginState::Refused { .. });
    cluster.until_state("b/second.wasm", is_refused).await?;
    cluster.until_gone("a/README.md").await?;
    Ok(())
}

#[tokio::test]
async fn a_map_that_holds_no_usable_plugin_is_reported() -> Result<()> {
    let (mut cluster, maps) = cluster().await?;
    let params = PostParams::default();
    let mut without_key = labelled(map("empty", "x.wasm", b""));
    without_key.binary_data = Some([("acme.wasm.gz".to_owned(), ByteString(vec![31, 139]))].into());
    // A template replaces every byte of a binary file that is not UTF-8 by U+FFFD.
    let mut as_text = labelled(map("text", "x.wasm", b""));
    as_text.binary_data = None;
    let text = String::from_utf8_lossy(EXAMPLE_PLUGIN).into_owned();
    as_text.data = Some([("acme.wasm".to_owned(), text)].into());
    for map in [without_key, as_text] {
        maps.create(&params, &map).await?;
    }
    cluster.start_signed().await?;
    let says = |words: &'static str| move |state: &PluginState| matches!(state, PluginState::Refused { why } if why.contains(words));
    cluster
        .until_state("empty", says("no key that ends in .wasm"))
        .await?;
    cluster
        .until_state("text/acme.wasm", says("use `binaryData`"))
        .await?;
    let line = "stoker_plugin_usable{plugin=\"empty\"} 0";
    cluster.until_metrics(|text| text.contains(line)).await?;

    maps.delete("empty", &DeleteParams::default()).await?;
    cluster.until_gone("empty").await?;
    cluster.until_metrics(|text| !text.contains(line)).await?;
    Ok(())
}
