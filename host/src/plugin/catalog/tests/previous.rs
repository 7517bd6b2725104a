//! The settings of plugins that serve although their files are other ones now.

use super::*;

impl Fixture {
    /// Gives the plugin of this file another setting, and scans.
    async fn set(&mut self, key: &str, value: &str) {
        let text = format!("plugins: {{{key}: {{settings: {{ref: {value}}}}}}}");
        self.write("settings.yaml", text.as_bytes());
        self.catalog.scan().await;
    }

    /// The name of the plugin of a file, and its setting.
    fn serving(&self, file: &str) -> (String, Option<String>) {
        let plugins = self.catalog.chain().plugins();
        let mut plugins = plugins.iter();
        let plugin = plugins.find(|plugin| plugin.origin().to_string() == file);
        let plugin = plugin.unwrap();
        let setting = plugin.tuning().settings.get("ref").cloned();
        (plugin.descriptor().name.clone(), setting)
    }

    #[track_caller]
    fn assert_serving(&self, file: &str, name: &str, setting: &str) {
        let expected = (name.to_owned(), Some(setting.to_owned()));
        assert_eq!(self.serving(file), expected);
    }
}

#[tokio::test]
async fn settings_reach_a_plugin_whose_new_file_cannot_be_used() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.set("a", "/a").await;
    // Both change at once, and then only the settings.
    fixture.write("a.wasm", b"broken");
    for setting in ["/b", "/c"] {
        fixture.set("a", setting).await;
        fixture.assert_serving("a.wasm", "shipit", setting);
        let state = fixture.state("a.wasm").unwrap();
        let is_previous = matches!(&state, PluginState::ServingPrevious { .. });
        assert!(is_previous, "{state:?}");
    }
    fixture.write("a.wasm", stoker_builtin::EXAMPLE);
    fixture.catalog.rescan().await;
    fixture.assert_serving("a.wasm", "shipit", "/c");
    assert_eq!(fixture.state("a.wasm"), Some(PluginState::Serving));
}

#[tokio::test]
async fn settings_reach_a_plugin_whose_new_version_is_being_loaded() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.write("a.wasm", &named("beta-1"));
    fixture.catalog.scan().await;
    fixture.set("a", "/b").await;
    fixture.assert_serving("a.wasm", "shipit", "/b");
    fixture.take_one().await;
    fixture.assert_serving("a.wasm", "beta-1", "/b");
}

#[tokio::test]
async fn settings_reach_a_new_version_that_waits_for_other_files() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.write("a.wasm", &named("beta-1"));
    fixture.write("b.wasm", &named("beta-2"));
    fixture.catalog.scan().await;
    fixture.set("a", "/b").await;
    fixture.take_one().await;
    fixture.assert_serving("a.wasm", "shipit", "/b");
    fixture.take_one().await;
    fixture.assert_serving("a.wasm", "beta-1", "/b");
}

#[tokio::test]
async fn settings_reach_a_plugin_whose_new_name_is_taken() {
    let files: [(&str, &[u8]); 2] = [
        ("a.wasm", stoker_builtin::EXAMPLE),
        ("b.wasm", &named("beta-1")),
    ];
    let mut fixture = Fixture::new(&files).await;
    fixture.write("b.wasm", stoker_builtin::EXAMPLE);
    fixture.catalog.rescan().await;
    fixture.set("b", "/b").await;
    fixture.assert_serving("b.wasm", "beta-1", "/b");
}

#[tokio::test]
async fn settings_reach_a_plugin_whose_file_is_gone() {
    let mut fixture = Fixture::new(&[("a.wasm", stoker_builtin::EXAMPLE)]).await;
    fixture.set("a", "/a").await;
    fixture.write("new.wasm", &named("beta-1"));
    fixture.rename("a.wasm", "away");
    fixture.set("a", "/b").await;
    fixture.assert_serving("a.wasm", "shipit", "/b");
    // It comes back with the settings that it had before.
    fixture.rename("away", "a.wasm");
    fixture.set("a", "/a").await;
    fixture.assert_serving("a.wasm", "shipit", "/a");
}
