//! The metrics of the plugins.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::call::CallReport;
use super::error::CallError;
use super::limits::Capacity;
use super::load::Origin;
use super::reply::Reply;

/// The upper bounds of the buckets, in seconds. A call usually takes microseconds, and ends after 50 ms.
const CALL_BUCKETS: [f64; 10] = [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1];

/// The answers of plugins. The other outcomes are those of [`CallError`].
const ANSWERS: [&str; 4] = ["found", "ignored", "malformed", "not-mine"];

/// A plugin, by the name of its file. The names that guests give themselves are never labels.
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

/// The metrics of the plugins.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    calls: Family<CallLabels, Counter>,
    durations: Family<PluginLabels, Histogram, fn() -> Histogram>,
    memory: Family<PluginLabels, Gauge>,
    usable: Family<PluginLabels, Gauge>,
    benched: Family<PluginLabels, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    settings_usable: Gauge,
    in_flight: Gauge,
}

impl PluginMetrics {
    /// Makes the metrics and registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(CALL_BUCKETS);
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            memory: Family::default(),
            usable: Family::default(),
            benched: Family::default(),
            reloads: Family::default(),
            settings_usable: Gauge::default(),
            in_flight: Gauge::default(),
        };
        metrics.settings_usable.set(1);
        metrics.name(registry.sub_registry_with_prefix("stoker_plugin"));
        metrics
    }

    fn name(&self, registry: &mut Registry) {
        registry.register(
            "calls",
            "Calls of plugins, by file and outcome",
            self.calls.clone(),
        );
        registry.register(
            "call_duration_seconds",
            "Time of a call, from the request for an instance to its answer",
            self.durations.clone(),
        );
        registry.register(
            "memory_peak_bytes",
            "The most memory that an instance had in any call",
            self.memory.clone(),
        );
        registry.register(
            "usable",
            "1 where the file serves as it is, 0 where it was refused",
            self.usable.clone(),
        );
        registry.register(
            "benched",
            "1 where the plugin failed repeatedly and has not answered since",
            self.benched.clone(),
        );
        registry.register(
            "reloads",
            "Files that were loaded, at the start and after a change, by result",
            self.reloads.clone(),
        );
        registry.register(
            "settings_usable",
            "0 while the settings file cannot be used, and the settings before it are in force",
            self.settings_usable.clone(),
        );
        registry.register(
            "calls_in_flight",
            "Calls that have no answer yet, those that wait for an instance included",
            self.in_flight.clone(),
        );
        let instances = ConstGauge::new(i64::from(Capacity::default().instances));
        registry.register(
            "instances",
            "Instances that there can be at one time",
            instances,
        );
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
        let labels = PluginLabels {
            plugin: OriginLabel(origin.clone()),
        };
        // The series exist before the first failure, so that their increase can be computed.
        for outcome in CallError::LABELS {
            drop(counter(outcome));
        }
        PluginCalls {
            found: counter("found"),
            ignored: counter("ignored"),
            malformed: counter("malformed"),
            not_mine: counter("not-mine"),
            failures: self.calls.clone(),
            duration: self.durations.get_or_create_owned(&labels),
            memory: self.memory.get_or_create_owned(&labels),
            benched: self.benched.get_or_create_owned(&labels),
            in_flight: self.in_flight.clone(),
            origin: origin.clone(),
        }
    }

    /// Sets whether a file serves.
    pub(super) fn set_usable(&self, origin: &Origin, usable: bool) {
        self.usable
            .get_or_create(&PluginLabels {
                plugin: OriginLabel(origin.clone()),
            })
            .set(i64::from(usable));
    }

    /// Removes the metrics of a file that is gone.
    pub(super) fn forget(&self, origin: &Origin) {
        let labels = PluginLabels {
            plugin: OriginLabel(origin.clone()),
        };
        self.usable.remove(&labels);
        self.benched.remove(&labels);
        self.memory.remove(&labels);
        self.durations.remove(&labels);
        let outcomes = ANSWERS.iter().chain(&CallError::LABELS);
        for &outcome in outcomes {
            self.calls.remove(&CallLabels {
                plugin: OriginLabel(origin.clone()),
                outcome,
            });
        }
    }

    /// Sets whether the current settings file is in force.
    pub(super) fn set_settings_usable(&self, usable: bool) {
        self.settings_usable.set(i64::from(usable));
    }

    /// Counts a file that was loaded or refused.
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
    memory: Gauge<i64, AtomicI64>,
    benched: Gauge<i64, AtomicI64>,
    in_flight: Gauge<i64, AtomicI64>,
    origin: Origin,
}

/// Counts a call that has no answer yet, until this value is dropped.
pub(super) struct InFlight<'a>(&'a Gauge<i64, AtomicI64>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl PluginCalls {
    pub(super) fn in_flight(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    /// Resets the measurements of one version before another version serves.
    pub(super) fn begin(&self) {
        self.memory.set(0);
        self.benched.set(0);
    }

    pub(super) fn set_benched(&self, benched: bool) {
        self.benched.set(i64::from(benched));
    }

    pub(super) fn record(&self, reply: &Result<Reply, CallError>, report: &CallReport) {
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
        let peak = i64::try_from(report.peak_memory).unwrap_or(i64::MAX);
        // The value is nearly always below the known peak. Then nothing is written that other threads read.
        if self.memory.get() < peak {
            self.memory.inner().fetch_max(peak, Ordering::Relaxed);
        }
        if !report.duration.is_zero() {
            self.duration.observe(report.duration.as_secs_f64());
        }
    }
}
