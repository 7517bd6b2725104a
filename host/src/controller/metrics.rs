//! The metrics of the controller. The series of an object are removed with the object.

mod gateways;
mod labels;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use gateways::GatewayMetrics;
use labels::{ConditionLabels, InfoLabels, ObjectLabels, ResultLabels};
use stoker_api::GatewaySyncStatus;
use stoker_api::detection::ObjectKey;
use stoker_api::names::condition;

const PASS_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const RESOLVE_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The result of a pass, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassResult {
    /// All steps succeeded.
    Success,
    /// It failed with an error.
    Error,
    /// Something is missing, and the pass is repeated later.
    Requeue,
}

impl PassResult {
    const ALL: [Self; 3] = [Self::Success, Self::Error, Self::Requeue];

    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Requeue => "requeue",
        }
    }
}

/// The labels of an object's info series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectInfo {
    pub(super) git_repo: String,
    pub(super) git_ref: String,
    pub(super) auth_type: &'static str,
    pub(super) polling_interval: String,
}

/// The series of an object whose labels change with the object.
#[derive(Debug, Clone, Default)]
struct ShownSeries {
    info: Option<InfoLabels>,
    conditions: Vec<String>,
    gateways: BTreeSet<String>,
}

/// The metrics of the controller.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    pass_duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    passes: Family<ResultLabels, Counter>,
    resolve_duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    ready: Family<ObjectLabels, Gauge>,
    paused: Family<ObjectLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
    info: Family<InfoLabels, Gauge>,
    gateways: GatewayMetrics,
    leader: Gauge,
    shown: Arc<Mutex<HashMap<ObjectKey, ShownSeries>>>,
}

impl ControllerMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            pass_duration: Family::new_with_constructor(|| Histogram::new(PASS_BUCKETS)),
            passes: Family::default(),
            resolve_duration: Family::new_with_constructor(|| Histogram::new(RESOLVE_BUCKETS)),
            ready: Family::default(),
            paused: Family::default(),
            conditions: Family::default(),
            info: Family::default(),
            gateways: GatewayMetrics::default(),
            leader: Gauge::default(),
            shown: Arc::default(),
        };
        let registry = registry.sub_registry_with_prefix("stoker_controller");
        registry.register(
            "reconcile_duration_seconds",
            "Duration of a pass",
            metrics.pass_duration.clone(),
        );
        registry.register("reconcile", "Passes by result", metrics.passes.clone());
        let help = "Duration of the resolution of the ref, including cached lookups";
        registry.register(
            "ref_resolve_duration_seconds",
            help,
            metrics.resolve_duration.clone(),
        );
        registry.register(
            "cr_ready",
            "Whether the object is ready",
            metrics.ready.clone(),
        );
        registry.register(
            "cr_paused",
            "Whether the object is paused",
            metrics.paused.clone(),
        );
        registry.register(
            "condition_status",
            "Whether a condition of the object is True",
            metrics.conditions.clone(),
        );
        registry.register(
            "cr_info",
            "Fields of the object's spec as labels; always 1",
            metrics.info.clone(),
        );
        metrics.gateways.register(registry);
        registry.register(
            "leader",
            "Whether this replica reconciles; exactly one replica does",
            metrics.leader.clone(),
        );
        metrics
    }

    /// Sets whether this replica reconciles.
    pub fn set_leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Removes the series of all objects, because another replica has them from now on.
    pub fn forget_all(&self) {
        let keys: Vec<_> = self.shown().keys().cloned().collect();
        for key in &keys {
            self.forget(key);
        }
    }

    pub(super) fn observe_pass(&self, key: &ObjectKey, took: Duration, result: PassResult) {
        self.pass_duration
            .get_or_create(&ObjectLabels::new(key))
            .observe(took.as_secs_f64());
        self.passes
            .get_or_create(&ResultLabels::new(key, result))
            .inc();
    }

    pub(super) fn observe_resolution(&self, key: &ObjectKey, took: Duration) {
        self.resolve_duration
            .get_or_create(&ObjectLabels::new(key))
            .observe(took.as_secs_f64());
    }

    /// Sets the metrics of an object's status.
    pub(super) fn show(
        &self,
        key: &ObjectKey,
        is_paused: bool,
        status: &GatewaySyncStatus,
        info: ObjectInfo,
    ) {
        let labels = ObjectLabels::new(key);
        let is_ready = status
            .condition(condition::READY)
            .is_some_and(|found| found.status == "True");
        self.ready.get_or_create(&labels).set(is_ready.into());
        self.paused.get_or_create(&labels).set(is_paused.into());
        for found in &status.conditions {
            let holds = found.status == "True";
            self.conditions
                .get_or_create(&ConditionLabels::new(key, &found.type_))
                .set(holds.into());
        }
        let info = InfoLabels::new(key, info);
        self.info.get_or_create(&info).set(1);
        let conditions = status
            .conditions
            .iter()
            .map(|found| found.type_.clone())
            .collect();
        self.gateways.show(key, &status.discovered_gateways);
        let gateways = status.discovered_gateways.iter();
        let now = ShownSeries {
            info: Some(info),
            conditions,
            gateways: gateways.map(|gateway| gateway.name.clone()).collect(),
        };
        let before = self
            .shown()
            .insert(key.clone(), now.clone())
            .unwrap_or_default();
        self.remove_obsolete(key, before, &now);
    }

    /// Removes the series of an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let labels = ObjectLabels::new(key);
        self.pass_duration.remove(&labels);
        self.resolve_duration.remove(&labels);
        self.ready.remove(&labels);
        self.paused.remove(&labels);
        self.gateways.forget(key);
        for result in PassResult::ALL {
            self.passes.remove(&ResultLabels::new(key, result));
        }
        let before = self.shown().remove(key).unwrap_or_default();
        self.remove_obsolete(key, before, &ShownSeries::default());
    }

    /// Removes the series that an object had before and does not have any more.
    fn remove_obsolete(&self, key: &ObjectKey, before: ShownSeries, now: &ShownSeries) {
        for type_ in before
            .conditions
            .iter()
            .filter(|type_| !now.conditions.contains(type_))
        {
            self.conditions.remove(&ConditionLabels::new(key, type_));
        }
        if let Some(info) = before.info.filter(|info| now.info.as_ref() != Some(info)) {
            self.info.remove(&info);
        }
        for gateway in before.gateways.difference(&now.gateways) {
            self.gateways.forget_gateway(key, gateway);
        }
    }

    fn shown(&self) -> MutexGuard<'_, HashMap<ObjectKey, ShownSeries>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::controller::tests::fixture::GatewaySyncExt as _;
    use stoker_api::GatewaySync;

    /// The series of objects.
    fn text(registry: &Registry) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("stoker_controller_leader"))
            .map(str::to_owned)
            .collect()
    }

    fn info(git_ref: &str) -> ObjectInfo {
        ObjectInfo {
            git_repo: "https://h/r".to_owned(),
            git_ref: git_ref.to_owned(),
            auth_type: "none",
            polling_interval: "60s".to_owned(),
        }
    }

    #[test]
    fn series_have_the_names_and_labels_of_dashboards_and_are_removed_with_the_object() {
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(&mut registry);
        let key = ObjectKey::new("edge", "plant").unwrap();
        let status = GatewaySync::sample()
            .condition("Ready", "True")
            .condition("RefResolved", "False")
            .status
            .unwrap();
        metrics.observe_pass(&key, Duration::from_millis(20), PassResult::Success);
        metrics.observe_resolution(&key, Duration::from_secs(20));
        metrics.show(&key, false, &status, info("main"));
        let shown = text(&registry);
        for line in [
            r#"stoker_controller_reconcile_total{name="plant",namespace="edge",result="success"} 1"#,
            r#"stoker_controller_reconcile_duration_seconds_bucket{le="0.025",name="plant",namespace="edge"} 1"#,
            r#"stoker_controller_ref_resolve_duration_seconds_bucket{le="30.0",name="plant",namespace="edge"} 1"#,
            r#"stoker_controller_cr_ready{name="plant",namespace="edge"} 1"#,
            r#"stoker_controller_cr_paused{name="plant",namespace="edge"} 0"#,
            r#"stoker_controller_condition_status{name="plant",namespace="edge",type="RefResolved"} 0"#,
            r#"stoker_controller_cr_info{name="plant",namespace="edge",git_repo="https://h/r",git_ref="main",auth_type="none",polling_interval="60s"} 1"#,
        ] {
            assert!(
                shown.iter().any(|found| found == line),
                "{line}\n{shown:#?}"
            );
        }
        metrics.forget(&key);
        assert_eq!(text(&registry), [""; 0]);
        metrics.show(&key, false, &status, info("main"));
        metrics.forget_all();
        assert_eq!(text(&registry), [""; 0]);
    }

    #[test]
    fn a_changed_object_has_no_old_series() {
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(&mut registry);
        let key = ObjectKey::new("edge", "plant").unwrap();
        let before = GatewaySync::sample()
            .condition("PollingIntervalValid", "False")
            .with(|sync| {
                let gateway = serde_json::json!([{
                    "name": "blue", "namespace": "edge", "podName": "gw-0", "lastSyncTime": "2026-03-01T12:00:00Z",
                    "syncStatus": "MissingSidecar",
                }]);
                let gateways = serde_json::from_value(gateway).unwrap();
                sync.status.get_or_insert_default().discovered_gateways = gateways;
            })
            .status
            .unwrap();
        metrics.show(&key, false, &before, info("main"));
        let shown = text(&registry);
        for line in [
            r#"stoker_controller_gateways_discovered{name="plant",namespace="edge"} 1"#,
            r#"stoker_controller_gateways_missing_sidecar{name="plant",namespace="edge"} 1"#,
            r#"stoker_controller_gateway_sync_status{name="plant",namespace="edge",gateway="blue"} 3"#,
            r#"stoker_controller_gateway_last_sync_timestamp_seconds{name="plant",namespace="edge",gateway="blue"} 1772366400"#,
        ] {
            assert!(
                shown.iter().any(|found| found == line),
                "{line}\n{shown:#?}"
            );
        }
        metrics.show(&key, true, &GatewaySyncStatus::default(), info("dev"));
        let shown = text(&registry);
        assert_eq!(shown.len(), 6, "{shown:#?}");
        assert!(shown.iter().any(|line| line.contains("git_ref=\"dev\"")));
    }
}
