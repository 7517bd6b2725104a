use std::time::Instant;

use super::answer::Answer;
use super::metrics::ReceiverMetrics;

/// Writes the log line of a delivery and updates the metrics.
pub(super) struct Record<'a> {
    metrics: &'a ReceiverMetrics,
    namespace: &'a str,
    name: &'a str,
    delivery_id: Option<String>,
    started: Instant,
}

impl<'a> Record<'a> {
    pub(super) fn start(
        metrics: &'a ReceiverMetrics,
        namespace: &'a str,
        name: &'a str,
        delivery_id: Option<&str>,
    ) -> Self {
        metrics.started();
        Self {
            metrics,
            namespace,
            name,
            delivery_id: delivery_id.map(str::to_owned),
            started: Instant::now(),
        }
    }

    pub(super) fn finish(self, answer: &Answer) {
        let duration = self.started.elapsed();
        let status = answer.status().as_u16();
        let plugin = answer.plugin();
        let source = plugin.map(|plugin| plugin.origin().key());
        self.metrics.answered(source, status, duration);
        tracing::info!(
            sync.namespace = self.namespace,
            sync.name = self.name,
            delivery.id = self.delivery_id,
            plugin.name = plugin.map(|plugin| plugin.descriptor().name.as_str()),
            outcome = answer.outcome(),
            status,
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            detail = answer.detail(),
            "webhook"
        );
    }
}

impl Drop for Record<'_> {
    /// Runs even if the sender disconnected before the answer.
    fn drop(&mut self) {
        self.metrics.ended();
    }
}
