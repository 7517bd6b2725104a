//! The metrics of the agent. The names are those of the Go agent.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

const SYNC_BUCKETS: [f64; 8] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
const FETCH_BUCKETS: [f64; 8] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
const STARTUP_BUCKETS: [f64; 7] = [5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProfileLabels {
    profile: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    profile: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The number of files of a sync, by operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Files {
    pub(crate) added: usize,
    pub(crate) modified: usize,
    pub(crate) deleted: usize,
}

impl Files {
    /// The number of all files that were changed.
    pub(crate) fn changed(self) -> usize {
        self.added + self.modified + self.deleted
    }
}

/// What is asked of a git server: the first fetch of an empty directory, a later one, or the commit of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Clone,
    Fetch,
    Lookup,
}

impl Operation {
    fn label(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Fetch => "fetch",
            Self::Lookup => "lookup",
        }
    }
}

/// A gauge that has no series before its first value. A zero would say that the last sync failed where there was none.
#[derive(Debug, Clone, Default)]
struct UnsetGauge(Arc<OnceLock<Gauge>>);

impl UnsetGauge {
    fn set(&self, value: i64) {
        self.0.get_or_init(Gauge::default).set(value);
    }
}

impl EncodeMetric for UnsetGauge {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.get().map_or(Ok(()), |gauge| gauge.encode(encoder))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }
}

/// The metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    sync_duration: Family<ProfileLabels, Histogram, fn() -> Histogram>,
    syncs: Family<SyncLabels, Counter>,
    files_changed: Family<ProfileLabels, Gauge>,
    files_added: Family<ProfileLabels, Gauge>,
    files_modified: Family<ProfileLabels, Gauge>,
    files_deleted: Family<ProfileLabels, Gauge>,
    files_drifted: Gauge,
    fetch_duration: Family<OperationLabels, Histogram, fn() -> Histogram>,
    fetches: Family<FetchLabels, Counter>,
    scan_duration: Histogram,
    scans: Family<ResultLabels, Counter>,
    designers_blocked: Gauge,
    designers_active: Gauge,
    last_sync_time: UnsetGauge,
    last_sync_success: UnsetGauge,
    skipped: Family<ReasonLabels, Counter>,
    startup_duration: Histogram,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sync_duration: Family::new_with_constructor(sync_histogram),
            syncs: Family::default(),
            files_changed: Family::default(),
            files_added: Family::default(),
            files_modified: Family::default(),
            files_deleted: Family::default(),
            files_drifted: Gauge::default(),
            fetch_duration: Family::new_with_constructor(fetch_histogram),
            fetches: Family::default(),
            scan_duration: sync_histogram(),
            scans: Family::default(),
            designers_blocked: Gauge::default(),
            designers_active: Gauge::default(),
            last_sync_time: UnsetGauge::default(),
            last_sync_success: UnsetGauge::default(),
            skipped: Family::default(),
            startup_duration: Histogram::new(STARTUP_BUCKETS),
        };
        metrics.register_syncs(registry.sub_registry_with_prefix("stoker_agent"));
        metrics.register_rest(registry.sub_registry_with_prefix("stoker_agent"));
        metrics
    }

    fn register_syncs(&self, registry: &mut Registry) {
        registry.register(
            "sync_duration_seconds",
            "The time that the files of a sync took",
            self.sync_duration.clone(),
        );
        registry.register("sync", "The number of syncs", self.syncs.clone());
        for (name, help, gauge) in [
            (
                "files_changed",
                "The files that the last sync changed",
                &self.files_changed,
            ),
            (
                "files_added",
                "The files that the last sync added",
                &self.files_added,
            ),
            (
                "files_modified",
                "The files that the last sync modified",
                &self.files_modified,
            ),
            (
                "files_deleted",
                "The files that the last sync deleted",
                &self.files_deleted,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "files_drifted",
            "The files that others have changed since the last sync",
            self.files_drifted.clone(),
        );
        registry.register(
            "last_sync_timestamp_seconds",
            "The time of the last sync, in seconds since 1970",
            self.last_sync_time.clone(),
        );
        registry.register(
            "last_sync_success",
            "Whether the last sync succeeded",
            self.last_sync_success.clone(),
        );
        registry.register(
            "sync_skipped",
            "The number of times that nothing was synced, by reason",
            self.skipped.clone(),
        );
    }

    fn register_rest(&self, registry: &mut Registry) {
        registry.register(
            "git_fetch_duration_seconds",
            "The time that a fetch or a lookup took",
            self.fetch_duration.clone(),
        );
        registry.register(
            "git_fetch",
            "The number of fetches and lookups",
            self.fetches.clone(),
        );
        registry.register(
            "scan_duration_seconds",
            "The time that the gateway took to scan",
            self.scan_duration.clone(),
        );
        registry.register("scan", "The number of scans", self.scans.clone());
        registry.register(
            "designer_sessions_blocked",
            "Whether designers keep a sync from being done",
            self.designers_blocked.clone(),
        );
        registry.register(
            "designer_sessions_active",
            "The number of designers at the last look",
            self.designers_active.clone(),
        );
        registry.register(
            "gateway_startup_duration_seconds",
            "The time from the agent's readiness until the gateway answered",
            self.startup_duration.clone(),
        );
    }

    /// Records a sync of files.
    pub(crate) fn synced(&self, profile: &str, took: Duration, files: Files) {
        let labels = ProfileLabels {
            profile: profile.to_owned(),
        };
        self.sync_duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        for (family, count) in [
            (&self.files_changed, files.changed()),
            (&self.files_added, files.added),
            (&self.files_modified, files.modified),
            (&self.files_deleted, files.deleted),
        ] {
            family.get_or_create(&labels).set(gauge(count));
        }
    }

    /// Records the end of a sync as a whole.
    pub(crate) fn ended(&self, profile: &str, is_success: bool) {
        let labels = SyncLabels {
            profile: profile.to_owned(),
            result: result(is_success),
        };
        self.syncs.get_or_create(&labels).inc();
        self.last_sync_success.set(is_success.into());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        self.last_sync_time
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Records a fetch or a lookup.
    pub(crate) fn fetched(&self, operation: Operation, took: Duration, is_success: bool) {
        let operation = operation.label();
        let labels = OperationLabels { operation };
        self.fetch_duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        let labels = FetchLabels {
            operation,
            result: result(is_success),
        };
        self.fetches.get_or_create(&labels).inc();
    }

    /// Records a scan of the gateway.
    pub(crate) fn scanned(&self, took: Duration, is_success: bool) {
        self.scan_duration.observe(took.as_secs_f64());
        let labels = ResultLabels {
            result: result(is_success),
        };
        self.scans.get_or_create(&labels).inc();
    }

    /// Records the designers that are open.
    pub(crate) fn designers(&self, active: usize, is_blocked: bool) {
        self.designers_active.set(gauge(active));
        self.designers_blocked.set(is_blocked.into());
    }

    /// Records that no designer keeps a sync from being done.
    pub(crate) fn designers_unblocked(&self) {
        self.designers_blocked.set(0);
    }

    /// Records that nothing was synced.
    pub(crate) fn skipped(&self, reason: &'static str) {
        self.skipped.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Records the number of files that others have changed.
    pub(crate) fn drifted(&self, files: usize) {
        self.files_drifted.set(gauge(files));
    }

    /// Records the time that the gateway took to start.
    pub(crate) fn gateway_started(&self, took: Duration) {
        self.startup_duration.observe(took.as_secs_f64());
    }
}

fn sync_histogram() -> Histogram {
    Histogram::new(SYNC_BUCKETS)
}

fn fetch_histogram() -> Histogram {
    Histogram::new(FETCH_BUCKETS)
}

fn result(is_success: bool) -> &'static str {
    if is_success { "success" } else { "error" }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_have_the_names_of_the_go_agent() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(!text.contains("last_sync"), "no sync has failed: {text}");
        let files = Files {
            added: 1,
            modified: 2,
            deleted: 3,
        };
        metrics.synced("edge", Duration::from_millis(200), files);
        metrics.ended("edge", true);
        metrics.fetched(Operation::Clone, Duration::from_secs(1), true);
        metrics.scanned(Duration::from_secs(1), false);
        metrics.designers(2, true);
        metrics.skipped("backoff");
        metrics.gateway_started(Duration::from_secs(20));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "stoker_agent_sync_duration_seconds_bucket{le=\"0.5\",profile=\"edge\"} 1",
            "stoker_agent_sync_total{profile=\"edge\",result=\"success\"} 1",
            "stoker_agent_files_changed{profile=\"edge\"} 6",
            "stoker_agent_files_added{profile=\"edge\"} 1",
            "stoker_agent_files_modified{profile=\"edge\"} 2",
            "stoker_agent_files_deleted{profile=\"edge\"} 3",
            "stoker_agent_git_fetch_duration_seconds_bucket{le=\"1.0\",operation=\"clone\"} 1",
            "stoker_agent_git_fetch_total{operation=\"clone\",result=\"success\"} 1",
            "stoker_agent_scan_duration_seconds_count 1",
            "stoker_agent_scan_total{result=\"error\"} 1",
            "stoker_agent_designer_sessions_blocked 1",
            "stoker_agent_designer_sessions_active 2",
            "stoker_agent_last_sync_success 1",
            "stoker_agent_sync_skipped_total{reason=\"backoff\"} 1",
            "stoker_agent_gateway_startup_duration_seconds_bucket{le=\"30.0\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.contains("stoker_agent_last_sync_timestamp_seconds 1"));
    }
}
