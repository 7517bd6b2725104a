//! What is counted: one registry, one struct for each room.

use prometheus_client::registry::Registry;

use crate::controller::ControllerMetrics;
use crate::plugin::PluginMetrics;
use crate::receiver::ReceiverMetrics;

/// The metrics of all rooms, and their text.
#[derive(Debug)]
pub struct Metrics {
    /// The plugins' room.
    pub plugin: PluginMetrics,
    /// The receiver's room.
    pub receiver: ReceiverMetrics,
    /// The controller's room.
    pub controller: ControllerMetrics,
    registry: Registry,
}

impl Metrics {
    /// Registers every room's metrics.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        Self {
            plugin: PluginMetrics::register(&mut registry),
            receiver: ReceiverMetrics::register(&mut registry),
            controller: ControllerMetrics::register(&mut registry),
            registry,
        }
    }

    /// The OpenMetrics text of everything.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
