//! Waits for changes of the plugins, which are polled because a host does not announce them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker::metrics::Format;
use stoker::plugin::{Chain, Descriptor, Plugin, PluginState, PluginStatus};

use super::{PATIENCE, TestCluster};

impl TestCluster {
    /// Waits until the plugin of this name and origin is loaded.
    pub async fn until_plugin(&self, name: &str, origin: &str) -> Result<()> {
        let what = format!("plugin {name} is loaded from {origin}");
        let is_there = |plugin: &Arc<Plugin>| {
            plugin.descriptor().name == name && plugin.origin().to_string() == origin
        };
        self.until_chain(&what, |chain| chain.plugins().iter().any(is_there))
            .await
    }

    /// Waits until the description of a plugin satisfies the condition.
    pub async fn until_described(
        &self,
        name: &str,
        is_true: impl Fn(&Descriptor) -> bool,
    ) -> Result<()> {
        let is_there =
            |plugin: &Arc<Plugin>| plugin.descriptor().name == name && is_true(plugin.descriptor());
        let what = format!("plugin {name} has the expected description");
        self.until_chain(&what, |chain| chain.plugins().iter().any(is_there))
            .await
    }

    /// Waits until the file with this SHA-256 is loaded.
    pub async fn until_digest(&self, from: &str, sha256: &str) -> Result<()> {
        let is_there =
            |plugin: &PluginStatus| plugin.from == from && plugin.sha256.as_deref() == Some(sha256);
        let what = format!("plugin {from} with the digest {sha256}");
        self.until_chain(&what, |chain| chain.status().iter().any(is_there))
            .await
    }

    /// Waits until the state of the plugin of this origin satisfies the condition.
    pub async fn until_state(
        &self,
        from: &str,
        is_true: impl Fn(&PluginState) -> bool,
    ) -> Result<()> {
        let is_there = |plugin: &PluginStatus| plugin.from == from && is_true(&plugin.state);
        let what = format!("plugin {from} has the expected state");
        self.until_chain(&what, |chain| chain.status().iter().any(is_there))
            .await
    }

    /// Waits until no plugin of this origin is listed.
    pub async fn until_gone(&self, from: &str) -> Result<()> {
        let is_there = |plugin: &PluginStatus| plugin.from == from;
        let what = format!("plugin {from} is not listed");
        self.until_chain(&what, |chain| !chain.status().iter().any(is_there))
            .await
    }

    /// Waits until the metrics satisfy the condition.
    pub async fn until_metrics(&self, is_true: impl Fn(&str) -> bool) -> Result<()> {
        let metrics = &self.host()?.metrics;
        let says = |_: &Chain| {
            metrics
                .encode(Format::OpenMetrics)
                .is_ok_and(|text| is_true(&text))
        };
        self.until_chain("the metrics have the expected values", says)
            .await
    }

    async fn until_chain(&self, what: &str, is_true: impl Fn(&Chain) -> bool) -> Result<()> {
        let host = self.host()?;
        let wait = async {
            // A host does not announce changes of its plugins.
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while !is_true(&host.chain) {
                tick.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.with_context(|| format!("not in time: {what}; {:?}", host.chain.status()))
    }
}
