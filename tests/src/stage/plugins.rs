//! Waiting for what becomes of plugins: nothing announces it to the outside.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker::plugin::{Descriptor, Detector, Plugin, PluginState, PluginStatus};

use super::{PATIENCE, Stage};

impl Stage {
    /// Waits until a plugin of this name serves from this origin.
    pub async fn until_plugin(&self, name: &str, origin: &str) -> Result<()> {
        let what = format!("plugin {name} serves from {origin}");
        let is_there = |plugin: &Arc<Plugin>| {
            plugin.descriptor().name == name && plugin.origin().to_string() == origin
        };
        self.until_detector(&what, |detector| detector.plugins().iter().any(is_there))
            .await
    }

    /// Waits until a plugin says this of itself.
    pub async fn until_described(
        &self,
        name: &str,
        is_true: impl Fn(&Descriptor) -> bool,
    ) -> Result<()> {
        let is_there =
            |plugin: &Arc<Plugin>| plugin.descriptor().name == name && is_true(plugin.descriptor());
        let what = format!("plugin {name} says otherwise of itself");
        self.until_detector(&what, |detector| detector.plugins().iter().any(is_there))
            .await
    }

    /// Waits until the file with this SHA-256 serves.
    pub async fn until_digest(&self, from: &str, sha256: &str) -> Result<()> {
        let is_there =
            |plugin: &PluginStatus| plugin.from == from && plugin.sha256.as_deref() == Some(sha256);
        let what = format!("plugin {from} with the digest {sha256}");
        self.until_detector(&what, |detector| detector.status().iter().any(is_there))
            .await
    }

    /// Waits until the plugin of this origin stands as it should.
    pub async fn until_state(
        &self,
        from: &str,
        is_true: impl Fn(&PluginState) -> bool,
    ) -> Result<()> {
        let is_there = |plugin: &PluginStatus| plugin.from == from && is_true(&plugin.state);
        let what = format!("plugin {from} stands otherwise");
        self.until_detector(&what, |detector| detector.status().iter().any(is_there))
            .await
    }

    /// Waits until there is no plugin of this origin.
    pub async fn until_gone(&self, from: &str) -> Result<()> {
        let is_there = |plugin: &PluginStatus| plugin.from == from;
        let what = format!("plugin {from} is still there");
        self.until_detector(&what, |detector| !detector.status().iter().any(is_there))
            .await
    }

    /// Waits until the metrics say so.
    pub async fn until_metrics(&self, is_true: impl Fn(&str) -> bool) -> Result<()> {
        let metrics = &self.host()?.metrics;
        let says = |_: &Detector| metrics.encode().is_ok_and(|text| is_true(&text));
        self.until_detector("the metrics say otherwise", says).await
    }

    async fn until_detector(&self, what: &str, is_true: impl Fn(&Detector) -> bool) -> Result<()> {
        let host = self.host()?;
        let wait = async {
            // Nothing announces a change of the plugins to the outside.
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while !is_true(&host.detector) {
                tick.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.with_context(|| format!("not in time: {what}; {:?}", host.detector.status()))
    }
}
