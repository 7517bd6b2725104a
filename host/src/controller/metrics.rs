//! What the controller counts. Series of an object go with the object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::GatewaySyncStatus;
use crate::api::names::condition;
use crate::detection::ObjectKey;

const PASS_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const RESOLVE_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    name: String,
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    name: String,
    namespace: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    name: String,
    namespace: String,
    r#type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InfoLabels {
    name: String,
    namespace: String,
    git_repo: String,
    git_ref: String,
    auth_type: &'static str,
    polling_interval: String,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassResult {
    /// It went through.
    Success,
    /// It failed.
    Error,
    /// It found something missing and tries again later.
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

/// What an object's info series tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) git_repo: String,
    pub(super) git_ref: String,
    pub(super) auth_type: &'static str,
    pub(super) polling_interval: String,
}

/// The labels that only the object's own past knows.
#[derive(Debug, Clone, Default)]
struct Past {
    info: Option<InfoLabels>,
    conditions: Vec<String>,
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
    leader: Gauge,
    past: Arc<Mutex<HashMap<ObjectKey, Past>>>,
}

impl ControllerMetrics {
    /// The metrics, shown by a registry.
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
            leader: Gauge::default(),
            past: Arc::default(),
        };
        let registry = registry.sub_registry_with_prefix("stoker_controller");
        registry.register(
            "reconcile_duration_seconds",
            "Time that a pass took",
            metrics.pass_duration.clone(),
        );
        registry.register(
            "reconcile",
            "Passes by how they ended",
            metrics.passes.clone(),
        );
        let help = "Time until the commit of the ref was known, remembered ones included";
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
            "Whether a condition of the object holds",
            metrics.conditions.clone(),
        );
        registry.register(
            "cr_info",
            "What the object asks for; always 1",
            metrics.info.clone(),
        );
        registry.register(
            "leader",
            "Whether this replica reconciles; exactly one does",
            metrics.leader.clone(),
        );
        metrics
    }

    /// Shows whether this replica reconciles.
    pub fn set_leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Ends the series of all objects: another replica has them from now on.
    pub fn forget_all(&self) {
        let keys: Vec<_> = self.past().keys().cloned().collect();
        for key in &keys {
            self.forget(key);
        }
    }

    pub(super) fn observe_pass(&self, key: &ObjectKey, took: Duration, result: PassResult) {
        self.pass_duration
            .get_or_create(&object_labels(key))
            .observe(took.as_secs_f64());
        self.passes.get_or_create(&result_labels(key, result)).inc();
    }

    pub(super) fn observe_resolution(&self, key: &ObjectKey, took: Duration) {
        self.resolve_duration
            .get_or_create(&object_labels(key))
            .observe(took.as_secs_f64());
    }

    /// Shows an object's status.
    pub(super) fn show(
        &self,
        key: &ObjectKey,
        is_paused: bool,
        status: &GatewaySyncStatus,
        info: Info,
    ) {
        let labels = object_labels(key);
        let is_ready = status
            .condition(condition::READY)
            .is_some_and(|found| found.status == "True");
        self.ready.get_or_create(&labels).set(is_ready.into());
        self.paused.get_or_create(&labels).set(is_paused.into());
        for found in &status.conditions {
            let holds = found.status == "True";
            self.conditions
                .get_or_create(&condition_labels(key, &found.type_))
                .set(holds.into());
        }
        let info = info_labels(key, info);
        self.info.get_or_create(&info).set(1);
        let conditions = status
            .conditions
            .iter()
            .map(|found| found.type_.clone())
            .collect();
        let past = Past {
            info: Some(info),
            conditions,
        };
        let before = self
            .past()
            .insert(key.clone(), past.clone())
            .unwrap_or_default();
        self.drop_past(key, before, &past);
    }

    /// Takes the series of an object away.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let labels = object_labels(key);
        self.pass_duration.remove(&labels);
        self.resolve_duration.remove(&labels);
        self.ready.remove(&labels);
        self.paused.remove(&labels);
        for result in PassResult::ALL {
            self.passes.remove(&result_labels(key, result));
        }
        let before = self.past().remove(key).unwrap_or_default();
        self.drop_past(key, before, &Past::default());
    }

    /// Takes the series away that an object had before and has no longer.
    fn drop_past(&self, key: &ObjectKey, before: Past, now: &Past) {
        for type_ in before
            .conditions
            .iter()
            .filter(|type_| !now.conditions.contains(type_))
        {
            self.conditions.remove(&condition_labels(key, type_));
        }
        if let Some(info) = before.info.filter(|info| now.info.as_ref() != Some(info)) {
            self.info.remove(&info);
        }
    }

    fn past(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Past>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn object_labels(key: &ObjectKey) -> ObjectLabels {
    ObjectLabels {
        name: key.name().to_owned(),
        namespace: key.namespace().to_owned(),
    }
}

fn result_labels(key: &ObjectKey, result: PassResult) -> ResultLabels {
    ResultLabels {
        name: key.name().to_owned(),
        namespace: key.namespace().to_owned(),
        result: result.label(),
    }
}

fn condition_labels(key: &ObjectKey, type_: &str) -> ConditionLabels {
    ConditionLabels {
        name: key.name().to_owned(),
        namespace: key.namespace().to_owned(),
        r#type: type_.to_owned(),
    }
}

fn info_labels(key: &ObjectKey, info: Info) -> InfoLabels {
    InfoLabels {
        name: key.name().to_owned(),
        namespace: key.namespace().to_owned(),
        git_repo: info.git_repo,
        git_ref: info.git_ref,
        auth_type: info.auth_type,
        polling_interval: info.polling_interval,
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::api::GatewaySync;
    use crate::controller::tests::fixture::GatewaySyncExt as _;

    /// The series of objects.
    fn text(registry: &Registry) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("stoker_controller_leader"))
            .map(str::to_owned)
            .collect()
    }

    fn info(git_ref: &str) -> Info {
        Info {
            git_repo: "https://h/r".to_owned(),
            git_ref: git_ref.to_owned(),
            auth_type: "none",
            polling_interval: "60s".to_owned(),
        }
    }

    #[test]
    fn series_have_the_names_and_labels_that_dashboards_use_and_go_with_the_object() {
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
    fn a_changed_object_leaves_no_old_series() {
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(&mut registry);
        let key = ObjectKey::new("edge", "plant").unwrap();
        let before = GatewaySync::sample()
            .condition("PollingIntervalValid", "False")
            .status
            .unwrap();
        metrics.show(&key, false, &before, info("main"));
        metrics.show(&key, true, &GatewaySyncStatus::default(), info("dev"));
        let shown = text(&registry);
        assert_eq!(shown.len(), 3, "{shown:#?}");
        assert!(shown.iter().any(|line| line.contains("git_ref=\"dev\"")));
    }
}
