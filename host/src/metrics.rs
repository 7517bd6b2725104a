//! The metrics: one registry, with one struct for each module.

use prometheus_client::registry::Registry;

pub use stoker_process::Format;

use crate::cluster::watch_backoff::WatchMetrics;
use crate::controller::ControllerMetrics;
use crate::injection::InjectorMetrics;
use crate::lookups::LookupMetrics;
use crate::plugin::PluginMetrics;
use crate::receiver::ReceiverMetrics;
use crate::server::ServerMetrics;

/// The metrics of all modules.
#[derive(Debug)]
pub struct Metrics {
    /// The metrics of the plugins.
    pub plugin: PluginMetrics,
    /// The metrics of the receiver.
    pub receiver: ReceiverMetrics,
    /// The metrics of the receiver's connections.
    pub server: ServerMetrics,
    /// The metrics of the controller.
    pub controller: ControllerMetrics,
    /// The metrics of the lookups of refs.
    pub lookups: LookupMetrics,
    /// The metrics of the watches.
    pub watches: WatchMetrics,
    /// The metrics of the injection.
    pub injector: InjectorMetrics,
    registry: Registry,
}

impl Metrics {
    /// Registers the metrics of every module.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        Self {
            plugin: PluginMetrics::register(&mut registry),
            receiver: ReceiverMetrics::register(&mut registry),
            server: ServerMetrics::register(&mut registry),
            controller: ControllerMetrics::register(&mut registry),
            lookups: LookupMetrics::register(&mut registry),
            watches: WatchMetrics::register(&mut registry),
            injector: InjectorMetrics::register(&mut registry),
            registry,
        }
    }

    /// Returns all metrics in a text format.
    pub fn encode(&self, format: Format) -> Result<String, std::fmt::Error> {
        format.encode(&self.registry)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
