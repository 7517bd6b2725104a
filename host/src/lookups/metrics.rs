//! The metrics of the lookups.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The upper bounds of the buckets in seconds, as in the Go operator.
const BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of the lookups.
#[derive(Debug, Clone)]
pub struct LookupMetrics {
    duration: Histogram,
}

impl Default for LookupMetrics {
    fn default() -> Self {
        Self {
            duration: Histogram::new(BUCKETS),
        }
    }
}

impl LookupMetrics {
    /// Creates the metrics and registers them. Their name is that of the Go operator, whose controller asks the servers
    /// itself.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "stoker_controller_ref_resolve_duration_seconds",
            "Time of a conversation with a git server about the refs of a repository, also if it failed",
            metrics.duration.clone(),
        );
        metrics
    }

    /// Counts a conversation, whatever its result is.
    pub(super) fn conversed(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }
}
