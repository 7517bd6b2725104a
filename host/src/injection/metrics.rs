//! The metrics of the injection.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::server::CertificateEnd;

/// The maximum number of namespaces with series. Everybody who reaches the port can send reviews of any namespace. The
/// series of the one without a review for the longest time are left out.
const MAX_NAMESPACES: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// The metrics of the injection.
#[derive(Debug, Clone)]
pub struct InjectorMetrics {
    injections: Family<Injection, Counter>,
    namespaces: Arc<Mutex<LruCache<String, ()>>>,
    errors: Family<Reason, Counter>,
    serving: Gauge,
    certificate_end: CertificateEnd,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Injection {
    namespace: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The result of a review that is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Injected,
    Skipped,
    Denied,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Injected, Self::Skipped, Self::Denied];

    /// Returns the labels of the series of a namespace.
    fn label(self, namespace: &str) -> Injection {
        let result = match self {
            Self::Injected => "injected",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
        };
        let namespace = namespace.to_owned();
        Injection { namespace, result }
    }
}

/// What failed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The body of a review is not read.
    Body,
    /// The certificate cannot be read or issued.
    Certificate,
    /// The configuration cannot be changed.
    Configuration,
    /// The server cannot listen.
    Listen,
    /// The object of a pod cannot be read.
    Lookup,
}

impl Fault {
    fn label(self) -> Reason {
        let reason = match self {
            Self::Body => "body",
            Self::Certificate => "certificate",
            Self::Configuration => "configuration",
            Self::Listen => "listen",
            Self::Lookup => "lookup",
        };
        Reason { reason }
    }
}

impl Default for InjectorMetrics {
    fn default() -> Self {
        Self {
            injections: Family::default(),
            namespaces: Arc::new(Mutex::new(LruCache::new(MAX_NAMESPACES))),
            errors: Family::default(),
            serving: Gauge::default(),
            certificate_end: CertificateEnd::default(),
        }
    }
}

impl InjectorMetrics {
    /// Creates the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("stoker_webhook_injector");
        registry.register(
            "injections",
            "Pods that were reviewed, by result: injected, skipped (no agent is needed), denied",
            metrics.injections.clone(),
        );
        registry.register(
            "errors",
            "Failures of the injection, by reason: body (of a review), certificate, configuration (of the webhook), listen, lookup (of an object)",
            metrics.errors.clone(),
        );
        registry.register(
            "serving",
            "Whether the injection webhook is served (1) or not (0)",
            metrics.serving.clone(),
        );
        metrics.certificate_end.register(
            registry,
            "certificate_expiry_timestamp_seconds",
            "End of the TLS certificate of the injection webhook, in seconds since 1970",
        );
        for fault in [
            Fault::Body,
            Fault::Certificate,
            Fault::Configuration,
            Fault::Listen,
            Fault::Lookup,
        ] {
            drop(metrics.errors.get_or_create(&fault.label()));
        }
        metrics
    }

    /// Returns the end of the certificate, which the server sets.
    pub(super) fn certificate_end(&self) -> &CertificateEnd {
        &self.certificate_end
    }

    pub(super) fn reviewed(&self, namespace: &str, outcome: Outcome) {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((forgotten, ())) = namespaces.push(namespace.to_owned(), ())
            && forgotten != namespace
        {
            for outcome in Outcome::ALL {
                self.injections.remove(&outcome.label(&forgotten));
            }
        }
        // Under the lock, so that no series is created after its namespace was forgotten.
        self.injections
            .get_or_create(&outcome.label(namespace))
            .inc();
    }

    pub(super) fn failed(&self, fault: Fault) {
        self.errors.get_or_create(&fault.label()).inc();
    }

    pub(super) fn set_serving(&self, is_serving: bool) {
        self.serving.set(i64::from(is_serving));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_namespaces_is_bounded() {
        let mut registry = Registry::default();
        let metrics = InjectorMetrics::register(&mut registry);
        let review = |number: usize, outcome| metrics.reviewed(&format!("line-{number}"), outcome);
        for number in 0..MAX_NAMESPACES.get() {
            for outcome in Outcome::ALL {
                review(number, outcome);
            }
        }
        review(0, Outcome::Injected);
        review(MAX_NAMESPACES.get(), Outcome::Skipped);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = text.lines().filter(|line| line.contains("namespace="));
        // The last namespace has one result, and the one that it replaced had three.
        assert_eq!(series.count(), 3 * MAX_NAMESPACES.get() - 2);
        let has = |line: &str| text.lines().any(|found| found.ends_with(line));
        assert!(has(r#"{namespace="line-0",result="injected"} 2"#));
        assert!(has(r#"{namespace="line-1000",result="skipped"} 1"#));
        assert!(!text.contains(r#""line-1""#));
    }
}
