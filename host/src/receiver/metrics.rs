use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds: a repeated request takes tens of microseconds, a write milliseconds, and senders give up
/// after ten seconds.
const BUCKETS: [f64; 10] = [1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0];

/// `source` is the plugin that recognised the delivery, else `unknown`: the label that existing dashboards know. A
/// built-in plugin stands there by its name and a file by its own without `.wasm`; what a component calls itself could
/// be anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: String,
    status_code: u16,
}

/// What the receiver counts.
#[derive(Debug, Clone)]
pub struct ReceiverMetrics {
    requests: Family<Labels, Counter>,
    duration: Histogram,
    in_flight: Gauge,
    unauthenticated: Gauge,
    secret_usable: Gauge,
}

impl ReceiverMetrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Histogram::new(BUCKETS),
            in_flight: Gauge::default(),
            unauthenticated: Gauge::default(),
            secret_usable: Gauge::default(),
        };
        // Where nothing is received, nobody says otherwise.
        metrics.set_secret_usable(true);
        let registry = registry.sub_registry_with_prefix("stoker_webhook_receiver");
        registry.register(
            "requests",
            "Webhooks, by the plugin that recognised them and status",
            metrics.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "Time from the headers of a webhook to its answer",
            metrics.duration.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Webhooks that have no answer yet",
            metrics.in_flight.clone(),
        );
        registry.register(
            "unauthenticated",
            "1 where no secret is configured, so that everybody may say which ref a gateway runs",
            metrics.unauthenticated.clone(),
        );
        registry.register(
            "secret_usable",
            "Whether the configured secrets can be used; without that, every webhook is refused",
            metrics.secret_usable.clone(),
        );
        metrics
    }

    /// Tells whether everybody is let in.
    pub fn set_unauthenticated(&self, is_open: bool) {
        self.unauthenticated.set(i64::from(is_open));
    }

    /// Shows whether what is configured to check senders by can be used.
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
