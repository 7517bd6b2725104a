use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of the injection.
#[derive(Debug, Clone, Default)]
pub struct InjectorMetrics {
    injections: Family<Injection, Counter>,
    errors: Family<Reason, Counter>,
    serving: Gauge,
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

/// What failed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
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
            Self::Certificate => "certificate",
            Self::Configuration => "configuration",
            Self::Listen => "listen",
            Self::Lookup => "lookup",
        };
        Reason { reason }
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
            "Failures of the injection, by reason: certificate, configuration (of the webhook), listen, lookup (of an object)",
            metrics.errors.clone(),
        );
        registry.register(
            "serving",
            "Whether the injection webhook is served (1) or not (0)",
            metrics.serving.clone(),
        );
        for fault in [
            Fault::Certificate,
            Fault::Configuration,
            Fault::Listen,
            Fault::Lookup,
        ] {
            drop(metrics.errors.get_or_create(&fault.label()));
        }
        metrics
    }

    pub(super) fn reviewed(&self, namespace: &str, outcome: Outcome) {
        let result = match outcome {
            Outcome::Injected => "injected",
            Outcome::Skipped => "skipped",
            Outcome::Denied => "denied",
        };
        let namespace = namespace.to_owned();
        self.injections
            .get_or_create(&Injection { namespace, result })
            .inc();
    }

    pub(super) fn failed(&self, fault: Fault) {
        self.errors.get_or_create(&fault.label()).inc();
    }

    pub(super) fn set_serving(&self, is_serving: bool) {
        self.serving.set(i64::from(is_serving));
    }
}
