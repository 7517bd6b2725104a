//! Changes of the set of files, and the plugins that answer webhooks meanwhile.

use bytes::Bytes;
use http::HeaderMap;
use stoker_api::detection::DetectorSelection;
use tempfile::TempDir;
use tokio::sync::watch;

use super::super::chain::Verdict;
use super::super::limits::Capacity;
use super::super::sandbox::Sandbox;
use super::super::status::PluginState;
use super::super::supply::Bundles;
use super::*;
use crate::auth::{AuthConfig, Authenticator};
use crate::delivery::Delivery;
use crate::metrics::{Format, Metrics};

mod previous;

/// Recognised by the example plugin, and by `generic` as another ref.
const BODY: &str = r#"{"ref": "wrong", "shipit": {"state": "promoted", "at": "2026-03-02T09:00:00Z",
    "promoted": {"version": "v3", "repository": "demo/plant"}}}"#;

/// The example plugin with another name of the same length.
fn named(name: &str) -> Vec<u8> {
    let mut bytes = stoker_builtin::EXAMPLE.to_vec();
    let described = b"shipit0.9.0";
    let at = bytes
        .windows(described.len())
        .position(|bytes| bytes == described);
    bytes[at.unwrap()..][..6].copy_from_slice(name.as_bytes());
    bytes
}

struct Fixture {
    catalog: Catalog,
    metrics: Metrics,
    directory: TempDir,
    bundles: watch::Sender<Option<Bundles>>,
}

impl Fixture {
    /// A catalog of a directory with these files, and of bundles.
    async fn new(files: &[(&str, &[u8])]) -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("settings.yaml"), "plugins: {}").unwrap();
        for (name, bytes) in files {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        let (bundles, supply) = watch::channel(Some(Bundles::default()));
        let sandbox = Sandbox::new(Capacity::default()).unwrap();
        let metrics = Metrics::new();
        let catalog = Catalog::open(
            Arc::new(Chain::new(sandbox.into())),
            metrics.plugin.clone(),
            vec![
                Supply::Directory(directory.path().to_owned()),
                Supply::Bundles(supply),
            ],
            SettingsSource {
                file: Some(directory.path().join("settings.yaml")),
                ..SettingsSource::default()
            },
        );
        Self {
            catalog: catalog.await.unwrap(),
            metrics,
            directory,
            bundles,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.directory.path().join(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let path = |name: &str| self.directory.path().join(name);
        std::fs::rename(path(from), path(to)).unwrap();
    }

    /// Supplies exactly these bundles of one file each.
    fn supply(&self, bundles: &[(&str, &str, Vec<u8>)]) {
        self.bundles.send_modify(|supplied| {
            let supplied = supplied.as_mut().unwrap();
            supplied.retain(|bundle| bundles.iter().any(|(name, ..)| *name == bundle));
            for (bundle, file, bytes) in bundles {
                let bytes = Bytes::from(bytes.clone());
                supplied.replace(bundle, [((*file).to_owned(), bytes)]);
            }
        });
    }

    /// Puts the next file in place that was compiled.
    async fn take_one(&mut self) {
        let loaded = self.catalog.loads.join_next().await.unwrap();
        self.catalog.take(loaded).await;
    }

    /// The file of the plugin that answers a webhook, and the ref that it finds.
    async fn answer(&self) -> (String, String) {
        self.answer_to(BODY.into()).await
    }

    async fn answer_to(&self, body: Bytes) -> (String, String) {
        let keyring = Authenticator::new(AuthConfig::default()).global();
        let headers = HeaderMap::new();
        let delivery = keyring.verify(Delivery { headers, body }).unwrap();
        let selection = DetectorSelection::default();
        let (verdict, parsed) = self.catalog.chain().detect(delivery, &selection).await;
        parsed.unwrap();
        match verdict {
            Verdict::Found { plugin, detections } => (
                plugin.origin().to_string(),
                detections[0].git_ref.as_str().to_owned(),
            ),
            other => panic!("{other:?}"),
        }
    }

    async fn assert_answers(&self, file: &str) {
        assert_eq!(self.answer().await, (file.to_owned(), "v3".to_owned()));
    }

    fn state(&self, file: &str) -> Option<PluginState> {
        let status = self.catalog.chain().status();
        let status = status.into_iter().find(|plugin| plugin.from == file);
        status.map(|status| status.state)
    }

    fn is_measured(&self, file: &str) -> bool {
        let text = self.metrics.encode(Format::Prometheus).unwrap();
        text.contains(&format!("plugin=\"{file}\""))
    }
}

#[tokio::test]
async fn a_renamed_file_serves_under_its_old_name_until_it_is_loaded() {
    let mut fixture = Fixture::new(&[("anvil-2.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.rename("anvil-2.wasm", "anvil-3.wasm");
    fixture.catalog.scan().await;
    fixture.assert_answers("anvil-2.wasm").await;
    let states = |fixture: &Fixture| ["anvil-2.wasm", "anvil-3.wasm"].map(|at| fixture.state(at));
    let (loading, serving) = (Some(PluginState::Loading), Some(PluginState::Serving));
    assert_eq!(states(&fixture), [serving.clone(), loading]);
    // Another name before that is loaded.
    fixture.rename("anvil-3.wasm", "anvil-1.wasm");
    fixture.catalog.scan().await;
    fixture.assert_answers("anvil-2.wasm").await;
    fixture.catalog.rescan().await;
    fixture.assert_answers("anvil-1.wasm").await;
    assert_eq!(states(&fixture), [None, None]);
    assert!(!fixture.is_measured("anvil-2.wasm") && fixture.is_measured("anvil-1.wasm"));
}

#[tokio::test]
async fn a_large_body_is_read_like_a_small_one() {
    let fixture = Fixture::new(&[("anvil.wasm", stoker_builtin::EXAMPLE)]).await;
    let body = format!(r#"{{"rest": "{}", {}"#, "x".repeat(100 << 10), &BODY[1..]);
    let (_, git_ref) = fixture.answer_to(body.into()).await;
    assert_eq!(git_ref, "v3");
}

#[tokio::test]
async fn the_last_version_of_a_removed_file_serves_even_if_a_later_one_was_refused() {
    let mut fixture = Fixture::new(&[("anvil.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.write("anvil.wasm", b"broken");
    fixture.catalog.rescan().await;
    let is_previous = |state| matches!(state, Some(PluginState::ServingPrevious { .. }));
    assert!(is_previous(fixture.state("anvil.wasm")));
    fixture.rename("anvil.wasm", "anvil.old");
    fixture.write("press.wasm", &named("pressy"));
    fixture.catalog.scan().await;
    assert_eq!(fixture.state("anvil.wasm"), Some(PluginState::Serving));
    fixture.assert_answers("anvil.wasm").await;
}

#[tokio::test]
async fn a_load_that_does_not_end_keeps_no_removed_plugin() {
    let mut fixture = Fixture::new(&[("anvil.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.write("press.wasm", &named("pressy"));
    fixture.remove("anvil.wasm");
    fixture.catalog.scan().await;
    fixture.assert_answers("anvil.wasm").await;
    // The load of the other file is not taken, as if it did not end.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_mins(2)).await;
    fixture.catalog.scan().await;
    assert_eq!(fixture.state("anvil.wasm"), None);
    assert_eq!(fixture.state("press.wasm"), Some(PluginState::Loading));
}

#[tokio::test]
async fn a_key_of_a_config_map_and_a_config_map_can_be_renamed() {
    let mut fixture = Fixture::new(&[]).await;
    let plugin = || stoker_builtin::EXAMPLE.to_vec();
    let steps: [&[(&str, &str, Vec<u8>)]; 4] = [
        &[("h1", "anvil-1.0.wasm", plugin())],
        &[("h1", "anvil-1.1.wasm", plugin())],
        // One ConfigMap is created before the other one is deleted.
        &[
            ("h1", "anvil-1.1.wasm", plugin()),
            ("h2", "anvil.wasm", plugin()),
        ],
        &[("h2", "anvil.wasm", plugin())],
    ];
    fixture.supply(steps[0]);
    fixture.catalog.rescan().await;
    fixture.supply(steps[1]);
    fixture.catalog.scan().await;
    fixture.assert_answers("h1/anvil-1.0.wasm").await;
    fixture.take_one().await;
    fixture.assert_answers("h1/anvil-1.1.wasm").await;
    for step in &steps[2..] {
        fixture.supply(step);
        fixture.catalog.scan().await;
        fixture.assert_answers("h1/anvil-1.1.wasm").await;
    }
    fixture.take_one().await;
    fixture.assert_answers("h2/anvil.wasm").await;
    assert_eq!(fixture.state("h1/anvil-1.1.wasm"), None);
}

#[tokio::test]
async fn a_file_with_the_name_of_a_built_in_plugin_can_be_renamed() {
    let mut fixture = Fixture::new(&[("a.wasm", &named("github"))]).await;
    fixture.rename("a.wasm", "b.wasm");
    fixture.catalog.scan().await;
    fixture.assert_answers("a.wasm").await;
    let by = "a.wasm".to_owned();
    let replaced = Some(PluginState::Replaced { by });
    assert_eq!(fixture.state("built-in github"), replaced);
    fixture.take_one().await;
    fixture.assert_answers("b.wasm").await;
}

#[tokio::test]
async fn a_removed_file_serves_until_what_is_being_loaded_is_loaded() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    // What is loaded first is of another name.
    fixture.write("b.wasm", &named("beta-1"));
    fixture.write("c.wasm", &named("beta-2"));
    fixture.catalog.scan().await;
    fixture.remove("a.wasm");
    fixture.catalog.scan().await;
    fixture.take_one().await;
    assert_eq!(fixture.state("a.wasm"), Some(PluginState::Serving));
    fixture.take_one().await;
    assert_eq!(fixture.state("a.wasm"), None);
    assert!(!fixture.is_measured("a.wasm"));
    // Nothing is being loaded.
    fixture.remove("b.wasm");
    fixture.catalog.scan().await;
    assert_eq!(fixture.state("b.wasm"), None);
}

#[tokio::test]
async fn a_removed_file_that_is_not_asked_does_not_stay() {
    let files: [(&str, &[u8]); 3] = [
        ("a.wasm", stoker_builtin::EXAMPLE),
        ("b.wasm", &named("beta-1")),
        ("c.wasm", b"broken"),
    ];
    let mut fixture = Fixture::new(&files).await;
    fixture.write("new.wasm", &named("beta-2"));
    for file in ["a.wasm", "b.wasm", "c.wasm"] {
        fixture.remove(file);
    }
    fixture.write("settings.yaml", b"plugins: {b: {enabled: false}}");
    fixture.catalog.scan().await;
    let states = ["a.wasm", "b.wasm", "c.wasm"].map(|file| fixture.state(file));
    assert_eq!(states, [Some(PluginState::Serving), None, None]);
    // It can be disabled meanwhile.
    fixture.write("settings.yaml", b"plugins: {shipit: {enabled: false}}");
    fixture.catalog.scan().await;
    assert_eq!(fixture.state("a.wasm"), None);
    assert_eq!(fixture.answer().await.0, "built-in generic");
}

#[tokio::test]
async fn a_removed_file_whose_name_is_free_for_another_one_does_not_stay() {
    let files: [(&str, &[u8]); 2] = [
        ("a.wasm", stoker_builtin::EXAMPLE),
        ("b.wasm", stoker_builtin::EXAMPLE),
    ];
    let mut fixture = Fixture::new(&files).await;
    fixture.write("new.wasm", &named("beta-1"));
    fixture.remove("a.wasm");
    fixture.catalog.scan().await;
    fixture.assert_answers("b.wasm").await;
    assert_eq!(fixture.state("a.wasm"), None);
}

#[tokio::test]
async fn a_file_that_comes_back_is_loaded_as_it_is_then() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.write("new.wasm", &named("beta-1"));
    fixture.write("a.wasm", &named("beta-2"));
    fixture.catalog.scan().await;
    fixture.rename("a.wasm", "away");
    fixture.catalog.scan().await;
    fixture.assert_answers("a.wasm").await;
    fixture.rename("away", "a.wasm");
    fixture.catalog.rescan().await;
    assert_eq!(fixture.state("a.wasm"), Some(PluginState::Serving));
    let plugins = fixture.catalog.chain().plugins();
    assert_eq!(plugins[0].descriptor().name, "beta-2");
}

#[tokio::test]
async fn two_files_exchange_their_plugins_at_once() {
    let files: [(&str, &[u8]); 2] = [
        ("a.wasm", stoker_builtin::EXAMPLE),
        ("b.wasm", &named("beta-1")),
    ];
    let mut fixture = Fixture::new(&files).await;
    fixture.write("a.wasm", &named("beta-1"));
    fixture.write("b.wasm", stoker_builtin::EXAMPLE);
    fixture.catalog.scan().await;
    let asked = |fixture: &Fixture| {
        let plugins = fixture.catalog.chain().plugins();
        let names = plugins.iter().map(|plugin| &plugin.descriptor().name);
        names.take(2).cloned().collect::<Vec<_>>()
    };
    fixture.take_one().await;
    assert_eq!(asked(&fixture), ["shipit", "beta-1"]);
    fixture.take_one().await;
    assert_eq!(asked(&fixture), ["beta-1", "shipit"]);
    for file in ["a.wasm", "b.wasm"] {
        assert_eq!(fixture.state(file), Some(PluginState::Serving));
    }
}

#[tokio::test]
async fn the_metrics_of_a_file_outlive_a_bundle_of_its_name() {
    let mut fixture = Fixture::new(&[("acme.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.supply(&[("acme.wasm", "README.md", Vec::new())]);
    fixture.catalog.rescan().await;
    fixture.answer().await;
    let calls = "stoker_plugin_calls_total{plugin=\"acme.wasm\",outcome=\"found\"} 1";
    let has_calls = |fixture: &Fixture| {
        fixture
            .metrics
            .encode(Format::Prometheus)
            .unwrap()
            .contains(calls)
    };
    assert!(has_calls(&fixture));
    fixture.supply(&[]);
    fixture.catalog.rescan().await;
    assert!(has_calls(&fixture));
    // And the other way round.
    fixture.supply(&[("acme.wasm", "README.md", Vec::new())]);
    fixture.catalog.rescan().await;
    fixture.remove("acme.wasm");
    fixture.catalog.rescan().await;
    let usable = "stoker_plugin_usable{plugin=\"acme.wasm\"} 0";
    let text = fixture.metrics.encode(Format::Prometheus).unwrap();
    assert!(text.contains(usable) && !has_calls(&fixture), "{text}");
}

#[tokio::test]
async fn a_directory_with_the_name_of_a_plugin_is_refused() {
    let mut fixture = Fixture::new(&[]).await;
    std::fs::create_dir(fixture.directory.path().join("acme.wasm")).unwrap();
    fixture.catalog.rescan().await;
    match fixture.state("acme.wasm") {
        Some(PluginState::Refused { why }) => assert!(why.contains("it is a directory"), "{why}"),
        other => panic!("{other:?}"),
    }
}
