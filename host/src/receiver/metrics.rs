use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The upper bounds of the buckets in seconds. A repeated request takes tens of microseconds and a write some
/// milliseconds. Senders wait for at most ten seconds.
const BUCKETS: [f64; 10] = [1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0];

/// The labels of a counted webhook.
///
/// `source` is the plugin that recognised the delivery, or `unknown`; the Go operator uses the same label. Its value is
/// the name of a built-in plugin, or the file name of a drop-in plugin without `.wasm`. The name in the description of
/// a component is not used, because it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: String,
    status_code: u16,
}

/// The metrics of the receiver.
#[derive(Debug, Clone)]
pub struct ReceiverMetrics {
    requests: Family<Labels, Counter>,
    duration: Histogram,
    in_flight: Gauge,
    unauthenticated: Gauge,
    secret_usable: Gauge,
}

impl ReceiverMetrics {
    /// Creates the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Histogram::new(BUCKETS),
            in_flight: Gauge::default(),
            unauthenticated: Gauge::default(),
            secret_usable: Gauge::default(),
        };
        // Without a receiver, the value is not updated.
        metrics.set_secret_usable(true);
        let registry = registry.sub_registry_with_prefix("stoker_webhook_receiver");
        registry.register(
            "requests",
            "Webhooks by recognising plugin and status",
            metrics.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "Time from the headers of a webhook to its answer",
            metrics.duration.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Webhooks without an answer yet",
            metrics.in_flight.clone(),
        );
        registry.register(
            "unauthenticated",
            "1 if no secret is configured, so that every sender is accepted",
            metrics.unauthenticated.clone(),
        );
        registry.register(
            "secret_usable",
            "0 if a configured secret cannot be used, so that every webhook is refused",
            metrics.secret_usable.clone(),
        );
        metrics
    }

    /// Sets whether webhooks are accepted without authentication.
    pub fn set_unauthenticated(&self, is_open: bool) {
        self.unauthenticated.set(i64::from(is_open));
    }

    /// Sets whether the configured secrets can be used.
    pub fn set_secret_usable(&self, is_usable: bool) {
        self.secret_usable.set(i64::from(is_usable));
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self) {
        self.in_flight.dec();
    }

    pub(super) fn answered(&self, source: Option<&str>, status_code: u16, duration: Duration) {
        let labels = Labels {
            source: source.unwrap_or("unknown").to_owned(),
            status_code,
        };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(duration.as_secs_f64());
    }
}
