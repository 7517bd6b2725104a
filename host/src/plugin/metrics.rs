use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::error::CallError;
use super::load::Origin;
use super::reply::Reply;

/// Upper bounds in seconds: a call takes microseconds, and is over after 50 ms.
const CALL_BUCKETS: [f64; 10] = [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1];

/// A plugin by the name of its file; names that guests give themselves are never labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: OriginLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: OriginLabel,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OriginLabel(Origin);

impl EncodeLabelValue for OriginLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.to_string().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// What the plugins' room counts.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    calls: Family<CallLabels, Counter>,
    durations: Family<PluginLabels, Histogram, fn() -> Histogram>,
    usable: Family<PluginLabels, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
}

impl PluginMetrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(CALL_BUCKETS);
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            usable: Family::default(),
            reloads: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("stoker_plugin");
        registry.register(
            "calls",
            "Calls of plugins, by file and outcome",
            metrics.calls.clone(),
        );
        registry.register(
            "call_duration_seconds",
            "Time of a call, from the request for an instance to its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "usable",
            "1 where the file serves as it is, 0 where it was refused",
            metrics.usable.clone(),
        );
        registry.register(
            "reloads",
            "Files that were loaded after a change, by result",
            metrics.reloads.clone(),
        );
        metrics
    }

    /// The counters of one plugin.
    pub(super) fn calls(&self, origin: &Origin) -> PluginCalls {
        let counter = |outcome| {
            let labels = CallLabels {
                plugin: OriginLabel(origin.clone()),
                outcome,
            };
            self.calls.get_or_create_owned(&labels)
        };
        PluginCalls {
            found: counter("found"),
            ignored: counter("ignored"),
            malformed: counter("malformed"),
            not_mine: counter("not-mine"),
            failures: self.calls.clone(),
            duration: self.durations.get_or_create_owned(&PluginLabels {
                plugin: OriginLabel(origin.clone()),
            }),
            origin: origin.clone(),
        }
    }

    /// Tells whether a file serves.
    pub(super) fn set_usable(&self, origin: &Origin, usable: bool) {
        self.usable
            .get_or_create(&PluginLabels {
                plugin: OriginLabel(origin.clone()),
            })
            .set(i64::from(usable));
    }

    /// Forgets a file that is gone.
    pub(super) fn forget(&self, origin: &Origin) {
        self.usable.remove(&PluginLabels {
            plugin: OriginLabel(origin.clone()),
        });
    }

    /// Counts a file that was loaded.
    pub(super) fn reloaded(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "error" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }
}

/// The counters of one plugin, looked up once.
#[derive(Debug)]
pub(super) struct PluginCalls {
    found: Counter<u64, AtomicU64>,
    ignored: Counter<u64, AtomicU64>,
    malformed: Counter<u64, AtomicU64>,
    not_mine: Counter<u64, AtomicU64>,
    failures: Family<CallLabels, Counter>,
    duration: Histogram,
    origin: Origin,
}

impl PluginCalls {
    pub(super) fn record(&self, reply: &Result<Reply, CallError>, duration: Duration) {
        match reply {
            Ok(Reply::Found(_)) => self.found.inc(),
            Ok(Reply::Ignored(_)) => self.ignored.inc(),
            Ok(Reply::Malformed(_)) => self.malformed.inc(),
            Ok(Reply::NotMine) => self.not_mine.inc(),
            Err(error) => {
                let labels = CallLabels {
                    plugin: OriginLabel(self.origin.clone()),
                    outcome: error.label(),
                };
                self.failures.get_or_create(&labels).inc()
            }
        };
        self.duration.observe(duration.as_secs_f64());
    }
}
